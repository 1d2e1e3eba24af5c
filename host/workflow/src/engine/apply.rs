//! How each event changes an instance. Structure only: no expression is
//! evaluated, and nothing here chooses what happens next.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::frame::{
    Asking, Attempting, Branch, BranchState, Extending, ForkEnd, Forking, Frame, Listening, Looping, Sequence, State,
    Step, TryStep, Trying,
};
use super::instance::{Approved, End, HistoryError, Instance, SinceRest};
use super::tasks::ask::TIMER;
use super::weight::flow_bytes;
use crate::approval;
use crate::cloud_event::CloudEvent;
use crate::definition::{Definition, Fork, Task, TaskKind, TimeLimit};
use crate::effect::{Effect, EffectOutcome, Fault};
use crate::event::{Decision, Event, FlowTarget, Question, Recorded, RetryLimits};
use crate::ids::{TaskPath, Timestamp};

/// Why an event cannot follow.
pub(super) type Refusal = String;

impl Instance {
    pub(super) fn take(&mut self, recorded: Recorded) -> Result<(), HistoryError> {
        let Recorded { revision, at, event } = recorded;
        if revision != self.revision + 1 {
            return Err(HistoryError::Gap { after: self.revision, found: revision });
        }
        let name = event.name();
        let bytes = flow_bytes(&event);
        self.change(event, at).map_err(|why| HistoryError::Impossible { revision, event: name, why })?;
        self.since_rest.bytes += bytes;
        let definition = self.definition().clone();
        self.frames.settle(revision, &definition);
        self.revision = revision;
        self.newest_at = at;
        Ok(())
    }

    fn change(&mut self, event: Event, at: Timestamp) -> Result<(), Refusal> {
        if self.end.is_some() {
            return Err("the instance has ended".to_owned());
        }
        match event {
            Event::InstanceStarted { .. } => Err("the instance has started already".to_owned()),
            Event::DeadlineSet { due } => self.deadline_set(due),
            Event::TaskStarted { path, input, timeout_ms, retry } => {
                self.task_started(path, input, timeout_ms, retry, at)
            }
            Event::TaskSkipped { path } => self.task_skipped(path, at),
            Event::ExtensionStarted { path, extension, applies } => {
                self.extension_started(&path, extension, applies, at)
            }
            Event::ExtendedTaskEnded { path, output, then } => self.extended_task_ended(&path, output, then),
            Event::IterationStarted { path, index, item, input } => self.iteration_started(&path, index, item, input),
            Event::AttemptStarted { path, attempt, effect } => self.attempt_started(&path, attempt, effect, at),
            Event::CommandsPlanned { ref path, attempt, .. }
            | Event::CommandStarted { ref path, attempt, .. }
            | Event::CallStarted { ref path, attempt, .. }
            | Event::HostCallCompleted { ref path, attempt, .. } => self.host_call(&path.clone(), attempt, event),
            Event::CommandCompleted { path, attempt, sequence, result } => {
                let event = Event::CommandCompleted { path: path.clone(), attempt, sequence, result };
                self.host_call(&path, attempt, event)?;
                self.command_ended(&path, attempt, sequence);
                Ok(())
            }
            Event::AttemptCompleted { path, attempt, outcome } => self.attempt_completed(&path, attempt, outcome),
            Event::QuestionAsked { path, question } => self.question_asked(&path, question, at),
            Event::QuestionAnswered { path, decision } => self.question_answered(&path, decision),
            Event::TimerStarted { path, due } => self.timer_started(&path, due, at),
            Event::TimerFired { path } => self.timer_fired(&path, at),
            Event::ListenStarted { path } => self.listen_started(&path),
            Event::EventConsumed { path, event, fit } => self.event_consumed(&path, &event, &fit),
            Event::IterationCompleted { path, index, output, context } => {
                self.iteration_completed(&path, index, output, context)
            }
            Event::EventEmitted { path, event } => self.event_emitted(&path, event),
            Event::ErrorCaught { path, error } => self.error_caught(&path, error),
            Event::RetryScheduled { path, attempt, due } => self.retry_scheduled(&path, attempt, due, at),
            Event::TaskCompleted { path, output, context, then } => {
                self.task_completed(&path, output, context, &then, at)
            }
            Event::DiagnosisStarted { path, error } => self.diagnosis_started(&path, error),
            Event::TaskFaulted { path, error } => self.task_faulted(&path, error),
            Event::TaskCancelled { path } => self.task_cancelled(&path),
            Event::InstanceCompleted { output } => {
                let definition = self.definition().clone();
                if !is_done(self.frame(&TaskPath::root())?, &definition) || self.frames.len() > 1 {
                    return Err("a task still runs or is to run".to_owned());
                }
                self.ended(End::Completed { output }, at)
            }
            Event::InstanceFaulted { error } => self.ended(End::Faulted { error }, at),
            Event::InstanceSuspended { .. } => self.suspend(true),
            Event::InstanceResumed { .. } => self.suspend(false),
            Event::InstanceCancelled { by, reason } => self.ended(End::Cancelled { by, reason }, at),
        }
    }

