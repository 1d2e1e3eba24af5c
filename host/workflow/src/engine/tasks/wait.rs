//! `wait`.

use std::sync::Arc;

use crate::definition::TimeLimit;
use crate::effect::Fault;
use crate::engine::data_flow::{Running, after, duration_of};
use crate::event::Event;
use crate::ids::Timestamp;

pub fn start(running: Running<'_>, wait: &TimeLimit, now: Timestamp) -> Result<Event, Fault> {
    let input = running.input()?;
    let length = duration_of(wait, "wait", &input, &running.scope(&input))?;
    Ok(Event::TimerStarted { path: running.path.clone(), due: after(now, length) })
}

pub fn conclude(running: Running<'_>, due: Timestamp, fired: bool, now: Timestamp) -> Option<Event> {
    if fired {
        let done = running.input().map(|input| running.complete(Arc::unwrap_or_clone(input)));
        return Some(running.or_fault(done));
    }
    (due <= now).then(|| Event::TimerFired { path: running.path.clone() })
}
