//! `try`: what is caught, when it is tried again, what handles it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::flow::value_of;
use crate::definition::{Backoff, ErrorFilter, Retry, TaskKind, TimeLimit, Try, canonical_error_type};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::{Running, after, duration_of};
use crate::engine::decide::next_task;
use crate::engine::frame::{Branch, Frame, Sequence, State, TryStep, Trying};
use crate::event::Event;
use crate::expression::Expression;
use crate::ids::{Digest, Timestamp};

/// An error of the block: caught here, or passed on.
pub fn catch(running: Running<'_>, error: &Fault) -> Event {
    running.or_fault(try_of(running).and_then(|block| {
        let caught = matches_filter(&block.errors, error)
            && holds(running, block, block.when.as_ref(), error, true)?
            && !holds(running, block, block.except_when.as_ref(), error, false)?;
        match caught {
            true => Ok(Event::ErrorCaught { path: running.path.clone(), error: error.clone() }),
            false => Err(error.clone()),
        }
    }))
}

/// A caught error: the block again, or the handler, or on with the flow.
pub fn retry_or_handle(running: Running<'_>, trying: &Trying, error: &Fault, now: Timestamp) -> Event {
    running.or_fault(try_of(running).and_then(|block| {
        if let Some(retry) = &block.retry {
            if let Some(due) = retry_due(running, block, retry, trying, error, now)? {
                return Ok(Event::RetryScheduled { path: running.path.clone(), attempt: trying.attempt + 1, due });
            }
            // Nothing is left to try, and nobody said what else to do.
            if block.handler.is_none() {
                return Err(error.clone());
            }
        }
        // The handler is entered with its first task; without one there is nothing to do.
        let input = running.input()?;
        let handler = Sequence::new(Branch::Catch);
        let handling = handling_frame(running, error, handler);
        match next_task(running.instance, running.path, &handling, &input) {
            Some(event) => Ok(event),
            None => Ok(running.complete_then(Arc::unwrap_or_clone(input), block.then.clone())),
        }
    }))
}

/// The next task of the handler, or the end of the `try`.
pub fn handle(running: Running<'_>, handler: &Sequence) -> Result<Event, Fault> {
    let block = try_of(running)?;
    let value = value_of(running, handler)?;
    Ok(next_task(running.instance, running.path, running.frame, &value)
        .unwrap_or_else(|| running.complete_then(Arc::unwrap_or_clone(value), block.then.clone())))
}

/// The frame as it is once the handler is entered.
fn handling_frame(running: Running<'_>, error: &Fault, handler: Sequence) -> Frame {
    let mut frame = running.frame.clone();
    if let State::Trying(trying) = &mut frame.state {
        trying.step = TryStep::Handling { error: Arc::new(error_value(error)), handler };
    }
    frame
}

fn try_of<'a>(running: Running<'a>) -> Result<&'a Try, Fault> {
    match &running.task.kind {
        TaskKind::Try(block) => Ok(block),
        _ => Err(StandardError::Runtime.fault("only `try` catches")),
    }
}

fn error_value(error: &Fault) -> Value {
    serde_json::to_value(error).unwrap_or_default()
}

/// `when` and `exceptWhen` of a `catch` or a `retry`; `default` without one.
fn holds(
    running: Running<'_>,
    block: &Try,
    condition: Option<&Expression>,
    error: &Fault,
    default: bool,
) -> Result<bool, Fault> {
    let Some(condition) = condition else { return Ok(default) };
    let input = running.input()?;
    let error = error_value(error);
    let scope = running.scope(&input).bind(&block.bind, Cow::Borrowed(&error));
    condition.holds(&error, &scope)
}

/// All given parts must be those of the error.
fn matches_filter(filter: &ErrorFilter, error: &Fault) -> bool {
    let same = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == found);
    filter.kind.as_deref().is_none_or(|kind| canonical_error_type(kind) == canonical_error_type(&error.kind))
        && filter.status.is_none_or(|status| status == error.status)
        && same(&filter.instance, error.instance.as_deref())
        && same(&filter.title, error.title.as_deref())
        && same(&filter.detail, error.detail.as_deref())
}

/// When the block is tried again; none when it is not.
fn retry_due(
    running: Running<'_>,
    block: &Try,
    retry: &Retry,
    trying: &Trying,
    error: &Fault,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    // The first retry is number 1.
    let number = trying.attempt;
    let wanted = retry.count_max.is_none_or(|count_max| number <= count_max)
        && holds(running, block, retry.when.as_ref(), error, true)?
        && !holds(running, block, retry.except_when.as_ref(), error, false)?;
    if !wanted {
        return Ok(None);
    }
    let input = running.input()?;
    let error = error_value(error);
    let scope = running.scope(&input).bind(&block.bind, Cow::Borrowed(&error));
    let length = |limit: &TimeLimit, field: &str| duration_of(limit, field, &error, &scope);
    let jitter = match &retry.jitter {
        Some((from, to)) => (length(from, "retry.jitter.from")?, length(to, "retry.jitter.to")?),
        None => (Duration::ZERO, Duration::ZERO),
    };
    let delay = delay(length(&retry.delay, "retry.delay")?, retry.backoff, number);
    let due = after(now, delay.saturating_add(jittered(running, jitter, number)?));
    let written = retry.duration_max.as_ref().and_then(TimeLimit::fixed);
    let limit = running.frame.retry.all_ms.map(Duration::from_millis).or(written);
    let in_time = limit.is_none_or(|limit| due <= after(running.frame.started_at, limit));
    Ok(in_time.then_some(due))
}

fn delay(first: Duration, backoff: Backoff, number: u32) -> Duration {
    match backoff {
        Backoff::Constant => first,
        Backoff::Linear => first.saturating_mul(number),
        Backoff::Exponential => first.saturating_mul(2_u32.saturating_pow(number - 1)),
    }
}

/// Chosen by a digest, so that every host chooses the same.
fn jittered(running: Running<'_>, (from, to): (Duration, Duration), number: u32) -> Result<Duration, Fault> {
    let Some(span) = to.checked_sub(from) else {
        return Err(StandardError::Expression.fault("`retry.jitter.from` is longer than `retry.jitter.to`"));
    };
    let seed = format!("{}\n{}\n{number}", running.instance.id(), running.path);
    let share = u32::from_str_radix(&Digest::of(seed.as_bytes()).hex()[..8], 16).unwrap_or(0);
    Ok(from.saturating_add(span.mul_f64(f64::from(share) / f64::from(u32::MAX))))
}
