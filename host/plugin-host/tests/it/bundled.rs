//! The bundled plugins: what they import, what they ask, and that they run.

use std::collections::BTreeSet;
use std::fmt::Write;

use plugin_host::{CallError, Interface};
use serde_json::{Value, json};
use workflow::capability::{Approval, Date, Grants, PluginManifest, PluginsLock, effective};

use crate::common::{Scripted, commands, components, host, plugin, plugin_name, root, run};

const BUNDLED: [&str; 8] =
    ["cargo", "cargo-publish", "config-profile", "diagnose", "maven", "preflight", "release-notes", "verify"];

#[test]
fn the_imports_of_each_plugin_are_what_a_reviewer_saw() {
    let mut text = String::new();
    for name in BUNDLED {
        let inspection = plugin_host::inspect(&components()[name]).unwrap();
        assert!(inspection.import_pure, "{name}");
        writeln!(text, "{name}").unwrap();
        for (interface, functions) in &inspection.imports {
            let functions: Vec<_> = functions.iter().map(String::as_str).collect();
            writeln!(text, "  {interface}: {}", functions.join(", ")).unwrap();
        }
    }
    assert_eq!(
        text,
        "\
cargo
  lightapi:release/artifacts-read@0.1.0: read
  lightapi:release/log@0.1.0: emit
  lightapi:release/sandbox@0.1.0: exec
cargo-publish
  lightapi:release/log@0.1.0: emit
  lightapi:release/sandbox-secret@0.1.0: exec-with-secrets
  lightapi:release/secrets@0.1.0: acquire
config-profile
  lightapi:release/log@0.1.0: emit
diagnose
  lightapi:release/artifacts-read@0.1.0: read, stat
  lightapi:release/log@0.1.0: emit
  lightapi:release/model@0.1.1: ask
maven
  lightapi:release/artifacts-read@0.1.0: read
  lightapi:release/log@0.1.0: emit
  lightapi:release/sandbox@0.1.0: exec
preflight
  lightapi:release/artifacts-read@0.1.0: read
  lightapi:release/log@0.1.0: emit
  lightapi:release/sandbox@0.1.0: exec
release-notes
  lightapi:release/artifacts-write@0.1.0: put
  lightapi:release/log@0.1.0: emit
verify
  lightapi:release/artifacts-read@0.1.0: read
  lightapi:release/log@0.1.0: emit
  lightapi:release/sandbox@0.1.0: exec
"
    );
}

fn manifest(name: &str) -> PluginManifest {
    let path = root().join("plugins").join(name).join("plugin.toml");
    PluginManifest::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn lock() -> PluginsLock {
    PluginsLock::parse(&std::fs::read_to_string(root().join("plugins/plugins.lock")).unwrap()).unwrap()
}

#[tokio::test]
async fn each_plugin_asks_for_exactly_what_it_imports() {
    for name in BUNDLED {
        let (manifest, plugin) = (manifest(name), plugin(name).await);
        assert_eq!(manifest.name, plugin_name(name));
        assert_eq!(plugin.missing_grants(&manifest.asks), [], "{name}");
        assert_eq!(plugin.over_grants(&manifest.asks), [], "{name}");
        assert!(plugin.inspection().fits(manifest.world), "{name}");
    }
}

#[tokio::test]
async fn each_plugin_describes_itself_as_its_manifest_does() {
    for name in BUNDLED {
        let (manifest, plugin) = (manifest(name), plugin(name).await);
        let description = host().describe(&plugin).await.unwrap();
        assert_eq!(description.name, name);
        assert_eq!(description.version, manifest.version.to_string());
        assert_eq!(description.summary, manifest.summary);
        for schema in [&description.input_schema, &description.output_schema] {
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        }
    }
}

#[test]
fn the_lock_approves_what_each_manifest_asks_and_no_more() {
    let lock = lock();
    let names: Vec<_> = lock.plugins.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, BUNDLED);
    for name in BUNDLED {
        let (manifest, entry) = (manifest(name), &lock.plugins[&plugin_name(name)]);
        // The digest depends on the compiler; that a changed one is refused is shown in `workflow`.
        let today = entry.reviewed;
        let approval = Approval { manifest: &manifest, lock: Some(entry), digest: &entry.digest, ceiling: None, today };
        assert_eq!(effective(&approval, &entry.grants), Ok(entry.grants.clone()), "{name}");
        assert!(entry.expires > Date::constant(2026, 11, 24));
    }
}

fn cargo_grants(names: &[&str]) -> Grants {
    let mut grants = manifest("cargo").asks;
    grants.sandbox.as_mut().unwrap().commands = commands(names);
    grants
}

