//! One run of a definition, as the fold of its history.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data_flow;
use super::decide::decide;
use super::frame::Branch;
use super::frame::{Asking, Attempting, Frame, Sequence, State};
use super::frames::Frames;
use super::listening::Delivery;
use super::views::{EndedCommand, OpenAttempt, OpenQuestion};
use crate::approval;
use crate::capability::EffectivePolicy;
use crate::command::PlannedCommand;
use crate::definition::Definition;
use crate::effect::Effect;
use crate::effect::Fault;
use crate::event::{Event, Parent, Recorded};
use crate::ids::{Actor, InstanceId, TaskPath, Timestamp};

/// Why a history cannot be: it has a gap, or an event that cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    #[error("the history is empty")]
    Empty,
    #[error("revision {found} follows revision {after}")]
    Gap { after: u64, found: u64 },
    #[error("`{event}` at revision {revision} cannot be: {why}")]
    Impossible { revision: u64, event: &'static str, why: String },
}

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Started, and nothing is decided yet: a child that nobody has taken up.
    Pending,
    /// An attempt is open.
    Running,
    /// Only a timer or a person can move it.
    Waiting,
    /// Nothing new starts until somebody resumes it.
    Suspended,
    Completed,
    Faulted,
    Cancelled,
}

impl Phase {
    pub fn is_final(self) -> bool {
        match self {
            Phase::Pending | Phase::Running | Phase::Waiting | Phase::Suspended => false,
            Phase::Completed | Phase::Faulted | Phase::Cancelled => true,
        }
    }
}

/// Something from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    Fact(Event),
    /// What it makes is decided when it is its turn.
    Delivery(Delivery),
}

/// As many commands as one commit records at most on one path of the flow, and some more.
const ENDED_COMMANDS_MAX: usize = 4;

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum End {
    Completed { output: Value },
    Faulted { error: Fault },
    Cancelled { by: Actor, reason: String },
}

/// What happened since there was last something to wait for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SinceRest {
    /// Tasks that were entered or skipped.
    pub tasks: u32,
    /// What their values added to the history.
    pub bytes: u64,
    /// How often the flow turned back.
    pub turns: u32,
    /// JSON pointer of the task it turned back to last; empty without one.
    pub turned_to: String,
}

impl SinceRest {
    pub fn turn_back_to(&mut self, reference: &str) {
        self.turns += 1;
        reference.clone_into(&mut self.turned_to);
    }
}

/// The plan of a step that a person approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Approved {
    pub commands: Vec<PlannedCommand>,
    /// An attempt ran with it: it is good for retries of that, and not for when the flow turns back to the step.
    pub used: bool,
}

/// A definition, equal to another when its digest is.
#[derive(Debug, Clone)]
pub(super) struct SameDigest(pub Arc<Definition>);

impl PartialEq for SameDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

/// One run of a definition.
///
/// Equal to another when the histories they were folded from leave the same state.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub(super) id: InstanceId,
    pub(super) definition: SameDigest,
    pub(super) revision: u64,
    pub(super) input: Arc<Value>,
    pub(super) policy: Arc<EffectivePolicy>,
    pub(super) started_by: Actor,
    pub(super) parent: Option<Box<Parent>>,
    pub(super) started_at: Timestamp,
    /// When it will have taken too long, if that was computed.
    pub(super) deadline: Option<Timestamp>,
    /// When the newest event became known: `now` of expressions outside of tasks.
    pub(super) newest_at: Timestamp,
    pub(super) context: Arc<Value>,
    /// Only what runs now; the document itself at the root.
    pub(super) frames: Frames,
    /// The newest number at each path whose task has [numbers](crate::definition::TaskKind::is_numbered).
    pub(super) attempts: HashMap<TaskPath, u32>,
    /// The newest [`ENDED_COMMANDS_MAX`] ones, oldest first.
    pub(super) ended_commands: VecDeque<EndedCommand>,
    pub(super) since_rest: SinceRest,
    pub(super) suspended: bool,
    /// What people approved of steps to come.
    pub(super) approved: BTreeMap<TaskPath, Approved>,
    /// In a walk of a forecast: references of the tasks whose `if` counts as true. Nothing of it happens, so no
    /// step is shown to anybody or held to anything.
    pub(super) imagined: Option<Arc<BTreeSet<String>>>,
    pub(super) end: Option<(End, Timestamp)>,
}

