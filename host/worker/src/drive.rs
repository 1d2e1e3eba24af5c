//! One instance in the hands of one host: load, take up what came in, append.

use std::collections::BTreeSet;

use store::{Append, AppendError, Lease, Message, Phase, Projection, SharedStore, StoreError};
use workflow::engine::{self, Delivery, HistoryError, Incoming, Instance, OpenChild, Snapshot};
use workflow::event::Event;
use workflow::{InstanceId, Recorded, Timestamp};

use crate::alongside::alongside;
use crate::definitions::{DefinitionError, Definitions};

/// Why an instance cannot be driven on. The driver is dropped then: what is
/// in the store is the truth, and it is loaded again from there.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error("the store has no instance `{0}`")]
    Missing(InstanceId),
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error("failed to read the history of instance `{instance}`")]
    History {
        instance: InstanceId,
        #[source]
        source: HistoryError,
    },
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Of a long history the part that comes between two snapshots: what is written for them
/// stays in proportion to it.
const SNAPSHOT_SHARE: u64 = 20;

/// A larger state is not kept: its history is read instead.
const SNAPSHOT_BYTES_MAX: usize = 4 << 20;

/// An instance in memory, and the store it is appended to.
pub struct Driver {
    store: SharedStore,
    definitions: Definitions,
    instance: Instance,
    /// Revision of the state that was last kept, or was too large to be.
    kept_at: u64,
    snapshot_events: u64,
}

impl Driver {
    /// `snapshot_events` as in [`crate::WorkerOptions`].
    pub async fn load(
        store: SharedStore,
        definitions: &Definitions,
        id: &InstanceId,
        snapshot_events: u64,
    ) -> Result<Self, DriveError> {
        let failed = |source| DriveError::History { instance: id.clone(), source };
        let kept = store.snapshot(id).await?.and_then(|kept| Snapshot::read(&kept.state));
        let kept_at = kept.as_ref().map_or(0, Snapshot::revision);
        let later = store.history(id, kept_at).await?;
        let instance = match kept {
            Some(kept) => {
                let definition = definitions.get(store.as_ref(), kept.definition()).await?;
                Instance::resume(id, definition, kept, later).map_err(failed)?
            }
            None => {
                let Some(Recorded { event: Event::InstanceStarted { definition, .. }, .. }) = later.first() else {
                    return Err(DriveError::Missing(id.clone()));
                };
                let definition = definitions.get(store.as_ref(), definition).await?;
                Instance::fold(id.clone(), definition, later).map_err(failed)?
            }
        };
        Ok(Self { store, definitions: definitions.clone(), instance, kept_at, snapshot_events })
    }

    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Takes up facts and messages, decides what follows, and commits it all at
    /// once. When this returns, every attempt that is open may be acted on.
    ///
    /// # Errors
    ///
    /// After any error the driver is stale: drop it.
    pub async fn take_up(
        &mut self,
        lease: Lease,
        incoming: Vec<Event>,
        with_inbox: bool,
        now: Timestamp,
    ) -> Result<(), DriveError> {
        let expected_revision = self.instance.revision();
        let inbox = if with_inbox { self.store.inbox(self.instance.id()).await? } else { Vec::new() };
        let mut incoming: Vec<Incoming> = incoming.into_iter().map(Incoming::Fact).collect();
        incoming.extend(inbox.iter().filter_map(|item| self.incoming(&item.message)));
        let listeners = self.instance.listeners();
        let children: BTreeSet<OpenChild> = self.instance.open_children().collect();
        let events = self
            .instance
            .take_in(incoming, now)
            .map_err(|source| DriveError::History { instance: self.instance.id().clone(), source })?;
        let taken: Vec<i64> = inbox.iter().map(|item| item.id).collect();
        if events.is_empty() {
            // What changes nothing must not wake the instance for ever.
            if !taken.is_empty() {
                self.store.dismiss(self.instance.id(), expected_revision, lease, taken).await?;
            }
            return Ok(());
        }
        let also = alongside(self.store.as_ref(), &self.definitions, children, &self.instance, &events, now).await?;
        let snapshot = self.snapshot();
        self.store
            .append(Append {
                instance: self.instance.id().clone(),
                expected_revision,
                lease,
                events,
                projection: projection(&self.instance),
                taken,
                listeners: Some(self.instance.listeners()).filter(|now| *now != listeners),
                snapshot,
                also,
            })
            .await?;
        Ok(())
    }

    /// The state to keep with what is appended now, when so much has come since the last
    /// one that to read it again would take long.
    fn snapshot(&mut self) -> Option<Vec<u8>> {
        let revision = self.instance.revision();
        let ended = self.instance.phase().is_final();
        if ended || revision - self.kept_at < self.snapshot_events.max(revision / SNAPSHOT_SHARE) {
            return None;
        }
        self.kept_at = revision;
        Some(self.instance.snapshot()).filter(|state| state.len() <= SNAPSHOT_BYTES_MAX)
    }

    /// The fact a message makes; none when it came too late to matter.
    fn incoming(&self, message: &Message) -> Option<Incoming> {
        if self.instance.phase().is_final() {
            return None;
        }
        Some(Incoming::Fact(match message {
            Message::Decided { path, decision } => self
                .instance
                .open_questions()
                .any(|open| open.path == *path)
                .then(|| Event::QuestionAnswered { path: path.clone(), decision: decision.clone() })?,
            Message::Cancel { by, reason } => Event::InstanceCancelled { by: by.clone(), reason: reason.clone() },
            Message::Suspend { by, reason } => Event::InstanceSuspended { by: by.clone(), reason: reason.clone() },
            Message::Resume { by, reason } => Event::InstanceResumed { by: by.clone(), reason: reason.clone() },
            Message::ChildEnded { path, attempt, outcome } => {
                Event::AttemptCompleted { path: path.clone(), attempt: *attempt, outcome: outcome.clone() }
            }
            Message::Event { path, registered, event } => {
                let (path, registered, event) = (path.clone(), *registered, event.clone());
                return Some(Incoming::Delivery(Delivery { path, registered, event }));
            }
        }))
    }
}

/// What the store's queries need to know of an instance.
pub fn projection(instance: &Instance) -> Projection {
    let open = instance.open_attempts().next().is_some();
    let phase = match instance.phase() {
        engine::Phase::Pending => Phase::Pending,
        engine::Phase::Running => Phase::Running,
        engine::Phase::Waiting => Phase::Waiting,
        // What is open is still to be finished.
        engine::Phase::Suspended if open => Phase::Running,
        engine::Phase::Suspended => Phase::Waiting,
        engine::Phase::Cancelled => Phase::Cancelled,
        engine::Phase::Faulted => Phase::Faulted,
        engine::Phase::Completed => Phase::Completed,
    };
    let suspended = instance.phase() == engine::Phase::Suspended;
    Projection { phase, wake_at: instance.next_wake(), suspended }
}
