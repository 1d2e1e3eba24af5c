//! `run.workflow`: a child instance.

use std::sync::Arc;

use serde_json::{Value, json};

use super::effects;
use crate::definition::RunWorkflow;
use crate::effect::{Effect, EffectOutcome, Fault, StandardError};
use crate::engine::children::CHILD_DEPTH_MAX;
use crate::engine::data_flow::Running;
use crate::engine::frame::Attempting;
use crate::event::Event;
use crate::ids::InstanceId;

pub fn start(running: Running<'_>, run: &RunWorkflow) -> Result<Event, Fault> {
    let instance = running.instance;
    let pinned = instance.policy().children.get(&running.task.reference).ok_or_else(|| {
        let detail = format!("workflow `{}` is not in this instance's policy", run.workflow);
        StandardError::Configuration.fault(detail)
    })?;
    if instance.depth() >= CHILD_DEPTH_MAX {
        let detail = format!("`{}` would be more than {CHILD_DEPTH_MAX} instances deep", pinned.name);
        return Err(StandardError::Runtime.fault(detail));
    }
    let input = running.input()?;
    let input = match &run.input {
        Some(template) => template.evaluate(&input, &running.scope(&input))?,
        None => json!({}),
    };
    let attempt = instance.last_attempt(running.path);
    let effect = Effect::Workflow {
        child: InstanceId::of_child(instance.id(), running.path, attempt),
        definition: pinned.definition.clone(),
        definition_name: pinned.name.clone(),
        input,
        awaited: run.awaits,
    };
    Ok(effects::start_attempt(running, effect))
}

/// What the end of the child means for its task; none while it is waited for.
pub fn conclude(running: Running<'_>, run: &RunWorkflow, attempting: &Attempting) -> Option<Event> {
    let Some(outcome) = attempting.outcome.as_deref() else {
        // Nobody waits for it: the task gives what it was given.
        return (!run.awaits).then(|| running.or_fault(started(running, attempting)));
    };
    match outcome {
        EffectOutcome::Output { .. } if run.awaits && !run.returns_output => Some(running.complete(Value::Null)),
        EffectOutcome::Output { .. }
        | EffectOutcome::Faulted { .. }
        | EffectOutcome::Unknown { .. }
        | EffectOutcome::Command { .. } => effects::conclude(running, attempting),
    }
}

fn started(running: Running<'_>, attempting: &Attempting) -> Result<Event, Fault> {
    let output = Arc::unwrap_or_clone(running.input()?);
    Ok(Event::AttemptCompleted {
        path: running.path.clone(),
        attempt: attempting.attempt,
        outcome: Box::new(EffectOutcome::Output { output }),
    })
}
