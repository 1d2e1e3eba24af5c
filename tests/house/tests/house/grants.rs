//! What a task does not grant is refused, at the start or in the call, with its name.

use crate::world::{Ran, Stage};

/// One task that calls `plugin` with these grants.
fn definition(plugin: &str, with: &str, grants: &str) -> String {
    format!(
        "document:
  dsl: '1.0.3'
  namespace: tests
  name: grants
  version: '0.1.0'
  metadata:
    lightWorkflow:
      security:
        sandbox: {{ mode: workflow-session, template: rust-release }}
do:
  - look:
      call: {plugin}
      with: {with}
      metadata:
        lightWorkflow:
          grants: {grants}
"
    )
}

fn run(stage: &Stage, text: &str) -> Ran {
    let file = stage.write("grants.yaml", text);
    stage.host().run(&["run", file.to_str().unwrap(), "--format", "json"])
}

const TOOLS: &str = "{ operation: checkout, repository: { name: demo, url: 'http://git.demo.test/demo.git', ref: main }, directory: demo }";
const ALL: &str = "log: { lines-max: 10, bytes-max: 1000 }, artifacts-read: { names: ['*/*/stdout.log'] }";

#[test]
fn an_import_without_a_grant_is_refused_before_anything_is_written() {
    let stage = Stage::unattended();
    let ran = run(&stage, &definition("cargo", TOOLS, &format!("{{ {ALL} }}"))).ended_with(2);
    for part in ["grants.yaml:12:7: ", "task `look`", "plugin `cargo`", "lightapi:release/sandbox", "sandbox: {"] {
        assert!(ran.stderr.contains(part), "expected `{part}` in: {}", ran.stderr);
    }
    assert!(!stage.host().data.exists(), "nothing was written");
}

#[test]
fn every_missing_grant_is_named_at_once() {
    let stage = Stage::unattended();
    let ran = run(&stage, &definition("cargo", TOOLS, "{}")).ended_with(2);
    for interface in ["lightapi:release/log", "lightapi:release/artifacts", "lightapi:release/sandbox"] {
        assert!(ran.stderr.contains(interface), "expected `{interface}` in: {}", ran.stderr);
    }
}

#[test]
fn a_command_outside_the_grants_is_denied_when_it_is_asked_for() {
    let stage = Stage::unattended();
    // The plugin would run `git-checkout`; the task grants another command.
    let grants = format!("{{ {ALL}, sandbox: {{ commands: [rust-release/cargo-build], commands-max: 1 }} }}");
    let ran = run(&stage, &definition("cargo", TOOLS, &grants)).ended_with(1);
    let ended: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ended["status"], "faulted");
    let error = ended["error"].to_string();
    for part in ["errors/denied", "rust-release/git-checkout", "sandbox.commands", "look"] {
        assert!(error.contains(part), "expected `{part}` in: {error}");
    }
}

#[test]
fn a_grant_beyond_the_approval_or_the_operators_ceiling_is_refused_with_its_source() {
    let stage = Stage::unattended();
    let publishes = format!("{{ {ALL}, sandbox: {{ commands: [rust-release/cargo-publish], commands-max: 1 }} }}");
    run(&stage, &definition("cargo", TOOLS, &publishes))
        .ended_with(2)
        .says("the task grants `rust-release/cargo-publish` in `sandbox.commands`, which was not approved");
    stage.configure(|text| {
        text + "\n[policy.ceiling.sandbox]\ncommands = [\"rust-release/tool-versions\"]\ncommands-max = 1\n"
    });
    let checks_out = format!("{{ {ALL}, sandbox: {{ commands: [rust-release/git-checkout], commands-max: 1 }} }}");
    run(&stage, &definition("cargo", TOOLS, &checks_out)).ended_with(2).says("the operator's ceiling does not allow");
    assert!(!stage.host().data.exists(), "nothing was written");
}
