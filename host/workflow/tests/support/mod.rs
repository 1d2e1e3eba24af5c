//! What the tests of the engine share: definitions from text, time that is
//! handed in, histories as lines to read.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use workflow::capability::{EffectivePolicy, TaskPolicy};
use workflow::command::{CommandResult, CommandStatus, SandboxMode};
use workflow::definition::{self, Definition};
use workflow::engine::{self, Instance};
use workflow::event::{Decision, Event, FlowTarget};
use workflow::policy::{PolicySources, resolve};
use workflow::summary::{Summary, TaskLine};
use workflow::{Actor, ArtifactUri, Digest, EffectOutcome, InstanceId, Recorded, TaskPath, TemplateName, Timestamp};

pub const HEAD: &str = "document: { dsl: '1.0.3', namespace: tests, name: t, version: 1.0.0 }\n";

/// A definition of these top-level fields (`do: …`, `timeout: …`).
pub fn definition(text: &str) -> Arc<Definition> {
    match definition::parse(&format!("{HEAD}{text}"), "t.yaml") {
        Ok(definition) => Arc::new(definition),
        Err(problems) => {
            panic!("{}\n{text}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// Noon of a certain day.
pub fn noon() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// What a host with nothing but the template `small` allows.
pub fn resolved(definition: &Definition) -> EffectivePolicy {
    let sources = PolicySources {
        templates: &[("small".parse().unwrap(), Digest::of(b"small"))].into(),
        providers: &["local"],
        plugin: &|_, _| Err(vec!["there is none".to_owned()]),
        workflow: &|_| Err("there is none".to_owned()),
        allow_auto_approval: false,
        approved_calls: &BTreeSet::new(),
        echo: true,
    };
    resolve(definition, &sources).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A policy under which every task may run commands in the template `t`, and `call: echo` answers.
pub fn policy(definition: &Definition, secrets: &[&str]) -> EffectivePolicy {
    let mut references = Vec::new();
    collect(&definition.tasks, &mut references);
    let task = TaskPolicy {
        template: TemplateName::new("t").unwrap(),
        mode: SandboxMode::WorkflowSession,
        reason: None,
        secrets: secrets.iter().map(|name| name.parse().unwrap()).collect(),
        plugin: None,
        image: None,
    };
    let tasks: BTreeMap<_, _> = references.into_iter().map(|reference| (reference, task.clone())).collect();
    EffectivePolicy { tasks, echo: true, allow_auto_approval: false, ..EffectivePolicy::default() }
}

fn collect(tasks: &definition::TaskList, references: &mut Vec<String>) {
    for task in &tasks.0 {
        references.push(task.reference.clone());
        task.lists().into_iter().for_each(|list| collect(list, references));
    }
}

/// An instance, its history and its clock.
pub struct Run {
    pub instance: Instance,
    pub history: Vec<Recorded>,
    pub now: Timestamp,
}

impl Run {
    pub fn start(definition: &Arc<Definition>, input: Value) -> Self {
        Self::start_with(definition, input, policy(definition, &[]))
    }

    pub fn start_with(definition: &Arc<Definition>, input: Value, policy: EffectivePolicy) -> Self {
        let id = InstanceId::new("i-1").unwrap();
        let (instance, history) = engine::start(definition, id, input, actor("test:starter"), policy, noon());
        Self { instance, history, now: noon() }
    }

    pub fn take(&mut self, incoming: Vec<Event>) -> &mut Self {
        self.history.extend(self.instance.advance(incoming, self.now).unwrap());
        self
    }

    pub fn later(&mut self, duration: Duration) -> &mut Self {
        self.now += duration;
        self.take(Vec::new())
    }

    /// Jumps to the next timer.
    pub fn wake(&mut self) -> &mut Self {
        self.now = self.instance.next_wake().expect("something waits for a timer");
        self.take(Vec::new())
    }

    /// Gives the open attempt this outcome.
    pub fn complete(&mut self, outcome: EffectOutcome) -> &mut Self {
        let open = self.instance.open_attempts().next().expect("an attempt is open");
        let event =
            Event::AttemptCompleted { path: open.path.clone(), attempt: open.attempt, outcome: Box::new(outcome) };
        self.take(vec![event])
    }

    pub fn output(&mut self, output: Value) -> &mut Self {
        self.complete(EffectOutcome::Output { output })
    }

    /// Gives the open attempt at the task of this name an output.
    pub fn output_of(&mut self, task: &str, output: Value) -> &mut Self {
        let open = self.instance.open_attempts().find(|open| open.path.task_name() == task);
        let open = open.unwrap_or_else(|| panic!("an attempt of `{task}` is open"));
        let event = Event::AttemptCompleted {
            path: open.path.clone(),
            attempt: open.attempt,
            outcome: Box::new(EffectOutcome::Output { output }),
        };
        self.take(vec![event])
    }

    /// The open command ended like this.
    pub fn command(&mut self, status: CommandStatus, exit_code: Option<i32>, stdout: &str) -> &mut Self {
        let open = self.instance.open_attempts().next().expect("an attempt is open");
        let (path, attempt) = (open.path.clone(), open.attempt);
        let result = Box::new(command_result(&path, attempt, status, exit_code, stdout, self.now));
        self.complete(EffectOutcome::Command { result })
    }

    /// A person answers the open question.
    pub fn answer(&mut self, value: &str, by: &str, comment: Option<&str>) -> &mut Self {
        let open = self.instance.open_questions().next().expect("a question is open");
        let decision = Decision {
            value: value.to_owned(),
            decided_by: actor(by),
            decided_at: self.now,
            subject_digest: open.question.subject_digest.clone(),
            comment: comment.map(str::to_owned),
        };
        let event = Event::QuestionAnswered { path: open.path.clone(), decision };
        self.take(vec![event])
    }

    /// Every execution of a task so far.
    pub fn tasks(&self) -> Vec<TaskLine> {
        Summary::of(&self.history).expect("a history has a start").tasks
    }

    /// The history as lines, without `InstanceStarted`.
    pub fn lines(&self) -> String {
        self.history.iter().skip(1).map(|recorded| line(&recorded.event) + "\n").collect()
    }

    pub fn last_line(&self) -> String {
        line(&self.history.last().unwrap().event)
    }
}

pub fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}

pub fn command_result(
    path: &TaskPath,
    attempt: u32,
    status: CommandStatus,
    exit_code: Option<i32>,
    stdout: &str,
    at: Timestamp,
) -> CommandResult {
    let uri = |name: &str| ArtifactUri::new(format!("artifact://i-1/{}/{name}", path.task_name())).unwrap();
    CommandResult {
        task_name: path.task_name().to_owned(),
        task_path: path.clone(),
        attempt,
        command: "command".to_owned(),
        exit_code,
        status,
        started_at: at,
        completed_at: at,
        duration_ms: 0,
        stdout_ref: uri("stdout"),
        stderr_ref: uri("stderr"),
        summary: format!("ended as {status:?}"),
        changed_files: Vec::new(),
        artifacts: Vec::new(),
        egress: Vec::new(),
        sandbox_digest: Digest::of(b"sandbox"),
        stdout_excerpt: stdout.to_owned(),
        stderr_excerpt: String::new(),
    }
}

/// One event for people: what matters, on one line.
pub fn line(event: &Event) -> String {
    let mut text = match event {
        Event::InstanceStarted { .. } => "start".to_owned(),
        Event::DeadlineSet { due } => format!("has until {}", clock(*due)),
        Event::TaskStarted { path, input, .. } => format!("{path} starts with {input}"),
        Event::TaskSkipped { path } => format!("{path} is skipped"),
        Event::ExtensionStarted { path, extension, applies } => {
            format!("{path} extension {extension} {}", if *applies { "applies" } else { "does not apply" })
        }
        Event::ExtendedTaskEnded { path, output, .. } => format!("{path} gave {output}"),
        Event::IterationStarted { path, index, item, input } => format!("{path}[{index}] {item} with {input}"),
        Event::AttemptStarted { path, attempt, .. } => format!("{path} attempt {attempt}"),
        Event::CommandsPlanned { path, commands, .. } => format!("{path} planned {}", commands.len()),
        Event::CommandStarted { path, sequence, .. } => format!("{path} command {sequence}"),
        Event::CommandCompleted { path, sequence, .. } => format!("{path} command {sequence} ended"),
        Event::CallStarted { path, .. } => format!("{path} sends"),
        Event::HostCallCompleted { path, sequence, .. } => format!("{path} host call {sequence}"),
        Event::AttemptCompleted { path, attempt, .. } => format!("{path} attempt {attempt} ended"),
        Event::QuestionAsked { path, question } => format!("{path} asks {:?}", question.prompt),
        Event::QuestionAnswered { path, decision } => {
            format!("{path} answered {} by {}", decision.value, decision.decided_by)
        }
        Event::TimerStarted { path, due } => format!("{path} waits until {}", clock(*due)),
        Event::TimerFired { path } => format!("{path} timer"),
        Event::ErrorCaught { path, error } => format!("{path} catches {}", error.kind),
        Event::RetryScheduled { path, attempt, due } => format!("{path} retry {attempt} at {}", clock(*due)),
        Event::TaskCompleted { path, output, .. } => format!("{path} gives {output}"),
        Event::DiagnosisStarted { path, error } => format!("{path} is diagnosed: {}", fault(error)),
        Event::TaskFaulted { path, error } => format!("{path} faults: {}", fault(error)),
        Event::ListenStarted { path } => format!("{path} listens"),
        Event::EventConsumed { path, event, .. } => format!("{path} consumes {} {}", event.kind(), event.id()),
        Event::IterationCompleted { path, index, output, .. } => format!("{path}[{index}] gives {output}"),
        Event::EventEmitted { path, event } => format!("{path} emits {}", event.kind()),
        Event::InstanceSuspended { by, reason } => format!("suspended by {by}: {reason}"),
        Event::InstanceResumed { by, reason } => format!("resumed by {by}: {reason}"),
        Event::TaskCancelled { path } => format!("{path} is cancelled"),
        Event::InstanceCompleted { output } => format!("completed: {output}"),
        Event::InstanceFaulted { error } => format!("faulted: {}", fault(error)),
        Event::InstanceCancelled { by, reason } => format!("cancelled by {by}: {reason}"),
    };
    if let Event::TaskCompleted { context, then, .. } = event {
        if let Some(context) = context {
            write!(text, "; context {context}").unwrap();
        }
        if *then != FlowTarget::Continue {
            write!(text, "; then {then:?}").unwrap();
        }
    }
    text
}

fn clock(at: Timestamp) -> String {
    at.to_string().trim_start_matches("2026-11-24T").to_owned()
}

pub fn fault(error: &workflow::effect::Fault) -> String {
    let name = error.kind.rsplit('/').next().unwrap_or_default();
    format!(
        "{name} {} at {}: {}",
        error.status,
        error.instance.as_deref().unwrap_or("-"),
        error.detail.as_deref().unwrap_or("-")
    )
}
