//! The report as a reviewer gets it, and the policy as the engine gets it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use workflow::capability::{EffectivePolicy, TaskPolicy};

/// One thing that the report says a task can reach.
pub struct Row {
    pub capability: String,
    pub subject: String,
    pub through: Value,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders below the root")
}

/// Where cargo puts what it builds: this test is `<target>/debug/deps/reach-…`.
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(3).expect("a test lies three folders below the target").to_owned()
}

fn light_workflow(arguments: &[&str]) -> Value {
    let program = target().join("debug/light-workflow");
    assert!(program.is_file(), "`{}` is not there; run `cargo build -p light-workflow`", program.display());
    let output = Command::new(program)
        .arg("--config")
        .arg(configuration())
        .args(["--data", "/nonexistent"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let problems = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{problems}"))
}

/// A host with the bundled parts and the lock of this build.
fn configuration() -> &'static Path {
    static FOLDER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("light-workflow.toml");
        let components = target().join("plugins");
        let text = format!(
            "[paths]\ndefinitions = {:?}\ntemplates = {:?}\nplugins = {:?}\ncomponents = {:?}\nlock = {:?}\n",
            root().join("definitions"),
            root().join("sandbox-templates"),
            root().join("plugins"),
            components,
            components.join("plugins.lock"),
        );
        std::fs::write(&file, text).unwrap();
        (folder, file)
    });
    file
}

/// The definitions of releases: between them they call every bundled plugin.
pub const DEFINITIONS: [&str; 2] = ["rust-products.yaml", "java-products.yaml"];

fn path(definition: &str) -> String {
    root().join("definitions").join(definition).display().to_string()
}

pub fn of_definition(name: &str) -> Value {
    let report = light_workflow(&["plugin", "report", &path(name), "--format", "json"]);
    assert_eq!(report["schema"], "light-workflow/plugin-report/1");
    report
}

/// By task reference, as `check` shows them and an instance starts with them.
pub fn policies(name: &str) -> BTreeMap<String, TaskPolicy> {
    let checked = light_workflow(&["check", &path(name), "--format", "json"]);
    let policy: EffectivePolicy = serde_json::from_value(checked[0]["policy"].clone()).unwrap();
    policy.tasks
}

pub fn rows(task: &Value) -> Vec<Row> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |reach: &Value| Row {
        capability: text(&reach["capability"]),
        subject: text(&reach["subject"]),
        through: reach["through"].clone(),
    };
    task["reaches"].as_array().unwrap().iter().map(row).collect()
}

/// Every command that any task reaches, with what is behind it.
pub fn commands(report: &Value) -> BTreeMap<String, Value> {
    let tasks = report["tasks"].as_array().unwrap().iter();
    let rows = tasks.flat_map(rows).filter(|row| row.capability == "sandbox");
    rows.map(|row| (row.subject, row.through)).collect()
}
