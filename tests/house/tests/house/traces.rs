//! What a release leaves for people to read, in a form that two runs of it share.

use std::collections::BTreeMap;

use serde_json::Value;
use workflow::Digest;

use crate::database::artifacts;
use crate::history::{events, key, no_effect_happened_twice};
use crate::leftovers::nothing_is_left_of;
use crate::world::{Host, RELEASE, Stage};

/// A release that ended, without what differs from run to run: times, ids, order of parallel lines.
#[derive(Debug, PartialEq)]
pub struct Trace {
    pub status: String,
    pub output: Value,
    /// `path status attempts`, in order.
    pub tasks: Vec<String>,
    /// `path: value by whom`
    pub approvals: Vec<String>,
    /// By effect: command line, exit code, kept files, and the words of both streams.
    pub commands: BTreeMap<String, Vec<String>>,
    pub published: Vec<String>,
    pub tags: Vec<String>,
    /// HTTP status of each push that had a credential.
    pub pushes: Vec<u16>,
}

impl Trace {
    /// Reads everything back through the command line.
    pub fn of(host: &Host, stage: &Stage) -> Self {
        let summary = host.json(&["release", "summary", RELEASE, "--format", "json"]);
        let list = |name: &str| summary[name].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let task = |task: &Value| format!("{} {} {}", text(&task["path"]), text(&task["status"]), task["attempts"]);
        let approval = |approval: &Value| {
            let decision = &approval["decision"];
            format!("{}: {} by {}", text(&approval["task"]), text(&decision["value"]), text(&decision["decidedBy"]))
        };
        Self {
            status: text(&summary["status"]),
            output: summary["output"].clone(),
            tasks: list("tasks").iter().map(task).collect(),
            approvals: list("approvals").iter().map(approval).collect(),
            commands: commands(host),
            published: stage.published(),
            tags: stage.tags(),
            pushes: stage.pushes(),
        }
    }
}

fn commands(host: &Host) -> BTreeMap<String, Vec<String>> {
    let files = Files { host, digests: artifacts(host) };
    let events = events(host);
    let completed = events.iter().filter(|event| event["type"] == "CommandCompleted");
    completed.map(|event| (key(event), files.of_command(&event["result"]))).collect()
}

/// Stored files, read from the disk and not through the program.
struct Files<'a> {
    host: &'a Host,
    digests: BTreeMap<String, String>,
}

impl Files<'_> {
    fn of_command(&self, result: &Value) -> Vec<String> {
        let kept = result["artifacts"].as_array().unwrap().iter().map(|file| {
            let name = file["uri"].as_str().unwrap().split_once("/files/").expect("a captured file").1;
            let bytes = self.read(&file["uri"]);
            // A crate is the same byte for byte; a bundle is packed anew each time.
            let digest = if name.ends_with(".crate") { Digest::of(&bytes).to_string() } else { String::new() };
            format!("{name} {digest}")
        });
        let head = vec![result["command"].to_string(), result["exitCode"].to_string(), result["status"].to_string()];
        let streams = ["stdoutRef", "stderrRef"].iter().flat_map(|name| {
            let text = String::from_utf8(self.read(&result[*name])).expect("these commands write UTF-8");
            words(&text)
        });
        head.into_iter().chain(kept).chain(streams).collect()
    }

    fn read(&self, uri: &Value) -> Vec<u8> {
        let uri = uri.as_str().unwrap();
        let hex = self.digests.get(uri).unwrap_or_else(|| panic!("`{uri}` is not stored"));
        let bytes = std::fs::read(self.host.data.join("artifacts/sha256").join(&hex[..2]).join(hex)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), hex, "`{uri}` is not what its digest says");
        bytes
    }
}

/// Lines in the order of the alphabet (parallel work ends in any order), each
/// run of digits one sign (times differ).
fn words(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(without_numbers).collect();
    lines.sort();
    lines
}

fn without_numbers(line: &str) -> String {
    let mut plain = String::new();
    for c in line.chars() {
        let digit = c.is_ascii_digit();
        if !(digit && plain.ends_with('#')) {
            plain.push(if digit { '#' } else { c });
        }
    }
    plain
}

/// A host that was killed and went on ends as one that was left in peace.
#[track_caller]
pub fn ends_like(straight: &Trace, host: &Host, stage: &Stage) {
    let trace = Trace::of(host, stage);
    // One command at a time: the whole of both runs is nothing anyone could read.
    for (key, command) in &straight.commands {
        assert_eq!(trace.commands.get(key), Some(command), "{key}");
    }
    assert_eq!(trace, *straight);
    no_effect_happened_twice(&events(host));
    host.run(&["audit", "verify"]).ended_with(0);
    nothing_is_left_of(host);
}