    fn deadline_set(&mut self, due: Timestamp) -> Result<(), Refusal> {
        match self.deadline.replace(due) {
            None => Ok(()),
            Some(_) => Err("it has a deadline already".to_owned()),
        }
    }

    fn suspend(&mut self, suspended: bool) -> Result<(), Refusal> {
        if self.suspended == suspended {
            return Err(format!("it is {} already", if suspended { "suspended" } else { "going on" }));
        }
        self.suspended = suspended;
        Ok(())
    }

    fn task_started(
        &mut self,
        path: TaskPath,
        input: Value,
        timeout_ms: Option<u64>,
        retry: RetryLimits,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let (parent, step, task) = self.enter(&path, &definition)?;
        if task.kind.is_numbered() {
            *self.attempts.entry(path.clone()).or_default() += 1;
        }
        let mut place = self.frame(&parent)?.place.clone();
        place.push(step);
        let frame = Frame {
            parent: Some(parent.clone()),
            place,
            input: Arc::new(input),
            context: self.context.clone(),
            started_at: at,
            time_limit: timeout_ms.map(Duration::from_millis).or(task.timeout.as_ref().and_then(TimeLimit::fixed)),
            retry,
            state: first_state(task, at),
            applied: Vec::new(),
            children: 0,
            agenda: Default::default(),
            memo: Default::default(),
        };
        if let State::Forking(forking) = &mut self.frame_mut(&parent)?.state {
            forking.branches.push(BranchState::Running);
        }
        self.frames.insert(path, frame);
        self.since_rest.tasks += 1;
        Ok(())
    }

