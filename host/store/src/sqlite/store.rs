//! The contract, over the writer, the readers and the files.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use workflow::command::Artifact;
use workflow::engine::Listener;
use workflow::event::Decision;
use workflow::schedule::Trigger;
use workflow::{Actor, ArtifactUri, CloudEvent, Digest, InstanceId, Recorded, Timestamp};

use super::requests::{AppendJob, ClaimJob, DismissJob, NameJob, PublishJob, Request, StartJob};
use super::{SqliteStore, cloud_events, read};
use crate::audit::{AuditLeaf, Checkpoint};
use crate::contract::Store;
use crate::errors::{AppendError, DecideError, PublishError, StartError, StoreError};
use crate::rows::{
    Append, ArtifactBytes, ArtifactRow, AttemptRow, Change, HostId, HumanTask, InboxItem, InstanceFilter, InstanceRow,
    KeptState, Lease, Message, NewArtifact, NewInstance, Published, ScheduleRow, Started, StoredEvent,
};

#[async_trait]
impl Store for SqliteStore {
    async fn start_instance(&self, new: NewInstance) -> Result<Started, StartError> {
        self.write("record the new instance", StartJob::new(new), |job| Request::Start(Box::new(job))).await
    }

    async fn append(&self, append: Append) -> Result<(), AppendError> {
        self.write("append to the history", AppendJob::new(append), Request::Append).await
    }

    async fn history(&self, instance: &InstanceId, revision: u64) -> Result<Vec<Recorded>, StoreError> {
        read::history(&self.readers, instance, revision).await
    }

    async fn snapshot(&self, instance: &InstanceId) -> Result<Option<KeptState>, StoreError> {
        read::snapshot(&self.readers, instance).await
    }

    async fn instance(&self, instance: &InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        read::instance(&self.readers, instance).await
    }

    async fn instances(&self, filter: InstanceFilter) -> Result<Vec<InstanceRow>, StoreError> {
        read::instances(&self.readers, filter).await
    }

    async fn definition(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        read::definition(&self.readers, digest).await
    }

    async fn definition_named(&self, name: &str) -> Result<Option<String>, StoreError> {
        read::definition_named(&self.readers, name).await
    }

    async fn attempts(&self, instance: &InstanceId) -> Result<Vec<AttemptRow>, StoreError> {
        read::attempts(&self.readers, instance).await
    }

    async fn claim_shards(&self, host: &HostId, now: Timestamp, lease_ms: u64) -> Result<Vec<Lease>, StoreError> {
        let until = now.saturating_add(Duration::from_millis(lease_ms)).expect("a duration has no units to refuse");
        let job = ClaimJob { host: host.clone(), now, until };
        self.write("claim shards", job, Request::ClaimShards).await
    }

    async fn release_shards(&self, host: &HostId) -> Result<(), StoreError> {
        self.write("release shards", host.clone(), Request::ReleaseShards).await
    }

    async fn ready(&self, shards: &[u32], now: Timestamp) -> Result<Vec<InstanceId>, StoreError> {
        read::ready(&self.readers, shards, now).await
    }

    async fn next_wake(&self, shards: &[u32], now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        read::next_wake(&self.readers, shards, now).await
    }

    async fn send(&self, instance: &InstanceId, message: Message) -> Result<(), StoreError> {
        self.write("leave a message", (instance.clone(), message), Request::Send).await
    }

    async fn dismiss(
        &self,
        instance: &InstanceId,
        expected_revision: u64,
        lease: Lease,
        messages: Vec<i64>,
    ) -> Result<(), AppendError> {
        let job = DismissJob { instance: instance.clone(), expected_revision, lease, messages };
        self.write("remove messages", job, Request::Dismiss).await
    }

    async fn inbox(&self, instance: &InstanceId) -> Result<Vec<InboxItem>, StoreError> {
        read::inbox(&self.readers, instance).await
    }

    async fn publish(&self, event: CloudEvent, by: Actor, at: Timestamp) -> Result<Published, PublishError> {
        self.write("record the event", PublishJob { event, by, at }, Request::Publish).await
    }

    async fn cloud_events(&self, after: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        cloud_events::list(&self.readers, after, limit).await
    }

    async fn listeners(&self, instance: &InstanceId) -> Result<Vec<Listener>, StoreError> {
        cloud_events::listeners(&self.readers, instance).await
    }

    async fn schedule(&self, definition: &Digest, trigger: Trigger, now: Timestamp) -> Result<ScheduleRow, StoreError> {
        self.write("read a schedule", (definition.clone(), trigger, now), Request::Schedule).await
    }

    async fn keep_schedule(&self, row: ScheduleRow) -> Result<(), StoreError> {
        self.write("keep a schedule", row, Request::KeepSchedule).await
    }

    async fn human_tasks(&self, instance: Option<&InstanceId>, open: bool) -> Result<Vec<HumanTask>, StoreError> {
        read::human_tasks(&self.readers, instance, open).await
    }

    async fn human_task(&self, id: &str) -> Result<Option<HumanTask>, StoreError> {
        read::human_task_by_id(&self.readers, id).await
    }

    async fn decide(&self, id: &str, decision: Decision) -> Result<(), DecideError> {
        self.write("record the decision", (id.to_owned(), decision), Request::Decide).await
    }

    async fn put_artifact(&self, new: NewArtifact, bytes: ArtifactBytes) -> Result<Artifact, StoreError> {
        let (digest, size_bytes) = self.files.keep(bytes).await?;
        let artifact = Artifact { uri: new.uri.clone(), digest, size_bytes };
        let job = NameJob { new, artifact: artifact.clone(), now: (self.clock)() };
        self.write("name the artifact", job, Request::NameArtifact).await?;
        Ok(artifact)
    }

    async fn artifact(&self, uri: &ArtifactUri) -> Result<Option<ArtifactRow>, StoreError> {
        read::artifact(&self.readers, uri).await
    }

    async fn artifacts(&self, instance: &InstanceId) -> Result<Vec<ArtifactRow>, StoreError> {
        read::artifacts(&self.readers, instance).await
    }

    async fn read_artifact(&self, uri: &ArtifactUri, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        let row =
            self.artifact(uri).await?.ok_or_else(|| StoreError::NotFound { what: format!("artifact `{uri}`") })?;
        self.files.read(row.artifact, offset, length).await
    }

    fn artifact_path(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.files.path(digest))
    }

    async fn audit(&self, from: u64, limit: u32) -> Result<Vec<AuditLeaf>, StoreError> {
        read::audit(&self.readers, from, limit).await
    }

    async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        read::checkpoint(&self.readers).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
