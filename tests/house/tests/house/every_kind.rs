//! A definition with every kind of task, under a host that is killed everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use web_stub::{Reply, Web};
use workflow::definition::{self, TaskKind};

use crate::crash::{commits, side_by_side};
use crate::history::{key, leaves, no_effect_happened_twice};
use crate::leftovers::nothing_is_left_of;
use crate::world::{Host, RELEASE, Ran, Stage, root};

/// Where the definitions of these tests lie.
fn definitions() -> PathBuf {
    root().join("tests/house/definitions")
}

/// A stage, and a ledger on loopback that takes entries and never looks whether it has one already.
struct Everything {
    stage: Stage,
    entries: Arc<AtomicUsize>,
    _ledger: Web,
}

impl Everything {
    fn new() -> Self {
        let stage = Stage::unattended();
        let entries = Arc::new(AtomicUsize::new(0));
        let counted = entries.clone();
        let ledger = Web::plain(move |asked| {
            let entries = match asked.method.as_str() {
                "POST" => counted.fetch_add(1, Ordering::SeqCst) + 1,
                _ => counted.load(Ordering::SeqCst),
            };
            Reply::json(&json!({ "entries": entries }).to_string())
        });
        let theirs = format!("definitions = {:?}", root().join("definitions"));
        let ours = format!("definitions = {:?}", definitions());
        let calls = format!("\n[calls.resolve]\n\"ledger.test:80\" = \"{}\"\n", ledger.address());
        stage.configure(|text| text.replace(&theirs, &ours) + &calls);
        Self { stage, entries, _ledger: ledger }
    }

    fn arguments(&self) -> Vec<String> {
        let definition = definitions().join("every-kind.yaml").display().to_string();
        let request = self.stage.written.request.display().to_string();
        ["release", "start", &request, "--definition", &definition, "--yes"].map(str::to_owned).to_vec()
    }

    fn start(&self, host: &Host) -> Ran {
        host.run(&self.arguments().iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn start_and_crash_after(&self, host: &Host, count: usize) -> Ran {
        host.run_and_crash_after(&self.arguments().iter().map(String::as_str).collect::<Vec<_>>(), count)
    }

    /// Ends what is interrupted, the child that nobody waits for too, and lets
    /// one more start remove what a host that died at the very end could not.
    fn go_on(&self, host: &Host) {
        if host.phase().as_deref() != Some("completed") {
            self.start(host).ended_with(0);
        }
        let request = self.stage.request_with(|request| request["releaseId"] = "sweeper".into());
        let sweeper = self.stage.write("sweeper.yaml", SWEEPER);
        let (request, sweeper) = (request.display().to_string(), sweeper.display().to_string());
        host.run(&["release", "start", &request, "--definition", &sweeper]).ended_with(0);
    }
}

/// Lives long enough for children that nobody waits for to end beside it.
const SWEEPER: &str = "document: { dsl: '1.0.3', namespace: tests, name: sweeper, version: '1.0.0' }
do:
- linger: { wait: { seconds: 1 } }
";

/// What two runs share, whatever happened to their hosts.
#[derive(Debug, PartialEq)]
struct Left {
    status: String,
    output: Value,
    /// Of each instance by the definition's name: the attempts that were made, repeats of the ledger's block left out.
    attempts: BTreeMap<String, Vec<BTreeSet<String>>>,
    entries: usize,
}

fn left(everything: &Everything, host: &Host) -> Left {
    let summary = host.json(&["release", "summary", RELEASE, "--format", "json"]);
    let mut instances: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for leaf in leaves(host) {
        let instance = leaf["instance"].as_str().expect("a leaf names its instance").to_owned();
        instances.entry(instance).or_default().push(leaf["event"].clone());
    }
    let mut attempts: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    for events in instances.values() {
        no_effect_happened_twice(events);
        assert!(events.iter().any(|event| event["type"] == "InstanceCompleted"), "all have ended: {events:#?}");
        let made = events.iter().filter(|event| event["type"] == "AttemptStarted").map(key);
        let name = events[0]["definition"]["name"].as_str().or(events[0]["definitionName"].as_str());
        let of_name = attempts.entry(name.unwrap_or("?").to_owned()).or_default();
        of_name.push(made.filter(|key| !key.contains("/book/")).collect());
    }
    attempts.values_mut().for_each(|all| all.sort());
    host.run(&["audit", "verify"]).ended_with(0);
    nothing_is_left_of(host);
    Left {
        status: summary["status"].as_str().unwrap().to_owned(),
        output: summary["output"].clone(),
        attempts,
        entries: everything.entries.load(Ordering::SeqCst),
    }
}

/// How it goes when nobody disturbs it, and how many writes it commits.
fn straight() -> &'static (Left, usize) {
    static STRAIGHT: OnceLock<(Left, usize)> = OnceLock::new();
    STRAIGHT.get_or_init(|| {
        let everything = Everything::new();
        let host = everything.stage.host();
        everything.start(&host).ended_with(0);
        let commits = commits(&host);
        everything.go_on(&host);
        let left = left(&everything, &host);
        assert_eq!(left.status, "completed");
        assert_eq!(left.entries, 1);
        (left, commits)
    })
}

#[test]
fn the_definition_of_this_sweep_has_every_kind_of_task() {
    let source = fs::read_to_string(definitions().join("every-kind.yaml")).unwrap();
    let definition = definition::parse(&source, "every-kind.yaml").unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut kinds = BTreeSet::new();
    definition::each_task(&definition.tasks, &mut |task| {
        kinds.insert(task.kind.name());
    });
    assert_eq!(kinds, TaskKind::NAMES.into_iter().collect());
}

#[test]
fn every_kind_of_task_survives_a_host_that_is_killed_again_and_again() {
    let (straight, commits) = straight();
    let everything = Everything::new();
    let host = everything.stage.host();
    let mut kills = 0;
    while host.phase().as_deref() != Some("completed") {
        // Mostly after each single write. Always so, a request would never be sent: whoever recorded
        // that it is about to would never live to send it. So it is two writes now and then, in no
        // step with anything that the definition repeats.
        let ran = everything.start_and_crash_after(&host, 1 + usize::from(kills * 618 % 1000 < 300));
        assert!(ran.was_killed() || host.phase().as_deref() == Some("completed"), "start {kills}: {ran:?}");
        kills += 1;
        assert!(kills <= 3 * commits, "{kills} starts and no end");
    }
    assert!(2 * kills >= *commits, "{kills} kills and {commits} commits");
    println!("{kills} kills, {commits} commits");
    everything.go_on(&host);
    assert_eq!(left(&everything, &host), *straight);
}

#[test]
fn every_kind_of_task_survives_a_host_that_is_killed_once_anywhere() {
    let (straight, commits) = straight();
    let stride = if std::env::var_os("HOUSE_FULL_SWEEP").is_some() { 1 } else { 11 };
    let points: Vec<usize> = (1..=*commits).step_by(stride).collect();
    side_by_side(points.len(), |index| {
        let count = points[index];
        let everything = Everything::new();
        let host = everything.stage.host();
        let ran = everything.start_and_crash_after(&host, count);
        // Two branches may share a write in one run and not in the other: the last points may lie behind the end.
        assert!(ran.was_killed() || count + 5 > *commits, "commit {count} of {commits} was not reached: {ran:?}");
        everything.go_on(&host);
        assert_eq!(left(&everything, &host), *straight, "killed after commit {count} of {commits}");
    });
    println!("{} of {commits} commits killed after", points.len());
}
