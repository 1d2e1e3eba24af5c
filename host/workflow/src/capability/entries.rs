//! Grants one by one, as a reviewer reads them.

use super::{Grants, Planned};

/// One thing that is granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantEntry {
    /// Key of the grant: `sandbox`.
    pub capability: &'static str,
    /// Field that lists it: `sandbox.commands`.
    pub key: &'static str,
    /// `rust-release/cargo-build`; `log` for a grant without names.
    pub subject: String,
    /// How much: `at most 3 commands an attempt`.
    pub bound: Option<String>,
}

impl Grants {
    /// Every name that is granted, with its bound.
    pub fn entries(&self) -> Vec<GrantEntry> {
        let Grants {
            log,
            artifacts_read,
            artifacts_write,
            sandbox,
            secrets,
            model,
            mcp,
            http,
            wasi_baseline,
            // Not a power: it bounds all of them.
            limits: _,
        } = self;
        let mut entries = Vec::new();
        let mut each = |capability, key, subjects: Vec<String>, bound: Option<String>| {
            let entry = |subject| GrantEntry { capability, key, subject, bound: bound.clone() };
            entries.extend(subjects.into_iter().map(entry));
        };
        if let Some(grant) = log {
            let bound = format!("at most {} lines and {} bytes", grant.lines_max, grant.bytes_max);
            each("log", "log", vec!["log".to_owned()], Some(bound));
        }
        if let Some(grant) = artifacts_read {
            each("artifacts-read", "artifacts-read.names", texts(&grant.names), None);
        }
        if let Some(grant) = artifacts_write {
            let bound = format!("at most {} bytes in all", grant.bytes_max);
            each("artifacts-write", "artifacts-write.names", texts(&grant.names), Some(bound));
        }
        if let Some(grant) = sandbox {
            let held = match grant.planned {
                Planned::Free => "",
                Planned::Recorded => ", its plan is recorded",
                Planned::Strict => ", only as planned",
            };
            let bound = format!("at most {} commands an attempt{held}", grant.commands_max);
            each("sandbox", "sandbox.commands", texts(&grant.commands), Some(bound));
        }
        if let Some(grant) = secrets {
            each("secrets", "secrets.names", texts(&grant.names), None);
        }
        if let Some(grant) = model {
            let (questions, tokens) = (grant.questions_max, grant.answer_tokens_max);
            let bound = format!("at most {questions} questions and {tokens} tokens of answers an attempt");
            each("model", "model.models", texts(&grant.models), Some(bound));
        }
        if let Some(grant) = mcp {
            let bound = format!("at most {} calls an attempt", grant.calls_max);
            each("mcp", "mcp.tools", texts(&grant.tools), Some(bound));
        }
        if let Some(grant) = http {
            let bound = format!("at most {} requests and {} bytes an attempt", grant.requests_max, grant.bytes_max);
            each("http", "http.origins", texts(&grant.origins), Some(bound));
        }
        if wasi_baseline.is_some() {
            let bound = "clock and randomness of the journal, the log to write to".to_owned();
            each("wasi-baseline", "wasi-baseline", vec!["wasi-baseline".to_owned()], Some(bound));
        }
        entries
    }
}

fn texts<'a, T: ToString + 'a>(names: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}
