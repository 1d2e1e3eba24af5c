//! A command outlives the host that started it, and runs once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::{ExecError, ExecRequest, Provider};
use workflow::CommandStatus;

use super::house::{House, open, processes_with, read, session, task};

/// Where the host process of these tests finds its folder.
const FOLDER: &str = "SANDBOX_TEST_FOLDER";

const SCRIPT: &str =
    "echo ran >> ~/runs; for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; sleep 0.2; done; cat ~/runs; exit 7";

fn long_command() -> ExecRequest {
    session(1, &["sh", "-c", SCRIPT])
}

/// Not a test: the host process that the tests below start and kill.
#[test]
#[ignore = "started by other tests as a host process"]
fn host_process() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the folder"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ = runtime.block_on(open(&folder, |_| {}).exec(long_command()));
}

fn start_host(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "local::attach::host_process", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a host process")
}

/// Until `path` holds `text`.
fn wait_for(path: &Path, text: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(path).unwrap_or_default().contains(text) {
        assert!(Instant::now() < limit, "no `{text}` in {}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn after_a_killed_host_another_gets_the_whole_log_and_the_exit_code() {
    let house = House::new();
    let mut host = start_host(house.folder());
    wait_for(&house.spool(&long_command().key).join("stdout.log"), "line 2");
    host.kill().expect("killed");
    host.wait().expect("gone");

    let outcome = house.run(long_command()).await;
    let lines: String = (1..=10).map(|line| format!("line {line}\n")).collect();
    assert_eq!(read(&outcome.stdout), lines + "ran\n", "it ran once, and not a line is missing");
    assert_eq!((outcome.status, outcome.exit_code), (CommandStatus::Failed, Some(7)));
}

#[tokio::test]
async fn two_hosts_at_once_run_a_command_once() {
    let house = House::new();
    let mut hosts: Vec<_> = (0..2).map(|_| start_host(house.folder())).collect();
    let (first, second) = tokio::join!(house.run(long_command()), house.run(long_command()));
    hosts.iter_mut().for_each(|host| assert!(host.wait().expect("gone").success()));
    assert!(first.stdout_excerpt.ends_with("line 10\nran\n"), "{first:?}");
    assert_eq!(first.stdout_excerpt, second.stdout_excerpt);
}

#[tokio::test]
async fn a_finished_command_is_not_run_again() {
    let house = House::new();
    let request = session(1, &["sh", "-c", "echo x >> runs; cat runs"]);
    for _ in 0..3 {
        assert_eq!(house.run(request.clone()).await.stdout_excerpt, "x\n");
    }
}

#[tokio::test]
async fn a_dropped_wait_does_not_stop_a_command() {
    let house = House::new();
    let waited = tokio::time::timeout(Duration::from_millis(300), house.local.exec(long_command())).await;
    assert!(waited.is_err(), "it takes longer than that");
    assert_eq!(house.run(long_command()).await.exit_code, Some(7));
}

#[tokio::test]
async fn a_killed_supervisor_leaves_an_unknown_outcome_and_no_process() {
    let house = House::new();
    let request = task(1, &["sh", "-c", "echo here; setsid sleep 4716.25"]);
    let spool = house.spool(&request.key);
    let killing = tokio::task::spawn_blocking(move || {
        wait_for(&spool.join("stdout.log"), "here");
        let started: serde_json::Value = serde_json::from_str(&read(&spool.join("started"))).expect("json");
        let pid = started["pid"].as_i64().expect("a number") as i32;
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    });
    let error = house.refused(request.clone()).await;
    killing.await.expect("killed");
    assert!(matches!(error, ExecError::OutcomeUnknown { .. }), "{error:?}");
    let again = house.refused(request.clone()).await;
    assert!(matches!(again, ExecError::OutcomeUnknown { .. }), "{again:?}");
    house.local.discard(&request.key).await;
    // The kernel ends them, and this may be seen a moment later.
    let limit = Instant::now() + Duration::from_secs(10);
    while !processes_with("sleep 4716.25").is_empty() {
        assert!(Instant::now() < limit, "{:?}", processes_with("sleep 4716.25"));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!house.spool(&request.key).exists() && !house.root().join("tasks").join(request.key.slug()).exists());
}

#[tokio::test]
async fn a_crash_before_the_start_is_made_good() {
    let house = House::new();
    let request = session(1, &["echo", "ran"]);
    // The host came as far as making the folder.
    fs::create_dir_all(house.spool(&request.key)).expect("a folder");
    assert_eq!(house.run(request).await.stdout_excerpt, "ran\n");
}

#[tokio::test]
async fn a_sweep_finds_what_runs_without_supervisor_and_spool() {
    let house = House::new();
    let request = task(1, &["sh", "-c", "echo here; setsid sleep 4718.25"]);
    let spool = house.spool(&request.key);
    let log = spool.join("stdout.log");
    let losing = tokio::task::spawn_blocking(move || {
        wait_for(&log, "here");
        let started: serde_json::Value = serde_json::from_str(&read(&spool.join("started"))).expect("json");
        let pid = rustix::process::Pid::from_raw(started["pid"].as_i64().expect("a number") as i32);
        fs::remove_dir_all(&spool).expect("removed");
        rustix::process::kill_process(pid.expect("a process id"), rustix::process::Signal::KILL).expect("killed");
    });
    house.refused(request.clone()).await;
    losing.await.expect("lost");
    let removed = house.local.sweep(std::slice::from_ref(&request.key.instance)).await;
    assert!(removed.contains(&format!("task {}", request.key.slug())), "{removed:?}");
    let limit = Instant::now() + Duration::from_secs(10);
    while !processes_with("sleep 4718.25").is_empty() {
        assert!(Instant::now() < limit, "{:?}", processes_with("sleep 4718.25"));
        std::thread::sleep(Duration::from_millis(10));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| path.contains("/cgroup")) {
        let group = Path::new(mount).join("light-workflow").join(format!("{}-{}", house.mark(), request.key.slug()));
        assert!(!group.exists(), "{}", group.display());
    }
}
