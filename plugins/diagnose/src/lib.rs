//! Says which kind of failure a log shows, on what evidence, and what may be done.
//!
//! Rules over the lines that tools end with decide, offline. Where they are not
//! sure and the task names a model, the model is asked: its answer must fit a
//! schema, its evidence must stand in the log, and it can make a failure less
//! sure but never less grave. The world has neither commands nor secrets: a
//! diagnosis suggests and cannot act.
//!
//! Source: “AI Failure Loop” in the design document (F2, F4, F5).

#[cfg(test)]
mod accuracy;
mod logs;
mod opinion;
mod rules;
#[cfg(test)]
mod tests;
mod verdict;

use light_workflow_sdk::{CallError, DiagnoseHost, Level, Planned, Step, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// What a task passes in `with`. `failure` is the detail of a caught `step-failed`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    failure: Failure,
    #[serde(default)]
    policy: Policy,
    /// Patches that were tried for this failure.
    #[serde(default)]
    repair_attempts: u32,
    /// What is left of the task's retries; absent: they are not counted here.
    retries_left: Option<u32>,
    /// A model of the operator's configuration to ask where the rules are not sure.
    model: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// One line; it is no evidence, since it is not in a log.
    #[serde(default)]
    summary: String,
    exit_code: Option<i32>,
    /// Most telling first.
    logs: Vec<String>,
    /// How the command ended, if that is known.
    status: Option<Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Failed,
    TimedOut,
    Killed,
    PolicyViolation,
}

/// The part of a request's `publishPolicy` that bounds repairs; the rest may stand beside it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    allow_ai_patch: bool,
    max_repair_attempts: u32,
}

/// The kinds of failure; no other exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    TransientInfrastructure,
    DependencyResolution,
    CompileFailure,
    TestFailure,
    ReleaseMetadata,
    PermissionOrSecret,
    PolicyViolation,
    Uncertain,
}

impl Category {
    pub const ALL: [Category; 8] = [
        Category::TransientInfrastructure,
        Category::DependencyResolution,
        Category::CompileFailure,
        Category::TestFailure,
        Category::ReleaseMetadata,
        Category::PermissionOrSecret,
        Category::PolicyViolation,
        Category::Uncertain,
    ];
}

/// What may be done next. Nothing of it is done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    RetryWithBackoff,
    ProposePatch,
    HumanTask,
}

/// A line that stands in a log, word for word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Evidence {
    artifact: String,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Diagnosis {
    category: Category,
    /// From 0 to 1.
    confidence: f64,
    evidence: Vec<Evidence>,
    action: Action,
    /// Why this action: one line for a person.
    reason: String,
    /// `rules`, `status`, or the model that decided.
    by: String,
    /// What came of asking the model; absent if nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// How many logs are read: the stream that tells, the other one, and reports.
const LOGS_MAX: usize = 4;

/// The step.
pub struct Diagnose;

impl<H: DiagnoseHost> Step<H> for Diagnose {
    type Input = Input;
    type Output = Diagnosis;

    const NAME: &'static str = "diagnose";
    const SUMMARY: &'static str =
        "Says which kind of failure a log shows, on what evidence, and what may be done about it";
    const IDEMPOTENT: bool = true;

    fn plan(_: &Input) -> Result<Vec<Planned>, StepError> {
        Ok(Vec::new())
    }

    fn execute(host: &mut H, input: Input) -> Result<Diagnosis, StepError> {
        let mut texts = Vec::new();
        for uri in input.failure.logs.iter().take(LOGS_MAX) {
            match logs::Text::read(host, uri) {
                Ok(text) => texts.push(text),
                // A stream that was never written, or is no longer kept, is not the failure to explain.
                Err(CallError::NotFound(what)) => host.log(Level::Warn, &format!("there is no log {what}")),
                Err(error) => return Err(error.into()),
            }
        }
        let lines = logs::lines(&texts);
        let by_rules = verdict::of_lines(&texts, &lines);
        let (verdict, model) = match verdict::of_status(input.failure.status) {
            Some(verdict) => (verdict, None),
            None => opinion::second(host, &input, &texts, by_rules),
        };
        let (action, reason) = verdict::action(&verdict, &input);
        let Verdict { category, confidence, by, .. } = &verdict;
        let failure = [("summary", input.failure.summary), ("exitCode", format!("{:?}", input.failure.exit_code))];
        let fields = failure.each_ref().map(|(name, value)| (*name, value.as_str()));
        host.log_with(Level::Info, &format!("{category:?} at {confidence:.2}, by {by}"), &fields);
        Ok(Diagnosis {
            category: verdict.category,
            confidence: verdict.confidence,
            evidence: verdict.evidence,
            action,
            reason,
            by: verdict.by,
            model,
        })
    }
}

light_workflow_sdk::export!(diagnose, Diagnose);