    fn task_skipped(&mut self, path: TaskPath, at: Timestamp) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let (parent, ..) = self.enter(&path, &definition)?;
        self.since_rest.tasks += 1;
        let around = self.frame_mut(&parent)?;
        match &mut around.state {
            State::Forking(forking) => forking.branches.push(BranchState::Skipped),
            _ => around.sequence_mut().ok_or("its list is not walked")?.next += 1,
        }
        self.extension_walked(&parent, at)
    }

    /// Checks that `path` is what its parent runs next. The first task of a
    /// handler makes its `try` a handling one.
    fn enter<'d>(
        &mut self,
        path: &TaskPath,
        definition: &'d Definition,
    ) -> Result<(TaskPath, Step, &'d Task), Refusal> {
        let parent = self.frames.around(path).cloned().ok_or("nothing runs")?;
        let frame = self.frame_mut(&parent)?;
        if let State::Trying(trying) = &mut frame.state
            && let TryStep::Caught(error) = &trying.step
        {
            let error = Arc::new(serde_json::to_value(error).unwrap_or_default());
            trying.step = TryStep::Handling { error, handler: Sequence::new(Branch::Catch) };
        }
        match frame.next_task(&parent, definition) {
            Some((expected, step, task)) if expected == *path => Ok((parent, step, task)),
            Some((expected, _, _)) => Err(format!("`{expected}` is next, not `{path}`")),
            None => Err(format!("nothing is next in `{parent}`, so not `{path}`")),
        }
    }

    fn iteration_started(&mut self, path: &TaskPath, index: usize, item: Value, input: Value) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let frame = self.frame_mut(path)?;
        if let State::Listening(listening) = &mut frame.state {
            return Self::event_iteration_started(listening, path, index, input);
        }
        let is_loop = frame.task(&definition).is_some_and(|task| matches!(task.kind, TaskKind::For(_)));
        let expected = match &frame.state {
            State::Entered if is_loop => 0,
            State::Looping(looping) => looping.index + 1,
            _ => return Err(format!("`{path}` is no loop")),
        };
        if index != expected {
            return Err(format!("iteration {expected} is next in `{path}`, not {index}"));
        }
        let body = Sequence { branch: Branch::Do, next: 0, value: Some(Arc::new(input)) };
        frame.state = State::Looping(Looping { index, item: Arc::new(item), body });
        Ok(())
    }

    fn attempt_started(
        &mut self,
        path: &TaskPath,
        attempt: u32,
        effect: Box<Effect>,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let last = self.last_attempt(path);
        let frame = self.frame_mut(path)?;
        // Who was entered already carries the number of its first attempt.
        let (expected, unknown_count) = match &frame.state {
            State::Entered => (last, 0),
            State::Attempting(before) if before.outcome.is_some() => (last + 1, before.unknown_count + 1),
            _ => return Err(format!("`{path}` is not ready for an attempt")),
        };
        if attempt != expected {
            return Err(format!("attempt {expected} is next at `{path}`, not {attempt}"));
        }
        // A child that nobody waits for is nothing to rest for: a loop must not start them for ever.
        let rests = !matches!(effect.as_ref(), Effect::Workflow { awaited: false, .. });
        frame.state = State::Attempting(Attempting {
            attempt,
            effect,
            started_at: at,
            host_calls: Vec::new(),
            outcome: None,
            told_by: None,
            unknown_count,
        });
        self.attempts.insert(path.clone(), attempt);
        if let Some(approved) = self.approved.get_mut(path) {
            approved.used = true;
        }
        if rests {
            self.since_rest = SinceRest::default();
        }
        Ok(())
    }

    fn attempting_mut(&mut self, path: &TaskPath, attempt: u32) -> Result<&mut Attempting, Refusal> {
        match &mut self.frame_mut(path)?.state {
            State::Attempting(open) if open.attempt == attempt && open.outcome.is_none() => Ok(open),
            _ => Err(format!("attempt {attempt} at `{path}` is not open")),
        }
    }

    fn host_call(&mut self, path: &TaskPath, attempt: u32, event: Event) -> Result<(), Refusal> {
        self.attempting_mut(path, attempt)?.host_calls.push(event);
        Ok(())
    }

    fn attempt_completed(&mut self, path: &TaskPath, attempt: u32, outcome: Box<EffectOutcome>) -> Result<(), Refusal> {
        let open = self.attempting_mut(path, attempt)?;
        // What was done on the way is in the history; the outcome and one command say enough now.
        open.told_by = open.command().cloned().map(Box::new);
        open.host_calls = Vec::new();
        let is_command = matches!(outcome.as_ref(), EffectOutcome::Command { .. });
        open.outcome = Some(outcome);
        if is_command {
            self.command_ended(path, attempt, 0);
        }
        self.begin_foreach(path)?;
        Ok(())
    }

    /// Of a subscription with `foreach`, once its messages are there.
    fn begin_foreach(&mut self, path: &TaskPath) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let frame = self.frame_mut(path)?;
        let has_foreach = frame
            .task(&definition)
            .is_some_and(|task| matches!(task.kind, TaskKind::Outbound(_)) && task.kind.foreach().is_some());
        if let (true, State::Attempting(Attempting { outcome: Some(outcome), .. })) = (has_foreach, &mut frame.state)
            && let EffectOutcome::Output { output: Value::Array(messages) } = &mut **outcome
        {
            frame.state = State::Listening(Listening::of_messages(std::mem::take(messages)));
        }
        Ok(())
    }

    fn question_asked(&mut self, path: &TaskPath, question: Box<Question>, at: Timestamp) -> Result<(), Refusal> {
        // What was approved before of the same steps is asked about again.
        let definition = self.definition().clone();
        if let Some(named) = definition.plans.get(&path.reference()) {
            self.approved.retain(|step, _| !named.contains(&step.reference()));
        }
        let state = match &mut self.frame_mut(path)?.state {
            state @ State::Entered => state,
            State::Attempting(planning) if planning.outcome.is_none() => {
                return Err(format!("what `{path}` asks about is not known yet"));
            }
            state @ State::Attempting(_) => state,
            _ => return Err(format!("`{path}` is busy with something else")),
        };
        *state = State::Asking(Asking { question, asked_at: at, answer: None });
        self.since_rest = SinceRest::default();
        Ok(())
    }

    fn question_answered(&mut self, path: &TaskPath, decision: Decision) -> Result<(), Refusal> {
        let State::Asking(asking) = &mut self.frame_mut(path)?.state else {
            return Err(format!("`{path}` asks nothing"));
        };
        if asking.answer.is_some() {
            return Err(format!("`{path}` is answered already"));
        }
        approval::check(&asking.question, &decision).map_err(|refused| refused.to_string())?;
        asking.answer = Some(decision);
        Ok(())
    }

    /// The plan of a question is approved by a person who gives the one answer that lets the flow go on: the walks
    /// that found the plan assumed it.
    pub(super) fn note_approval(&mut self, path: &TaskPath) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let frame = self.frame(path)?;
        let State::Asking(Asking { question, answer: Some(decision), .. }) = &frame.state else { return Ok(()) };
        let Some(TaskKind::Ask(ask)) = frame.task(&definition).map(|task| &task.kind) else { return Ok(()) };
        if decision.decided_by.as_str() == TIMER || ask.one_way_on() != Some(&decision.value) {
            return Ok(());
        }
        let steps = question.plan.iter().flat_map(|plan| &plan.steps);
        let approved = steps.map(|step| (step.path.clone(), Approved { commands: step.commands.clone(), used: false }));
        let approved: Vec<_> = approved.collect();
        self.approved.extend(approved);
        Ok(())
    }

    /// The flow turned back to these tasks: what ran in them with an approval needs another.
    fn use_up(&mut self, again: &[TaskPath]) {
        self.approved.retain(|step, approved| !(approved.used && again.iter().any(|task| step.is_within(task))));
    }

    fn timer_started(&mut self, path: &TaskPath, due: Timestamp, at: Timestamp) -> Result<(), Refusal> {
        let state = self.entered_mut(path)?;
        *state = State::Timing { due, fired: false };
        if due > at {
            self.since_rest = SinceRest::default();
        }
        Ok(())
    }

    fn timer_fired(&mut self, path: &TaskPath, at: Timestamp) -> Result<(), Refusal> {
        match &mut self.frame_mut(path)?.state {
            State::Timing { fired, .. } if !*fired => *fired = true,
            State::Trying(trying) => match trying.step {
                TryStep::Backoff { attempt, .. } => {
                    let step = TryStep::Block(Sequence::new(Branch::Try));
                    *trying = Trying { attempt, attempt_started_at: at, step };
                }
                _ => return Err(format!("`{path}` waits for no retry")),
            },
            _ => return Err(format!("`{path}` has no timer")),
        }
        Ok(())
    }

    fn event_emitted(&mut self, path: &TaskPath, event: CloudEvent) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let emits = self.frame(path)?.task(&definition).is_some_and(|task| matches!(task.kind, TaskKind::Emit(_)));
        if !emits {
            return Err(format!("`{path}` emits nothing"));
        }
        *self.entered_mut(path)? = State::Emitted(event);
        Ok(())
    }

    fn error_caught(&mut self, path: &TaskPath, error: Fault) -> Result<(), Refusal> {
        match &mut self.frame_mut(path)?.state {
            State::Trying(trying) if matches!(trying.step, TryStep::Faulted(_)) => {
                trying.step = TryStep::Caught(error);
                Ok(())
            }
            _ => Err(format!("`{path}` has nothing to catch")),
        }
    }

    fn retry_scheduled(&mut self, path: &TaskPath, attempt: u32, due: Timestamp, at: Timestamp) -> Result<(), Refusal> {
        match &mut self.frame_mut(path)?.state {
            State::Trying(trying) if matches!(trying.step, TryStep::Caught(_)) => {
                if attempt != trying.attempt + 1 {
                    return Err(format!("attempt {} is next at `{path}`, not {attempt}", trying.attempt + 1));
                }
                trying.step = TryStep::Backoff { attempt, due };
            }
            _ => return Err(format!("`{path}` has caught nothing")),
        }
        if due > at {
            self.since_rest = SinceRest::default();
        } else {
            let definition = self.definition().clone();
            let reference = self.frame(path)?.task(&definition).map_or("", |task| &task.reference);
            self.since_rest.turn_back_to(reference);
        }
        Ok(())
    }

    fn task_completed(
        &mut self,
        path: &TaskPath,
        output: Value,
        context: Option<Value>,
        then: &FlowTarget,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        if !is_done(self.frame(path)?, &definition) {
            return Err(format!("`{path}` is not done"));
        }
        self.note_approval(path)?;
        let ended = match then {
            FlowTarget::End => return self.flow_to_end(path, output, context),
            FlowTarget::Continue | FlowTarget::Exit | FlowTarget::Task(_) => self.leave(path)?,
        };
        if let Some(context) = context {
            self.context = Arc::new(context);
        }
        let frame = self.frame_mut(&ended.parent)?;
        let is_race = is_race(frame.task(&definition));
        if let State::Forking(forking) = &mut frame.state {
            branch_gave(forking, ended.index, output, is_race);
            return Ok(());
        }
        if let State::Extending(Extending::Before { .. }) = &frame.state
            && *then == FlowTarget::Exit
        {
            frame.state = State::Extending(Extending::Replaced(Arc::new(output)));
            return Ok(());
        }
        let branch = frame.sequence().ok_or("its list is not walked")?.branch;
        let tasks = frame.list(&definition, branch).ok_or("its list is not there")?;
        let sequence = frame.sequence_mut().ok_or("its list is not walked")?;
        let from = sequence.next;
        sequence.next = match then {
            FlowTarget::Continue => from + 1,
            FlowTarget::Exit | FlowTarget::End => tasks.0.len(),
            FlowTarget::Task(name) => {
                tasks.position(name).ok_or_else(|| format!("there is no task `{name}` beside `{path}`"))?
            }
        };
        sequence.value = Some(Arc::new(output));
        let next = sequence.next;
        if next <= from {
            self.since_rest.turn_back_to(&tasks.0[next].reference);
            let body = self.frame(&ended.parent)?.body_path(&ended.parent);
            let again = (next..=from).map(|index| body.child(&branch.key(), index, &tasks.0[index].name));
            self.use_up(&again.collect::<Vec<_>>());
        }
        self.extension_walked(&ended.parent, at)
    }

    /// `then: end`: the document is done. What encloses the task is complete,
    /// what runs beside it is cancelled.
    fn flow_to_end(&mut self, path: &TaskPath, output: Value, context: Option<Value>) -> Result<(), Refusal> {
        let mut next = Some(path.clone());
        while let Some(around) = next.filter(|around| !around.as_str().is_empty()) {
            let frame = self.frames.remove(&around).ok_or_else(|| format!("`{around}` does not run"))?;
            next = frame.parent;
        }
        self.drop_frames(self.frames.inside(&TaskPath::root()));
        if let Some(context) = context {
            self.context = Arc::new(context);
        }
        let tasks_count = self.definition().tasks.0.len();
        self.frame_mut(&TaskPath::root())?.state =
            State::Sequence(Sequence { branch: Branch::Do, next: tasks_count, value: Some(Arc::new(output)) });
        Ok(())
    }

    fn task_faulted(&mut self, path: &TaskPath, error: Fault) -> Result<(), Refusal> {
        let ended = self.leave(path)?;
        let state = &mut self.frame_mut(&ended.parent)?.state;
        match state {
            State::Trying(trying) if matches!(trying.step, TryStep::Block(_)) => {
                trying.step = TryStep::Faulted(error);
            }
            State::Forking(forking) => {
                forking.branches[ended.index] = BranchState::Cancelled;
                forking.end.get_or_insert(ForkEnd::Faulted(error));
            }
            // That nobody could say why does not replace what happened.
            State::Diagnosing { list, .. } => list.next += 1,
            _ => *state = State::Faulted(error),
        }
        Ok(())
    }

    /// Only a branch is cancelled by itself: its fork has ended without it.
    fn task_cancelled(&mut self, path: &TaskPath) -> Result<(), Refusal> {
        let parent = self.frame(path)?.parent.clone().ok_or("the document itself is no task")?;
        if !matches!(&self.frame(&parent)?.state, State::Forking(Forking { end: Some(_), .. })) {
            return Err(format!("nothing has ended that `{path}` belongs to"));
        }
        let ended = self.leave(path)?;
        if let State::Forking(forking) = &mut self.frame_mut(&parent)?.state {
            forking.branches[ended.index] = BranchState::Cancelled;
        }
        Ok(())
    }

    fn ended(&mut self, end: End, at: Timestamp) -> Result<(), Refusal> {
        let all = self.frames.iter().map(|(path, _)| path.clone()).collect();
        self.drop_frames(all);
        self.end = Some((end, at));
        Ok(())
    }

    /// Ends the frame at `path`; what still runs inside it is cancelled.
    fn leave(&mut self, path: &TaskPath) -> Result<Ended, Refusal> {
        self.drop_frames(self.frames.inside(path));
        let frame = self.frames.remove(path).ok_or_else(|| format!("`{path}` does not run"))?;
        let index = frame.place.last().map_or(0, |step| step.index);
        Ok(Ended { parent: frame.parent.ok_or("the document itself is no task")?, index })
    }

    pub(super) fn drop_frames(&mut self, paths: Vec<TaskPath>) {
        for path in paths {
            self.frames.remove(&path);
        }
    }

    pub(super) fn frame(&self, path: &TaskPath) -> Result<&Frame, Refusal> {
        self.frames.get(path).ok_or_else(|| format!("`{path}` does not run"))
    }

    pub(super) fn frame_mut(&mut self, path: &TaskPath) -> Result<&mut Frame, Refusal> {
        self.frames.get_mut(path).ok_or_else(|| format!("`{path}` does not run"))
    }

    pub(super) fn entered_mut(&mut self, path: &TaskPath) -> Result<&mut State, Refusal> {
        match &mut self.frame_mut(path)?.state {
            state @ State::Entered => Ok(state),
            _ => Err(format!("`{path}` is busy with something else")),
        }
    }
}

