//! What a task does not grant is refused, at the start or in the call, with its name.

use std::fs;

use workflow::capability::{Grants, PluginsLock};

use crate::world::{Ran, Stage, components, root};

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

/// What asks beyond the release, and what a reviewer approved of it.
const ASKS: &str = r#"
[asks.http]
reason = "reads an index"
origins = ["https://index.example.test"]
requests-max = 1
bytes-max = 1000

[asks.mcp]
reason = "adds"
tools = ["math/add"]
calls-max = 1
"#;

#[test]
fn what_a_grant_needs_of_the_operator_is_told_by_check_and_fixed_at_the_start() {
    let stage = Stage::unattended();
    let plugins = stage.path("plugins");
    fs::create_dir_all(plugins.join("verify")).unwrap();
    let toml = fs::read_to_string(root().join("plugins/verify/plugin.toml")).unwrap() + ASKS;
    fs::write(plugins.join("verify/plugin.toml"), &toml).unwrap();
    let lock = fs::read_to_string(components().join("plugins.lock")).unwrap();
    let mut entry = PluginsLock::parse(&lock).unwrap().plugins[&"verify".parse().unwrap()].clone();
    let asks = workflow::capability::PluginManifest::parse(&toml).unwrap().asks;
    entry.grants = Grants { http: asks.http, mcp: asks.mcp, ..entry.grants };
    let lock = stage.write("plugins.lock", &PluginsLock::approve(&lock, &entry).unwrap());
    stage.configure(|text| {
        let text = text.replace(&format!("{:?}", root().join("plugins")), &format!("{plugins:?}"));
        let text = text.replace(&format!("{:?}", components().join("plugins.lock")), &format!("{lock:?}"));
        text + "\n[mcp.math]\ncommand = \"java-release/tool-versions\"\n"
    });
    let services = "http: { origins: ['https://index.example.test'], requests-max: 1, bytes-max: 10 }, mcp: { tools: [math/add], calls-max: 1 }";
    let grants =
        format!("{{ {ALL}, {services}, sandbox: {{ commands: [rust-release/git-ls-remote], commands-max: 1 }} }}");
    let with = "{ operation: tag, url: 'http://git.demo.test/demo.git', tag: v1.0.0, commit: '0123456789abcdef0123456789abcdef01234567' }";
    let file = stage.write("grants.yaml", &definition("verify", with, &grants));
    let checked = stage.host().run(&["check", file.to_str().unwrap(), "--format", "json"]).ended_with(0);
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    let warnings = checked[0]["warnings"].to_string();
    assert!(
        warnings.contains("grants `https://index.example.test`, which this host's configuration does not approve"),
        "{warnings}"
    );
    assert!(warnings.contains("[calls] allow"), "{warnings}");
    // The server of the tool runs in a template that no task names: it is one of those that must stay as they are.
    let templates = checked[0]["policy"]["templates"].as_object().unwrap();
    assert_eq!(templates.keys().collect::<Vec<_>>(), ["java-release", "rust-release"]);
    stage.configure(|text| text + "\n[calls]\nallow = [\"https://index.example.test\"]\n");
    let checked = stage.host().json(&["check", file.to_str().unwrap(), "--format", "json"]);
    assert_eq!(checked[0]["warnings"], serde_json::json!([]));
}
