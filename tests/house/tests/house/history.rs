//! The events of a host, as its audit log has them, and what must hold in each history.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::{Host, RELEASE};

/// Every leaf of the log, in order.
pub fn leaves(host: &Host) -> Vec<Value> {
    let text = host.run(&["audit", "export"]).ended_with(0).stdout;
    text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The events of the newest run of the release.
pub fn events(host: &Host) -> Vec<Value> {
    let leaves = leaves(host);
    let first = |leaf: &&Value| {
        leaf["event"]["type"] == "InstanceStarted" && leaf["event"]["input"]["release"]["releaseId"] == RELEASE
    };
    let instance = leaves.iter().rfind(first).expect("a release was started")["instance"].clone();
    leaves.into_iter().filter(|leaf| leaf["instance"] == instance).map(|leaf| leaf["event"].clone()).collect()
}

/// `path attempt sequence` of an event about an effect.
pub fn key(event: &Value) -> String {
    format!("{} {} {}", event["path"].as_str().unwrap(), event["attempt"], event["sequence"])
}

/// Each effect was intended once and ended once, whatever happened to the host.
#[track_caller]
pub fn no_effect_happened_twice(events: &[Value]) {
    for kind in ["AttemptStarted", "CommandStarted", "CommandCompleted", "AttemptCompleted"] {
        let mut seen = BTreeSet::new();
        for event in events.iter().filter(|event| event["type"] == kind) {
            assert!(seen.insert(key(event)), "{kind} twice: {}", key(event));
        }
    }
    let keys =
        |kind: &str| -> BTreeSet<String> { events.iter().filter(|event| event["type"] == kind).map(key).collect() };
    assert_eq!(keys("CommandStarted"), keys("CommandCompleted"), "each command that was started has its end");
    assert_eq!(keys("AttemptStarted"), keys("AttemptCompleted"), "each attempt that was started has its end");
}
