//! Instance = fold(history); decide(instance, now) = what happens next.
//!
//! The history is the truth, an [`Instance`] its fold. [`decide()`] is pure: the
//! same history and the same `now` give the same events on any host, before
//! and after a restart. Whoever drives an instance hands in what came from
//! outside ([`Instance::advance`]), commits the events it gets back, and only
//! then carries out [`Instance::open_attempts`].
//!
//! Applying an event evaluates no expression, so loading a history costs its
//! length and nothing else; what expressions gave is in the events.

mod apply;
mod children;
mod consumption;
mod data_flow;
mod decide;
mod extend;
mod frame;
mod frames;
mod instance;
mod listening;
mod schema;
mod scope;
pub mod simulation;
mod snapshot;
mod tasks;
mod views;
mod weight;

use std::sync::Arc;

use serde_json::Value;

pub use children::{CHILD_DEPTH_MAX, OpenChild, actor_of, start_child};
pub use consumption::{Consumed, Fit, Role, types};
pub use decide::{BYTES_WITHOUT_REST_MAX, TASKS_WITHOUT_REST_MAX, TURNS_WITHOUT_REST_MAX, decide};
pub use instance::{HistoryError, Incoming, Instance, Phase};
pub use listening::{Delivery, Listener};
pub use schema::Violation;
pub use snapshot::Snapshot;
pub use views::{EndedCommand, OpenAttempt, OpenQuestion};

use crate::capability::EffectivePolicy;
use crate::definition::Definition;
use crate::event::{Event, Recorded};
use crate::ids::{Actor, InstanceId, Timestamp};

/// Where an input does not conform to `input.schema`; nowhere without one.
///
/// # Errors
///
/// `configuration` when the schema is none.
pub fn input_violations(definition: &Definition, input: &Value) -> Result<Vec<Violation>, crate::effect::Fault> {
    schema::violations(definition.input.schema.as_ref(), input, "input")
}

/// Whether `value` conforms to a JSON schema of a document.
///
/// # Errors
///
/// `configuration` when the schema is none, `validation` when the value does
/// not conform; `what` begins the detail.
pub fn check_schema(schema: &Value, value: &Value, what: &str) -> Result<(), crate::effect::Fault> {
    schema::check(Some(schema), value, what)
}

/// Whether `value` conforms to a JSON schema (2020-12) that no definition holds.
///
/// # Errors
///
/// What is wrong with `value`, or with the schema itself; said to people.
pub fn conforms(schema: &Value, value: &Value, what: &str) -> Result<(), String> {
    schema::check(Some(schema), value, what).map_err(|fault| fault.detail.unwrap_or_default())
}

/// Starts an instance: `InstanceStarted` and the first decisions.
///
/// Nothing is done yet: commit the events, then carry out the open attempts.
pub fn start(
    definition: &Arc<Definition>,
    id: InstanceId,
    input: Value,
    started_by: Actor,
    policy: EffectivePolicy,
    now: Timestamp,
) -> (Instance, Vec<Recorded>) {
    let (mut instance, started) = begun(definition, id, input, started_by, policy, now);
    let mut events = vec![started];
    events.extend(instance.advance(Vec::new(), now).expect("what `decide` says is possible"));
    (instance, events)
}

/// An instance of which nothing is decided yet.
pub(crate) fn begun(
    definition: &Arc<Definition>,
    id: InstanceId,
    input: Value,
    started_by: Actor,
    policy: EffectivePolicy,
    now: Timestamp,
) -> (Instance, Recorded) {
    let started = Event::InstanceStarted {
        definition: definition.digest.clone(),
        definition_name: definition.full_name(),
        input,
        started_by,
        policy: Box::new(policy),
        parent: None,
    };
    let started = Recorded { revision: 1, at: now, event: started };
    let instance = Instance::fold(id, definition.clone(), [started.clone()])
        .expect("a history of nothing but its start is possible");
    (instance, started)
}
