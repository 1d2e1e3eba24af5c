//! Instances that instances start: `run.workflow`.

use std::sync::Arc;

use super::frame::{Attempting, State};
use super::instance::{HistoryError, Instance};
use crate::definition::Definition;
use crate::effect::{Effect, EffectOutcome, Fault, OWN_ERRORS};
use crate::event::{Event, Parent, Recorded};
use crate::ids::{Actor, InstanceId, TaskPath, Timestamp};

/// Instances above a child, at most: a workflow that runs itself for ever is a
/// fault, not a host that fills its disk.
pub const CHILD_DEPTH_MAX: u32 = 16;

/// A child that its parent waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenChild {
    pub path: TaskPath,
    pub attempt: u32,
    pub child: InstanceId,
}

impl Instance {
    /// Children whose end is waited for.
    pub fn open_children(&self) -> impl Iterator<Item = OpenChild> + '_ {
        self.frames.iter().filter_map(|(path, frame)| match &frame.state {
            State::Attempting(Attempting { attempt, effect, outcome: None, .. }) => match effect.as_ref() {
                Effect::Workflow { child, .. } => {
                    Some(OpenChild { path: path.clone(), attempt: *attempt, child: child.clone() })
                }
                Effect::Command { .. }
                | Effect::Plugin { .. }
                | Effect::Plan { .. }
                | Effect::Call { .. }
                | Effect::Echo { .. } => None,
            },
            _ => None,
        })
    }

    /// What its end is for the parent that waits for it; none while it runs.
    pub fn outcome(&self) -> Option<EffectOutcome> {
        if let Some(output) = self.output() {
            return Some(EffectOutcome::Output { output: output.clone() });
        }
        if let Some(error) = self.error() {
            // The place is in the child's definition; the parent names its own task.
            return Some(EffectOutcome::Faulted { error: Fault { instance: None, ..error.clone() } });
        }
        let (by, reason) = self.cancelled()?;
        Some(EffectOutcome::Faulted {
            error: Fault {
                kind: format!("{OWN_ERRORS}child-cancelled"),
                status: 500,
                title: Some("the child was cancelled".to_owned()),
                detail: Some(format!("instance `{}` was cancelled by {by}: {reason}", self.id())),
                instance: None,
            },
        })
    }
}

/// The first event of the child that an open attempt of `parent` starts; what
/// follows is for its own host to decide.
///
/// None if `effect` is no child, or the parent's policy does not know its definition.
///
/// # Errors
///
/// `definition` is not the one that the effect names.
pub fn start_child(
    parent: &Instance,
    (path, attempt, effect): (&TaskPath, u32, &Effect),
    definition: &Arc<Definition>,
    now: Timestamp,
) -> Result<Option<(Instance, Recorded)>, HistoryError> {
    let Effect::Workflow { child, definition: digest, definition_name, input, awaited } = effect else {
        return Ok(None);
    };
    let Some(policy) = parent.policy().of_child(digest) else { return Ok(None) };
    let started = Event::InstanceStarted {
        definition: digest.clone(),
        definition_name: definition_name.clone(),
        input: input.clone(),
        started_by: actor_of(parent.id()),
        policy: Box::new(policy),
        parent: Some(Box::new(Parent {
            instance: parent.id().clone(),
            path: path.clone(),
            attempt,
            depth: parent.depth() + 1,
            awaited: *awaited,
        })),
    };
    let started = Recorded { revision: 1, at: now, event: started };
    let instance = Instance::fold(child.clone(), definition.clone(), [started.clone()])?;
    Ok(Some((instance, started)))
}

/// An instance as the one who did something.
pub fn actor_of(instance: &InstanceId) -> Actor {
    let id: String = instance.as_str().chars().take(100).collect();
    Actor::new(format!("instance:{id}")).expect("a label of at most 100 characters is part of an actor")
}

impl Instance {
    /// Instances above this one.
    pub fn depth(&self) -> u32 {
        self.parent().map_or(0, |parent| parent.depth)
    }
}
