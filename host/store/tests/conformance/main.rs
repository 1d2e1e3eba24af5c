//! What every store promises, run on each of them.
//!
//! A test is a function over a [`House`]; `on_every_store!` makes one test per
//! store of it. `differential` compares the stores with each other.

mod appending;
mod artifacts;
mod auditing;
mod between;
mod cloud_events;
mod differential;
mod faults;
mod fixtures;
mod leases;
mod listing;
mod people;
mod starting;

use std::sync::Arc;

use store::{MemoryStore, SharedStore, SqliteOptions, SqliteStore};

/// A store and a way to reach its rows as another host would.
pub struct House {
    pub store: SharedStore,
    backend: Backend,
}

enum Backend {
    Memory(Arc<MemoryStore>),
    Sqlite(tempfile::TempDir),
}

impl House {
    pub fn memory() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self { store: store.clone(), backend: Backend::Memory(store) }
    }

    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), SqliteOptions::default()).await.unwrap();
        Self { store: Arc::new(store), backend: Backend::Sqlite(dir) }
    }

    /// Another process's store over the same rows.
    pub async fn another_host(&self) -> SharedStore {
        match &self.backend {
            Backend::Memory(store) => Arc::new(store.another_host()),
            Backend::Sqlite(dir) => Arc::new(SqliteStore::open(dir.path(), SqliteOptions::default()).await.unwrap()),
        }
    }
}

/// Makes a test of each function, once per store.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::House::memory()).await
            })*
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::House::sqlite().await).await
            })*
        }
    };
}
