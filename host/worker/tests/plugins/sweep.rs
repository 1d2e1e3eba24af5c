//! Every bundled plugin is killed at every host call and at every commit of its journal.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::{Value, json};
use store::{ArtifactBytes, NewArtifact};
use workflow::event::Event;
use workflow::{ArtifactUri, EffectOutcome, InstanceId};

use crate::machine::{Answer, Death, Machine};
use crate::world::{BUNDLED, World, component, host};

fn says(stdout: &str) -> Answer {
    Answer { stdout: stdout.to_owned(), ..Answer::default() }
}

fn captures(files: &[&str]) -> Answer {
    Answer { files: files.iter().map(|file| (*file).to_owned()).collect(), ..Answer::default() }
}

/// What each command of a step answers, in the order in which it asks.
type Script = Vec<(&'static str, Answer)>;

/// Name, input and script of each plugin's longest way.
fn cases() -> Vec<(&'static str, Value, Script)> {
    let package = |name: &str, on: Value| {
        json!({ "name": name, "version": "0.1.0", "publish": null, "dependencies": on,
                "manifest_path": format!("/workspace/repos/demo/{name}/Cargo.toml") })
    };
    let on_core = json!([{ "name": "core", "req": "^0.1", "kind": null, "path": "/workspace/repos/demo/core" }]);
    let metadata = json!({ "workspace_root": "/workspace/repos/demo", "packages": [package("app", on_core), package("core", json!([]))] });
    let request = json!({ "releaseId": "1",
        "repos": [{ "name": "demo", "url": "http://git.demo.test/demo.git", "ref": "main", "version": "0.1.0" }],
        "crates": [{ "name": "demo", "version": "0.1.0" }], "registryIndex": "sparse+http://crates.demo.test/",
        "tools": { "cargo": "1.95" }, "publishPolicy": { "requireHumanApproval": true },
        "approvalTasks": ["approve"] });
    let index = json!({ "name": "app", "vers": "1.0.0", "cksum": "ab".repeat(32), "deps": [] });
    let index = format!("{index}\n\n200\n");
    let tag = json!({ "operation": "tag", "url": "http://git.demo.test/d.git", "tag": "v1", "commit": "aaa" });
    let source = "artifact://straight/package/1/source.bundle";
    vec![
        (
            "cargo",
            json!({ "operation": "package", "directory": "repos/demo", "version": "0.1.0" }),
            vec![
                ("cargo-metadata", says(&metadata.to_string())),
                ("cargo-package", captures(&["app-0.1.0.crate", "core-0.1.0.crate"])),
                ("git-bundle", captures(&["source.bundle"])),
            ],
        ),
        ("cargo", json!({ "operation": "build", "directory": "repos/demo", "fetch": true }), vec![]),
        (
            "cargo-publish",
            json!({ "operation": "publish", "crate": "d", "version": "1.0.0", "source": source,
                    "digest": format!("sha256:{}", "ab".repeat(32)) }),
            vec![],
        ),
        (
            "maven",
            json!({ "operation": "package", "directory": "repos/demo" }),
            vec![
                (
                    "java-release/maven-validate",
                    says("[INFO] ---< g:core >---\n[INFO] Building core 1.0.0\n[INFO] ---[ jar ]---\n"),
                ),
                ("java-release/maven-package", captures(&["core-1.0.0.jar"])),
            ],
        ),
        (
            "verify",
            json!({ "operation": "crate", "registryIndex": "sparse+http://crates.demo.test/", "crate": "app",
                    "version": "1.0.0", "digest": format!("sha256:{}", "ab".repeat(32)) }),
            vec![("registry-index", says(&index))],
        ),
        ("diagnose", json!({ "failure": { "logs": [source] }, "model": "default" }), vec![]),
        ("release-notes", json!({ "repository": { "name": "demo" }, "version": "1.2.0", "commits": [] }), vec![]),
        ("verify", tag, vec![("git-ls-remote", says("aaa\trefs/tags/v1\n"))]),
        (
            "preflight",
            request,
            vec![
                ("git-ls-remote", says("aaa\trefs/heads/main\n")),
                ("registry-index", says("\n404\n")),
                ("tool-versions", says("cargo 1.95.0 (x)\n")),
            ],
        ),
    ]
}

/// Every operation that is not among these ways.
fn other_operations() -> Vec<(&'static str, Value, Script)> {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let repository = json!({ "name": "demo", "url": "http://git.demo.test/demo.git", "ref": "main" });
    let checkout = json!({ "operation": "checkout", "repository": repository });
    let of = |operation: &str| json!({ "operation": operation, "directory": "repos/demo" });
    let metadata = json!({ "workspace_root": "/workspace/repos/demo", "packages": [] });
    let tag = json!({ "operation": "tag", "url": "http://git.demo.test/demo.git", "tag": "v0.1.0", "commit": commit,
        "source": "artifact://straight/package/1/source.bundle" });
    let file = json!({ "operation": "maven-file", "repository": "https://maven.demo.test/maven2", "group": "g",
        "artifact": "core", "version": "1.0.0", "digest": format!("sha256:{}", "ab".repeat(32)) });
    let find = json!({ "operation": "find-crate", "registryIndex": "sparse+http://crates.demo.test/", "crate": "app",
        "version": "1.0.0", "digest": format!("sha256:{}", "ab".repeat(32)) });
    vec![
        ("verify", find, vec![("registry-index", says("\n404\n"))]),
        ("cargo", checkout.clone(), vec![("git-checkout", says(commit))]),
        ("cargo", of("metadata"), vec![("cargo-metadata", says(&metadata.to_string()))]),
        ("cargo", of("test"), vec![]),
        ("cargo", of("changes"), vec![]),
        ("cargo-publish", tag, vec![]),
        ("maven", checkout, vec![("java-release/git-checkout", says(commit))]),
        ("maven", of("metadata"), vec![]),
        ("maven", of("build"), vec![]),
        ("maven", of("test"), vec![]),
        ("verify", file, vec![]),
    ]
}

/// Steps that ask their host for nothing end the same on any host.
const ASKS_NOTHING: &str = "config-profile";

/// A new operation belongs into these cases.
#[tokio::test]
async fn every_operation_of_every_bundled_plugin_is_killed() {
    let cases = [cases(), other_operations()].concat();
    for plugin in BUNDLED.into_iter().filter(|plugin| *plugin != ASKS_NOTHING) {
        let loaded = host().load(&plugin.parse().unwrap(), &component(plugin)).await.unwrap();
        let schema = host().describe(&loaded).await.unwrap().input_schema;
        let variants = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![Value::Null]);
        let known: BTreeSet<String> =
            variants.iter().map(|variant| variant["properties"]["operation"]["const"].to_string()).collect();
        let of_plugin = cases.iter().filter(|(name, _, _)| *name == plugin);
        let killed: BTreeSet<String> = of_plugin.map(|(_, input, _)| input["operation"].to_string()).collect();
        assert_eq!(killed, known, "{plugin}");
    }
}

