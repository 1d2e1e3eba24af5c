//! `run.workflow`, and a `run` that nobody waits for: child instances.

use std::sync::Arc;

use serde_json::{Value, json};

use super::effects;
use crate::definition::{Run, RunWorkflow, TimeLimit, detached};
use crate::effect::{Effect, EffectOutcome, Fault, StandardError};
use crate::engine::children::CHILD_DEPTH_MAX;
use crate::engine::data_flow::Running;
use crate::engine::frame::Attempting;
use crate::event::Event;
use crate::ids::InstanceId;

pub fn start(running: Running<'_>, run: &RunWorkflow) -> Result<Event, Fault> {
    let input = running.input()?;
    let input = match &run.input {
        Some(template) => template.evaluate(&input, &running.scope(&input))?,
        None => json!({}),
    };
    start_with(running, input, run.awaits)
}

/// A process that nobody waits for: what it is given is evaluated here, and it runs in an instance of its own.
pub fn start_detached(running: Running<'_>, run: &Run) -> Result<Event, Fault> {
    let input = running.input()?;
    let scope = running.scope(&input);
    let values =
        detached::computed(run, &running.task.light).map(|template| effects::text_of(template, &input, &scope));
    let mut given = json!({ "values": values.collect::<Result<Vec<_>, _>>()? });
    if let (Some(TimeLimit::Computed(_)), Some(limit)) = (&running.task.timeout, running.frame.time_limit) {
        given["timeout"] = format!("PT{}S", limit.as_secs_f64()).into();
    }
    start_with(running, given, false)
}

fn start_with(running: Running<'_>, input: Value, awaited: bool) -> Result<Event, Fault> {
    let instance = running.instance;
    let pinned = instance.policy().children.get(&running.task.reference).ok_or_else(|| {
        let detail = format!("what `{}` runs is not in this instance's policy", running.task.reference);
        StandardError::Configuration.fault(detail)
    })?;
    if instance.depth() >= CHILD_DEPTH_MAX {
        let detail = format!("`{}` would be more than {CHILD_DEPTH_MAX} instances deep", pinned.name);
        return Err(StandardError::Runtime.fault(detail));
    }
    let attempt = instance.last_attempt(running.path);
    let effect = Effect::Workflow {
        child: InstanceId::of_child(instance.id(), running.path, attempt),
        definition: pinned.definition.clone(),
        definition_name: pinned.name.clone(),
        input,
        awaited,
    };
    Ok(effects::start_attempt(running, effect))
}

/// As [`conclude`], of a process that nobody waits for.
pub fn conclude_detached(running: Running<'_>, attempting: &Attempting) -> Option<Event> {
    match attempting.outcome {
        None => Some(running.or_fault(started(running, attempting))),
        Some(_) => effects::conclude(running, attempting),
    }
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
