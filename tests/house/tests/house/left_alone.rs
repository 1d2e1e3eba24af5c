//! What a release starts and does not wait for, what is said of its failures,
//! and what it needs again after an interruption: nothing.

use std::fs;

use serde_json::Value;

use crate::database;
use crate::world::{Host, RELEASE, Stage};

fn head(name: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: tests, name: {name}, version: '1.0.0', metadata: {{ lightWorkflow: \
         {{ security: {{ sandbox: {{ mode: workflow-session, template: rust-release }} }} }} }} }}\n"
    )
}

fn shown(host: &Host) -> Value {
    host.json(&["release", "show", RELEASE, "--format", "json"])
}

#[test]
fn a_process_that_nobody_waits_for_runs_once_in_an_instance_of_its_own() {
    let stage = Stage::unattended();
    let host = stage.host();
    let tasks = "do:
- soon: { wait: PT0.2S }
- leave: { run: { script: { language: sh, code: 'echo $1', arguments: ['${ .release.releaseId }'] }, await: false, return: stdout } }
- rest: { wait: PT1S }
";
    let definition = stage.write("left.yaml", &(head("left") + tasks)).display().to_string();
    let request = stage.written.request.display().to_string();
    let start = ["release", "start", &request, "--definition", &definition, "--yes"];
    assert!(host.run_and_crash_after(&start, 1).was_killed());
    assert_eq!(database::definitions(&host).len(), 2, "what will be started is kept from the start");
    let mut crash = 1;
    while host.run_and_crash_after(&start, crash).was_killed() {
        assert!(crash < 40, "it never comes to its end");
        crash += 1;
    }
    // The host of another release does what is left.
    let later = stage.request_with(|request| request["releaseId"] = "later".into()).display().to_string();
    let rests = stage.write("rests.yaml", &(head("rests") + "do: [{ rest: { wait: PT3S } }]\n")).display().to_string();
    host.run(&["release", "start", &later, "--definition", &rests]).ended_with(0);
    let children = shown(&host)["children"].as_array().unwrap().clone();
    assert_eq!(children.len(), 1, "{children:?}");
    assert_eq!(children[0]["phase"], "completed", "{children:?}");
    let child = host.json(&["release", "summary", children[0]["id"].as_str().unwrap(), "--format", "json"]);
    assert_eq!(child["output"], format!("{RELEASE}\n"), "{child}");
    assert_eq!(child["commands"].as_array().unwrap().len(), 1, "{child}");
    host.run(&["audit", "verify"]).ended_with(0);
}

#[test]
fn a_failed_command_is_diagnosed_by_the_bundled_plugin() {
    let stage = Stage::unattended();
    let host = stage.host();
    let tasks = "do:
- build:
    run: { script: { language: sh, code: 'echo \"error[E0425]: cannot find value x in this scope\" >&2; exit 101' } }
    metadata:
      lightWorkflow:
        onFailure: { call: diagnose, grants: { artifacts-read: { names: ['**'] }, log: { lines-max: 10, bytes-max: 4096 }, model: { models: [default], questions-max: 1, answer-tokens-max: 1000 } } }
";
    let definition = stage.write("fails.yaml", &(head("fails") + tasks)).display().to_string();
    let request = stage.written.request.display().to_string();
    host.run(&["release", "start", &request, "--definition", &definition, "--yes"]).ended_with(1).says("diagnose");
    let said = &shown(&host)["summary"]["diagnoses"][0];
    assert_eq!((&said["task"], &said["by"]), (&"/do/0/build".into(), &"diagnose".into()), "{said}");
    assert_eq!(said["diagnosis"]["category"], "compile-failure", "{said}");
}

#[test]
fn a_release_that_was_interrupted_needs_neither_its_definition_nor_its_documents_again() {
    let stage = Stage::unattended();
    let host = stage.host();
    let tasks = "do:
- rest: { wait: PT0.5S }
- note: { call: ./note.yaml }
";
    let note = stage.write("note.yaml", "set: { noted: true }\n");
    let definition = stage.write("reads.yaml", &(head("reads") + tasks));
    let request = stage.written.request.display().to_string();
    let start = ["release", "start", &request, "--definition", definition.to_str().unwrap(), "--yes"];
    assert!(host.run_and_crash_after(&start, 1).was_killed());
    fs::remove_file(note).unwrap();
    fs::remove_file(&definition).unwrap();
    host.run(&start).ended_with(0).says("going on with it");
    assert_eq!(shown(&host)["summary"]["output"], serde_json::json!({ "noted": true }));
}
