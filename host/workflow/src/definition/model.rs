//! The definition after parsing and checking: what the engine walks.
//!
//! Every expression here has been compiled once already, so a definition that
//! exists is a definition whose expressions parse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::listen::{Foreach, Listen};
use super::outbound::Outbound;
use super::schedule::Schedule;
use crate::capability::Grants;
use crate::command::SandboxMode;
use crate::distribution::Reference;
use crate::effect::{EffectClass, Fault};
use crate::event::FlowTarget;
use crate::expression::{Expression, Pattern, Template};
use crate::ids::{Digest, PluginName, SecretName, TemplateName};
use crate::image::PullPolicy;

/// A checked definition. Named by the digest of its source text.
#[derive(Debug, Clone)]
pub struct Definition {
    pub digest: Digest,
    pub namespace: String,
    pub name: String,
    pub version: String,
    pub title: Option<String>,
    pub input: DataFlow,
    pub output: DataFlow,
    pub timeout: Option<TimeLimit>,
    pub schedule: Option<Schedule>,
    pub security: DocumentSecurity,
    /// `use.functions`, as they stand there. Each call has a copy of its own.
    pub functions: Vec<Task>,
    /// `use.extensions`, as they stand there. Each task that one extends has a copy of its own.
    pub extensions: Vec<Extension>,
    pub tasks: TaskList,
    /// For each `ask` with a `plan`: the tasks that it names, all as references.
    pub plans: BTreeMap<String, Vec<String>>,
    /// What its tasks run without waiting for it, by their references.
    pub detached: BTreeMap<String, Arc<Definition>>,
    /// Documents that it names, by their names: what they held when it was read.
    pub documents: BTreeMap<String, Digest>,
    /// The YAML as it was given, with its documents behind it: what the digest is of.
    pub source: String,
    /// The document as JSON: `$workflow.definition`.
    pub value: Arc<Value>,
}

impl Definition {
    /// `namespace/name:version`.
    pub fn full_name(&self) -> String {
        format!("{}/{}:{}", self.namespace, self.name, self.version)
    }

    /// Whether some `ask` names the task of this reference: it runs only what was approved there.
    pub fn is_planned(&self, reference: &str) -> bool {
        self.plans.values().any(|tasks| tasks.iter().any(|task| task == reference))
    }

    /// The YAML as it was given, without its documents.
    pub fn text(&self) -> &str {
        crate::documents::split(&self.source).0
    }
}

/// `document.metadata.lightWorkflow.security`: the default of every task.
#[derive(Debug, Clone, Default)]
pub struct DocumentSecurity {
    pub execution_profile: Option<String>,
    pub mode: Option<SandboxMode>,
    pub provider: Option<String>,
    pub template: Option<TemplateName>,
    pub reason: Option<String>,
}

/// Tasks in order. Names are unique within their list.
#[derive(Debug, Clone, Default)]
pub struct TaskList(pub Vec<Task>);

impl TaskList {
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|task| task.name == name)
    }
}

#[derive(Debug, Clone)]
pub struct Task {
    pub name: String,
    /// JSON pointer in the definition: `/do/2/build`.
    pub reference: String,
    /// Line in the source, from 1.
    pub line: usize,
    pub condition: Option<Expression>,
    pub input: DataFlow,
    pub output: DataFlow,
    /// `export.as`; its result replaces `$context`.
    pub export: DataFlow,
    pub timeout: Option<TimeLimit>,
    pub then: FlowTarget,
    pub light: LightMetadata,
    /// What is to happen around it, outermost first.
    pub extensions: Vec<Extension>,
    /// The task as JSON, for `$task.definition`.
    pub source: Value,
    pub kind: TaskKind,
}

impl Task {
    /// The lists of tasks inside, around and after a failure, in the order in which they run.
    pub fn lists(&self) -> Vec<&TaskList> {
        let before = self.extensions.iter().map(|extension| &extension.before);
        let after = self.extensions.iter().rev().map(|extension| &extension.after);
        let inside = before.chain(self.kind.lists()).chain(after);
        inside.chain([&self.light.on_failure]).collect()
    }
}

/// How long something may take, or is put off.
#[derive(Debug, Clone)]
pub enum TimeLimit {
    Fixed(Duration),
    /// Evaluates to an ISO 8601 duration: of a limit when the task is entered, on its raw input.
    Computed(Template),
}

