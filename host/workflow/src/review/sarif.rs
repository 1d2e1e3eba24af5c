//! A report as SARIF 2.1.0, for tools that show findings beside code.
//!
//! Source: OASIS, “Static Analysis Results Interchange Format (SARIF) Version 2.1.0”.

use serde_json::{Value, json};

use super::{Finding, Report, Verdict};

const SARIF_SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const GUIDE: &str = "docs/plugins-review.md";

impl Report {
    /// One run with a rule for each verdict and a result for each finding.
    pub fn sarif(&self) -> Value {
        json!({
            "$schema": SARIF_SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "light-workflow",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": Verdict::ALL.map(rule),
                }},
                "columnKind": "unicodeCodePoints",
                "results": self.findings.iter().map(result).collect::<Vec<_>>(),
                "properties": { "report": self.schema, "tasks": self.tasks.len(), "plugins": self.plugins.len() },
            }],
        })
    }
}

fn rule(verdict: Verdict) -> Value {
    json!({
        "id": verdict.name(),
        "shortDescription": { "text": verdict.meaning() },
        "help": { "text": format!("{GUIDE} says what to do.") },
        "defaultConfiguration": { "level": level(verdict) },
    })
}

fn level(verdict: Verdict) -> &'static str {
    if verdict.is_error() { "error" } else { "warning" }
}

fn result(finding: &Finding) -> Value {
    let about = match (&finding.task, &finding.plugin) {
        (Some(task), _) => format!("task `{task}` "),
        (None, Some(plugin)) => format!("plugin `{plugin}`: "),
        (None, None) => String::new(),
    };
    let index = Verdict::ALL.iter().position(|verdict| *verdict == finding.verdict);
    json!({
        "ruleId": finding.verdict.name(),
        "ruleIndex": index,
        "level": level(finding.verdict),
        "message": { "text": format!("{about}{}", finding.message) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.place.file) },
            "region": { "startLine": finding.place.line.max(1) },
        }}],
    })
}

/// A path as a URI reference: relative if it was, percent-encoded where it must be.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}
