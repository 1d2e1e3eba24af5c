//! What `plugin report` says of each task is what the engine lets it do: each
//! capability is tried both ways, through the plugin host and the host calls of
//! the worker. Only the sandbox is not real: it notes what it was asked to run.

mod engine;
mod guide;
mod report;
mod servers;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use workflow::capability::{Planned, TaskPolicy};

use crate::engine::{Engine, Ran};
use crate::report::{Row, rows};

/// A value that each parameter of the bundled templates accepts, by its name.
const PARAMETERS: [(&str, &str); 11] = [
    ("url", "text:http://git.demo.test/demo.git"),
    ("ref", "text:main"),
    ("prefix", "text:v"),
    ("directory", "text:repos/demo"),
    ("crate", "text:demo"),
    ("version", "text:1.2.0"),
    ("source", "artifact:artifact://probe/t/1/source.bundle"),
    ("digest", "text:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    ("tag", "text:v1.2.0"),
    ("commit", "text:0123456789abcdef0123456789abcdef01234567"),
    ("message", "text:Release demo"),
];

/// One thing to try: with which probe, and with what.
struct Try {
    probe: &'static str,
    capability: &'static str,
    subject: String,
    fields: Vec<String>,
    /// What must be in the report's rows for it to pass.
    needs: Vec<(&'static str, String)>,
}

/// All that a task can be granted, but for the class of its component.
const CAPABILITIES: [&str; 8] =
    ["log", "artifacts-read", "artifacts-write", "sandbox", "secrets", "http", "mcp", "model"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_report_says_of_each_task_is_what_the_engine_lets_it_do() {
    let (engine, everything) = services::with_everything().await;
    let reports = report::DEFINITIONS.map(report::of_definition);
    let commands = reports.iter().flat_map(report::commands).collect();
    // Plugin and capability: granted by some task, let through, denied.
    let (mut granted, mut passed, mut denied) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (definition, report) in report::DEFINITIONS.iter().zip(&reports) {
        let policies = report::policies(definition);
        for task in report["tasks"].as_array().unwrap() {
            // What a template's own command may do is in no plugin's report.
            let Some(plugin) = task["plugin"].as_str() else { continue };
            let name = task["task"].as_str().unwrap();
            let policy: &TaskPolicy = &policies[task["reference"].as_str().unwrap()];
            let rows = rows(task);
            granted.extend(rows.iter().map(|row| (plugin.to_owned(), row.capability.clone())));
            let sandbox = policy.plugin.as_ref().and_then(|plugin| plugin.grants.sandbox.as_ref());
            let held_to_its_plan = sandbox.is_some_and(|sandbox| sandbox.planned == Planned::Strict);
            for mut attempt in attempts(&commands, &everything.origin) {
                // Whether an unplanned command runs is the next test's.
                if held_to_its_plan && attempt.capability == "sandbox" {
                    attempt.fields.push("plan".to_owned());
                }
                let ran = engine.attempt(policy, attempt.probe, &attempt.fields).await;
                let expected = attempt.needs.iter().all(|(capability, subject)| covered(&rows, capability, subject));
                let what = format!("{definition}, task `{name}`: {} {}", attempt.capability, attempt.subject);
                let tried = (plugin.to_owned(), attempt.capability.to_owned());
                match expected {
                    true => {
                        assert!(ran.passed(), "the report grants it and the engine does not: {what}: {ran:?}");
                        compare(&rows, &attempt, &ran, &what);
                        passed.insert(tried);
                    }
                    false => {
                        assert!(ran.was_denied(), "the engine grants it and the report does not: {what}: {ran:?}");
                        assert_eq!(ran.commands, [], "nothing ran: {what}");
                        denied.insert(tried);
                    }
                }
            }
        }
    }
    // A test that tried nothing would prove nothing: every plugin, every capability, both ways where it has it.
    assert_eq!(passed, granted);
    for plugin in bundled() {
        for capability in CAPABILITIES {
            let tried = (plugin.clone(), capability.to_owned());
            // Every plugin may log, and a diagnosis reads whatever the failure names.
            let is_whole = capability == "log" || tried == ("diagnose".to_owned(), "artifacts-read".to_owned());
            assert_eq!(denied.contains(&tried), !is_whole, "{plugin}: {capability}");
        }
    }
}

/// The plugins of this repository.
fn bundled() -> Vec<String> {
    let folders = std::fs::read_dir(report::root().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let plugins = folders.filter(|folder| folder.join("plugin.toml").is_file());
    plugins.map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_held_to_its_plan_runs_nothing_else() {
    let report = report::of_definition("rust-products.yaml");
    let commands = report::commands(&report);
    let policies = report::policies("rust-products.yaml");
    let engine = Engine::start().await;
    let build = policies.iter().find(|(reference, _)| reference.ends_with("/build")).unwrap().1.clone();
    let with = |planned: Planned| {
        let mut policy = build.clone();
        policy.plugin.as_mut().unwrap().grants.sandbox.as_mut().unwrap().planned = planned;
        policy
    };
    let asked = command("rust-release/cargo-build", &commands["rust-release/cargo-build"]).fields;
    let planned = [asked.clone(), vec!["plan".to_owned()]].concat();
    let calls = ["CommandStarted", "CommandCompleted"];
    let cases = [
        (Planned::Free, &asked, true, calls.to_vec()),
        (Planned::Recorded, &asked, true, [["CommandsPlanned"].as_slice(), &calls].concat()),
        (Planned::Strict, &planned, true, [["CommandsPlanned"].as_slice(), &calls].concat()),
        (Planned::Strict, &asked, false, vec!["CommandsPlanned", "HostCallCompleted"]),
    ];
    for (wanted, fields, passes, events) in cases {
        let ran = engine.attempt(&with(wanted), "sandbox", fields).await;
        assert_eq!((ran.passed(), ran.was_denied()), (passes, !passes), "{wanted:?}: {ran:?}");
        assert_eq!(ran.events, events, "{wanted:?}");
        assert_eq!(ran.commands.len(), usize::from(passes), "{wanted:?}");
    }
}

/// Every command, secret, artifact, name and service that anybody could ask for.
fn attempts(commands: &BTreeMap<String, Value>, origin: &str) -> Vec<Try> {
    let mut all = vec![Try {
        probe: "log",
        capability: "log",
        subject: "log".to_owned(),
        fields: vec![String::new()],
        needs: vec![("log", "log".to_owned())],
    }];
    for (name, through) in commands {
        all.push(command(name, through));
    }
    for secret in ["cargo-registry-token", "git-credential", "other"] {
        all.push(Try {
            probe: "secrets",
            capability: "secrets",
            subject: secret.to_owned(),
            fields: vec![String::new(), format!("secret:{secret}")],
            // The probe imports what a command with secrets needs too.
            needs: vec![("secrets", secret.to_owned()), ("sandbox", "*".to_owned())],
        });
    }
    for place in ["t/1/stdout.log", "t/1/stderr.log", "a.0.b/2.3/stdout.log", "t/1/files/x", "t/1/plugin.log.jsonl"] {
        all.push(Try {
            probe: "artifacts_read",
            capability: "artifacts-read",
            subject: place.to_owned(),
            fields: vec![format!("artifact://probe/{place}")],
            needs: vec![("artifacts-read", place.to_owned())],
        });
    }
    for name in ["report.json", "../report.json", "release-notes.md"] {
        all.push(Try {
            probe: "artifacts_write",
            capability: "artifacts-write",
            subject: name.to_owned(),
            fields: vec![name.to_owned()],
            needs: vec![("artifacts-write", name.to_owned())],
        });
    }
    let model = |name: &str| ("model", name.to_owned(), name.to_owned(), vec![("model", name.to_owned())]);
    let services = [
        ("http", origin.to_owned(), format!("{origin}/index"), vec![("http", origin.to_owned())]),
        ("mcp", "math/add".to_owned(), "math/add".to_owned(), vec![("mcp", "math/add".to_owned())]),
        model("default"),
        model("other"),
    ];
    for (capability, subject, field, needs) in services {
        all.push(Try { probe: capability, capability, subject, fields: vec![field], needs });
    }
    all
}

fn command(name: &str, through: &Value) -> Try {
    let mut fields = vec![name.to_owned()];
    for parameter in through["parameters"].as_object().unwrap().keys() {
        let value = PARAMETERS.iter().find(|(known, _)| known == parameter);
        fields.push(format!("{parameter}={}", value.unwrap_or_else(|| panic!("a value for `{parameter}`")).1));
    }
    let mut needs = vec![("sandbox", name.to_owned())];
    let secrets = through["secrets"].as_object().unwrap();
    for secret in secrets.values() {
        let secret = secret.as_str().unwrap();
        fields.push(format!("secret:{secret}"));
        needs.push(("secrets", secret.to_owned()));
    }
    let probe = if secrets.is_empty() { "sandbox" } else { "secrets" };
    Try { probe, capability: "sandbox", subject: name.to_owned(), fields, needs }
}

/// Whether a row of the report grants it. `*` asks for any.
fn covered(rows: &[Row], capability: &str, subject: &str) -> bool {
    let matches = |pattern: &str| {
        let (mut parts, mut names) = (pattern.split('/').peekable(), subject.split('/'));
        while let Some(part) = parts.next() {
            if part == "**" && parts.peek().is_none() {
                return names.next().is_some();
            }
            if names.next().is_none_or(|name| part != "*" && part != name) {
                return false;
            }
        }
        names.next().is_none()
    };
    let of_it = rows.iter().filter(|row| row.capability == capability);
    of_it.into_iter().any(|row| match capability {
        _ if subject == "*" => true,
        "artifacts-read" => matches(&row.subject),
        _ => row.subject == subject,
    })
}

/// What the sandbox was asked to run is what the row says of the command.
fn compare(rows: &[Row], attempt: &Try, ran: &Ran, what: &str) {
    if attempt.capability != "sandbox" {
        return;
    }
    let row = rows.iter().find(|row| row.capability == "sandbox" && row.subject == attempt.subject).unwrap();
    let [command] = ran.commands.as_slice() else { panic!("{what}: {ran:?}") };
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(command.egress, texts(&row.through["egress"]), "{what}");
    let secrets = row.through["secrets"].as_object().unwrap();
    assert_eq!(command.secrets.len(), secrets.len(), "{what}");
    for (variable, name) in &command.secrets {
        assert_eq!(secrets[variable], name.as_str(), "{what}");
    }
    assert_eq!(command.template.as_str(), row.through["sandbox"]["template"], "{what}");
    let pattern = texts(&row.through["argv"]);
    assert_eq!(command.argv.len(), pattern.len(), "{what}");
    for (argument, pattern) in command.argv.iter().zip(&pattern) {
        let mut filled = pattern.clone();
        for (name, value) in PARAMETERS {
            filled = filled.replace(&format!("{{{name}}}"), value.split_once(':').unwrap().1);
        }
        assert_eq!(*argument, filled, "{what}");
    }
    let limit = row.through["timeLimitSeconds"].as_u64().unwrap();
    assert_eq!(command.time_limit_ms, limit * 1000, "{what}");
}