#[tokio::test]
async fn cargo_runs_as_a_component() {
    let cargo = plugin("cargo").await;
    let package = |name: &str, on: Value| {
        json!({ "name": name, "version": "0.1.0", "publish": null, "dependencies": on,
                "manifest_path": format!("/workspace/repos/demo/{name}/Cargo.toml") })
    };
    let on_core = json!([{ "name": "core", "req": "^0.1", "kind": null, "path": "/workspace/repos/demo/core" }]);
    let metadata = json!({ "workspace_root": "/workspace/repos/demo", "packages": [package("app", on_core), package("core", json!([]))] });
    let scripted = Scripted {
        commands: vec![
            (metadata.to_string(), 0, vec![]),
            (String::new(), 0, vec!["app-0.1.0.crate".to_owned(), "core-0.1.0.crate".to_owned()]),
            (String::new(), 0, vec!["source.bundle".to_owned()]),
        ],
        ..Scripted::default()
    };
    let grants =
        cargo_grants(&["rust-release/cargo-metadata", "rust-release/cargo-package", "rust-release/git-bundle"]);
    let input = json!({ "operation": "package", "directory": "repos/demo", "version": "0.1.0" });
    let (result, record) = run(&cargo, input, &grants, scripted).await;
    let output = result.unwrap();
    assert_eq!(output["crates"][0]["name"], "core");
    assert_eq!(output["source"]["artifact"], "artifact://i/t/1/source.bundle");
    assert_eq!(record.calls[1], "2 exec rust-release/cargo-package directory=Text(\"repos/demo\")");
}

#[tokio::test]
async fn a_command_that_the_task_does_not_grant_ends_as_a_denial_that_names_it() {
    let cargo = plugin("cargo").await;
    let input = json!({ "operation": "test", "directory": "repos/demo" });
    let (result, record) = run(&cargo, input, &cargo_grants(&["rust-release/cargo-build"]), Scripted::default()).await;
    let Err(CallError::Denied(denial)) = result else { panic!("{result:?}") };
    assert_eq!((denial.capability.as_str(), denial.subject.as_str()), ("sandbox", "rust-release/cargo-test"));
    assert_eq!(record.denied, [(1, denial)]);
}

#[tokio::test]
async fn every_planned_command_is_asked_for_and_run() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let uri = "artifact://i/t/1/source.bundle";
    let request = json!({ "releaseId": "1", "repos": [{ "name": "d", "url": "http://g/d.git", "ref": "main", "version": "1.0.0" }],
        "crates": [{ "name": "d", "version": "1.0.0" }], "registryIndex": "sparse+http://r/", "tools": { "git": "2" },
        "publishPolicy": { "requireHumanApproval": true }, "approvalTasks": ["approve"] });
    let inputs = [
        ("preflight", request),
        (
            "cargo",
            json!({ "operation": "checkout", "repository": { "name": "d", "url": "http://g/d.git", "ref": "main" } }),
        ),
        ("cargo", json!({ "operation": "metadata", "directory": "d" })),
        ("cargo", json!({ "operation": "build", "directory": "d", "fetch": true })),
        ("cargo", json!({ "operation": "test", "directory": "d" })),
        ("cargo", json!({ "operation": "package", "directory": "d" })),
        ("cargo", json!({ "operation": "changes", "directory": "d" })),
        (
            "verify",
            json!({ "operation": "crate", "registryIndex": "sparse+http://r/", "crate": "d", "version": "1.0.0", "digest": digest }),
        ),
        (
            "verify",
            json!({ "operation": "maven-file", "repository": "https://r", "group": "g", "artifact": "a", "version": "1", "digest": digest }),
        ),
        ("verify", json!({ "operation": "tag", "url": "http://g/d.git", "tag": "v1", "commit": "aa" })),
        (
            "maven",
            json!({ "operation": "checkout", "repository": { "name": "d", "url": "http://g/d.git", "ref": "main" } }),
        ),
        ("maven", json!({ "operation": "metadata", "directory": "d" })),
        ("maven", json!({ "operation": "build", "directory": "d", "fetch": true })),
        ("maven", json!({ "operation": "test", "directory": "d" })),
        ("maven", json!({ "operation": "package", "directory": "d" })),
        (
            "cargo-publish",
            json!({ "operation": "publish", "crate": "d", "version": "1.0.0", "source": uri, "digest": digest }),
        ),
        (
            "cargo-publish",
            json!({ "operation": "tag", "url": "http://g/d.git", "tag": "v1", "commit": "aa", "source": uri }),
        ),
    ];
    let mut planned_by = std::collections::BTreeMap::<&str, BTreeSet<_>>::new();
    for (name, input) in inputs {
        let plugin = plugin(name).await;
        let planned = host().plan(&plugin, &input).await.unwrap();
        assert!(!planned.is_empty(), "{name} {input}");
        planned_by.entry(name).or_default().extend(planned.into_iter().map(|planned| planned.command));
    }
    for name in BUNDLED {
        let asked = manifest(name).asks.sandbox.map(|sandbox| sandbox.commands).unwrap_or_default();
        assert_eq!(planned_by.remove(name).unwrap_or_default(), asked, "{name}");
    }
}

