//! The tasks that are running now: a tree of frames, by path.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::consumption::Consumed;
use super::data_flow::{RESULT_GRACE, after};
use super::frames::Agenda;
use crate::cloud_event::CloudEvent;
use crate::command::{CommandResult, CommandStatus};
use crate::definition::{Definition, Task, TaskKind, TaskList, TimeLimit};
use crate::effect::{Effect, EffectOutcome, Fault};
use crate::event::{Decision, Event, FlowTarget, Question, RetryLimits, present};
use crate::ids::{TaskPath, Timestamp};

/// One running task, or the whole document at [`TaskPath::root`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    /// None for the root.
    pub parent: Option<TaskPath>,
    /// The way to its task from the document; empty for the root.
    pub place: Vec<Step>,
    /// Raw input.
    pub input: Arc<Value>,
    /// `$context` when it was entered: what its input and its items come from,
    /// whatever its own tasks export.
    pub context: Arc<Value>,
    pub started_at: Timestamp,
    /// How long its task may take.
    pub time_limit: Option<Duration>,
    /// Computed limits of the `retry` of its `try`.
    pub retry: RetryLimits,
    pub state: State,
    /// Its extensions that apply, in their order.
    pub applied: Vec<usize>,
    /// How many frames have this one as their parent.
    pub children: usize,
    pub agenda: Agenda,
    #[serde(skip)]
    pub memo: Memo,
}

/// What takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Task(Duration),
    /// One try of the block of a `try`.
    Attempt(Duration),
}

/// Whether something follows in a frame without waiting for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    None,
    /// After those that have waited longer.
    InOrder,
    /// Before anything else: a `fork` whose end is known closes its branches.
    First,
}

/// One step from a task to one in its lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    pub branch: Branch,
    pub index: usize,
}

/// Which list of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Branch {
    Do,
    Try,
    Catch,
    Fork,
    Foreach,
    /// `foreach` of a subscription.
    Messages,
    Function,
    /// Of the extension at this place among those of the task.
    Before(usize),
    /// As `Before`.
    After(usize),
    /// What is asked when the task has failed.
    OnFailure,
}