impl Instance {
    /// Reads a whole history, from its `InstanceStarted` on.
    ///
    /// # Errors
    ///
    /// An empty history, a gap in it, another definition than `definition`, or
    /// an event that cannot follow the ones before.
    pub fn fold(
        id: InstanceId,
        definition: Arc<Definition>,
        history: impl IntoIterator<Item = Recorded>,
    ) -> Result<Self, HistoryError> {
        let mut history = history.into_iter();
        let first = history.next().ok_or(HistoryError::Empty)?;
        let mut instance = Self::begin(id, definition, first)?;
        for recorded in history {
            instance.take(recorded)?;
        }
        Ok(instance)
    }

    fn begin(id: InstanceId, definition: Arc<Definition>, first: Recorded) -> Result<Self, HistoryError> {
        let Recorded { revision, at, event } = first;
        if revision != 1 {
            return Err(HistoryError::Gap { after: 0, found: revision });
        }
        let impossible = |event: &'static str, why: String| HistoryError::Impossible { revision, event, why };
        let name = event.name();
        let Event::InstanceStarted { definition: digest, definition_name: _, input, started_by, policy, parent } =
            event
        else {
            return Err(impossible(name, "a history begins with `InstanceStarted`".to_owned()));
        };
        if digest != definition.digest {
            return Err(impossible(name, format!("it names definition `{digest}`, not `{}`", definition.digest)));
        }
        let input = Arc::new(input);
        let context = Arc::new(json!({}));
        let root = Frame {
            parent: None,
            place: Vec::new(),
            input: input.clone(),
            context: context.clone(),
            started_at: at,
            time_limit: None,
            retry: Default::default(),
            state: State::Sequence(Sequence::new(Branch::Do)),
            applied: Vec::new(),
            children: 0,
            agenda: Default::default(),
            memo: Default::default(),
        };
        let mut frames = Frames::default();
        frames.insert(TaskPath::root(), root);
        frames.settle(revision, &definition);
        Ok(Self {
            id,
            definition: SameDigest(definition),
            revision,
            input,
            policy: Arc::from(policy),
            started_by,
            parent,
            started_at: at,
            deadline: None,
            newest_at: at,
            context,
            frames,
            attempts: HashMap::new(),
            ended_commands: VecDeque::new(),
            since_rest: SinceRest::default(),
            suspended: false,
            approved: BTreeMap::new(),
            imagined: None,
            end: None,
        })
    }