/// Where a task was that has ended.
struct Ended {
    parent: TaskPath,
    /// Its place in the list it was in.
    index: usize,
}

fn is_race(task: Option<&Task>) -> bool {
    matches!(task.map(|task| &task.kind), Some(TaskKind::Fork(Fork { compete: true, .. })))
}

fn branch_gave(forking: &mut Forking, index: usize, output: Value, is_race: bool) {
    forking.branches[index] = BranchState::Gave(Arc::new(output));
    if is_race && forking.end.is_none() {
        forking.end = Some(ForkEnd::Won(index));
    }
}

/// Whether nothing is left to happen in a frame.
pub(super) fn is_done(frame: &Frame, definition: &Definition) -> bool {
    let walked = |sequence: &Sequence| {
        frame.list(definition, sequence.branch).is_none_or(|tasks| sequence.next >= tasks.0.len())
    };
    match &frame.state {
        State::Entered => frame.task(definition).is_some_and(|task| match &task.kind {
            // A loop over nothing is never more than entered.
            TaskKind::Set(_) | TaskKind::Switch(_) | TaskKind::Assert(_) | TaskKind::For(_) => true,
            TaskKind::Call(_)
            | TaskKind::Outbound(_)
            | TaskKind::Run(_)
            | TaskKind::RunWorkflow(_)
            | TaskKind::Ask(_)
            | TaskKind::Wait(_)
            | TaskKind::Emit(_)
            | TaskKind::Listen(_)
            | TaskKind::Raise(_)
            | TaskKind::Do(_)
            | TaskKind::Fork(_)
            | TaskKind::Function(_)
            | TaskKind::Try(_) => false,
        }),
        State::Extending(Extending::Replaced(_) | Extending::Done { .. }) => true,
        State::Extending(Extending::Undecided(_) | Extending::Before { .. } | Extending::After { .. }) => false,
        State::Forking(forking) => match &forking.end {
            Some(ForkEnd::Won(_)) => !forking.is_running(),
            Some(ForkEnd::Faulted(_)) => false,
            None => {
                let count = frame.list(definition, Branch::Fork).map_or(0, |list| list.0.len());
                forking.branches.len() == count && !forking.is_running()
            }
        },
        State::Sequence(sequence) => walked(sequence),
        State::Looping(looping) => walked(&looping.body),
        State::Trying(trying) => match &trying.step {
            TryStep::Block(sequence) | TryStep::Handling { handler: sequence, .. } => walked(sequence),
            TryStep::Caught(_) => true,
            TryStep::Faulted(_) | TryStep::Backoff { .. } => false,
        },
        State::Attempting(attempting) => attempting.outcome.is_some(),
        State::Asking(asking) => asking.answer.is_some(),
        State::Timing { fired, .. } => *fired,
        State::Listening(listening) => {
            let all = frame.task(definition).is_some_and(|task| match &task.kind {
                TaskKind::Listen(_) | TaskKind::Outbound(_) => {
                    task.kind.foreach().is_none() || listening.outputs.len() == listening.items.len()
                }
                _ => false,
            });
            listening.done && listening.iteration.is_none() && all
        }
        State::Emitted(_) => true,
        State::Diagnosing { .. } | State::Faulted(_) => false,
    }
}

