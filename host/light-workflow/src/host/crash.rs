//! Crash points for the sweep, in builds with debug assertions only.
//!
//! `LIGHT_WORKFLOW_CRASH_AFTER=n` kills this process with SIGKILL when its n-th
//! write to a history is committed, before anybody learns of it: the worst
//! moment there is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use store::{
    Append, AppendError, ArtifactBytes, ArtifactRow, AttemptRow, AuditLeaf, Change, Checkpoint, DecideError, HostId,
    HumanTask, InboxItem, InstanceFilter, InstanceRow, KeptState, Lease, Message, NewArtifact, NewInstance,
    PublishError, Published, ScheduleRow, SharedStore, StartError, Started, Store, StoreError, StoredEvent,
};
use tokio::sync::broadcast;
use worker::WorkerOptions;
use workflow::command::Artifact;
use workflow::engine::Listener;
use workflow::event::Decision;
use workflow::schedule::Trigger;
use workflow::{Actor, ArtifactUri, CloudEvent, Digest, InstanceId, Recorded, Timestamp};

const VARIABLE: &str = "LIGHT_WORKFLOW_CRASH_AFTER";

fn count() -> Option<u64> {
    std::env::var(VARIABLE).ok()?.parse().ok()
}

/// A host that is to die after an odd number of commits keeps the state with each of them: the
/// next one goes on from that, and after an even number from the whole history.
pub fn with_snapshots(options: WorkerOptions) -> WorkerOptions {
    let snapshot_events = if count().is_some_and(|count| count % 2 == 1) { 1 } else { options.snapshot_events };
    WorkerOptions { snapshot_events, ..options }
}

/// `store`, or the same with a crash point when the environment asks for one.
pub fn with_crash_point(store: SharedStore) -> SharedStore {
    match count() {
        Some(count) => std::sync::Arc::new(CrashPoint { store, left: AtomicU64::new(count) }),
        None => store,
    }
}

struct CrashPoint {
    store: SharedStore,
    left: AtomicU64,
}

impl CrashPoint {
    fn committed(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        }
    }
}

#[async_trait]
impl Store for CrashPoint {
    async fn start_instance(&self, new: NewInstance) -> Result<Started, StartError> {
        let started = self.store.start_instance(new).await?;
        self.committed();
        Ok(started)
    }

    async fn append(&self, append: Append) -> Result<(), AppendError> {
        self.store.append(append).await?;
        self.committed();
        Ok(())
    }

    async fn history(&self, instance: &InstanceId, revision: u64) -> Result<Vec<Recorded>, StoreError> {
        self.store.history(instance, revision).await
    }

    async fn snapshot(&self, instance: &InstanceId) -> Result<Option<KeptState>, StoreError> {
        self.store.snapshot(instance).await
    }

    async fn instance(&self, instance: &InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        self.store.instance(instance).await
    }

    async fn instances(&self, filter: InstanceFilter) -> Result<Vec<InstanceRow>, StoreError> {
        self.store.instances(filter).await
    }

    async fn definition(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        self.store.definition(digest).await
    }

    async fn definition_named(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.store.definition_named(name).await
    }

    async fn attempts(&self, instance: &InstanceId) -> Result<Vec<AttemptRow>, StoreError> {
        self.store.attempts(instance).await
    }

    async fn claim_shards(&self, host: &HostId, now: Timestamp, lease_ms: u64) -> Result<Vec<Lease>, StoreError> {
        self.store.claim_shards(host, now, lease_ms).await
    }

    async fn release_shards(&self, host: &HostId) -> Result<(), StoreError> {
        self.store.release_shards(host).await
    }

    async fn ready(&self, shards: &[u32], now: Timestamp) -> Result<Vec<InstanceId>, StoreError> {
        self.store.ready(shards, now).await
    }

    async fn next_wake(&self, shards: &[u32], now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_wake(shards, now).await
    }

    async fn send(&self, instance: &InstanceId, message: Message) -> Result<(), StoreError> {
        self.store.send(instance, message).await
    }

    async fn dismiss(
        &self,
        instance: &InstanceId,
        expected_revision: u64,
        lease: Lease,
        messages: Vec<i64>,
    ) -> Result<(), AppendError> {
        self.store.dismiss(instance, expected_revision, lease, messages).await
    }

    async fn inbox(&self, instance: &InstanceId) -> Result<Vec<InboxItem>, StoreError> {
        self.store.inbox(instance).await
    }

    async fn publish(&self, event: CloudEvent, by: Actor, at: Timestamp) -> Result<Published, PublishError> {
        let published = self.store.publish(event, by, at).await?;
        self.committed();
        Ok(published)
    }

    async fn cloud_events(&self, after: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        self.store.cloud_events(after, limit).await
    }

    async fn listeners(&self, instance: &InstanceId) -> Result<Vec<Listener>, StoreError> {
        self.store.listeners(instance).await
    }

    async fn schedule(&self, definition: &Digest, trigger: Trigger, now: Timestamp) -> Result<ScheduleRow, StoreError> {
        self.store.schedule(definition, trigger, now).await
    }

    async fn keep_schedule(&self, row: ScheduleRow) -> Result<(), StoreError> {
        self.store.keep_schedule(row).await?;
        self.committed();
        Ok(())
    }

    async fn human_tasks(&self, instance: Option<&InstanceId>, open: bool) -> Result<Vec<HumanTask>, StoreError> {
        self.store.human_tasks(instance, open).await
    }

    async fn human_task(&self, id: &str) -> Result<Option<HumanTask>, StoreError> {
        self.store.human_task(id).await
    }

    async fn decide(&self, id: &str, decision: Decision) -> Result<(), DecideError> {
        self.store.decide(id, decision).await
    }

    async fn put_artifact(&self, new: NewArtifact, bytes: ArtifactBytes) -> Result<Artifact, StoreError> {
        self.store.put_artifact(new, bytes).await
    }

    async fn artifact(&self, uri: &ArtifactUri) -> Result<Option<ArtifactRow>, StoreError> {
        self.store.artifact(uri).await
    }

    async fn artifacts(&self, instance: &InstanceId) -> Result<Vec<ArtifactRow>, StoreError> {
        self.store.artifacts(instance).await
    }

    async fn read_artifact(&self, uri: &ArtifactUri, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        self.store.read_artifact(uri, offset, length).await
    }

    fn artifact_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.store.artifact_path(digest)
    }

    async fn audit(&self, from: u64, limit: u32) -> Result<Vec<AuditLeaf>, StoreError> {
        self.store.audit(from, limit).await
    }

    async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.store.checkpoint().await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.store.changes()
    }
}
