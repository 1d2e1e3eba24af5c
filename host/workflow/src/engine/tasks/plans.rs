//! What an `ask` shows of the steps that it is about, and what holds them to it.

use super::ask;
use super::effects::{own_fault, unknown};
use crate::command::PlannedCommand;
use crate::definition::Ask;
use crate::effect::{Effect, EffectOutcome, Fault, StandardError};
use crate::engine::data_flow::Running;
use crate::engine::frame::Attempting;
use crate::event::Event;
use crate::forecast::foreseen;
use crate::ids::Timestamp;
use crate::plan::{STEPS_MAX, ShownPlan};

/// What is to be found out before the question; none if it is about no steps.
pub(super) fn wanted(running: Running<'_>, now: Timestamp) -> Result<Option<Effect>, Fault> {
    let instance = running.instance;
    let definition = instance.definition();
    let Some(tasks) = definition.plans.get(&running.task.reference).filter(|_| instance.imagined.is_none()) else {
        return Ok(None);
    };
    let foreseen = foreseen(instance, tasks, now);
    if foreseen.steps.len() > STEPS_MAX {
        let detail = format!("{} steps follow; a person is shown at most {STEPS_MAX}", foreseen.steps.len());
        return Err(StandardError::Configuration.fault(detail));
    }
    Ok(Some(Effect::Plan { steps: foreseen.steps, not_known: foreseen.not_known }))
}

/// Asks, once the plans are known.
pub fn conclude(running: Running<'_>, task: &Ask, attempting: &Attempting, now: Timestamp) -> Option<Event> {
    Some(match attempting.outcome.as_deref()? {
        EffectOutcome::Output { output } => {
            let read = serde_json::from_value::<ShownPlan>(output.clone())
                .map_err(|error| StandardError::Runtime.fault(format!("what the steps plan cannot be read: {error}")));
            running.or_fault(read.and_then(|plan| ask::asked(running, task, Some(Box::new(plan)), now)))
        }
        EffectOutcome::Faulted { error } => running.fault(error.clone()),
        EffectOutcome::Unknown { detail } => unknown(running, attempting, detail),
        EffectOutcome::Command { .. } => {
            running.fault(StandardError::Runtime.fault("to plan gave the result of a command"))
        }
    })
}

/// What a person approved of this step; none where no question names its task.
///
/// # Errors
///
/// A question names it, and nobody approved a plan of this step.
pub(super) fn approved(running: Running<'_>) -> Result<Option<Vec<PlannedCommand>>, Fault> {
    let instance = running.instance;
    if instance.imagined.is_some() || !instance.definition().is_planned(&running.task.reference) {
        return Ok(None);
    }
    match instance.approved.get(running.path) {
        Some(approved) => Ok(Some(approved.commands.clone())),
        None => {
            let detail = format!(
                "`{}` may run only what a person approved, and no plan of it was part of an approval that still holds",
                running.path
            );
            Err(own_fault("plan-not-approved", 403, "this was not approved", &detail))
        }
    }
}
