//! A person sees what a release would send, and that is what it sends.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::history::events;
use crate::world::Stage;

#[test]
fn what_a_person_saw_in_the_question_is_what_ran() {
    let stage = Stage::unattended();
    let host = stage.host();
    host.start_release(&stage).ended_with(0);
    let task = host.json(&["task", "list", "--all", "--format", "json"])[0].clone();
    let steps = task["question"]["plan"]["steps"].as_array().unwrap();
    let shown: BTreeMap<&str, &Value> =
        steps.iter().map(|step| (step["path"].as_str().unwrap(), &step["commands"])).collect();
    let names: Vec<&str> =
        steps.iter().map(|step| step["path"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(names, [vec!["send-crate"; Stage::all_crates().len()], vec!["send-tag"]].concat());
    // Whether a crate is there already is found out just before it is sent.
    assert!(steps.iter().all(|step| step["certain"] == (step["path"].as_str().unwrap().ends_with("send-tag"))));

    let events = events(&host);
    let recorded: BTreeMap<&str, &Value> = events
        .iter()
        .filter(|event| event["type"] == "CommandsPlanned")
        .map(|event| (event["path"].as_str().unwrap(), &event["commands"]))
        .collect();
    assert_eq!(recorded, shown, "what was planned when it ran is what was approved");
    let ran = events.iter().filter(|event| event["type"] == "CommandStarted");
    let sent = ran.filter(|event| shown.contains_key(event["path"].as_str().unwrap()));
    assert_eq!(sent.count(), steps.len());

    let text = host.run(&["task", "show", task["id"].as_str().unwrap()]).ended_with(0).stdout;
    for line in [
        "send-tag  calls cargo-publish  /do/",
        "send-crate  calls cargo-publish, if it comes to that  /do/",
        "rust-release/cargo-publish  ",
        "rust-release/git-push-tag  ",
        "\"tag\":\"v1.2.0\"",
    ] {
        assert!(text.contains(line), "expected `{line}` in: {text}");
    }
}
