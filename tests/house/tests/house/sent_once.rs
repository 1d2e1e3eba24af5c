//! A request that must not be sent twice, and a host that dies around it.

use std::thread;
use std::time::{Duration, Instant};

use web_stub::{Part, Reply, Web};

use crate::history::events;
use crate::world::{Host, Stage};

/// A release that is one POST.
fn stage(web: &Web) -> (Stage, Host) {
    let stage = Stage::unattended();
    let folder = stage.path("own-definitions");
    std::fs::create_dir(&folder).unwrap();
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: release, name: rust-products, version: '0.1.0' }}\ndo:\n\
         - before: {{ set: {{ a: 1 }} }}\n\
         - tell: {{ call: http, with: {{ method: post, endpoint: 'http://{0}/tell', body: {{ x: 1 }} }} }}\n\
         - after: {{ set: {{ told: true }} }}\n",
        web.address()
    );
    std::fs::write(folder.join("rust-products.yaml"), text).unwrap();
    let definitions = crate::world::root().join("definitions");
    let allow = format!("\n[calls]\nallow = [\"http://{}\"]\n", web.address());
    stage.configure(|text| {
        let changed = text.replace(&format!("definitions = {definitions:?}"), &format!("definitions = {folder:?}"));
        assert_ne!(changed, text);
        changed + &allow
    });
    let host = stage.host();
    (stage, host)
}

fn names(host: &Host) -> Vec<String> {
    events(host).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// How the one attempt ended.
fn outcome(host: &Host) -> String {
    let completed = events(host).into_iter().filter(|event| event["type"] == "AttemptCompleted");
    let kinds: Vec<_> = completed.map(|event| event["outcome"]["kind"].as_str().unwrap().to_owned()).collect();
    let [kind] = kinds.as_slice() else { panic!("{kinds:?}") };
    kind.clone()
}

#[test]
fn a_host_killed_after_any_commit_around_a_post_never_sends_it_twice() {
    let (mut sent_and_known, mut unknown) = (0, 0);
    for count in 1.. {
        let web = Web::plain(|_| Reply::json("{}"));
        let (stage, host) = stage(&web);
        let ran = host.start_release_and_crash_after(&stage, count);
        if !ran.was_killed() {
            break;
        }
        let started = names(&host).contains(&"CallStarted".to_owned());
        let ended = names(&host).contains(&"AttemptCompleted".to_owned());
        if !matches!(host.phase().as_deref(), Some("completed" | "faulted")) {
            host.start_release(&stage);
        }
        match (started, ended) {
            // It was on record that it may have been sent, and nobody knows: it is not sent again.
            (true, false) => {
                assert_eq!((outcome(&host).as_str(), web.lines().len()), ("unknown", 0), "killed after commit {count}");
                let fault = events(&host).into_iter().find(|event| event["type"] == "TaskFaulted").unwrap();
                assert!(fault["error"]["type"].as_str().unwrap().ends_with("/outcome-unknown"), "{fault}");
                assert_eq!(host.phase().as_deref(), Some("faulted"));
                unknown += 1;
            }
            (true, true) | (false, false) => {
                assert_eq!((outcome(&host).as_str(), web.lines().len()), ("output", 1), "killed after commit {count}");
                assert_eq!(host.phase().as_deref(), Some("completed"));
                sent_and_known += 1;
            }
            (false, true) => panic!("an outcome without a start: {:?}", names(&host)),
        }
    }
    assert!(unknown >= 1 && sent_and_known >= 2, "{unknown} unknown, {sent_and_known} known");
}

#[test]
fn a_host_killed_while_it_waits_for_the_answer_does_not_ask_again() {
    let web = Web::plain(|_| Reply(vec![Part::Pause(Duration::from_secs(60))]));
    let (stage, host) = stage(&web);
    let running = host.start_release_in_background(&stage);
    let limit = Instant::now() + Duration::from_secs(120);
    while web.asked().is_empty() {
        assert!(Instant::now() < limit, "it is asked");
        thread::sleep(Duration::from_millis(20));
    }
    running.kill();
    host.start_release(&stage).ended_with(1);
    assert_eq!((outcome(&host).as_str(), web.lines()), ("unknown", vec!["POST /tell".to_owned()]));
}
