//! How often the rules are right, over real failure logs with known categories.
//!
//! Each source folder has its own figure: they are labelled in different ways,
//! and one number over all of them would say little.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use diagnose_plugin::Diagnose;
use light_workflow_sdk::Script;
use serde::Deserialize;
use serde_json::{Value, json};

/// Folder, and the least share of its logs that must be told rightly. What was
/// measured when this was written is a little above.
const FLOORS: [(&str, f64); 5] = [
    ("cargo_expected", 0.97),
    ("issue_excerpts", 0.96),
    ("maven_bump", 0.98),
    ("maven_bump_unreproduced", 0.98),
    ("pytorch_fixtures", 0.72),
];

#[derive(Deserialize)]
struct Row {
    file: String,
    label: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/failure-logs")
}

// A test reads its own data; nothing of a release runs here.
#[allow(clippy::disallowed_methods)]
fn log(file: &str) -> Vec<u8> {
    let path = folder().join(file);
    if !file.ends_with(".gz") {
        return std::fs::read(path).unwrap();
    }
    let unpacked = Command::new("gzip").arg("-dc").arg(&path).output().expect("gzip runs");
    assert!(unpacked.status.success(), "{file}");
    unpacked.stdout
}

fn diagnosed(bytes: Vec<u8>) -> Value {
    let uri = "artifact://i/t/1/stderr.log";
    let mut script = Script::new().artifact(uri, bytes);
    let input = json!({ "failure": { "summary": "it failed", "exitCode": 1, "logs": [uri] } });
    script.execute::<Diagnose>(input).unwrap()
}

#[test]
fn real_failures_are_told_rightly_often_enough_and_on_evidence_that_stands_in_the_log() {
    let manifest = std::fs::read_to_string(folder().join("manifest.jsonl")).unwrap();
    let rows: Vec<Row> = manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Right, all, and wrong although sure.
    let mut figures: BTreeMap<&str, (u32, u32, u32)> = BTreeMap::new();
    for row in &rows {
        let source = row.file.split('/').next().unwrap();
        let bytes = log(&row.file);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let diagnosis = diagnosed(bytes);
        for evidence in diagnosis["evidence"].as_array().unwrap() {
            let quoted = evidence["text"].as_str().unwrap();
            assert!(text.contains(quoted), "{}: {quoted}", row.file);
        }
        let right = diagnosis["category"] == row.label.replace(' ', "-");
        let sure = diagnosis["confidence"].as_f64().unwrap() >= 0.75;
        let figure = figures.entry(source).or_default();
        figure.0 += u32::from(right);
        figure.1 += 1;
        figure.2 += u32::from(!right && sure);
        if !right {
            println!(
                "{}: {} told as {} at {}: {}",
                row.file, row.label, diagnosis["category"], diagnosis["confidence"], diagnosis["evidence"][0]["text"]
            );
        }
    }
    for (source, (right, all, wrongly_sure)) in &figures {
        println!("{source}: {right} of {all} right, {wrongly_sure} wrong although sure");
    }
    for (source, floor) in FLOORS {
        let (right, all, _) = figures[source];
        let share = f64::from(right) / f64::from(all);
        assert!(share >= floor, "{source}: {right} of {all} right, less than {floor}");
    }
}
