//! `do`, `set`, `switch`, `raise`: the flow itself.

use std::sync::Arc;

use serde_json::Value;

use crate::definition::{Raise, SwitchCase, TaskKind};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::Running;
use crate::engine::decide::next_task;
use crate::engine::frame::Sequence;
use crate::event::{Event, FlowTarget};
use crate::expression::Template;

/// The next task of a list, or the end of the task that has it.
pub fn walk(running: Running<'_>, sequence: &Sequence) -> Result<Event, Fault> {
    let value = value_of(running, sequence)?;
    Ok(next_task(running.instance, running.path, running.frame, &value)
        .unwrap_or_else(|| running.complete(Arc::unwrap_or_clone(value))))
}

/// What flows in a list now.
pub fn value_of(running: Running<'_>, sequence: &Sequence) -> Result<Arc<Value>, Fault> {
    match &sequence.value {
        Some(value) => Ok(value.clone()),
        None => match &running.task.kind {
            TaskKind::Function(function) => {
                let input = running.input()?;
                function.with.evaluate(&input, &running.scope(&input)).map(Arc::new)
            }
            _ => running.input(),
        },
    }
}

pub fn set(running: Running<'_>, template: &Template) -> Result<Event, Fault> {
    let input = running.input()?;
    Ok(running.complete(template.evaluate(&input, &running.scope(&input))?))
}

/// The first case that holds, else the default one, else the task's own `then`.
pub fn switch(running: Running<'_>, cases: &[SwitchCase]) -> Result<Event, Fault> {
    let input = running.input()?;
    let scope = running.scope(&input);
    let mut then = cases.iter().find(|case| case.when.is_none()).map(|case| &case.then);
    for case in cases {
        if let Some(when) = &case.when
            && when.holds(&input, &scope)?
        {
            then = Some(&case.then);
            break;
        }
    }
    let then = then.cloned().unwrap_or(FlowTarget::Continue);
    Ok(running.complete_then(Arc::unwrap_or_clone(input.clone()), then))
}

/// Never completes: the error is what it gives.
pub fn raise(running: Running<'_>, raise: &Raise) -> Result<Event, Fault> {
    let error = match raise {
        Raise::Named(error) => error.clone(),
        Raise::Inline(template) => {
            let input = running.input()?;
            let error = template.evaluate(&input, &running.scope(&input))?;
            serde_json::from_value(error)
                .map_err(|what| StandardError::Configuration.fault(format!("what is raised is no error: {what}")))?
        }
    };
    Err(error)
}
