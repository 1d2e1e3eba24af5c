//! `listen`: events that come in are consumed as facts (see `engine::listening`);
//! here is what follows from them, and from the messages of a subscription,
//! which were all taken before the first of them is looked at.

use std::borrow::Cow;

use serde_json::Value;

use super::flow::value_of;
use crate::definition::Foreach;
use crate::effect::Fault;
use crate::engine::data_flow::{Running, transform_output};
use crate::engine::decide::next_task;
use crate::engine::frame::{Iteration, Listening};
use crate::event::Event;

pub fn start(running: Running<'_>) -> Result<Event, Fault> {
    // Filters see the input: one that cannot be had is a fault now and not later.
    running.input()?;
    Ok(Event::ListenStarted { path: running.path.clone() })
}

/// The next task for an event, the next event, or the end; none while more is waited for.
pub fn conclude(running: Running<'_>, listening: &Listening) -> Option<Event> {
    let Some(foreach) = running.task.kind.foreach() else {
        return listening.done.then(|| running.complete(Value::Array(listening.items.clone())));
    };
    if let Some(iteration) = &listening.iteration {
        return Some(running.or_fault(iterate(running, foreach, listening, iteration)));
    }
    let index = listening.outputs.len();
    match listening.items.get(index) {
        Some(item) => {
            Some(Event::IterationStarted { path: running.path.clone(), index, item: item.clone(), input: item.clone() })
        }
        None => listening.done.then(|| running.complete(Value::Array(listening.outputs.clone()))),
    }
}

fn iterate(
    running: Running<'_>,
    foreach: &Foreach,
    listening: &Listening,
    iteration: &Iteration,
) -> Result<Event, Fault> {
    let value = value_of(running, &iteration.body)?;
    if let Some(event) = next_task(running.instance, running.path, running.frame, &value) {
        return Ok(event);
    }
    let input = running.input()?;
    let scope = running
        .scope(&input)
        .bind(&foreach.item, Cow::Borrowed(&listening.items[iteration.index]))
        .bind(&foreach.at, Cow::Owned(Value::from(iteration.index)));
    let (output, context) = transform_output(&foreach.output, &foreach.export, &value, scope)?;
    Ok(Event::IterationCompleted { path: running.path.clone(), index: iteration.index, output, context })
}