impl TimeLimit {
    /// None: it is known only when the task is entered.
    pub fn fixed(&self) -> Option<Duration> {
        match self {
            TimeLimit::Fixed(limit) => Some(*limit),
            TimeLimit::Computed(_) => None,
        }
    }

    pub(super) fn template(&self) -> Option<&Template> {
        match self {
            TimeLimit::Fixed(_) => None,
            TimeLimit::Computed(template) => Some(template),
        }
    }
}

/// What happens before and after tasks of some kind.
#[derive(Debug, Clone)]
pub struct Extension {
    pub name: String,
    pub when: Option<Expression>,
    /// May be empty. `exit` at its own level leaves the extended task out:
    /// the value that flows then stands for its output.
    pub before: TaskList,
    /// May be empty.
    pub after: TaskList,
}

/// `input.from`, `output.as` or `export.as`, and the schema beside it.
#[derive(Debug, Clone, Default)]
pub struct DataFlow {
    pub transform: Option<Template>,
    /// `schema.document` of format `json`.
    pub schema: Option<Value>,
}

/// `metadata.lightWorkflow` of a task.
#[derive(Debug, Clone, Default)]
pub struct LightMetadata {
    pub mode: Option<SandboxMode>,
    pub provider: Option<String>,
    pub template: Option<TemplateName>,
    pub reason: Option<String>,
    pub execution_profile: Option<String>,
    /// Of `security.secrets`, and of `environment` of a process.
    pub secrets: BTreeSet<SecretName>,
    pub grants: Grants,
    /// Globs of `artifactPolicy.capture`.
    pub capture: Vec<String>,
    /// `artifactPolicy.inputs`: path in the sandbox to an artifact reference.
    pub inputs: BTreeMap<String, Template>,
    /// `effect: pure|idempotent|reconcilable|manual`.
    pub class: Option<EffectClass>,
    /// `egress: [host:port]`, for `run.shell` and `run.script`.
    pub egress: Vec<String>,
    /// `onFailure.call`: what is asked when the task fails. One call, or none.
    pub on_failure: TaskList,
    /// `plan` of an `ask`, as written: names or JSON pointers of tasks.
    pub plan: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum TaskKind {
    Do(TaskList),
    Set(Template),
    Switch(Vec<SwitchCase>),
    Assert(Assert),
    Call(Call),
    /// `call: http` and kin.
    Outbound(Box<Outbound>),
    Run(Run),
    RunWorkflow(RunWorkflow),
    Ask(Box<Ask>),
    Try(Box<Try>),
    Raise(Raise),
    For(Box<For>),
    Fork(Fork),
    Function(Function),
    Wait(TimeLimit),
    Emit(Template),
    Listen(Box<Listen>),
}

impl TaskKind {
    /// The names of all kinds: what tests of the engine must have met.
    pub const NAMES: [&'static str; 17] = [
        "do",
        "set",
        "switch",
        "assert",
        "call plugin",
        "call out",
        "run",
        "run workflow",
        "ask",
        "try",
        "raise",
        "for",
        "fork",
        "call function",
        "wait",
        "emit",
        "listen",
    ];

    /// Whether what it starts is named by a number that counts at its path: an effect, a child, an event.
    pub fn is_numbered(&self) -> bool {
        match self {
            TaskKind::Call(_)
            | TaskKind::Outbound(_)
            | TaskKind::Run(_)
            | TaskKind::RunWorkflow(_)
            | TaskKind::Ask(_)
            | TaskKind::Emit(_) => true,
            TaskKind::Do(_)
            | TaskKind::Set(_)
            | TaskKind::Switch(_)
            | TaskKind::Assert(_)
            | TaskKind::Try(_)
            | TaskKind::Raise(_)
            | TaskKind::For(_)
            | TaskKind::Fork(_)
            | TaskKind::Function(_)
            | TaskKind::Wait(_)
            | TaskKind::Listen(_) => false,
        }
    }

    /// Which kind it is, in words: one of [`Self::NAMES`].
    pub fn name(&self) -> &'static str {
        let index = match self {
            TaskKind::Do(_) => 0,
            TaskKind::Set(_) => 1,
            TaskKind::Switch(_) => 2,
            TaskKind::Assert(_) => 3,
            TaskKind::Call(_) => 4,
            TaskKind::Outbound(_) => 5,
            TaskKind::Run(_) => 6,
            TaskKind::RunWorkflow(_) => 7,
            TaskKind::Ask(_) => 8,
            TaskKind::Try(_) => 9,
            TaskKind::Raise(_) => 10,
            TaskKind::For(_) => 11,
            TaskKind::Fork(_) => 12,
            TaskKind::Function(_) => 13,
            TaskKind::Wait(_) => 14,
            TaskKind::Emit(_) => 15,
            TaskKind::Listen(_) => 16,
        };
        Self::NAMES[index]
    }

