//! What an instance's events mean for other instances: children that start,
//! children that nobody waits for any more, a parent that waits for the end.

use std::collections::BTreeSet;

use store::{Alongside, Message, NewInstance, Store};
use workflow::engine::{Instance, OpenChild, actor_of, start_child};
use workflow::event::Event;
use workflow::{Actor, Digest, Effect, InstanceId, Recorded, Timestamp};

use crate::definitions::Definitions;
use crate::drive::{DriveError, projection};

/// What is committed together with `events`, which left `instance` as it is now.
///
/// `before` are the children that it waited for until then.
pub async fn alongside(
    store: &dyn Store,
    definitions: &Definitions,
    before: BTreeSet<OpenChild>,
    instance: &Instance,
    events: &[Recorded],
    now: Timestamp,
) -> Result<Alongside, DriveError> {
    let mut also = Alongside::default();
    let mut waited_for = before;
    for recorded in events {
        let event = &recorded.event;
        if let Event::AttemptStarted { path, attempt, effect } = event
            && let Effect::Workflow { definition, child, awaited, .. } = effect.as_ref()
        {
            let parsed = definitions.get(store, definition).await?;
            let started = start_child(instance, (path, *attempt, effect), &parsed, now)
                .map_err(|source| DriveError::History { instance: child.clone(), source })?;
            if let Some((child, first)) = started {
                also.starts.push(new_child(instance.id(), &child, first, now));
            }
            if *awaited {
                waited_for.insert(OpenChild { path: path.clone(), attempt: *attempt, child: child.clone() });
            }
        } else if let Event::AttemptCompleted { path, attempt, .. } = event {
            waited_for.retain(|open| open.path != *path || open.attempt != *attempt);
        } else if let Event::InstanceSuspended { reason, .. } = event {
            also.messages.extend(to_children(instance, |by| Message::Suspend { by, reason: reason.clone() }));
        } else if let Event::InstanceResumed { reason, .. } = event {
            also.messages.extend(to_children(instance, |by| Message::Resume { by, reason: reason.clone() }));
        }
    }
    let open: BTreeSet<OpenChild> = instance.open_children().collect();
    let by = actor_of(instance.id());
    for closed in waited_for.difference(&open) {
        let reason = match instance.cancelled() {
            Some((_, reason)) => format!("its parent was cancelled: {reason}"),
            None => "its parent does not wait for it any more".to_owned(),
        };
        also.messages.push((closed.child.clone(), Message::Cancel { by: by.clone(), reason }));
    }
    if let (Some(parent), Some(outcome)) = (instance.parent().filter(|parent| parent.awaited), instance.outcome()) {
        let message =
            Message::ChildEnded { path: parent.path.clone(), attempt: parent.attempt, outcome: Box::new(outcome) };
        also.messages.push((parent.instance.clone(), message));
    }
    Ok(also)
}

/// The same for every child that is waited for.
fn to_children(instance: &Instance, message: impl Fn(Actor) -> Message) -> Vec<(InstanceId, Message)> {
    instance.open_children().map(|open| (open.child, message(actor_of(instance.id())))).collect()
}

fn new_child(parent: &InstanceId, child: &Instance, first: Recorded, now: Timestamp) -> NewInstance {
    NewInstance {
        id: child.id().clone(),
        idempotency_key: None,
        request_digest: Digest::of(child.id().as_str().as_bytes()),
        release_id: None,
        definition: child.definition().digest.clone(),
        definition_name: child.definition().full_name(),
        definition_source: child.definition().source.clone(),
        // Kept when the first of its ancestors started.
        definitions: Vec::new(),
        parent: Some(parent.clone()),
        events: vec![Recorded { at: now, ..first }],
        projection: projection(child),
        listeners: Vec::new(),
        also: Alongside::default(),
    }
}
