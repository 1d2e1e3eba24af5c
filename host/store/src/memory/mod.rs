//! The contract in memory, for deterministic simulations.
//!
//! No task, no thread, no disk, no clock: a call is done when it returns, and
//! the same calls give the same rows. Several handles share the rows as several
//! hosts share a database; each handle has faults of its own.

mod events;
mod faults;
mod state;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use workflow::command::Artifact;
use workflow::engine::Listener;
use workflow::event::Decision;
use workflow::schedule::Trigger;
use workflow::{Actor, ArtifactUri, CloudEvent, Digest, InstanceId, Recorded, Timestamp};

pub use faults::{CommitFault, MemoryFaults};
use state::State;

use crate::audit::{AuditLeaf, Checkpoint};
use crate::contract::Store;
use crate::errors::{AppendError, DecideError, PublishError, StartError, StoreError};
use crate::rows::{
    Append, ArtifactBytes, ArtifactRow, AttemptRow, Change, HostId, HumanTask, InboxItem, InstanceFilter, InstanceRow,
    KeptState, Lease, Message, NewArtifact, NewInstance, Published, ScheduleRow, Started, StoredEvent,
};

/// Changes a slow reader may fall behind before it is told so.
const CHANGES: usize = 16_384;

/// One host's connection to rows in memory.
#[derive(Debug)]
pub struct MemoryStore {
    rows: Arc<Mutex<State>>,
    changes: broadcast::Sender<Change>,
    faults: MemoryFaults,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::over(Arc::default())
    }
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// What another host sees: the same rows, its own faults and changes.
    pub fn another_host(&self) -> Self {
        Self::over(self.rows.clone())
    }

    /// The handle that makes this host's writes go wrong.
    pub fn faults(&self) -> MemoryFaults {
        self.faults.clone()
    }

    fn over(rows: Arc<Mutex<State>>) -> Self {
        Self { rows, changes: broadcast::channel(CHANGES).0, faults: MemoryFaults::default() }
    }

    fn read<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        read(&mut self.rows.lock().expect("no call panics while it holds the rows"))
    }

    /// One transaction: `work` changes nothing if it gives an error.
    fn write<A, E: From<StoreError>>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut State) -> Result<(A, Vec<Change>), E>,
    ) -> Result<A, E> {
        let lost = || StoreError::Database { doing, source: "connection lost".into() };
        let fault = self.faults.next();
        match fault {
            Some(CommitFault::BeforeCommit) => return Err(lost().into()),
            Some(CommitFault::AfterCommit) | None => {}
        }
        let (answer, changes) = self.read(work)?;
        match fault {
            // The host that lost its answer does not hear of the change either.
            Some(_) => Err(lost().into()),
            None => {
                for change in changes {
                    // Nobody listening is fine: `Store::ready` sees it.
                    let _ = self.changes.send(change);
                }
                Ok(answer)
            }
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn start_instance(&self, new: NewInstance) -> Result<Started, StartError> {
        self.write("record the new instance", |rows| rows.start(new))
    }

    async fn append(&self, append: Append) -> Result<(), AppendError> {
        let check_fence = !self.faults.ignores_fence();
        let append = Append { taken: if self.faults.keeps_messages() { Vec::new() } else { append.taken }, ..append };
        self.write("append to the history", |rows| Ok(((), rows.append(append, check_fence)?)))
    }

    async fn history(&self, instance: &InstanceId, revision: u64) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.read(|rows| rows.history(instance, revision)))
    }

    async fn snapshot(&self, instance: &InstanceId) -> Result<Option<KeptState>, StoreError> {
        Ok(self.read(|rows| rows.get(instance).and_then(|instance| instance.snapshot.clone())))
    }

    async fn instance(&self, instance: &InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        Ok(self.read(|rows| rows.get(instance).map(|instance| instance.row.clone())))
    }

    async fn instances(&self, filter: InstanceFilter) -> Result<Vec<InstanceRow>, StoreError> {
        Ok(self.read(|rows| rows.list(&filter)))
    }

    async fn definition(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        Ok(self.read(|rows| rows.definitions.get(digest).cloned()))
    }

    async fn definition_named(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.read(|rows| rows.definition_named(name)))
    }

    async fn attempts(&self, instance: &InstanceId) -> Result<Vec<AttemptRow>, StoreError> {
        Ok(self.read(|rows| {
            let attempts = rows.get(instance).map(|instance| instance.attempts.values().cloned().collect());
            attempts.unwrap_or_default()
        }))
    }

    async fn claim_shards(&self, host: &HostId, now: Timestamp, lease_ms: u64) -> Result<Vec<Lease>, StoreError> {
        let until = now.saturating_add(Duration::from_millis(lease_ms)).expect("a duration has no units to refuse");
        self.write("claim shards", |rows| Ok((rows.claim(host, now, until), Vec::new())))
    }

    async fn release_shards(&self, host: &HostId) -> Result<(), StoreError> {
        self.write("release shards", |rows| {
            rows.release(host);
            Ok(((), Vec::new()))
        })
    }

    async fn ready(&self, shards: &[u32], now: Timestamp) -> Result<Vec<InstanceId>, StoreError> {
        Ok(self.read(|rows| rows.ready(shards, now)))
    }

    async fn next_wake(&self, shards: &[u32], now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read(|rows| rows.next_wake(shards, now)))
    }

    async fn send(&self, instance: &InstanceId, message: Message) -> Result<(), StoreError> {
        self.write("leave a message", |rows| Ok(((), vec![rows.send(instance, message)?])))
    }

    async fn dismiss(
        &self,
        instance: &InstanceId,
        expected_revision: u64,
        lease: Lease,
        messages: Vec<i64>,
    ) -> Result<(), AppendError> {
        let check_fence = !self.faults.ignores_fence();
        self.write("remove messages", |rows| {
            rows.dismiss(instance, expected_revision, lease, &messages, check_fence)?;
            Ok(((), Vec::new()))
        })
    }

    async fn inbox(&self, instance: &InstanceId) -> Result<Vec<InboxItem>, StoreError> {
        Ok(self.read(|rows| rows.get(instance).map(|instance| instance.inbox.clone()).unwrap_or_default()))
    }

    async fn publish(&self, event: CloudEvent, by: Actor, at: Timestamp) -> Result<Published, PublishError> {
        let lose = self.faults.loses_deliveries();
        self.write("record the event", |rows| rows.publish(event, by, at, None, lose))
    }

    async fn cloud_events(&self, after: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.read(|rows| rows.cloud_events(after, limit)))
    }

    async fn listeners(&self, instance: &InstanceId) -> Result<Vec<Listener>, StoreError> {
        Ok(self.read(|rows| rows.get(instance).map(|instance| instance.listeners.clone()).unwrap_or_default()))
    }

    async fn schedule(&self, definition: &Digest, trigger: Trigger, now: Timestamp) -> Result<ScheduleRow, StoreError> {
        self.write("read a schedule", |rows| Ok((rows.schedule(definition, trigger, now), Vec::new())))
    }

    async fn keep_schedule(&self, row: ScheduleRow) -> Result<(), StoreError> {
        self.write("keep a schedule", |rows| {
            rows.keep_schedule(row);
            Ok(((), Vec::new()))
        })
    }

    async fn human_tasks(&self, instance: Option<&InstanceId>, open: bool) -> Result<Vec<HumanTask>, StoreError> {
        Ok(self.read(|rows| rows.human_tasks(instance, open)))
    }

    async fn human_task(&self, id: &str) -> Result<Option<HumanTask>, StoreError> {
        Ok(self.read(|rows| rows.human_task(id).cloned()))
    }

    async fn decide(&self, id: &str, decision: Decision) -> Result<(), DecideError> {
        self.write("record the decision", |rows| Ok(((), vec![rows.decide(id, decision)?])))
    }

    async fn put_artifact(&self, new: NewArtifact, bytes: ArtifactBytes) -> Result<Artifact, StoreError> {
        let bytes = match bytes {
            ArtifactBytes::Memory(bytes) => bytes,
            ArtifactBytes::File(mut file) => state::read_whole(&mut file)?,
        };
        self.write("name the artifact", |rows| Ok((rows.put_artifact(new, bytes)?, Vec::new())))
    }

    async fn artifact(&self, uri: &ArtifactUri) -> Result<Option<ArtifactRow>, StoreError> {
        Ok(self.read(|rows| rows.artifacts.get(uri).cloned()))
    }

    async fn artifacts(&self, instance: &InstanceId) -> Result<Vec<ArtifactRow>, StoreError> {
        Ok(self.read(|rows| rows.artifacts.values().filter(|row| row.instance == *instance).cloned().collect()))
    }

    async fn read_artifact(&self, uri: &ArtifactUri, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        self.read(|rows| rows.read_artifact(uri, offset, length))
    }

    fn artifact_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }

    async fn audit(&self, from: u64, limit: u32) -> Result<Vec<AuditLeaf>, StoreError> {
        Ok(self.read(|rows| rows.audit(from, limit)))
    }

    async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.read(State::checkpoint))
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
