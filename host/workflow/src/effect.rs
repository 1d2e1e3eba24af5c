//! What the worker is asked to do in the world, and what came of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calls::Call;
use crate::capability::Grants;
use crate::command::{Command, CommandResult, PlannedCommand, SandboxMode};
use crate::ids::{Digest, InstanceId, PluginName, TemplateName};
use crate::plan::StepToPlan;

/// What may be done when nobody knows whether an effect happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectClass {
    /// Touches nothing: run it again.
    Pure,
    /// Doing it twice is doing it once: run it again.
    Idempotent,
    /// Ask the world first whether it happened (publish, tag, sign).
    Reconcilable,
    /// Only a person can tell.
    Manual,
}

/// The intent of one attempt. It is in the history before anything is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Effect {
    /// `run.shell` and `run.script`.
    Command { command: Box<Command>, class: EffectClass },
    /// `call: PLUGIN`.
    Plugin {
        plugin: PluginName,
        /// The component that `plugins.lock` approved when the instance started.
        digest: Digest,
        input: Value,
        /// The effective grants: request ∩ approval ∩ task ∩ ceiling.
        grants: Box<Grants>,
        template: TemplateName,
        mode: SandboxMode,
        class: EffectClass,
        /// What a person approved of it; none where no question names the task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved: Option<Vec<PlannedCommand>>,
    },
    /// What plugins say they would run, for a question. Its output is a [`ShownPlan`](crate::plan::ShownPlan).
    #[serde(rename_all = "camelCase")]
    Plan {
        steps: Vec<StepToPlan>,
        /// See [`ShownPlan::not_known`](crate::plan::ShownPlan).
        not_known: Vec<String>,
    },
    /// `run.workflow`: a child instance. It is started by the commit that holds
    /// this intent, so there is nothing to carry out.
    Workflow {
        /// Follows from instance, path and attempt.
        child: InstanceId,
        definition: Digest,
        /// `namespace/name:version`, for people.
        definition_name: String,
        input: Value,
        /// False: the attempt is over when the child has started.
        awaited: bool,
    },
    /// `call: http` and kin: the host itself asks another system.
    Call { call: Box<Call>, class: EffectClass },
    /// Answers its input at once. For benchmarks and simulations of the engine;
    /// no definition can ask for it unless the host was started for that.
    Echo { input: Value },
}

impl Effect {
    pub fn class(&self) -> EffectClass {
        match self {
            Effect::Command { class, .. } | Effect::Plugin { class, .. } | Effect::Call { class, .. } => *class,
            Effect::Workflow { .. } => EffectClass::Idempotent,
            Effect::Plan { .. } | Effect::Echo { .. } => EffectClass::Pure,
        }
    }
}

/// Deepest nesting of a value from outside: what a history puts around it must
/// still be readable, and JSON is read down to 127 levels.
pub const VALUE_DEPTH_MAX: usize = 120;

/// How deep a value is nested; 0 if it is neither a list nor a mapping.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
    }
}

/// What came of an attempt. A command that failed is an outcome, not an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum EffectOutcome {
    /// A command ended, well or not.
    Command { result: Box<CommandResult> },
    /// A plugin returned its output, or an outbound call its answer.
    Output { output: Value },
    /// The attempt ended without an output; becomes an error in the workflow.
    Faulted { error: Fault },
    /// The host lost contact: the effect may or may not have happened.
    Unknown { detail: String },
}

/// An error as the specification has it (`type`, `status`, `title`, `detail`, `instance`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// A URI: `https://serverlessworkflow.io/spec/1.0.0/errors/<name>` for the standard ones.
    #[serde(rename = "type")]
    pub kind: String,
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// JSON pointer of the task it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// Prefix of the standard error types.
pub const STANDARD_ERRORS: &str = "https://serverlessworkflow.io/spec/1.0.0/errors/";
/// Prefix of this product's own error types; each has a page in `docs/errors/`.
pub const OWN_ERRORS: &str = "https://light-workflow.dev/errors/";

/// The standard error types of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandardError {
    Configuration,
    Validation,
    Expression,
    Authentication,
    Authorization,
    Timeout,
    Communication,
    Runtime,
}

impl StandardError {
    pub fn name(self) -> &'static str {
        match self {
            StandardError::Configuration => "configuration",
            StandardError::Validation => "validation",
            StandardError::Expression => "expression",
            StandardError::Authentication => "authentication",
            StandardError::Authorization => "authorization",
            StandardError::Timeout => "timeout",
            StandardError::Communication => "communication",
            StandardError::Runtime => "runtime",
        }
    }

    pub fn status(self) -> u16 {
        match self {
            StandardError::Configuration | StandardError::Validation | StandardError::Expression => 400,
            StandardError::Authentication => 401,
            StandardError::Authorization => 403,
            StandardError::Timeout => 408,
            StandardError::Communication | StandardError::Runtime => 500,
        }
    }

    /// The URI that a [`Fault`] of this type has.
    pub fn kind(self) -> String {
        format!("{STANDARD_ERRORS}{}", self.name())
    }

    pub fn fault(self, detail: impl Into<String>) -> Fault {
        Fault { kind: self.kind(), status: self.status(), title: None, detail: Some(detail.into()), instance: None }
    }
}
