//! The ConfigProfile gate: manifests, dry-run reports and import events of a
//! release, checked before anything is published.
//!
//! It computes and reaches nothing: tasks hand it the texts. Every finding is
//! told at once, and any finding needs a person.
//!
//! Source: “ConfigProfile Gate” in the design document (C2, C5, C6, C7).

mod check;
mod events;
mod manifest;
mod report;

use std::fmt;

use light_workflow_sdk::{Level, Planned, PureHost, Step, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    Validate(check::Validate),
    Gate(report::Gate),
    Events(events::Events),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Output {
    Validated(check::Validated),
    Open(report::Open),
    Checked(events::Checked),
}

/// A portal that customers of the release see, as the request has it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Portal {
    name: String,
    /// Its tenant; events and reports of another one are refused.
    host_id: String,
    /// Without a report of a dry run the gate stays closed.
    #[serde(default = "yes")]
    dry_run_required: bool,
}

fn yes() -> bool {
    true
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// A file or a portal.
    subject: String,
    /// `/profiles/0/productId`, or a line and column.
    place: String,
    problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => write!(f, "{}: {}", self.subject, self.problem),
            place => write!(f, "{} {place}: {}", self.subject, self.problem),
        }
    }
}

/// Where findings are gathered for one subject.
#[derive(Debug)]
struct Findings<'a> {
    subject: &'a str,
    all: Vec<Finding>,
}

impl<'a> Findings<'a> {
    fn of(subject: &'a str) -> Self {
        Self { subject, all: Vec::new() }
    }

    fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.all.push(Finding { subject: self.subject.to_owned(), place: place.into(), problem: problem.into() });
    }
}

/// How many findings the error itself names; all of them are in the log.
const NAMED_MAX: usize = 20;

/// Passes when nothing was found; otherwise a person must look at all of it.
fn hold(host: &mut impl PureHost, doing: &str, findings: &[Finding]) -> Result<(), StepError> {
    if findings.is_empty() {
        return Ok(());
    }
    for finding in findings {
        host.log(Level::Warn, &finding.to_string());
    }
    let named: Vec<_> = findings.iter().take(NAMED_MAX).map(Finding::to_string).collect();
    let more = match findings.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more, in the log"),
    };
    Err(StepError::NeedsHuman(format!("{doing}: {}{more}", named.join("; "))))
}

/// The step.
pub struct ConfigProfile;

impl<H: PureHost> Step<H> for ConfigProfile {
    type Input = Operation;
    type Output = Output;

    const NAME: &'static str = "config-profile";
    const SUMMARY: &'static str =
        "Holds a release until its config profile manifests, dry runs and import events are in order";
    const IDEMPOTENT: bool = true;

    fn plan(_: &Operation) -> Result<Vec<Planned>, StepError> {
        Ok(Vec::new())
    }

    fn execute(host: &mut H, operation: Operation) -> Result<Output, StepError> {
        match operation {
            Operation::Validate(operation) => operation.execute(host).map(Output::Validated),
            Operation::Gate(operation) => operation.execute(host).map(Output::Open),
            Operation::Events(operation) => operation.execute(host).map(Output::Checked),
        }
    }
}

light_workflow_sdk::export!(pure, ConfigProfile);
