//! What is released already is not released again.

use crate::world::{RELEASE, Stage};

#[test]
fn a_second_run_of_a_release_is_refused_in_preflight_and_nothing_is_published() {
    let stage = Stage::unattended();
    let host = stage.host();
    host.start_release(&stage).ended_with(0);
    let (log, pushes, tags) = (stage.demo.registry().log().len(), stage.demo.pushes().unwrap().len(), stage.tags());
    let ran = host.start_release(&stage).ended_with(1);
    println!("{ran:#?}");
    let ran = ran.says("P2").says("v1.2.0");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert_eq!(stage.demo.registry().log().len(), log);
    assert_eq!(stage.demo.pushes().unwrap().len(), pushes);
    assert_eq!(stage.tags(), tags);
    // What was released is what the release id stands for; the rerun is named beside it.
    let released = host.json(&["release", "show", RELEASE, "--format", "json"]);
    assert_eq!(released["summary"]["status"], "completed");
    let rerun = released["otherRuns"][0]["id"].as_str().unwrap();
    host.run(&["release", "show", RELEASE]).ended_with(0).says(rerun);
    host.run(&["release", "summary", RELEASE]).ended_with(0).says(rerun);
    let shown = host.json(&["release", "show", rerun, "--format", "json"]);
    assert_eq!(shown["summary"]["status"], "faulted");
    assert_eq!(shown["otherRuns"][0]["id"], released["instance"]["id"]);
    // It is the request that is refused: nothing failed, and no person is needed.
    let error = &shown["summary"]["error"];
    assert_eq!(
        (&error["status"], error["type"].as_str().unwrap().rsplit('/').next()),
        (&400.into(), Some("validation"))
    );
    // Nothing but questions was asked of the world.
    for command in shown["summary"]["commands"].as_array().unwrap() {
        assert_eq!(command["task"], "/do/1/check-preconditions/try/0/run-preflight");
    }
    let releases = host.json(&["release", "list", "--format", "json"]);
    assert_eq!(releases.as_array().unwrap().len(), 2);
    assert_eq!(releases[1]["phase"], "completed", "the first run stays as it was");
}

#[test]
fn a_version_that_the_crates_do_not_have_is_refused_before_anything_is_built() {
    let stage = Stage::unattended();
    let host = stage.host();
    let request = stage.request_with(|request| request["repos"][0]["version"] = "9.9.9".into());
    let ran = host
        .run(&["release", "start", request.to_str().unwrap(), "--yes"])
        .ended_with(1)
        .says("P1: the request says version 9.9.9, but ");
    assert!(!ran.stderr.contains("{\"") && !ran.stdout.contains("{\""), "{ran:#?}");
    let logs = host.json(&["release", "logs", RELEASE, "--format", "json"]);
    let tasks: Vec<&str> =
        logs["commands"].as_array().unwrap().iter().map(|command| command["task"].as_str().unwrap()).collect();
    assert!(tasks.last().unwrap().ends_with("check-versions"), "{tasks:?}");
    assert!(!tasks.iter().any(|task| task.ends_with("/build")), "{tasks:?}");
}
