//! Why a store has no answer, one enum per operation.

use std::path::PathBuf;

use workflow::{Actor, ArtifactUri, Digest, InstanceId};

/// Why a store could not be opened. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to make the folder `{}`", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to open the database `{}`", path.display())]
    Database {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    /// The file is damaged: restore a copy; nothing here can repair it.
    #[error("the database `{}` is damaged: {finding}", path.display())]
    Damaged { path: PathBuf, finding: String },
    #[error("the database `{}` has schema {found}, and this program knows up to {known}: use a newer light-workflow",
        path.display())]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[error("failed to read or make the audit key `{}`", path.display())]
    Key {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the audit key `{}` is not 64 hex digits", path.display())]
    KeyForm { path: PathBuf },
    #[error("the audit key `{}` can be read by others: `chmod 600` it", path.display())]
    KeyExposed { path: PathBuf },
    /// The log was signed with a key that is not here any more.
    #[error("the audit log was signed with key {signed}, but `{}` holds {found}: put the key back", path.display())]
    KeyChanged { path: PathBuf, signed: String, found: String },
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// For a write: nobody knows whether it was committed. Read before trying again.
    #[error("failed to {doing}")]
    Database {
        doing: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the store holds {what} that it cannot read back")]
    Corrupt { what: String },
    #[error("there is no {what}")]
    NotFound { what: String },
    #[error("there is already {what}")]
    Exists { what: String },
    /// The reference names other bytes since it was first stored.
    #[error("artifact `{uri}` is stored with digest {stored}, which is not {offered}")]
    ArtifactDiffers { uri: ArtifactUri, stored: Digest, offered: Digest },
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
pub enum PublishError {
    /// Source and id name one event for ever.
    #[error("event `{id}` of `{source_uri}` was sent before, and it was another one")]
    Differs { source_uri: String, id: String },
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
