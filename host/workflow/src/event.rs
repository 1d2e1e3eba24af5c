//! What has happened to one instance: immutable facts, in the past tense.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::capability::EffectivePolicy;
use crate::cloud_event::CloudEvent;
use crate::command::{Command, CommandResult, PlannedCommand};
use crate::effect::{Effect, EffectOutcome, Fault};
use crate::engine::Fit;
use crate::ids::{Actor, Digest, InstanceId, TaskPath, Timestamp};
use crate::plan::ShownPlan;

/// An event with its place in the history of its instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// From 1, without gaps.
    pub revision: u64,
    pub at: Timestamp,
    pub event: Event,
}

/// Where the flow goes after a task; a task name is resolved in its own scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FlowTarget {
    Continue,
    Exit,
    End,
    Task(String),
}

/// Who is asked what. The decision must name `subject_digest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    pub prompt: String,
    #[serde(default)]
    pub assignee: Option<String>,
    #[serde(default)]
    pub role: Option<String>,
    /// The values a decision may have; `approved` and `rejected` when the
    /// definition names none.
    pub options: Vec<QuestionOption>,
    /// What the person is shown: artifacts, results.
    pub subject: Value,
    /// What an approval lets run; none where the definition names no steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<ShownPlan>>,
    /// Digest over the canonical JSON of prompt, options, subject and plan.
    pub subject_digest: Digest,
    #[serde(default)]
    pub due: Option<Timestamp>,
    /// Chosen when `due` passes; a fault (`timeout`) if none.
    #[serde(default)]
    pub on_timeout: Option<String>,
    /// False when policy demands a person: `--yes` is refused then.
    pub auto_approvable: bool,
    /// For a question that is no choice between the options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerForm>,
    /// `assignment.categoryCode` and `reasonCode`: labels for a worklist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a free answer must be. A decision's value holds it: a text as it is,
/// anything else as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerForm {
    pub is_text: bool,
    /// JSON schema of the answer.
    pub schema: Value,
    /// Whether an empty value is an answer; it means `default`, or `null`.
    pub required: bool,
    #[serde(default)]
    pub default: Option<Value>,
    /// Whether an answer that does not conform is refused and the question
    /// stays open; otherwise the task faults with `validation`.
    pub retry_on_invalid: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionOption {
    pub label: String,
    pub value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A person's recorded answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// One of the question's option values, or what its [`AnswerForm`] asks for.
    pub value: String,
    pub decided_by: Actor,
    pub decided_at: Timestamp,
    /// What the person saw; refused unless it is the question's own.
    pub subject_digest: Digest,
    #[serde(default)]
    pub comment: Option<String>,
}

/// What an instance is a child of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    pub instance: InstanceId,
    /// The `run.workflow` that started it.
    pub path: TaskPath,
    pub attempt: u32,
    /// How many instances are above it, from 1.
    pub depth: u32,
    /// Whether the parent waits for its end; one that nobody waits for goes on alone.
    pub awaited: bool,
}

/// How a plugin came to a host call: on a replay it comes the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fingerprint {
    /// Of the call, its subject and its parameters.
    pub request: Digest,
    /// Used until then.
    pub fuel: u64,
    /// What counted it: another engine may count otherwise.
    pub engine: String,
}

/// Limits of a `retry` that are known only when its `try` is entered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryLimits {
    /// `limit.attempt.duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_ms: Option<u64>,
    /// `limit.duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_ms: Option<u64>,
}

