//! How often the rules are right, over real failure logs with known categories.
//!
//! Each source folder has its own figure: they are labelled in different ways,
//! and one number over all of them would say little.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use light_workflow_sdk::Script;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rules::{Match, matches_by};
use crate::verdict::heaviest;
use crate::{Category, Diagnose, logs};

/// Folder, and the least share of its logs that must be told rightly. What was
/// measured when this was written is a little above.
const FLOORS: [(&str, f64); 5] = [
    ("cargo_expected", 0.97),
    ("issue_excerpts", 0.96),
    ("maven_bump", 0.98),
    ("maven_bump_unreproduced", 0.98),
    ("pytorch_fixtures", 0.72),
];

/// The same for logs that were not there when the rules were written, as far as
/// that can be measured here: see [`logs_that_no_rule_was_written_for_are_told_rightly_often_enough`].
const UNSEEN_FLOORS: [(&str, f64); 5] = [
    ("cargo_expected", 0.92),
    ("issue_excerpts", 0.82),
    ("maven_bump", 0.96),
    ("maven_bump_unreproduced", 0.94),
    ("pytorch_fixtures", 0.45),
];

#[derive(Deserialize)]
struct Row {
    file: String,
    label: String,
    project: String,
}

impl Row {
    fn source(&self) -> &str {
        self.file.split('/').next().expect("a file lies in a folder")
    }

    /// Whose logs are held out together: all of a project, or one log where all are of one project.
    fn group(&self) -> &str {
        match self.source() {
            "cargo_expected" | "pytorch_fixtures" => &self.file,
            _ => &self.project,
        }
    }

    /// The label as the category is written.
    fn is(&self, category: Category) -> bool {
        json!(category) == self.label.replace(' ', "-")
    }
}

fn rows() -> Vec<Row> {
    let manifest = std::fs::read_to_string(folder().join("manifest.jsonl")).unwrap();
    manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
    let rows = rows();
    // Right, all, and wrong although sure.
    let mut figures: BTreeMap<&str, (u32, u32, u32)> = BTreeMap::new();
    for row in &rows {
        let source = row.source();
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

/// The match that decides a log, by the rules that `allowed` lets stand.
fn decided(row: &Row, allowed: &dyn Fn(usize) -> bool) -> Option<Match> {
    let uri = "artifact://i/t/1/stderr.log";
    let mut script = Script::new().artifact(uri, log(&row.file));
    let texts = [logs::Text::read(&mut script, uri).unwrap()];
    heaviest(&matches_by(&logs::lines(&texts), allowed)).copied()
}

/// The rules were written with all these logs at hand, so how often they are
/// right here says little of the next log. A rule that decides logs of one
/// project alone may have been written for them: each project is told without
/// such rules. What is left is what other projects bear out, and rules that
/// decide no log at all.
#[test]
fn logs_that_no_rule_was_written_for_are_told_rightly_often_enough() {
    let rows = rows();
    let first: Vec<Option<Match>> = rows.iter().map(|row| decided(row, &|_| true)).collect();
    let mut borne_out: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (row, found) in rows.iter().zip(&first) {
        if let Some(found) = found {
            borne_out.entry(found.rule).or_default().insert(row.group());
        }
    }
    let mut figures: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for (row, found) in rows.iter().zip(&first) {
        let others = |rule: usize| match borne_out.get(&rule) {
            Some(groups) => groups.iter().any(|group| *group != row.group()),
            None => true,
        };
        let found = match found {
            Some(found) if !others(found.rule) => decided(row, &others),
            found => *found,
        };
        let category = found.map_or(Category::Uncertain, |found| found.category);
        let figure = figures.entry(row.source()).or_default();
        figure.0 += u32::from(row.is(category));
        figure.1 += 1;
    }
    println!("unseen: {figures:?}");
    for (source, floor) in UNSEEN_FLOORS {
        let (right, all) = figures[source];
        assert!(f64::from(right) / f64::from(all) >= floor, "{source}: {right} of {all} right, less than {floor}");
    }
}
