//! `call: asyncapi` with a real broker, and a host that dies around it.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use web_stub::broker::Mosquitto;

use crate::history::events;
use crate::world::{Host, Stage};

/// A release that is this task, beside a document with one channel on the broker.
fn stage(broker: &Mosquitto, task: &str) -> (Stage, Host) {
    let stage = Stage::unattended();
    let folder = stage.path("own-definitions");
    std::fs::create_dir(&folder).unwrap();
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: release, name: rust-products, version: '0.1.0' }}\ndo:\n- before: {{ set: {{ a: 1 }} }}\n{task}"
    );
    std::fs::write(folder.join("rust-products.yaml"), text).unwrap();
    let address = broker.address();
    let document = format!(
        "{{ asyncapi: 3.0.0, servers: {{ here: {{ host: '{address}', protocol: mqtt }} }}, channels: {{ builds: {{ address: builds }} }} }}"
    );
    std::fs::write(folder.join("builds.yaml"), document).unwrap();
    let definitions = crate::world::root().join("definitions");
    let allow = format!("\n[calls]\nallow = [\"mqtt://{address}\"]\nfiles = {folder:?}\n");
    stage.configure(|text| {
        let changed = text.replace(&format!("definitions = {definitions:?}"), &format!("definitions = {folder:?}"));
        assert_ne!(changed, text);
        changed + &allow
    });
    let host = stage.host();
    (stage, host)
}

fn of_kind(host: &Host, kind: &str) -> Vec<Value> {
    events(host).into_iter().filter(|event| event["type"] == kind).collect()
}

/// Messages that are on disk, in their batches.
fn recorded(host: &Host) -> usize {
    let batches = of_kind(host, "HostCallCompleted").into_iter();
    batches.map(|event| event["answer"]["messages"].as_array().unwrap().len()).sum()
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < limit, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_host_loses_no_message_and_takes_none_twice() {
    let broker = Mosquitto::start("allow_anonymous true\nlog_type all\n");
    let task = "- take:
    call: asyncapi
    with:
      document: { endpoint: 'file://builds.yaml' }
      channel: builds
      subscription:
        filter: .payload.n > 0
        consume: { amount: 4 }
        foreach: { do: [{ note: { set: { n: '${ $item.payload.n }' } } }], output: { as: .n } }
    timeout: { after: PT2M }
";
    let (stage, host) = stage(&broker, task);
    let say = |n: u32| broker.publish("builds", &json!({ "n": n }).to_string());
    let running = host.start_release_in_background(&stage);
    // Until somebody listens a message is nobody's.
    wait_for("it subscribes", || broker.log().contains("Sending SUBACK"));
    say(0);
    say(1);
    wait_for("the first message is recorded", || recorded(&host) == 1);
    running.kill();
    // Nobody is there now.
    say(2);
    let running = host.start_release_in_background(&stage);
    wait_for("what came meanwhile is recorded", || recorded(&host) == 2);
    say(3);
    say(4);
    wait_for("that is enough", || host.phase().as_deref() == Some("completed"));
    running.end();
    assert_eq!(of_kind(&host, "InstanceCompleted")[0]["output"], json!([1, 2, 3, 4]));
    assert_eq!(recorded(&host), 4);
    // The broker keeps nothing for the task any more: the last to connect was the task, with a clean session.
    let log = broker.log();
    let last = log.lines().rfind(|line| line.contains("New client connected")).unwrap_or_default();
    assert!(last.contains(" as lw") && last.contains(", c1,"), "{last}");
}

#[test]
fn a_host_killed_after_any_commit_around_a_message_never_publishes_it_twice() {
    let task = "- tell: { call: asyncapi, with: { document: { endpoint: 'file://builds.yaml' }, channel: builds, message: { payload: { n: 1 } } } }\n";
    let (mut known, mut unknown) = (0, 0);
    for count in 1.. {
        let broker = Mosquitto::start("allow_anonymous true\nlog_type all\n");
        let (stage, host) = stage(&broker, task);
        let ran = host.start_release_and_crash_after(&stage, count);
        if !ran.was_killed() {
            break;
        }
        let started = !of_kind(&host, "CallStarted").is_empty();
        let ended = !of_kind(&host, "AttemptCompleted").is_empty();
        if !matches!(host.phase().as_deref(), Some("completed" | "faulted")) {
            host.start_release(&stage);
        }
        let outcome = of_kind(&host, "AttemptCompleted")[0]["outcome"]["kind"].as_str().unwrap().to_owned();
        let published = broker.log().matches("Received PUBLISH").count();
        let phase = host.phase();
        match (started, ended) {
            (true, false) => {
                assert_eq!((outcome.as_str(), published, phase.as_deref()), ("unknown", 0, Some("faulted")), "{count}");
                unknown += 1;
            }
            (true, true) | (false, false) => {
                assert_eq!(
                    (outcome.as_str(), published, phase.as_deref()),
                    ("output", 1, Some("completed")),
                    "{count}"
                );
                known += 1;
            }
            (false, true) => panic!("an outcome without a start"),
        }
    }
    assert!(unknown >= 1 && known >= 2, "{unknown} unknown, {known} known");
}
