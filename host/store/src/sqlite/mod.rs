//! SQLite: one file, one writer task per process, a small pool of readers.
//!
//! What all instances want to write meets in the writer's queue and shares a
//! transaction (group commit): an fsync costs milliseconds, a row microseconds.
//! Several processes may share a file; each takes the write lock with `begin
//! immediate`, and every append carries its fence in the `where` of its write.

mod append;
mod cloud_events;
mod events;
mod many_rows;
mod messages;
mod names;
mod open;
mod read;
mod requests;
mod schedules;
mod shards;
mod start;
mod statistics;
mod store;
mod text;
mod writer;

use std::path::Path;
use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::{broadcast, mpsc, oneshot};
use workflow::{ArtifactUri, Timestamp};

use crate::artifact_files::ArtifactFiles;
use crate::contract::Store as _;
use crate::errors::{OpenError, StoreError};
use crate::rows::Change;
use requests::{Job, Request};
use statistics::Counters;

pub use statistics::Statistics;

/// Name of the database file in its folder.
pub const DATABASE_FILE: &str = "light-workflow.db";

/// Requests waiting for the writer before senders wait too: two full batches.
const QUEUE: usize = 1_024;

/// Changes a slow reader may fall behind before it is told so: some seconds of full load.
const CHANGES: usize = 16_384;

#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Connections that read; each is a thread that mostly sleeps.
    pub readers: u32,
    /// Names the time of what has no event, such as an artifact's name.
    pub clock: fn() -> Timestamp,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { readers: 4, clock: Timestamp::now }
    }
}

/// A store in one folder: the database, `artifacts/` and `audit.key`.
///
/// Dropping it lets the writer finish what is in its queue.
#[derive(Debug)]
pub struct SqliteStore {
    requests: mpsc::Sender<Request>,
    readers: SqlitePool,
    files: ArtifactFiles,
    changes: broadcast::Sender<Change>,
    counters: Arc<Counters>,
    clock: fn() -> Timestamp,
}

impl SqliteStore {
    /// Opens the store in `dir`, and makes it first if there is none. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// A database of a newer schema, a damaged one, and an audit key that was
    /// exchanged or lies open are refused; see [`OpenError`].
    pub async fn open(dir: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        open::open(dir, options).await
    }

    /// What the writer of this process has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.counters.read()
    }

    /// Reads a stored file from its start to its end and compares its digest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the bytes are not the ones that were stored.
    pub async fn verify_artifact(&self, uri: &ArtifactUri) -> Result<(), StoreError> {
        let row =
            self.artifact(uri).await?.ok_or_else(|| StoreError::NotFound { what: format!("artifact `{uri}`") })?;
        self.files.verify(row.artifact).await
    }

    /// Hands a job to the writer and waits for its commit.
    async fn write<W, A, E>(
        &self,
        doing: &'static str,
        what: W,
        request: fn(Job<W, Result<A, E>>) -> Request,
    ) -> Result<A, E>
    where
        E: From<StoreError>,
    {
        let gone = || StoreError::Database { doing, source: "the writer has stopped".into() };
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(Job::new(what, reply))).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
