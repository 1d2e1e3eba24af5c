//! History, attempts, human tasks, artifacts and audit at rest.
//!
//! The history is the truth; every other row is a cache of it. One trait, with
//! SQLite behind it and an in-memory store for simulations.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;
use workflow::command::Artifact;
use workflow::event::{Decision, Question};
use workflow::{Actor, ArtifactUri, Digest, InstanceId, Recorded, TaskPath, Timestamp};

/// Instances are spread over this many shards; a lease and its fence are held
/// per shard, so that starting a step costs no lease write.
pub const SHARDS: u32 = 16;

/// One running host process: a label that no other process has.
pub type HostId = String;

/// The right to append to the instances of one shard, until it expires.
///
/// The store refuses an append whose fence is not the shard's current one, so
/// an owner that is late cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub shard: u32,
    pub fence: i64,
    pub until: Timestamp,
}

/// Where an instance stands, as the fold of its history says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Pending,
    Running,
    /// Only a timer or a person can move it.
    Waiting,
    Completed,
    Faulted,
    Cancelled,
}

impl Phase {
    pub fn is_final(self) -> bool {
        match self {
            Phase::Pending | Phase::Running | Phase::Waiting => false,
            Phase::Completed | Phase::Faulted | Phase::Cancelled => true,
        }
    }
}

/// The cached fold that queries need; written with each append.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    pub phase: Phase,
    /// The earliest timer, if any.
    pub wake_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct NewInstance {
    pub id: InstanceId,
    /// The same key again answers with the instance it made first.
    pub idempotency_key: Option<String>,
    /// Digest of what was asked: the same key with another digest is a conflict.
    pub request_digest: Digest,
    /// For releases: unique among instances that are not final.
    pub release_id: Option<String>,
    pub definition: Digest,
    pub definition_name: String,
    /// The definition's source text; kept by digest.
    pub definition_source: String,
    /// `InstanceStarted` and whatever the first decision added.
    pub events: Vec<Recorded>,
    pub projection: Projection,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    New,
    /// The idempotency key was used before for the same request.
    Existing(InstanceId),
}

/// Events of one instance that are committed together, or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    pub instance: InstanceId,
    /// The revision that the events follow.
    pub expected_revision: u64,
    pub lease: Lease,
    /// Consecutive from `expected_revision + 1`.
    pub events: Vec<Recorded>,
    pub projection: Projection,
    /// Inbox items that these events take up.
    pub taken: Vec<i64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRow {
    pub id: InstanceId,
    pub release_id: Option<String>,
    pub definition: Digest,
    pub definition_name: String,
    pub phase: Phase,
    pub revision: u64,
    pub shard: u32,
    pub wake_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    pub phase: Option<Phase>,
    pub release_id: Option<String>,
    pub releases_only: bool,
    /// Older than this one, in the order of creation.
    pub before: Option<InstanceId>,
    pub limit: u32,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HumanTask {
    /// `<instance>.<hex of the path's digest, 12 digits>`: stable, and safe in a URL.
    pub id: String,
    pub instance: InstanceId,
    pub release_id: Option<String>,
    pub path: TaskPath,
    pub question: Question,
    pub asked_at: Timestamp,
    pub decision: Option<Decision>,
}

/// What others leave for the host that owns an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Message {
    Decided { path: TaskPath, decision: Decision },
    Cancel { by: Actor, reason: String },
}

#[derive(Debug, Clone)]
pub struct InboxItem {
    pub id: i64,
    pub instance: InstanceId,
    pub message: Message,
}

/// Something changed; sent after the commit. Readers look it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Appended { instance: InstanceId, shard: u32, revision: u64 },
    Inbox { instance: InstanceId, shard: u32 },
}

#[derive(Debug, Clone)]
pub struct NewArtifact {
    pub uri: ArtifactUri,
    pub instance: InstanceId,
    pub media_type: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactRow {
    #[serde(flatten)]
    pub artifact: Artifact,
    pub instance: InstanceId,
    pub media_type: String,
    pub created_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to {doing}")]
    Database { doing: &'static str, #[source] source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the store holds {what} that it cannot read back")]
    Corrupt { what: String },
    #[error("there is no {what}")]
    NotFound { what: String },
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The same idempotency key came with another request.
    #[error("idempotency key `{key}` was used for another request")]
    KeyReused { key: String },
    #[error("release `{release}` is already running as instance `{instance}`")]
    ReleaseRunning { release: String, instance: InstanceId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another host owns the shard now: stop working on it.
    #[error("the lease on shard {shard} is no longer ours")]
    LeaseLost { shard: u32 },
    /// The history went on without us: load it again.
    #[error("instance `{instance}` is not at revision {expected} any more")]
    Conflict { instance: InstanceId, expected: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error(transparent)]
    Refused(#[from] workflow::approval::RefusedDecision),
    #[error("human task `{task}` was decided already: `{value}` by {by}")]
    Decided { task: String, value: String, by: Actor },
    #[error(transparent)]
    Store(#[from] StoreError),
}

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
    async fn instance(&self, instance: &InstanceId) -> Result<Option<InstanceRow>, StoreError>;
    /// Newest first.
    async fn instances(&self, filter: InstanceFilter) -> Result<Vec<InstanceRow>, StoreError>;
    async fn definition(&self, digest: &Digest) -> Result<Option<String>, StoreError>;

    /// Renews the shards `host` owns and claims all that are free or expired;
    /// gives every lease it holds now. A claim raises the shard's fence.
    async fn claim_shards(&self, host: &HostId, now: Timestamp, lease_ms: u64) -> Result<Vec<Lease>, StoreError>;
    async fn release_shards(&self, host: &HostId) -> Result<(), StoreError>;
    /// Instances in these shards that are running, have a message, or whose timer is due.
    async fn ready(&self, shards: &[u32], now: Timestamp) -> Result<Vec<InstanceId>, StoreError>;
    /// The earliest timer of instances in these shards that is still to come.
    async fn next_wake(&self, shards: &[u32], now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    async fn send(&self, instance: &InstanceId, message: Message) -> Result<(), StoreError>;
    async fn inbox(&self, instance: &InstanceId) -> Result<Vec<InboxItem>, StoreError>;

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

/// What an artifact is made of.
#[derive(Debug)]
pub enum ArtifactBytes {
    Memory(Vec<u8>),
    /// An opened regular file, read from its start to its end.
    File(std::fs::File),
}

/// One event in the log of the whole store, linked to the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLeaf {
    /// From 0, without gaps.
    pub index: u64,
    pub instance: InstanceId,
    pub revision: u64,
    pub at: Timestamp,
    pub event: Value,
    /// Hash of this leaf: SHA-256 over the previous hash and this leaf's canonical JSON.
    pub hash: String,
}

/// The log's length and last hash, signed by the store's own key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// Number of leaves.
    pub size: u64,
    pub hash: String,
    /// Hex of the Ed25519 public key.
    pub key: String,
    /// Hex of the signature over `light-workflow audit\n<size>\n<hash>\n`.
    pub signature: String,
}