    /// The lists of tasks inside, in the order of the definition. The branches of a `fork` are one, too.
    pub fn lists(&self) -> Vec<&TaskList> {
        match self {
            TaskKind::Do(tasks) => vec![tasks],
            TaskKind::For(block) => vec![&block.tasks],
            TaskKind::Try(block) => [&block.tasks].into_iter().chain(&block.handler).collect(),
            TaskKind::Fork(fork) => vec![&fork.branches],
            TaskKind::Function(function) => vec![&function.body],
            TaskKind::Listen(_) | TaskKind::Outbound(_) => {
                self.foreach().into_iter().map(|foreach| &foreach.tasks).collect()
            }
            TaskKind::Set(_)
            | TaskKind::Switch(_)
            | TaskKind::Assert(_)
            | TaskKind::Call(_)
            | TaskKind::Run(_)
            | TaskKind::RunWorkflow(_)
            | TaskKind::Ask(_)
            | TaskKind::Raise(_)
            | TaskKind::Wait(_)
            | TaskKind::Emit(_) => Vec::new(),
        }
    }

    /// What is done with each event of a `listen`, or with each message of a subscription.
    pub fn foreach(&self) -> Option<&Foreach> {
        match self {
            TaskKind::Listen(listen) => listen.foreach.as_ref(),
            TaskKind::Outbound(outbound) => outbound.subscription()?.foreach.as_ref(),
            TaskKind::Do(_)
            | TaskKind::Set(_)
            | TaskKind::Switch(_)
            | TaskKind::Assert(_)
            | TaskKind::Call(_)
            | TaskKind::Run(_)
            | TaskKind::RunWorkflow(_)
            | TaskKind::Ask(_)
            | TaskKind::Try(_)
            | TaskKind::Raise(_)
            | TaskKind::For(_)
            | TaskKind::Fork(_)
            | TaskKind::Function(_)
            | TaskKind::Wait(_)
            | TaskKind::Emit(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct SwitchCase {
    pub name: String,
    /// None: the default case.
    pub when: Option<Expression>,
    pub then: FlowTarget,
}

/// `assert`: what does not hold faults with `validation`.
#[derive(Debug, Clone)]
pub struct Assert {
    pub value: Template,
    pub checks: Vec<AssertCheck>,
    /// What the error says.
    pub message: Option<Template>,
}

#[derive(Debug, Clone)]
pub enum AssertCheck {
    /// Neither `false` nor `null`; the default when no other check is given.
    Holds,
    Equals(Template),
    Contains(Template),
    Matches(Pattern),
    Exists(bool),
    /// A JSON schema.
    Schema(Value),
    /// What stands at a path of the value.
    At(Box<At>),
}

/// `assert.json`: a path, and what holds there.
#[derive(Debug, Clone)]
pub struct At {
    /// As the definition has it.
    pub path: String,
    pub find: Expression,
    pub checks: Vec<AssertCheck>,
    /// `hasLength`: at least and at most so many items, members or characters.
    pub length: Option<(u64, u64)>,
}

/// `call: PLUGIN` with `with`.
#[derive(Debug, Clone)]
pub struct Call {
    pub plugin: PluginName,
    /// `NAME:VERSION@default`.
    pub version: Option<String>,
    pub with: Template,
}

#[derive(Debug, Clone)]
pub struct Run {
    pub process: Process,
    /// `await`. False: an instance of its own runs it, and the task does not wait for that.
    pub awaits: bool,
    pub environment: BTreeMap<String, Template>,
    /// Variables that are `${ $secrets.NAME }`. The task holds these secrets like those of `security.secrets`.
    pub secrets: BTreeMap<String, SecretName>,
    pub arguments: Vec<Template>,
    pub stdin: Option<Template>,
    /// `return`: which part of the result is the task's output.
    pub returns: RunReturn,
}

#[derive(Debug, Clone)]
pub enum Process {
    Shell { command: Template },
    Script { language: String, code: Template },
    Container(Box<ContainerProcess>),
}

/// `run.container`: a process that finds an image as its `/`.
#[derive(Debug, Clone)]
pub struct ContainerProcess {
    pub image: Reference,
    pub pull: PullPolicy,
    /// What the sandbox calls itself.
    pub name: Option<Template>,
    /// Instead of what the image starts.
    pub command: Option<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunReturn {
    Stdout,
    Stderr,
    Code,
    /// `{code, stdout, stderr}`.
    All,
    None,
    /// Ours, and the default: the result contract (K1).
    Result,
}

/// `run.workflow`: a child instance.
#[derive(Debug, Clone)]
pub struct RunWorkflow {
    pub workflow: WorkflowName,
    /// Raw input of the child; `{}` if not given.
    pub input: Option<Template>,
    /// `await`.
    pub awaits: bool,
    /// False for `return: none`: the task gives `null`.
    pub returns_output: bool,
}

/// A definition by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkflowName {
    pub namespace: String,
    pub name: String,
    /// None: `latest`, the highest there is.
    pub version: Option<String>,
}

impl std::fmt::Display for WorkflowName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.version.as_deref().unwrap_or("latest"))
    }
}

#[derive(Debug, Clone)]
pub struct Ask {
    pub prompt: Template,
    pub assignee: Option<Template>,
    pub role: Option<Template>,
    pub category: Option<Template>,
    pub reason: Option<Template>,
    pub options: Vec<crate::event::QuestionOption>,
    /// Gives more options: texts, or `{label, value, description}`.
    pub options_from: Option<Template>,
    /// None: one of the options. Any other answer has this form.
    pub answer: Option<crate::event::AnswerForm>,
    /// `mode: multiChoice`: the answer is a list of option values.
    pub is_multiple: bool,
    /// What the person is shown beside the prompt.
    pub subject: Option<Template>,
    /// Computed when it is asked.
    pub timeout: Option<TimeLimit>,
    pub on_timeout: Option<String>,
    /// Option values that let the flow go on; any other faults with
    /// `authorization`. `approved` when the definition names no options. Empty:
    /// all of them, for options that are not known yet, and for other answers.
    pub proceed_on: Vec<String>,
}

impl Ask {
    /// The answer that lets the flow go on, where there is exactly one.
    pub fn one_way_on(&self) -> Option<&str> {
        match self.proceed_on.as_slice() {
            [one] => Some(one),
            [] | [_, _, ..] => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Try {
    pub tasks: TaskList,
    pub errors: ErrorFilter,
    /// Name of the variable that holds the error: `error`.
    pub bind: String,
    pub when: Option<Expression>,
    pub except_when: Option<Expression>,
    pub retry: Option<Retry>,
    pub handler: Option<TaskList>,
    pub then: FlowTarget,
}

/// All given parts must match; an empty filter matches everything.
#[derive(Debug, Clone, Default)]
pub struct ErrorFilter {
    pub kind: Option<String>,
    pub status: Option<u16>,
    pub instance: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Retry {
    pub when: Option<Expression>,
    pub except_when: Option<Expression>,
    /// Computed from the error, each time.
    pub delay: TimeLimit,
    pub backoff: Backoff,
    /// `limit.attempt.count`: retries, beside the first try. None: no limit.
    pub count_max: Option<u32>,
    /// `limit.attempt.duration`: how long each try may take.
    pub attempt_duration_max: Option<TimeLimit>,
    /// `limit.duration`, from the first try.
    pub duration_max: Option<TimeLimit>,
    /// Added to the delay, chosen between the two by the digest of instance, path and attempt.
    /// Computed like the delay.
    pub jitter: Option<(TimeLimit, TimeLimit)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    Constant,
    /// The delay times the attempt.
    Linear,
    /// Doubles at each attempt.
    Exponential,
}

#[derive(Debug, Clone)]
pub enum Raise {
    /// `type`, `status`, `title`, `detail` after evaluation.
    Inline(Template),
    /// Written without expressions, here or in `use.errors`; its `kind` is canonical.
    Named(Fault),
}

#[derive(Debug, Clone)]
pub struct For {
    pub each: String,
    pub at: String,
    /// An expression, or the array itself.
    pub items: Template,
    pub while_: Option<Expression>,
    pub tasks: TaskList,
}

/// `call` of a function of this definition: a task with an input of its own.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    /// Its input.
    pub with: Template,
    /// One task.
    pub body: TaskList,
}

#[derive(Debug, Clone)]
pub struct Fork {
    /// They run at the same time, so none goes on to another.
    pub branches: TaskList,
    /// The first that completes gives the output, and the others are cancelled.
    pub compete: bool,
}
