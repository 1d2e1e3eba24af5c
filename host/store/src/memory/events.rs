//! Events, those who listen, and schedules, in memory.

use workflow::engine::actor_of;
use workflow::schedule::{Trigger, Windows};
use workflow::{Actor, CloudEvent, Digest, InstanceId, Timestamp};

use super::state::State;
use crate::errors::PublishError;
use crate::rows::{Change, Message, Published, ScheduleRow, StoredEvent};

impl State {
    /// What an instance sends, with the revision that sends it.
    pub(super) fn emit(&mut self, from: &InstanceId, emitted: Vec<(u64, CloudEvent)>, at: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for (revision, event) in emitted {
            // The definition chose a source and id that are taken: the first event stands.
            if let Ok((_, sent)) = self.publish(event, actor_of(from), at, Some((from, revision)), false) {
                changes.extend(sent);
            }
        }
        changes
    }

    /// `lose` is a planted bug: every third event reaches nobody.
    /// `emitter`: who of that instance listened only after the revision does not get it.
    pub(super) fn publish(
        &mut self,
        event: CloudEvent,
        sent_by: Actor,
        at: Timestamp,
        emitter: Option<(&InstanceId, u64)>,
        lose: bool,
    ) -> Result<(Published, Vec<Change>), PublishError> {
        let same = |known: &&StoredEvent| known.event.source() == event.source() && known.event.id() == event.id();
        if let Some(known) = self.events.iter().find(same) {
            return if known.event == event {
                Ok((Published::Known { sequence: known.sequence }, Vec::new()))
            } else {
                Err(PublishError::Differs { source_uri: event.source().to_owned(), id: event.id().to_owned() })
            };
        }
        let sequence = self.events.len() as u64 + 1;
        self.events.push(StoredEvent { sequence, event: event.clone(), sent_by, at });
        if lose && sequence.is_multiple_of(3) {
            return Ok((Published::New { sequence }, Vec::new()));
        }
        let mut addressed = Vec::new();
        for one in &self.instances {
            for listener in &one.listeners {
                let later = emitter.is_some_and(|(id, revision)| *id == one.row.id && listener.registered > revision);
                let wanted = listener.types.is_empty() || listener.types.iter().any(|kind| kind == event.kind());
                if wanted && !later {
                    let (path, registered) = (listener.path.clone(), listener.registered);
                    addressed.push((one.row.id.clone(), Message::Event { path, registered, event: event.clone() }));
                }
            }
        }
        addressed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let sent = addressed.into_iter().filter_map(|(instance, message)| self.send(&instance, message).ok());
        Ok((Published::New { sequence }, sent.collect()))
    }

    pub(super) fn cloud_events(&self, after: u64, limit: u32) -> Vec<StoredEvent> {
        self.events.iter().filter(|event| event.sequence > after).take(limit as usize).cloned().collect()
    }

    pub(super) fn schedule(&mut self, definition: &Digest, trigger: Trigger, now: Timestamp) -> ScheduleRow {
        let read = self.events.len() as u64;
        let new = || ScheduleRow {
            definition: definition.clone(),
            trigger,
            first_seen: now,
            last_due: None,
            last_instance: None,
            read,
            windows: Windows::default(),
        };
        self.schedules.entry((definition.clone(), trigger)).or_insert_with(new).clone()
    }

    pub(super) fn keep_schedule(&mut self, row: ScheduleRow) {
        // Of two hosts the one that has come further is right: causes are in order.
        if let Some(kept) = self.schedules.get_mut(&(row.definition.clone(), row.trigger))
            && (kept.last_due.is_none() || kept.last_due <= row.last_due)
            && kept.read <= row.read
        {
            *kept = ScheduleRow { first_seen: kept.first_seen, ..row };
        }
    }
}