impl RetryLimits {
    /// For serde.
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A fact about one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Event {
    InstanceStarted {
        definition: Digest,
        /// `namespace/name:version`, for people.
        definition_name: String,
        /// Raw input, before `input.from`.
        input: Value,
        started_by: Actor,
        /// What every task may do, fixed now for the life of the instance.
        policy: Box<EffectivePolicy>,
        /// None: a person, a client or a schedule started it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Box<Parent>>,
    },
    /// When the instance will have taken too long, as the expression in its document's
    /// `timeout.after` gives for its input.
    DeadlineSet {
        due: Timestamp,
    },
    /// A task was entered; `input` is its raw input.
    TaskStarted {
        path: TaskPath,
        input: Value,
        /// What an expression in `timeout.after` gave; a fixed one is in the definition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// Of a `try`: what expressions in the limits of its `retry` gave.
        #[serde(default, skip_serializing_if = "RetryLimits::is_none")]
        retry: RetryLimits,
    },
    /// Its `if` was false; its raw input became its output.
    TaskSkipped {
        path: TaskPath,
    },
    /// Whether an extension of the task applies: if so, its `before` is next,
    /// and its `after` once the task has done its own part.
    ExtensionStarted {
        path: TaskPath,
        /// Its place among the extensions of the task, from 0.
        extension: usize,
        applies: bool,
    },
    /// A task did its own part, and the `after` of its extensions is next. `output` is the raw one.
    ExtendedTaskEnded {
        path: TaskPath,
        output: Value,
        then: FlowTarget,
    },
    /// `index` from 0; the body of the `for` starts with `input`.
    IterationStarted {
        path: TaskPath,
        index: usize,
        item: Value,
        input: Value,
    },
    /// The intent of an effect, committed before anything is done. `attempt` from 1.
    AttemptStarted {
        path: TaskPath,
        attempt: u32,
        effect: Box<Effect>,
    },
    /// What a plugin says it would run with this input, committed before it runs anything.
    CommandsPlanned {
        path: TaskPath,
        attempt: u32,
        commands: Vec<PlannedCommand>,
    },
    /// A command that a plugin asked for is about to run.
    CommandStarted {
        path: TaskPath,
        attempt: u32,
        sequence: u32,
        command: Box<Command>,
        /// Absent in histories of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
    },
    CommandCompleted {
        path: TaskPath,
        attempt: u32,
        sequence: u32,
        result: Box<CommandResult>,
    },
    /// The request of an outbound call that must not be made twice is about to
    /// be sent: from now on it may have happened.
    CallStarted {
        path: TaskPath,
        attempt: u32,
        /// Of a plugin's host call, from 1; 0: the attempt itself is the call.
        #[serde(default, skip_serializing_if = "is_zero")]
        sequence: u32,
        /// What a plugin asked for: `docs/search`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The process that does it in a sandbox, which outlives the host: it is
        /// asked for its answer again. None: a lost answer stays lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Box<Command>>,
        /// Of a call with a process; absent in histories of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
    },
    /// A host call of a plugin other than a command, with its answer; a denial
    /// is one too. Of `call: asyncapi`: messages that a subscription took,
    /// recorded before they are acknowledged.
    HostCallCompleted {
        path: TaskPath,
        attempt: u32,
        sequence: u32,
        request: Value,
        answer: Value,
        /// Absent in histories of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
    },
    AttemptCompleted {
        path: TaskPath,
        attempt: u32,
        outcome: Box<EffectOutcome>,
    },
    QuestionAsked {
        path: TaskPath,
        question: Box<Question>,
    },
    QuestionAnswered {
        path: TaskPath,
        decision: Decision,
    },
    TimerStarted {
        path: TaskPath,
        due: Timestamp,
    },
    TimerFired {
        path: TaskPath,
    },
    /// Events that come in from now on are offered to the task.
    ListenStarted {
        path: TaskPath,
    },
    /// An event that the task waited for.
    EventConsumed {
        path: TaskPath,
        event: CloudEvent,
        fit: Fit,
    },
    /// The tasks for one event of a `listen` are done; `output` after `foreach.output.as`.
    IterationCompleted {
        path: TaskPath,
        index: usize,
        output: Value,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        context: Option<Value>,
    },
    /// The task sent an event; it reaches whoever listened before this.
    EventEmitted {
        path: TaskPath,
        event: CloudEvent,
    },
    /// A `try` caught an error of a task inside it.
    ErrorCaught {
        path: TaskPath,
        error: Fault,
    },
    /// A `try` will start its block again at `due`; `attempt` is the coming one, from 2.
    RetryScheduled {
        path: TaskPath,
        attempt: u32,
        due: Timestamp,
    },
    /// `output` after `output.as`; `context` when `export` replaced it.
    TaskCompleted {
        path: TaskPath,
        output: Value,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        context: Option<Value>,
        then: FlowTarget,
    },
    /// The task failed, and what its `onFailure` names is asked why; the error goes on after that.
    DiagnosisStarted {
        path: TaskPath,
        error: Fault,
    },
    TaskFaulted {
        path: TaskPath,
        error: Fault,
    },
    /// A branch that still ran when its `fork` had ended: another one won or
    /// faulted. What runs inside it ends with it.
    TaskCancelled {
        path: TaskPath,
    },
    InstanceCompleted {
        output: Value,
    },
    InstanceFaulted {
        error: Fault,
    },
    InstanceCancelled {
        by: Actor,
        reason: String,
    },
    /// Nothing new starts until it is resumed.
    InstanceSuspended {
        by: Actor,
        reason: String,
    },
    InstanceResumed {
        by: Actor,
        reason: String,
    },
}

impl Event {
    /// The variant's name, as stored and filtered by.
    pub fn name(&self) -> &'static str {
        match self {
            Event::InstanceStarted { .. } => "InstanceStarted",
            Event::DeadlineSet { .. } => "DeadlineSet",
            Event::TaskStarted { .. } => "TaskStarted",
            Event::TaskSkipped { .. } => "TaskSkipped",
            Event::ExtensionStarted { .. } => "ExtensionStarted",
            Event::ExtendedTaskEnded { .. } => "ExtendedTaskEnded",
            Event::IterationStarted { .. } => "IterationStarted",
            Event::AttemptStarted { .. } => "AttemptStarted",
            Event::CommandsPlanned { .. } => "CommandsPlanned",
            Event::CommandStarted { .. } => "CommandStarted",
            Event::CommandCompleted { .. } => "CommandCompleted",
            Event::CallStarted { .. } => "CallStarted",
            Event::HostCallCompleted { .. } => "HostCallCompleted",
            Event::AttemptCompleted { .. } => "AttemptCompleted",
            Event::QuestionAsked { .. } => "QuestionAsked",
            Event::QuestionAnswered { .. } => "QuestionAnswered",
            Event::TimerStarted { .. } => "TimerStarted",
            Event::TimerFired { .. } => "TimerFired",
            Event::ListenStarted { .. } => "ListenStarted",
            Event::EventConsumed { .. } => "EventConsumed",
            Event::IterationCompleted { .. } => "IterationCompleted",
            Event::EventEmitted { .. } => "EventEmitted",
            Event::ErrorCaught { .. } => "ErrorCaught",
            Event::RetryScheduled { .. } => "RetryScheduled",
            Event::TaskCompleted { .. } => "TaskCompleted",
            Event::DiagnosisStarted { .. } => "DiagnosisStarted",
            Event::TaskFaulted { .. } => "TaskFaulted",
            Event::TaskCancelled { .. } => "TaskCancelled",
            Event::InstanceCompleted { .. } => "InstanceCompleted",
            Event::InstanceFaulted { .. } => "InstanceFaulted",
            Event::InstanceCancelled { .. } => "InstanceCancelled",
            Event::InstanceSuspended { .. } => "InstanceSuspended",
            Event::InstanceResumed { .. } => "InstanceResumed",
        }
    }

