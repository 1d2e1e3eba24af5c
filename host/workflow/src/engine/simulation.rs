//! A world without a world: effects answer at once and waiting takes no time.
//!
//! For tests and measurements of the engine alone: nothing is committed, so it
//! proves nothing about durability.

use std::sync::Arc;

use serde_json::Value;

use super::{Instance, start};
use crate::capability::EffectivePolicy;
use crate::definition::Definition;
use crate::effect::{Effect, EffectOutcome, StandardError};
use crate::event::{Event, Recorded};
use crate::ids::{Actor, InstanceId, TaskPath, Timestamp};

/// Runs an instance until it ends, or until only a person could move it.
///
/// `call: echo` answers its input, every other effect faults; the clock jumps
/// from timer to timer. Gives the whole history, too.
pub fn run_to_end(definition: &Arc<Definition>, input: Value, start_at: Timestamp) -> (Instance, Vec<Recorded>) {
    run_with(definition, input, start_at, |_, _, effect| match effect {
        Effect::Echo { input } => EffectOutcome::Output { output: input.clone() },
        Effect::Command { .. }
        | Effect::Plugin { .. }
        | Effect::Plan { .. }
        | Effect::Call { .. }
        | Effect::Workflow { .. } => EffectOutcome::Faulted {
            error: StandardError::Runtime.fault("a simulation carries out nothing but `echo`"),
        },
    })
}

/// As [`run_to_end`], with your own outcome of each attempt.
pub fn run_with(
    definition: &Arc<Definition>,
    input: Value,
    start_at: Timestamp,
    mut act: impl FnMut(&TaskPath, u32, &Effect) -> EffectOutcome,
) -> (Instance, Vec<Recorded>) {
    let id = InstanceId::new("simulated").expect("a fixed name is valid");
    let by = Actor::new("simulation").expect("a fixed name is valid");
    let policy = EffectivePolicy { echo: true, ..EffectivePolicy::default() };
    let mut now = start_at;
    let (mut instance, mut history) = start(definition, id, input, by, policy, now);
    while !instance.phase().is_final() {
        let outcomes: Vec<Event> = instance
            .open_attempts()
            .map(|open| Event::AttemptCompleted {
                outcome: Box::new(act(&open.path, open.attempt, open.effect)),
                path: open.path,
                attempt: open.attempt,
            })
            .collect();
        if outcomes.is_empty() {
            match instance.next_wake() {
                Some(wake) => now = now.max(wake),
                None => break,
            }
        }
        history.extend(instance.advance(outcomes, now).expect("a simulated outcome is possible"));
    }
    (instance, history)
}