impl Branch {
    /// The list's key in the definition.
    pub fn key(self) -> Cow<'static, str> {
        match self {
            Branch::Do => "do".into(),
            Branch::Try => "try".into(),
            Branch::Catch => "catch/do".into(),
            Branch::Foreach => "foreach/do".into(),
            Branch::Messages => "with/subscription/foreach/do".into(),
            Branch::Fork => "fork/branches".into(),
            Branch::Function => "function".into(),
            Branch::Before(extension) => format!("extensions/{extension}/before").into(),
            Branch::After(extension) => format!("extensions/{extension}/after").into(),
            Branch::OnFailure => TaskPath::ON_FAILURE.into(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum State {
    /// Entered; what its kind does is still to be decided.
    Entered,
    /// Something happens around the task: it did not begin yet, or is over.
    Extending(Extending),
    /// `do`, the body of a function, and the document itself.
    Sequence(Sequence),
    /// `for`, from its first iteration on.
    Looping(Looping),
    Trying(Trying),
    Forking(Forking),
    Attempting(Attempting),
    Asking(Asking),
    Timing {
        due: Timestamp,
        fired: bool,
    },
    Listening(Listening),
    /// `emit`: the event is on its way.
    Emitted(CloudEvent),
    /// The task failed, and its `onFailure` is asked why; then the error goes on.
    Diagnosing {
        error: Fault,
        list: Sequence,
    },
    /// A task inside faulted and nothing here catches it.
    Faulted(Fault),
}

/// Where the flow stands in a list of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sequence {
    pub branch: Branch,
    /// Beyond the end: the list is done.
    pub next: usize,
    /// Raw input of the next task; none: the input of the frame, transformed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Arc<Value>>,
}

impl Sequence {
    pub fn new(branch: Branch) -> Self {
        Self { branch, next: 0, value: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Extending {
    /// Whether this extension applies is to be decided.
    Undecided(usize),
    Before {
        extension: usize,
        list: Sequence,
    },
    /// The `before` of an extension left the task out: this stands for its output.
    Replaced(Arc<Value>),
    After {
        extension: usize,
        list: Sequence,
        output: Arc<Value>,
        then: FlowTarget,
    },
    Done {
        output: Arc<Value>,
        then: FlowTarget,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Looping {
    pub index: usize,
    pub item: Arc<Value>,
    pub body: Sequence,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Forking {
    /// What became of the branches that were started, in declared order; the others are to start.
    pub branches: Vec<BranchState>,
    /// Known before every branch has ended: those that still run are cancelled.
    pub end: Option<ForkEnd>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum BranchState {
    Running,
    /// Its `if` was false.
    Skipped,
    Gave(Arc<Value>),
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum ForkEnd {
    /// The first branch that completed, of those that compete.
    Won(usize),
    Faulted(Fault),
}

impl Forking {
    pub fn is_running(&self) -> bool {
        self.branches.contains(&BranchState::Running)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trying {
    /// From 1.
    pub attempt: u32,
    pub attempt_started_at: Timestamp,
    pub step: TryStep,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum TryStep {
    Block(Sequence),
    /// A task of the block faulted; whether it is caught is to be decided.
    Faulted(Fault),
    /// Caught; a retry or the handler is next.
    Caught(Fault),
    Backoff {
        attempt: u32,
        due: Timestamp,
    },
    Handling {
        error: Arc<Value>,
        handler: Sequence,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Attempting {
    pub attempt: u32,
    pub effect: Box<Effect>,
    pub started_at: Timestamp,
    /// `CommandStarted`, `CommandCompleted` and `HostCallCompleted`, as they came.
    pub host_calls: Vec<Event>,
    /// None while it is open.
    pub outcome: Option<Box<EffectOutcome>>,
    /// Of the commands that are not in `host_calls` any more, the one that [`Attempting::command`] gives.
    pub told_by: Option<Box<CommandResult>>,
    /// How many attempts of this frame ended without a known outcome.
    pub unknown_count: u32,
}

/// `listen`, or the `foreach` of a subscription whose messages are all there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Listening {
    /// Revision of its `ListenStarted`; 0 for a subscription.
    pub registered: u64,
    /// The events so far, as they are read.
    pub items: Vec<Value>,
    pub consumed: Consumed,
    /// Nothing more is waited for.
    pub done: bool,
    /// Of `foreach`: the event that its tasks work on.
    pub iteration: Option<Iteration>,
    /// Of `foreach`: what it gave for each event so far.
    pub outputs: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Iteration {
    pub index: usize,
    pub body: Sequence,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Asking {
    pub question: Box<Question>,
    pub asked_at: Timestamp,
    pub answer: Option<Decision>,
}

/// What was evaluated once and would give the same again. No part of the
/// state: two frames that differ only here are equal.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo {
    pub input: OnceLock<Result<Arc<Value>, Fault>>,
    pub items: OnceLock<Result<Arc<Vec<Value>>, Fault>>,
}

impl PartialEq for Memo {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Attempting {
    /// The command that tells most of how it ended: the newest that failed, else the newest.
    pub fn command(&self) -> Option<&CommandResult> {
        let of_task = match self.outcome.as_deref() {
            Some(EffectOutcome::Command { result }) => Some(result.as_ref()),
            Some(EffectOutcome::Output { .. } | EffectOutcome::Faulted { .. } | EffectOutcome::Unknown { .. })
            | None => None,
        };
        let of_plugin = self.host_calls.iter().rev().filter_map(|event| match event {
            Event::CommandCompleted { result, .. } => Some(result.as_ref()),
            _ => None,
        });
        let mut newest_first = of_task.into_iter().chain(of_plugin).chain(self.told_by.as_deref());
        let newest = newest_first.clone().next();
        newest_first.find(|result| result.status != CommandStatus::Succeeded).or(newest)
    }
}

impl Frame {
    /// The task of this frame; none for the document itself.
    pub fn task<'d>(&self, definition: &'d Definition) -> Option<&'d Task> {
        let (first, rest) = self.place.split_first()?;
        let mut task = definition.tasks.0.get(first.index)?;
        for step in rest {
            task = list_of(task, step.branch)?.0.get(step.index)?;
        }
        Some(task)
    }

    /// The list of the document or of this frame's task.
    pub fn list<'d>(&self, definition: &'d Definition, branch: Branch) -> Option<&'d TaskList> {
        match self.task(definition) {
            Some(task) => list_of(task, branch),
            None => Some(&definition.tasks),
        }
    }

    /// The list that is walked now, if one is.
    pub fn sequence(&self) -> Option<&Sequence> {
        match &self.state {
            State::Sequence(sequence) | State::Diagnosing { list: sequence, .. } => Some(sequence),
            State::Looping(looping) => Some(&looping.body),
            State::Listening(Listening { iteration: Some(iteration), .. }) => Some(&iteration.body),
            State::Trying(Trying { step: TryStep::Block(sequence), .. }) => Some(sequence),
            State::Trying(Trying { step: TryStep::Handling { handler, .. }, .. }) => Some(handler),
            State::Extending(Extending::Before { list, .. } | Extending::After { list, .. }) => Some(list),
            State::Trying(Trying {
                step: TryStep::Faulted(_) | TryStep::Caught(_) | TryStep::Backoff { .. }, ..
            })
            | State::Entered
            | State::Extending(Extending::Undecided(_) | Extending::Replaced(_) | Extending::Done { .. })
            | State::Forking(_)
            | State::Attempting(_)
            | State::Asking(_)
            | State::Timing { .. }
            | State::Listening(Listening { iteration: None, .. })
            | State::Emitted(_)
            | State::Faulted(_) => None,
        }
    }

    pub fn sequence_mut(&mut self) -> Option<&mut Sequence> {
        match &mut self.state {
            State::Sequence(sequence) | State::Diagnosing { list: sequence, .. } => Some(sequence),
            State::Looping(looping) => Some(&mut looping.body),
            State::Listening(Listening { iteration: Some(iteration), .. }) => Some(&mut iteration.body),
            State::Trying(Trying { step: TryStep::Block(sequence), .. }) => Some(sequence),
            State::Trying(Trying { step: TryStep::Handling { handler, .. }, .. }) => Some(handler),
            State::Extending(Extending::Before { list, .. } | Extending::After { list, .. }) => Some(list),
            State::Trying(Trying {
                step: TryStep::Faulted(_) | TryStep::Caught(_) | TryStep::Backoff { .. }, ..
            })
            | State::Entered
            | State::Extending(Extending::Undecided(_) | Extending::Replaced(_) | Extending::Done { .. })
            | State::Forking(_)
            | State::Attempting(_)
            | State::Asking(_)
            | State::Timing { .. }
            | State::Listening(Listening { iteration: None, .. })
            | State::Emitted(_)
            | State::Faulted(_) => None,
        }
    }

    /// The path that tasks in this frame's list start with: its own, and the
    /// iteration of a `for`.
    pub fn body_path(&self, path: &TaskPath) -> TaskPath {
        match &self.state {
            State::Looping(looping) => path.iteration(looping.index),
            State::Listening(Listening { iteration: Some(iteration), .. }) => path.iteration(iteration.index),
            State::Entered
            | State::Extending(_)
            | State::Sequence(_)
            | State::Trying(_)
            | State::Forking(_)
            | State::Attempting(_)
            | State::Asking(_)
            | State::Timing { .. }
            | State::Listening(Listening { iteration: None, .. })
            | State::Emitted(_)
            | State::Diagnosing { .. }
            | State::Faulted(_) => path.clone(),
        }
    }

    /// The next task of the list that is walked, or the next branch to start: its path, its place, itself.
    pub fn next_task<'d>(&self, path: &TaskPath, definition: &'d Definition) -> Option<(TaskPath, Step, &'d Task)> {
        let step = match &self.state {
            State::Forking(Forking { branches, end: None }) => Step { branch: Branch::Fork, index: branches.len() },
            _ => self.sequence().map(|sequence| Step { branch: sequence.branch, index: sequence.next })?,
        };
        let task = self.list(definition, step.branch)?.0.get(step.index)?;
        Some((self.body_path(path).child(&step.branch.key(), step.index, &task.name), step, task))
    }

    /// Whether something follows here at once. `decide` must have an answer then.
    pub fn turn(&self, definition: &Definition) -> Turn {
        let walks = self.children == 0;
        let follows = match &self.state {
            State::Entered | State::Faulted(_) => true,
            State::Sequence(_) | State::Looping(_) | State::Diagnosing { .. } => walks,
            State::Extending(Extending::Before { .. } | Extending::After { .. }) => walks,
            State::Extending(Extending::Undecided(_) | Extending::Replaced(_) | Extending::Done { .. }) => true,
            State::Trying(trying) => match &trying.step {
                TryStep::Block(_) | TryStep::Handling { .. } => walks,
                TryStep::Faulted(_) | TryStep::Caught(_) => true,
                TryStep::Backoff { .. } => false,
            },
            State::Forking(Forking { end: Some(_), .. }) => return Turn::First,
            State::Forking(Forking { branches, end: None }) => {
                walks || self.list(definition, Branch::Fork).is_some_and(|list| branches.len() < list.0.len())
            }
            State::Attempting(attempting) => {
                // Nobody waits for such a child: it has started, and that is all.
                let unawaited = matches!(attempting.effect.as_ref(), Effect::Workflow { awaited: false, .. });
                attempting.outcome.is_some() || unawaited
            }
            State::Asking(asking) => asking.answer.is_some(),
            State::Timing { fired, .. } => *fired,
            State::Listening(Listening { iteration: Some(_), .. }) => walks,
            State::Listening(listening) => {
                let each = self.task(definition).is_some_and(|task| task.kind.foreach().is_some());
                listening.done || (each && listening.outputs.len() < listening.items.len())
            }
            State::Emitted(_) => true,
        };
        if follows { Turn::InOrder } else { Turn::None }
    }

    /// When what it waits for is due, if that is a matter of time.
    pub fn timer(&self) -> Option<Timestamp> {
        match &self.state {
            State::Timing { due, fired: false } => Some(*due),
            State::Trying(Trying { step: TryStep::Backoff { due, .. }, .. }) => Some(*due),
            State::Asking(Asking { question, answer: None, .. }) => question.due,
            State::Entered
            | State::Extending(_)
            | State::Sequence(_)
            | State::Looping(_)
            | State::Trying(_)
            | State::Forking(_)
            | State::Attempting(_)
            | State::Asking(_)
            | State::Timing { .. }
            | State::Listening(_)
            | State::Emitted(_)
            | State::Diagnosing { .. }
            | State::Faulted(_) => None,
        }
    }

    /// When its task, or one try of it, has taken too long. One that has failed
    /// is over; what is asked about it has the limits of its grants.
    pub fn timeout(&self, definition: &Definition) -> Option<(Timestamp, Limit)> {
        if let State::Diagnosing { .. } = self.state {
            return None;
        }
        let task = self.task(definition)?;
        let is_command = |effect: &Effect| matches!(effect, Effect::Command { .. });
        let grace = match &self.state {
            State::Attempting(Attempting { effect, outcome: None, .. }) if is_command(effect) => RESULT_GRACE,
            _ => Duration::ZERO,
        };
        let of_task =
            self.time_limit.map(|limit| (after(self.started_at, limit.saturating_add(grace)), Limit::Task(limit)));
        let of_attempt = match (&self.state, &task.kind) {
            (State::Trying(Trying { step: TryStep::Block(_), attempt_started_at, .. }), TaskKind::Try(block)) => {
                let written = block.retry.as_ref().and_then(|retry| retry.attempt_duration_max.as_ref());
                let computed = self.retry.attempt_ms.map(Duration::from_millis);
                let limit = computed.or(written.and_then(TimeLimit::fixed));
                limit.map(|limit| (after(*attempt_started_at, limit), Limit::Attempt(limit)))
            }
            _ => None,
        };
        // Of two at the same time the task's own counts.
        of_task.into_iter().chain(of_attempt).min_by_key(|(due, _)| *due)
    }
}

fn list_of(task: &Task, branch: Branch) -> Option<&TaskList> {
    match (&task.kind, branch) {
        (TaskKind::Do(tasks), Branch::Do) => Some(tasks),
        (TaskKind::For(each), Branch::Do) => Some(&each.tasks),
        (TaskKind::Try(block), Branch::Try) => Some(&block.tasks),
        (TaskKind::Try(block), Branch::Catch) => block.handler.as_ref(),
        (TaskKind::Listen(_), Branch::Foreach) | (TaskKind::Outbound(_), Branch::Messages) => {
            task.kind.foreach().map(|foreach| &foreach.tasks)
        }
        (TaskKind::Fork(fork), Branch::Fork) => Some(&fork.branches),
        (TaskKind::Function(function), Branch::Function) => Some(&function.body),
        (_, Branch::OnFailure) => Some(&task.light.on_failure),
        (_, Branch::Before(extension)) => task.extensions.get(extension).map(|extension| &extension.before),
        (_, Branch::After(extension)) => task.extensions.get(extension).map(|extension| &extension.after),
        _ => None,
    }
}