    /// The task it is about; none for events of the whole instance.
    pub fn path(&self) -> Option<&TaskPath> {
        match self {
            Event::TaskStarted { path, .. }
            | Event::TaskSkipped { path }
            | Event::ExtensionStarted { path, .. }
            | Event::ExtendedTaskEnded { path, .. }
            | Event::IterationStarted { path, .. }
            | Event::AttemptStarted { path, .. }
            | Event::CommandsPlanned { path, .. }
            | Event::CommandStarted { path, .. }
            | Event::CommandCompleted { path, .. }
            | Event::CallStarted { path, .. }
            | Event::HostCallCompleted { path, .. }
            | Event::AttemptCompleted { path, .. }
            | Event::QuestionAsked { path, .. }
            | Event::QuestionAnswered { path, .. }
            | Event::TimerStarted { path, .. }
            | Event::TimerFired { path }
            | Event::ListenStarted { path }
            | Event::EventConsumed { path, .. }
            | Event::IterationCompleted { path, .. }
            | Event::EventEmitted { path, .. }
            | Event::ErrorCaught { path, .. }
            | Event::RetryScheduled { path, .. }
            | Event::TaskCompleted { path, .. }
            | Event::DiagnosisStarted { path, .. }
            | Event::TaskFaulted { path, .. }
            | Event::TaskCancelled { path } => Some(path),
            Event::InstanceStarted { .. }
            | Event::DeadlineSet { .. }
            | Event::InstanceCompleted { .. }
            | Event::InstanceFaulted { .. }
            | Event::InstanceCancelled { .. }
            | Event::InstanceSuspended { .. }
            | Event::InstanceResumed { .. } => None,
        }
    }
}

/// For serde.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What is there is a value, `null` too; for a field that is left out without one.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