#[tokio::test]
async fn the_config_profile_gate_runs_as_a_component_and_calls_nothing() {
    let gate = plugin("config-profile").await;
    let text = json!({ "runtimeFamily": "rust", "products": [
        { "productId": "agt", "productVersion": "1.2.0", "inheritFrom": { "productVersion": "1.1.0" } } ] });
    let manifest_at =
        |path: &str| json!({ "operation": "validate", "manifests": [{ "path": path, "text": text.to_string() }] });
    let grants = manifest("config-profile").asks;
    let (result, record) = run(&gate, manifest_at("rust/agt/1.2.0/manifest.json"), &grants, Scripted::default()).await;
    assert_eq!(result.unwrap()["manifests"][0]["products"], json!(["agt|1.2.0"]));
    assert_eq!((record.calls, record.log.len()), (vec![], 1));
    let (result, _) = run(&gate, manifest_at("java/agt/1.2.0/manifest.json"), &grants, Scripted::default()).await;
    let Err(CallError::NeedsHuman(text)) = result else { panic!("{result:?}") };
    assert!(text.contains("is `rust`, but the file lies below `java`"), "{text}");
}

#[tokio::test]
async fn a_diagnosis_runs_as_a_component_and_goes_on_without_a_models_help() {
    let diagnose = plugin("diagnose").await;
    let log = "artifact://i/t/1/stderr.log";
    let input = json!({ "failure": { "summary": "it failed", "exitCode": 1, "logs": [log] }, "model": "default" });
    let grants = manifest("diagnose").asks;
    let (result, record) = run(&diagnose, input.clone(), &grants, Scripted::default()).await;
    let diagnosis = result.unwrap();
    assert_eq!((&diagnosis["category"], &diagnosis["action"]), (&json!("uncertain"), &json!("human-task")));
    assert!(diagnosis["model"].as_str().unwrap().starts_with("test default 1 answered something else"), "{diagnosis}");
    assert_eq!(record.calls[..2], [format!("1 stat {log}"), format!("2 read {log} 0 16")]);
    assert!(record.calls[2].starts_with("3 ask default 1000 ") && record.calls[2].ends_with(log), "{:?}", record.calls);
    let nobody = plugin_host::HostCallError::Unavailable("no model is configured".to_owned());
    let (result, _) = run(&diagnose, input, &grants, Scripted { fails: Some(nobody), ..Scripted::default() }).await;
    assert_eq!(result.unwrap()["model"], "unavailable: no model is configured");
}

#[tokio::test]
async fn maven_runs_as_a_component() {
    let maven = plugin("maven").await;
    let validated = "[INFO] ---< g:core >---\n[INFO] Building core 1.0.0\n[INFO] ---[ jar ]---\n".to_owned();
    let jar = "core-1.0.0.jar".to_owned();
    let scripted =
        Scripted { commands: vec![(validated, 0, vec![]), (String::new(), 0, vec![jar])], ..Scripted::default() };
    let input = json!({ "operation": "package", "directory": "repos/d", "version": "1.0.0" });
    let (result, record) = run(&maven, input, &manifest("maven").asks, scripted).await;
    assert_eq!(result.unwrap()["files"][0]["file"], "artifact://i/t/1/core-1.0.0.jar");
    let ran = ["1 exec java-release/maven-validate", "2 exec java-release/maven-package"];
    assert_eq!(record.calls, ran.map(|command| format!("{command} directory=Text(\"repos/d\")")));
}

#[tokio::test]
async fn release_notes_run_as_a_component_and_store_one_file() {
    let notes = plugin("release-notes").await;
    let input = json!({ "repository": { "name": "demo" }, "version": "1.2.0", "previous": "v1.1.0",
        "commits": [{ "commit": "ab".repeat(20), "message": "feat: it writes its own notes" }] });
    let (result, record) = run(&notes, input, &manifest("release-notes").asks, Scripted::default()).await;
    let output = result.unwrap();
    let markdown = output["markdown"].as_str().unwrap();
    assert!(markdown.ends_with("- it writes its own notes (abababab)\n"), "{markdown}");
    assert_eq!(record.calls, [format!("1 put release-notes.md text/markdown {}", markdown.len())]);
    assert_eq!(output["artifact"], "artifact://i/t/1/release-notes.md");
}

#[tokio::test]
async fn a_publish_passes_its_secret_by_name_and_its_source_by_reference() {
    let publish = plugin("cargo-publish").await;
    let input = json!({ "operation": "publish", "crate": "d", "version": "1.0.0",
        "source": "artifact://i/t/1/source.bundle", "digest": format!("sha256:{}", "ab".repeat(32)) });
    let grants = manifest("cargo-publish").asks;
    let (result, record) = run(&publish, input, &grants, Scripted::default()).await;
    assert_eq!(result, Ok(json!({ "crate": "d", "version": "1.0.0", "state": "sent", "verify": true })));
    assert!(record.calls[0].starts_with("2 exec rust-release/cargo-publish crate=Text(\"d\")"), "{:?}", record.calls);
    assert!(record.calls[0].ends_with("with cargo-registry-token"), "{:?}", record.calls);
    let without = Grants { secrets: None, ..grants };
    let (result, _) = run(&publish, json!({}), &without, Scripted::default()).await;
    let Err(CallError::Refused(missing)) = result else { panic!("{result:?}") };
    let interfaces: Vec<_> = missing.0.iter().map(|missing| missing.interface).collect();
    assert_eq!(interfaces, [Interface::Secrets, Interface::SandboxSecret]);
}
