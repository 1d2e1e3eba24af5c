//! The host is killed, everywhere, and the release ends as if it had not been.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::history::{events, leaves};
use crate::traces::{Trace, ends_like};
use crate::world::{Host, Running, Stage};

/// Releases that run side by side: this class of machine has two cores.
const AT_ONCE: usize = 2;

/// The release as it goes when nobody disturbs it, and how many writes it commits.
fn straight() -> &'static (Trace, usize) {
    static STRAIGHT: OnceLock<(Trace, usize)> = OnceLock::new();
    STRAIGHT.get_or_init(|| {
        let stage = Stage::unattended();
        let host = stage.host();
        host.start_release(&stage).ended_with(0);
        let trace = Trace::of(&host, &stage);
        assert_eq!(trace.status, "completed");
        assert_eq!(trace.published, Stage::all_crates());
        assert_eq!(trace.tags, [format!("v1.2.0 {}", stage.written.commit)]);
        assert_eq!(trace.pushes, [200]);
        ends_like(&trace, &host, &stage);
        (trace, commits(&host))
    })
}

/// Writes to the history: events of one write carry one time.
pub fn commits(host: &Host) -> usize {
    let mut times: Vec<String> = leaves(host).iter().map(|leaf| leaf["at"].to_string()).collect();
    times.dedup();
    times.len()
}

/// Ends what an interrupted release still has to do, and lets a new start
/// remove what a host that died at the very end could not.
fn go_on(host: &Host, stage: &Stage) {
    if host.phase().as_deref() != Some("completed") {
        host.start_release(stage).ended_with(0);
    } else {
        let ran = host.run(&[
            "release",
            "start",
            stage.request_with(|request| request["releaseId"] = "sweeper".into()).to_str().unwrap(),
            "--yes",
        ]);
        ran.ended_with(1).says("P2");
    }
}

#[test]
fn a_host_killed_after_every_single_commit_of_one_release_ends_in_the_same_release() {
    let (straight, commits) = straight();
    let stage = Stage::unattended();
    let host = stage.host();
    let mut kills = 0;
    while host.phase().as_deref() != Some("completed") {
        let ran = host.start_release_and_crash_after(&stage, 1);
        assert!(ran.was_killed(), "start {kills} ended: {ran:?}");
        kills += 1;
        assert!(kills <= 2 * commits, "{kills} starts and no end");
    }
    assert!(kills >= *commits, "{kills} kills in a release of {commits} commits");
    println!("{kills} kills in one release");
    go_on(&host, &stage);
    ends_like(straight, &host, &stage);
}

#[test]
fn a_host_killed_after_any_commit_ends_in_the_same_release() {
    let (straight, commits) = straight();
    // Every commit is killed after in the chain above; a fresh release for each takes minutes.
    let stride = if std::env::var_os("HOUSE_FULL_SWEEP").is_some() { 1 } else { 9 };
    let points: Vec<usize> = (1..=*commits).step_by(stride).collect();
    side_by_side(points.len(), |index| {
        let count = points[index];
        let stage = Stage::unattended();
        let host = stage.host();
        let ran = host.start_release_and_crash_after(&stage, count);
        assert!(ran.was_killed(), "commit {count} of {commits} was not reached: {ran:?}");
        go_on(&host, &stage);
        ends_like(straight, &host, &stage);
    });
    println!("{} of {commits} commits killed after", points.len());
}

#[test]
fn a_host_killed_in_the_middle_of_a_command_finds_it_again() {
    let (straight, _) = straight();
    // Command line, and how long after its start the host is killed: at once, in the middle, near its end.
    let moments = [
        ("cargo build", 0),
        ("cargo build", 300),
        ("cargo build", 700),
        ("cargo test", 0),
        ("cargo test", 150),
        ("cargo test", 280),
        ("cargo package", 400),
        ("cargo package", 800),
        ("cargo publish", 60),
        ("push --quiet", 60),
    ];
    side_by_side(moments.len(), |index| {
        let (program, after) = moments[index];
        let stage = Stage::unattended();
        let host = stage.host();
        let mut running = host.start_release_in_background(&stage);
        wait_for_process(&host, program, &mut running);
        thread::sleep(Duration::from_millis(after));
        running.kill();
        go_on(&host, &stage);
        ends_like(straight, &host, &stage);
        assert!(events(&host).iter().any(|event| event["type"] == "InstanceCompleted"));
    });
}

/// Returns when a command whose arguments hold `text` runs in one of the host's sandboxes.
fn wait_for_process(host: &Host, text: &str, running: &mut Running) {
    let spools = host.data.join("sandbox/spool");
    loop {
        let folders = std::fs::read_dir(&spools).into_iter().flatten().flatten();
        let started = folders.filter(|folder| folder.path().join("started").exists());
        let mut requests =
            started.filter_map(|folder| std::fs::read_to_string(folder.path().join("request.json")).ok());
        if requests.any(|request| is_request_of(&request, text)) {
            return;
        }
        assert!(!running.has_ended(), "the release ended before `{text}` was seen");
        thread::sleep(Duration::from_millis(2));
    }
}

fn is_request_of(request: &str, text: &str) -> bool {
    let request: serde_json::Value = serde_json::from_str(request).unwrap_or_default();
    let argv: Vec<&str> =
        request["command"]["argv"].as_array().into_iter().flatten().filter_map(|part| part.as_str()).collect();
    argv.join(" ").contains(text)
}

/// Does `work` for each number below `count`, some at a time.
pub fn side_by_side(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        return;
                    }
                    work(index);
                }
            });
        }
    });
}
