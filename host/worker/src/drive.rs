//! One instance in the hands of one host: load, take up what came in, append.

use std::collections::BTreeSet;

use store::{Append, AppendError, Lease, Message, Phase, Projection, SharedStore, StoreError};
use workflow::engine::{self, HistoryError, Instance, OpenChild};
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

/// An instance in memory, and the store it is appended to.
pub struct Driver {
    store: SharedStore,
    definitions: Definitions,
    instance: Instance,
}

impl Driver {
    pub async fn load(store: SharedStore, definitions: &Definitions, id: &InstanceId) -> Result<Self, DriveError> {
        let history = store.history(id, 0).await?;
        let Some(Recorded { event: Event::InstanceStarted { definition, .. }, .. }) = history.first() else {
            return Err(DriveError::Missing(id.clone()));
        };
        let definition = definitions.get(store.as_ref(), definition).await?;
        let instance = Instance::fold(id.clone(), definition, history)
            .map_err(|source| DriveError::History { instance: id.clone(), source })?;
        Ok(Self { store, definitions: definitions.clone(), instance })
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
        mut incoming: Vec<Event>,
        with_inbox: bool,
        now: Timestamp,
    ) -> Result<(), DriveError> {
        let expected_revision = self.instance.revision();
        let inbox = if with_inbox { self.store.inbox(self.instance.id()).await? } else { Vec::new() };
        incoming.extend(inbox.iter().filter_map(|item| self.event_of(&item.message)));
        let children: BTreeSet<OpenChild> = self.instance.open_children().collect();
        let events = self
            .instance
            .advance(incoming, now)
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
        self.store
            .append(Append {
                instance: self.instance.id().clone(),
                expected_revision,
                lease,
                events,
                projection: projection(&self.instance),
                taken,
                also,
            })
            .await?;
        Ok(())
    }

    /// The fact a message makes; none when it came too late to matter.
    fn event_of(&self, message: &Message) -> Option<Event> {
        if self.instance.phase().is_final() {
            return None;
        }
        match message {
            Message::Decided { path, decision } => self
                .instance
                .open_questions()
                .any(|open| open.path == *path)
                .then(|| Event::QuestionAnswered { path: path.clone(), decision: decision.clone() }),
            Message::Cancel { by, reason } => Some(Event::InstanceCancelled { by: by.clone(), reason: reason.clone() }),
            Message::ChildEnded { path, attempt, outcome } => {
                Some(Event::AttemptCompleted { path: path.clone(), attempt: *attempt, outcome: outcome.clone() })
            }
        }
    }
}

/// What the store's queries need to know of an instance.
pub fn projection(instance: &Instance) -> Projection {
    let phase = match instance.phase() {
        engine::Phase::Pending => Phase::Pending,
        engine::Phase::Running | engine::Phase::Waiting => {
            if instance.open_attempts().next().is_some() {
                Phase::Running
            } else {
                Phase::Waiting
            }
        }
        engine::Phase::Cancelled => Phase::Cancelled,
        engine::Phase::Faulted => Phase::Faulted,
        engine::Phase::Completed => Phase::Completed,
    };
    Projection { phase, wake_at: instance.next_wake(), suspended: false }
}
