//! History, attempts, human tasks, artifacts and audit at rest.
//!
//! The history is the truth; every other row is a cache of it that
//! [`rebuild_check`] can prove. One trait, with SQLite behind it and an
//! in-memory store for simulations.
//!
//! > **Invariant:** `Ok` from a method of [`Store`] that writes means that the
//! > rows survive loss of power.

mod artifact_files;
pub mod audit;
mod contract;
mod derive;
mod errors;
mod kept_bytes;
#[cfg(feature = "simulation")]
mod memory;
mod rebuild;
mod rows;
mod runs;
mod sqlite;

pub use audit::{AuditLeaf, Checkpoint};
pub use contract::{SharedStore, Store};
pub use errors::{AppendError, DecideError, OpenError, PublishError, StartError, StoreError};
pub use kept_bytes::{KeptBytes, check_kept_bytes};
#[cfg(feature = "simulation")]
pub use memory::{CommitFault, MemoryFaults, MemoryStore};
pub use rebuild::{Difference, Project, RebuildProblem, Rebuilt, rebuild, rebuild_check};
pub use rows::{
    Alongside, Append, ArtifactBytes, ArtifactRow, AttemptOutcome, AttemptRow, Change, EffectKind, HostId, HumanTask,
    InboxItem, InstanceFilter, InstanceRow, KeptState, Lease, Message, NewArtifact, NewInstance, Phase, Projection,
    Published, SHARDS, ScheduleRow, Started, StoredEvent, human_task_id, shard_of,
};
pub use runs::{Runs, runs_of};
pub use sqlite::{SqliteOptions, SqliteStore, Statistics};