    /// Applies one event that is already in the history. Structure only: no
    /// expression is evaluated.
    ///
    /// # Errors
    ///
    /// An event that cannot follow. The instance is unchanged then, or must not
    /// be used any more; load it again.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), HistoryError> {
        self.take(recorded.clone())
    }

    /// Takes up facts from outside, then decides until everything waits for an
    /// effect, a person or a timer. Gives all that must be appended.
    ///
    /// A fact that came too late to matter is left out: an outcome of an
    /// attempt that timed out, an answer to a question that is gone or that
    /// was another one, anything after the end.
    ///
    /// # Errors
    ///
    /// An incoming fact that cannot be. The instance must be loaded again.
    pub fn advance(&mut self, incoming: Vec<Event>, now: Timestamp) -> Result<Vec<Recorded>, HistoryError> {
        self.take_in(incoming.into_iter().map(Incoming::Fact).collect(), now)
    }

    /// As [`Instance::advance`], with events for those who listen among the facts.
    ///
    /// # Errors
    ///
    /// As [`Instance::advance`].
    pub fn take_in(&mut self, incoming: Vec<Incoming>, now: Timestamp) -> Result<Vec<Recorded>, HistoryError> {
        let mut appended = Vec::new();
        for one in incoming {
            let fact = match one {
                Incoming::Fact(event) => Some(event).filter(|event| self.matters(event)),
                Incoming::Delivery(delivery) => self.consume(&delivery),
            };
            if let Some(event) = fact {
                self.record(event, now, &mut appended)?;
            }
        }
        while let Some(event) = decide(self, now) {
            self.record(event, now, &mut appended)?;
        }
        Ok(appended)
    }

    fn record(&mut self, event: Event, at: Timestamp, appended: &mut Vec<Recorded>) -> Result<(), HistoryError> {
        let recorded = Recorded { revision: self.revision + 1, at, event };
        self.apply(&recorded)?;
        appended.push(recorded);
        Ok(())
    }

    fn matters(&self, event: &Event) -> bool {
        match event {
            Event::AttemptCompleted { path, attempt, .. }
            | Event::CommandsPlanned { path, attempt, .. }
            | Event::CommandStarted { path, attempt, .. }
            | Event::CommandCompleted { path, attempt, .. }
            | Event::CallStarted { path, attempt, .. }
            | Event::HostCallCompleted { path, attempt, .. } => self.is_attempt_open(path, *attempt),
            Event::QuestionAnswered { path, decision } => match self.frames.get(path).map(|frame| &frame.state) {
                Some(State::Asking(Asking { question, answer: None, .. })) => {
                    approval::check(question, decision).is_ok()
                }
                _ => false,
            },
            Event::InstanceCancelled { .. } => self.end.is_none(),
            Event::InstanceSuspended { .. } => self.end.is_none() && !self.suspended,
            Event::InstanceResumed { .. } => self.end.is_none() && self.suspended,
            // These are decided here, never brought from outside: `apply` says so.
            Event::InstanceStarted { .. }
            | Event::DeadlineSet { .. }
            | Event::TaskStarted { .. }
            | Event::TaskSkipped { .. }
            | Event::ExtensionStarted { .. }
            | Event::ExtendedTaskEnded { .. }
            | Event::IterationStarted { .. }
            | Event::AttemptStarted { .. }
            | Event::QuestionAsked { .. }
            | Event::TimerStarted { .. }
            | Event::TimerFired { .. }
            | Event::ListenStarted { .. }
            | Event::EventConsumed { .. }
            | Event::IterationCompleted { .. }
            | Event::EventEmitted { .. }
            | Event::ErrorCaught { .. }
            | Event::RetryScheduled { .. }
            | Event::TaskCompleted { .. }
            | Event::DiagnosisStarted { .. }
            | Event::TaskFaulted { .. }
            | Event::TaskCancelled { .. }
            | Event::InstanceCompleted { .. }
            | Event::InstanceFaulted { .. } => true,
        }
    }

    /// The same, to see where the flow would go if the `if` of these tasks, given as references, were true.
    pub(crate) fn imagined(&self, wanted: Arc<BTreeSet<String>>) -> Self {
        Self { imagined: Some(wanted), ..self.clone() }
    }

    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition.0
    }

    /// Of the last event that was applied.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn phase(&self) -> Phase {
        match &self.end {
            Some((End::Completed { .. }, _)) => Phase::Completed,
            Some((End::Faulted { .. }, _)) => Phase::Faulted,
            Some((End::Cancelled { .. }, _)) => Phase::Cancelled,
            None if self.suspended => Phase::Suspended,
            None if self.revision == 1 => Phase::Pending,
            None if self.open_attempts().next().is_some() => Phase::Running,
            None => Phase::Waiting,
        }
    }

    /// Raw input, before `input.from`.
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// `$context`: what the last `export` gave.
    pub fn context(&self) -> &Value {
        &self.context
    }

    /// Of a completed instance.
    pub fn output(&self) -> Option<&Value> {
        match &self.end {
            Some((End::Completed { output }, _)) => Some(output),
            Some((End::Faulted { .. } | End::Cancelled { .. }, _)) | None => None,
        }
    }

    /// Of a faulted instance.
    pub fn error(&self) -> Option<&Fault> {
        match &self.end {
            Some((End::Faulted { error }, _)) => Some(error),
            Some((End::Completed { .. } | End::Cancelled { .. }, _)) | None => None,
        }
    }

    /// Of a cancelled instance: who, and why.
    pub fn cancelled(&self) -> Option<(&Actor, &str)> {
        match &self.end {
            Some((End::Cancelled { by, reason }, _)) => Some((by, reason)),
            Some((End::Completed { .. } | End::Faulted { .. }, _)) | None => None,
        }
    }

    pub fn policy(&self) -> &EffectivePolicy {
        &self.policy
    }

    pub fn started_by(&self) -> &Actor {
        &self.started_by
    }

    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        self.end.as_ref().map(|(_, at)| *at)
    }

    /// What it is a child of.
    pub fn parent(&self) -> Option<&Parent> {
        self.parent.as_deref()
    }

    /// Attempts that are to be carried out, or are being carried out. A child is not: it carries itself out.
    pub fn open_attempts(&self) -> impl Iterator<Item = OpenAttempt<'_>> {
        self.frames.iter().filter_map(|(path, frame)| match &frame.state {
            State::Attempting(Attempting { effect, .. }) if matches!(effect.as_ref(), Effect::Workflow { .. }) => None,
            State::Attempting(Attempting { attempt, effect, started_at, host_calls, outcome: None, .. }) => {
                Some(OpenAttempt { path: path.clone(), attempt: *attempt, effect, started_at: *started_at, host_calls })
            }
            _ => None,
        })
    }

    pub fn is_attempt_open(&self, path: &TaskPath, attempt: u32) -> bool {
        self.open_attempt(path, attempt).is_some()
    }

    fn open_attempt(&self, path: &TaskPath, attempt: u32) -> Option<&Attempting> {
        match &self.frames.get(path)?.state {
            State::Attempting(open) if open.attempt == attempt && open.outcome.is_none() => Some(open),
            _ => None,
        }
    }

    /// Questions that wait for a person.
    pub fn open_questions(&self) -> impl Iterator<Item = OpenQuestion<'_>> {
        self.frames.iter().filter_map(|(path, frame)| match &frame.state {
            State::Asking(asking) if asking.answer.is_none() => {
                Some(OpenQuestion { path: path.clone(), question: &asking.question, asked_at: asking.asked_at })
            }
            _ => None,
        })
    }

    /// When time alone moves this instance next: a timer, a retry, a question
    /// that is due, a timeout.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.end.is_some() || self.suspended {
            return None;
        }
        self.frames.next_due().into_iter().chain(data_flow::instance_due(self)).min()
    }

    /// The newest commands that ended, oldest first: whoever died after it was
    /// recorded has not cleaned up behind them.
    pub fn ended_commands(&self) -> impl DoubleEndedIterator<Item = &EndedCommand> {
        self.ended_commands.iter()
    }

    pub(super) fn command_ended(&mut self, path: &TaskPath, attempt: u32, sequence: u32) {
        if self.ended_commands.len() == ENDED_COMMANDS_MAX {
            self.ended_commands.pop_front();
        }
        self.ended_commands.push_back(EndedCommand { path: path.clone(), attempt, sequence });
    }

    /// The number of the next attempt at `path`: numbers are never used twice,
    /// because they name effects.
    pub(super) fn last_attempt(&self, path: &TaskPath) -> u32 {
        self.attempts.get(path).copied().unwrap_or(0)
    }
}