async fn world(script: Vec<(&'static str, Answer)>) -> World {
    let world = World::new(Machine::new(script)).await;
    world.start("straight").await;
    let new = NewArtifact {
        uri: ArtifactUri::new("artifact://straight/package/1/source.bundle").unwrap(),
        instance: InstanceId::new("straight").unwrap(),
        media_type: "application/octet-stream".to_owned(),
    };
    world.hands.store.put_artifact(new, ArtifactBytes::Memory(b"bundle".to_vec())).await.unwrap();
    world
}

#[tokio::test]
async fn a_host_that_dies_at_any_host_call_or_commit_is_followed_by_the_same_output_and_no_command_twice() {
    let must_succeed = cases().len();
    for (number, (plugin, input, script)) in cases().into_iter().chain(other_operations()).enumerate() {
        let straight = world(script.clone()).await;
        let history = Mutex::default();
        let attempt = straight.attempt(plugin, "straight", input.clone());
        let expected = straight.live(&attempt, Death::never(), &history).await.unwrap();
        // What a command answers too little for is a failure of the step: an end that must be the same, too.
        let succeeded = matches!(expected, EffectOutcome::Output { .. });
        assert!(succeeded || number >= must_succeed, "{plugin}: {expected:?}");
        let commands = straight.machine.started();
        let recorded = history.into_inner().unwrap();
        assert!(!recorded.is_empty(), "{plugin} calls its host");

        let mut deaths = 0;
        loop {
            let death = Death::at(deaths + 1);
            let world = world(script.clone()).await;
            let history: Mutex<Vec<Event>> = Mutex::default();
            if world.live(&attempt, death.clone(), &history).await.is_some() {
                assert!(!death.has_struck());
                break;
            }
            deaths += 1;
            let resumed = world.live(&attempt, Death::never(), &history).await;
            assert_eq!(resumed.as_ref(), Some(&expected), "{plugin}, death {deaths}");
            assert_eq!(world.machine.started(), commands, "{plugin}, death {deaths}: started twice, or not at all");
            let after = history.into_inner().unwrap();
            assert_eq!(names(&after), names(&recorded), "{plugin}, death {deaths}");
        }
        // Before and after each commit, and twice in the machine for each command.
        let moments = 2 * recorded.len() + 2 * commands.len();
        assert!(deaths as usize >= moments, "{plugin}: {deaths} deaths, {commands:?}");
    }
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}
