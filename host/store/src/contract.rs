//! The trait that every store fulfils; `tests/conformance` holds it to it.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;
use workflow::command::Artifact;
use workflow::engine::Listener;
use workflow::event::Decision;
use workflow::schedule::Trigger;
use workflow::{Actor, ArtifactUri, CloudEvent, Digest, InstanceId, Recorded, Timestamp};

use crate::audit::{AuditLeaf, Checkpoint};
use crate::errors::{AppendError, DecideError, PublishError, StartError, StoreError};
use crate::rows::{
    Append, ArtifactBytes, ArtifactRow, AttemptRow, Change, HostId, HumanTask, InboxItem, InstanceFilter, InstanceRow,
    KeptState, Lease, Message, NewArtifact, NewInstance, Published, ScheduleRow, Started, StoredEvent,
};

/// Everything that survives a restart.
///
/// A method that returns `Ok` has committed: the rows survive loss of power.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Records a new instance with its first events. Any host may; it carries no fence.
    async fn start_instance(&self, new: NewInstance) -> Result<Started, StartError>;

    /// Adds events to a history, under a lease.
    async fn append(&self, append: Append) -> Result<(), AppendError>;

    /// The events after `revision`, in order.
    async fn history(&self, instance: &InstanceId, revision: u64) -> Result<Vec<Recorded>, StoreError>;
    /// The newest state that was kept; none if its event is not in the log as it was then.
    async fn snapshot(&self, instance: &InstanceId) -> Result<Option<KeptState>, StoreError>;
    async fn instance(&self, instance: &InstanceId) -> Result<Option<InstanceRow>, StoreError>;
    /// Newest first.
    async fn instances(&self, filter: InstanceFilter) -> Result<Vec<InstanceRow>, StoreError>;
    async fn definition(&self, digest: &Digest) -> Result<Option<String>, StoreError>;
    /// The source that the newest instance of `namespace/name:version` runs.
    async fn definition_named(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Every attempt of an instance, by path and number.
    async fn attempts(&self, instance: &InstanceId) -> Result<Vec<AttemptRow>, StoreError>;

    /// Renews the shards `host` owns and claims all that are free or expired;
    /// gives every lease it holds now. A claim raises the shard's fence.
    async fn claim_shards(&self, host: &HostId, now: Timestamp, lease_ms: u64) -> Result<Vec<Lease>, StoreError>;
    async fn release_shards(&self, host: &HostId) -> Result<(), StoreError>;
    /// Instances in these shards that are running, have a message, or whose timer is due.
    async fn ready(&self, shards: &[u32], now: Timestamp) -> Result<Vec<InstanceId>, StoreError>;
    /// The earliest timer of instances in these shards that is still to come.
    async fn next_wake(&self, shards: &[u32], now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Leaves a message for the owner. An instance that has ended takes none: `NotFound`.
    async fn send(&self, instance: &InstanceId, message: Message) -> Result<(), StoreError>;
    /// Removes messages that change nothing at this revision, under the owner's lease.
    async fn dismiss(
        &self,
        instance: &InstanceId,
        expected_revision: u64,
        lease: Lease,
        messages: Vec<i64>,
    ) -> Result<(), AppendError>;
    async fn inbox(&self, instance: &InstanceId) -> Result<Vec<InboxItem>, StoreError>;

    /// Keeps an event and leaves it for everybody who listens, in one commit. The
    /// same event again is no other.
    async fn publish(&self, event: CloudEvent, by: Actor, at: Timestamp) -> Result<Published, PublishError>;
    /// Events after this place in the order of arrival, oldest first.
    async fn cloud_events(&self, after: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;
    /// Who of this instance waits for events, by path.
    async fn listeners(&self, instance: &InstanceId) -> Result<Vec<Listener>, StoreError>;

    /// Where a schedule stands; one that was never seen is from `now` on.
    async fn schedule(&self, definition: &Digest, trigger: Trigger, now: Timestamp) -> Result<ScheduleRow, StoreError>;
    /// Keeps where a schedule stands. What it started must be committed before.
    async fn keep_schedule(&self, row: ScheduleRow) -> Result<(), StoreError>;

    /// `open`: only those without a decision. Oldest first.
    async fn human_tasks(&self, instance: Option<&InstanceId>, open: bool) -> Result<Vec<HumanTask>, StoreError>;
    async fn human_task(&self, id: &str) -> Result<Option<HumanTask>, StoreError>;
    /// Checks the decision against the question and leaves it for the owner. Only the first one counts.
    async fn decide(&self, id: &str, decision: Decision) -> Result<(), DecideError>;

    /// Stores the file by its digest and names it; the bytes are on disk when this returns.
    /// The same reference with the same bytes is a success, with other bytes an error.
    async fn put_artifact(&self, new: NewArtifact, bytes: ArtifactBytes) -> Result<Artifact, StoreError>;
    async fn artifact(&self, uri: &ArtifactUri) -> Result<Option<ArtifactRow>, StoreError>;
    async fn artifacts(&self, instance: &InstanceId) -> Result<Vec<ArtifactRow>, StoreError>;
    /// At most `length` bytes from `offset`.
    async fn read_artifact(&self, uri: &ArtifactUri, offset: u64, length: u64) -> Result<Vec<u8>, StoreError>;
    /// Where the bytes lie, for a sandbox to copy; none for a store without files.
    fn artifact_path(&self, digest: &Digest) -> Option<std::path::PathBuf>;

    /// The hash-linked log, oldest first, from leaf number `from` (0 is the first).
    async fn audit(&self, from: u64, limit: u32) -> Result<Vec<AuditLeaf>, StoreError>;
    /// The newest signed checkpoint; none in an empty store.
    async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError>;

    /// Changes of this process's own writes, after their commit. Other
    /// processes' writes are seen by [`Store::ready`].
    fn changes(&self) -> broadcast::Receiver<Change>;
}

pub type SharedStore = Arc<dyn Store>;