fn first_state(task: &Task, at: Timestamp) -> State {
    match task.extensions.is_empty() {
        true => own_state(&task.kind, at),
        false => State::Extending(Extending::Undecided(0)),
    }
}

/// How a task begins its own part.
pub(super) fn own_state(kind: &TaskKind, at: Timestamp) -> State {
    match kind {
        TaskKind::Do(_) => State::Sequence(Sequence::new(Branch::Do)),
        TaskKind::Function(_) => State::Sequence(Sequence::new(Branch::Function)),
        TaskKind::Try(_) => {
            let step = TryStep::Block(Sequence::new(Branch::Try));
            State::Trying(Trying { attempt: 1, attempt_started_at: at, step })
        }
        TaskKind::Fork(_) => State::Forking(Forking::default()),
        TaskKind::Set(_)
        | TaskKind::Switch(_)
        | TaskKind::Assert(_)
        | TaskKind::Call(_)
        | TaskKind::Outbound(_)
        | TaskKind::Run(_)
        | TaskKind::RunWorkflow(_)
        | TaskKind::Ask(_)
        | TaskKind::Raise(_)
        | TaskKind::For(_)
        | TaskKind::Wait(_)
        | TaskKind::Emit(_)
        | TaskKind::Listen(_) => State::Entered,
    }
}
