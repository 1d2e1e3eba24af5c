//! What follows from what is known: all branches are here and in `tasks`, and
//! they read only their arguments.

use super::data_flow::{self, Running, complete_instance, computed_limits, instance_input, is_wanted, timeout_fault};
use super::frame::{Frame, Limit, State, TryStep, Trying};
use super::instance::Instance;
use super::tasks;
use crate::definition::TaskKind;
use crate::effect::StandardError;
use crate::event::Event;
use crate::ids::{TaskPath, Timestamp};

/// Most tasks that may start without anything to wait for in between: a loop
/// that goes on for ever is a fault, not a host that hangs.
pub const TASKS_WITHOUT_REST_MAX: u32 = 100_000;

/// Most that the values of such tasks may add to the history: it is one commit,
/// and its events are in memory until then. A `for` whose items are large comes
/// to this long before it comes to [`TASKS_WITHOUT_REST_MAX`].
pub const BYTES_WITHOUT_REST_MAX: u64 = 64 << 20;

/// How often the flow may turn back without anything to wait for in between.
/// Turning back is a `then` to the task itself or an earlier one, or a retry
/// without a delay. What counts that far is a `for` or an expression; a circle
/// ends after some hundred KiB of history.
pub const TURNS_WITHOUT_REST_MAX: u32 = 1_000;

/// The next fact that follows without any effect; none when everything waits
/// for an effect, a person or a timer, and when the instance has ended.
///
/// Reads only its arguments: the same history and the same `now` give the same
/// event before and after a restart. What it costs does not depend on how many
/// tasks wait.
pub fn decide(instance: &Instance, now: Timestamp) -> Option<Event> {
    if instance.end.is_some() || instance.suspended {
        return None;
    }
    let before = || data_flow::deadline(instance).or_else(|| too_late(instance, now)).or_else(|| too_many(instance));
    before().or_else(|| {
        let frames = &instance.frames;
        let path = frames.first_ready().or_else(|| frames.first_timer(now))?;
        let event = decide_frame(instance, path, frames.get(path)?, now)?;
        Some(tasks::failures::diagnosed_first(instance, event))
    })
}

/// A timeout that has passed: of the document, else the first of a task.
fn too_late(instance: &Instance, now: Timestamp) -> Option<Event> {
    let definition = instance.definition();
    if let Some(due) = data_flow::instance_due(instance).filter(|due| *due <= now) {
        let timeout = due.duration_since(instance.started_at).unsigned_abs();
        return Some(Event::InstanceFaulted { error: timeout_fault("the workflow", timeout) });
    }
    let path = instance.frames.first_timeout(now)?;
    let frame = instance.frames.get(path)?;
    let task = frame.task(definition)?;
    let running = Running { instance, path, frame, task };
    Some(match frame.timeout(definition)? {
        (_, Limit::Task(limit)) => {
            let event = running.fault(timeout_fault(&format!("task `{}`", task.name), limit));
            tasks::failures::diagnosed_first(instance, event)
        }
        (_, Limit::Attempt(limit)) => {
            let (inside, _, _) = frame.next_task(path, definition)?;
            let mut error = timeout_fault(&format!("an attempt at `{}`", task.name), limit);
            error.instance = Some(task.reference.clone());
            Event::TaskFaulted { path: inside, error }
        }
    })
}

/// A flow that would never come to rest by itself.
fn too_many(instance: &Instance) -> Option<Event> {
    let since_rest = &instance.since_rest;
    let detail = if since_rest.turns > TURNS_WITHOUT_REST_MAX {
        format!(
            "the flow turned back {TURNS_WITHOUT_REST_MAX} times without anything to wait for, the last time to \
             `{}`; give the circle an end, or a `wait`",
            since_rest.turned_to
        )
    } else if since_rest.tasks > TASKS_WITHOUT_REST_MAX {
        format!("more than {TASKS_WITHOUT_REST_MAX} tasks ran without anything to wait for")
    } else if since_rest.bytes > BYTES_WITHOUT_REST_MAX {
        let mib = BYTES_WITHOUT_REST_MAX >> 20;
        format!(
            "what flows from task to task came to more than {mib} MiB without anything to wait for; pass on less, or \
             compute it in one expression"
        )
    } else {
        return None;
    };
    Some(Event::InstanceFaulted { error: StandardError::Runtime.fault(detail) })
}

