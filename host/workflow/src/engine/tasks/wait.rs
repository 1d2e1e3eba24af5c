//! `wait`.

use std::sync::Arc;

use serde_json::Value;

use crate::definition::{Wait, parse_duration};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::{Running, after};
use crate::event::Event;
use crate::ids::Timestamp;

pub fn start(running: Running<'_>, wait: &Wait, now: Timestamp) -> Result<Event, Fault> {
    let due = match wait {
        Wait::For(duration) => after(now, *duration),
        Wait::Expression(template) => {
            let input = running.input()?;
            let value = template.evaluate(&input, &running.scope(&input))?;
            due_of(&value, now)?
        }
    };
    Ok(Event::TimerStarted { path: running.path.clone(), due })
}

/// `value` is an ISO 8601 duration.
fn due_of(value: &Value, now: Timestamp) -> Result<Timestamp, Fault> {
    let refuse = |why: String| StandardError::Expression.fault(format!("`wait` has no duration: {why}"));
    let text = value.as_str().ok_or_else(|| refuse(format!("{value} is not an ISO 8601 text")))?;
    let duration = parse_duration(text).map_err(|error| refuse(error.to_string()))?;
    Ok(after(now, duration))
}

pub fn conclude(running: Running<'_>, due: Timestamp, fired: bool, now: Timestamp) -> Option<Event> {
    if fired {
        let done = running.input().map(|input| running.complete(Arc::unwrap_or_clone(input)));
        return Some(running.or_fault(done));
    }
    (due <= now).then(|| Event::TimerFired { path: running.path.clone() })
}
