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
    let shown = host.json(&["release", "show", RELEASE, "--format", "json"]);
    assert_eq!(shown["summary"]["status"], "faulted");
    // Nothing but questions was asked of the world.
    for command in shown["summary"]["commands"].as_array().unwrap() {
        assert_eq!(command["task"], "/do/1/check-preconditions/try/0/run-preflight");
    }
    let releases = host.json(&["release", "list", "--format", "json"]);
    assert_eq!(releases.as_array().unwrap().len(), 2);
    assert_eq!(releases[1]["phase"], "completed", "the first run stays as it was");
}