fn decide_frame(instance: &Instance, path: &TaskPath, frame: &Frame, now: Timestamp) -> Option<Event> {
    let Some(task) = frame.task(instance.definition()) else { return Some(decide_root(instance, path, frame)) };
    let running = Running { instance, path, frame, task };
    match &frame.state {
        State::Entered => Some(enter(running, now)),
        State::Sequence(sequence) => Some(running.or_fault(tasks::flow::walk(running, sequence))),
        State::Looping(looping) => Some(running.or_fault(tasks::loops::next(running, looping))),
        State::Trying(trying) => decide_try(running, trying, now),
        State::Extending(extending) => Some(running.or_fault(tasks::extensions::next(running, extending))),
        State::Forking(forking) => Some(running.or_fault(tasks::forks::next(running, forking))),
        State::Attempting(attempting) => match &task.kind {
            TaskKind::RunWorkflow(run) => tasks::children::conclude(running, run, attempting),
            TaskKind::Ask(ask) => tasks::plans::conclude(running, ask, attempting, now),
            TaskKind::Run(run) if !run.awaits => tasks::children::conclude_detached(running, attempting),
            TaskKind::Do(_)
            | TaskKind::Set(_)
            | TaskKind::Switch(_)
            | TaskKind::Assert(_)
            | TaskKind::Call(_)
            | TaskKind::Outbound(_)
            | TaskKind::Run(_)
            | TaskKind::Try(_)
            | TaskKind::Raise(_)
            | TaskKind::For(_)
            | TaskKind::Fork(_)
            | TaskKind::Function(_)
            | TaskKind::Wait(_)
            | TaskKind::Emit(_)
            | TaskKind::Listen(_) => tasks::effects::conclude(running, attempting),
        },
        State::Asking(asking) => tasks::ask::conclude(running, asking, now),
        State::Timing { due, fired } => tasks::wait::conclude(running, *due, *fired, now),
        State::Listening(listening) => match &task.kind {
            TaskKind::Listen(_) | TaskKind::Outbound(_) => tasks::listen::conclude(running, listening),
            _ => Some(running.fault(StandardError::Runtime.fault("only `listen` and subscriptions go through items"))),
        },
        State::Emitted(event) => Some(running.complete(event.clone().into())),
        State::Diagnosing { error, list } => Some(tasks::failures::next(running, error, list)),
        State::Faulted(error) => Some(running.fault(error.clone())),
    }
}

/// The document itself.
fn decide_root(instance: &Instance, path: &TaskPath, frame: &Frame) -> Event {
    if let State::Faulted(error) = &frame.state {
        return Event::InstanceFaulted { error: error.clone() };
    }
    let value = match frame.sequence().and_then(|sequence| sequence.value.clone()) {
        Some(value) => value,
        None => match instance_input(instance, frame) {
            Ok(input) => input,
            Err(error) => return Event::InstanceFaulted { error },
        },
    };
    match next_task(instance, path, frame, &value) {
        Some(event) => event,
        None => complete_instance(instance, std::sync::Arc::unwrap_or_clone(value)),
    }
}

/// The next task of the list that `frame` walks starts or is skipped; none at its end.
pub(super) fn next_task(
    instance: &Instance,
    path: &TaskPath,
    frame: &Frame,
    value: &serde_json::Value,
) -> Option<Event> {
    let (child, _, task) = frame.next_task(path, instance.definition())?;
    let entered = is_wanted(instance, path, task, value).and_then(|wanted| match wanted {
        true => computed_limits(instance, path, task, value).map(Some),
        false => Ok(None),
    });
    Some(match entered {
        Ok(Some((timeout_ms, retry))) => Event::TaskStarted { path: child, input: value.clone(), timeout_ms, retry },
        Ok(None) => Event::TaskSkipped { path: child },
        Err(mut error) => {
            // The task was not entered, so what is around it ends.
            error.instance.get_or_insert_with(|| task.reference.clone());
            match frame.parent {
                Some(_) => Event::TaskFaulted { path: path.clone(), error },
                None => Event::InstanceFaulted { error },
            }
        }
    })
}

/// What a task does first.
fn enter(running: Running<'_>, now: Timestamp) -> Event {
    running.or_fault(match &running.task.kind {
        TaskKind::Set(template) => tasks::flow::set(running, template),
        TaskKind::Switch(cases) => tasks::flow::switch(running, cases),
        TaskKind::Raise(raise) => tasks::flow::raise(running, raise),
        TaskKind::Assert(assert) => tasks::assert::check(running, assert),
        TaskKind::Emit(event) => tasks::emit::emit(running, event, now),
        TaskKind::Listen(_) => tasks::listen::start(running),
        TaskKind::Wait(wait) => tasks::wait::start(running, wait, now),
        TaskKind::Call(call) => tasks::effects::call(running, call),
        TaskKind::Outbound(outbound) => tasks::outbound::call(running, outbound),
        TaskKind::Run(run) => tasks::effects::run(running, run),
        TaskKind::RunWorkflow(run) => tasks::children::start(running, run),
        TaskKind::Ask(ask) => tasks::ask::ask(running, ask, now),
        TaskKind::For(each) => tasks::loops::start(running, each),
        // These walk lists from the start: `apply` never leaves them just entered.
        TaskKind::Do(_) | TaskKind::Try(_) | TaskKind::Fork(_) | TaskKind::Function(_) => {
            Err(StandardError::Runtime.fault("a composite task was entered without its list"))
        }
    })
}

fn decide_try(running: Running<'_>, trying: &Trying, now: Timestamp) -> Option<Event> {
    match &trying.step {
        TryStep::Block(sequence) => Some(running.or_fault(tasks::flow::walk(running, sequence))),
        TryStep::Handling { handler, .. } => Some(running.or_fault(tasks::tries::handle(running, handler))),
        TryStep::Faulted(error) => Some(tasks::tries::catch(running, error)),
        TryStep::Caught(error) => Some(tasks::tries::retry_or_handle(running, trying, error, now)),
        TryStep::Backoff { due, .. } => (*due <= now).then(|| Event::TimerFired { path: running.path.clone() }),
    }
}
