//! What a person is shown of steps to come before a decision, and what those
//! steps are then held to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::PlannedCommand;
use crate::ids::{Digest, PluginName, TaskPath};

/// Most steps that one question shows: what a person can be expected to read through.
pub const STEPS_MAX: usize = 1_000;

/// A call of a plugin that is still to come, with the input it will get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepToPlan {
    pub path: TaskPath,
    pub plugin: PluginName,
    pub digest: Digest,
    pub input: Value,
    /// False: it is for an error or a condition on the way to say whether it runs.
    pub certain: bool,
}

/// Such a call, with the commands that the plugin says it would run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    pub path: TaskPath,
    pub plugin: PluginName,
    pub digest: Digest,
    /// False: it is for an error or a condition on the way to say whether it runs.
    pub certain: bool,
    pub commands: Vec<PlannedCommand>,
}

/// Part of a question: what an approval lets run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownPlan {
    /// In the order of the flow.
    pub steps: Vec<PlannedStep>,
    /// Tasks that the question names and of which no step is known: their input
    /// comes from what runs later, or nothing leads to them. They may not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_known: Vec<String>,
}

/// The commands as lines for people, each with its parameters and why.
pub fn lines(commands: &[PlannedCommand]) -> Vec<String> {
    let line = |planned: &PlannedCommand| format!("{} {}: {}", planned.command, planned.parameters, planned.why);
    commands.iter().map(line).collect()
}
