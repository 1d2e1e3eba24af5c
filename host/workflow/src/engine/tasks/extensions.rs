//! Extensions: what happens around a task.
//!
//! Their tasks work beside the flow: each `before` starts with the input of
//! the extended task, each `after` with its raw output, and what they give
//! goes nowhere, unless a `before` ends with `exit`.

use std::sync::Arc;

use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::Running;
use crate::engine::decide::next_task;
use crate::engine::frame::Extending;
use crate::event::Event;

pub fn next(running: Running<'_>, extending: &Extending) -> Result<Event, Fault> {
    match extending {
        Extending::Undecided(extension) => {
            let input = running.input()?;
            let when = running.task.extensions.get(*extension).and_then(|extension| extension.when.as_ref());
            let applies = match when {
                Some(when) => when.holds(&input, &running.scope_of_extension(&input))?,
                None => true,
            };
            Ok(Event::ExtensionStarted { path: running.path.clone(), extension: *extension, applies })
        }
        Extending::Before { list, .. } | Extending::After { list, .. } => {
            let value = match &list.value {
                Some(value) => value.clone(),
                None => running.input()?,
            };
            next_task(running.instance, running.path, running.frame, &value)
                .ok_or_else(|| StandardError::Runtime.fault("the list of an extension was left at its end"))
        }
        Extending::Replaced(output) => Ok(running.complete(output.as_ref().clone())),
        Extending::Done { output, then } => {
            Ok(running.complete_then(Arc::unwrap_or_clone(output.clone()), then.clone()))
        }
    }
}
