//! `for`: the body runs once for each item; what one iteration gives flows
//! into the next.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::flow::value_of;
use crate::definition::{For, TaskKind};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::Running;
use crate::engine::decide::next_task;
use crate::engine::frame::Looping;
use crate::engine::scope::Scope;
use crate::event::Event;

pub fn start(running: Running<'_>, each: &For) -> Result<Event, Fault> {
    let input = running.input()?;
    iterate(running, each, 0, input)
}

/// The next task of the body, the next iteration, or the end.
pub fn next(running: Running<'_>, looping: &Looping) -> Result<Event, Fault> {
    let TaskKind::For(each) = &running.task.kind else {
        return Err(StandardError::Runtime.fault("only `for` iterates"));
    };
    let value = value_of(running, &looping.body)?;
    match next_task(running.instance, running.path, running.frame, &value) {
        Some(event) => Ok(event),
        None => iterate(running, each, looping.index + 1, value),
    }
}

fn iterate(running: Running<'_>, each: &For, index: usize, value: Arc<Value>) -> Result<Event, Fault> {
    let items = items(running, each)?;
    match items.get(index) {
        Some(item) if goes_on(running, each, index, item, &value)? => Ok(Event::IterationStarted {
            path: running.path.clone(),
            index,
            item: item.clone(),
            input: Arc::unwrap_or_clone(value),
        }),
        Some(_) | None => Ok(running.complete(Arc::unwrap_or_clone(value))),
    }
}

/// `for.in`, on the input and the context that the task was entered with: the
/// list does not change while it is walked.
fn items(running: Running<'_>, each: &For) -> Result<Arc<Vec<Value>>, Fault> {
    let evaluate = || {
        let input = running.input()?;
        let scope = Scope { context: Some(&running.frame.context), ..running.scope(&input) };
        match each.items.evaluate(&input, &scope)? {
            Value::Array(items) => Ok(Arc::new(items)),
            Value::Null => Ok(Arc::new(Vec::new())),
            other => {
                let kind = kind_of(&other);
                let source = each.items.source.as_str().unwrap_or_default();
                Err(StandardError::Expression.fault(format!("`{source}` gives {kind}, not an array")))
            }
        }
    };
    running.frame.memo.items.get_or_init(evaluate).clone()
}

/// `while`, on what flows into the iteration that would start.
fn goes_on(running: Running<'_>, each: &For, index: usize, item: &Value, value: &Value) -> Result<bool, Fault> {
    let Some(condition) = &each.while_ else { return Ok(true) };
    let input = running.input()?;
    let scope =
        running.scope(&input).bind(&each.each, Cow::Borrowed(item)).bind(&each.at, Cow::Owned(Value::from(index)));
    condition.holds(value, &scope)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
