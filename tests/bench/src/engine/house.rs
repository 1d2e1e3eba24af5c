//! A store and a worker in this process, and effects that answer at once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use serde_json::Value;
use store::{
    Alongside, InstanceFilter, NewInstance, Phase, SharedStore, SqliteOptions, SqliteStore, Statistics, Store as _,
};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use worker::{Act, Attempt, Definitions, Driver, Journal, SystemClock, Worker, WorkerOptions};
use workflow::capability::EffectivePolicy;
use workflow::definition::Definition;
use workflow::{Actor, Digest, Effect, EffectKey, EffectOutcome, InstanceId, Timestamp, engine};

/// Answers effects with their input, and tells who waits that an instance has ended.
#[derive(Default)]
pub struct Echo {
    effects: AtomicU64,
    waiting: Mutex<HashMap<InstanceId, oneshot::Sender<()>>>,
}

impl Echo {
    fn waiting(&self) -> MutexGuard<'_, HashMap<InstanceId, oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Act for Echo {
    async fn act(&self, attempt: Attempt, _: Journal) -> Option<EffectOutcome> {
        self.effects.fetch_add(1, Ordering::Relaxed);
        match attempt.effect {
            Effect::Echo { input } => Some(EffectOutcome::Output { output: input }),
            Effect::Command { .. }
            | Effect::Plugin { .. }
            | Effect::Plan { .. }
            | Effect::Call { .. }
            | Effect::Workflow { .. } => {
                unreachable!("a benchmark's definition only echoes")
            }
        }
    }

    async fn forget(&self, _: &EffectKey) {}

    async fn stop(&self, _: &EffectKey) {}

    async fn close(&self, instance: &InstanceId) {
        if let Some(waiting) = self.waiting().remove(instance) {
            let _ = waiting.send(());
        }
    }
}

/// A host without an API, sandboxes and plugins.
pub struct House {
    store: Arc<SqliteStore>,
    echo: Arc<Echo>,
    definitions: Arc<Definitions>,
    next: AtomicU64,
    stop: watch::Sender<bool>,
    working: JoinHandle<Result<(), store::StoreError>>,
}

impl House {
    pub async fn open(folder: &Path) -> anyhow::Result<Self> {
        let store = Arc::new(SqliteStore::open(folder, SqliteOptions::default()).await?);
        let (echo, definitions) = (Arc::new(Echo::default()), Arc::new(Definitions::default()));
        let (stop, stopped) = watch::channel(false);
        let worker = worker(store.clone(), echo.clone(), definitions.clone());
        let working = tokio::spawn(worker.run(stopped));
        Ok(Self { store, echo, definitions, next: AtomicU64::new(0), stop, working })
    }

    pub fn store(&self) -> &SqliteStore {
        &self.store
    }

    pub fn statistics(&self) -> Statistics {
        self.store.statistics()
    }

    pub fn effects(&self) -> u64 {
        self.echo.effects.load(Ordering::Relaxed)
    }

    /// Runs one instance from its start to its recorded end.
    pub async fn run(&self, definition: &Arc<Definition>, input: Value) -> anyhow::Result<InstanceId> {
        let id = InstanceId::new(format!("i{}", self.next.fetch_add(1, Ordering::Relaxed)))?;
        let (ended, wait) = oneshot::channel();
        self.echo.waiting().insert(id.clone(), ended);
        self.definitions.insert(definition.clone());
        if start(self.store.as_ref(), definition, id.clone(), input).await?.is_final() {
            self.echo.waiting().remove(&id);
        } else {
            wait.await.context("the worker has stopped")?;
        }
        Ok(id)
    }

    /// Loads an instance as a worker of another host would.
    pub async fn load(&self, id: &InstanceId) -> anyhow::Result<Driver> {
        let every = WorkerOptions::new("bench".to_owned()).snapshot_events;
        Ok(Driver::load(self.store.clone(), &self.definitions, id, every).await?)
    }

    /// Stops the worker; gives the number of instances in the store if all of them completed.
    pub async fn close(self) -> anyhow::Result<u64> {
        self.stop.send_replace(true);
        self.working.await??;
        let completed = InstanceFilter { phase: Some(Phase::Completed), ..InstanceFilter::default() };
        let completed = self.store.instances(completed).await?.len() as u64;
        let all = self.store.instances(InstanceFilter::default()).await?.len() as u64;
        ensure!(completed == all, "{completed} of {all} instances completed");
        Ok(all)
    }
}

pub fn worker(store: SharedStore, act: Arc<dyn Act>, definitions: Arc<Definitions>) -> Arc<Worker> {
    Worker::new(store, act, definitions, Arc::new(SystemClock), WorkerOptions::new("bench".to_owned()))
}

/// Commits the start of an instance, first intent included. Without an effect it ends with that: no worker sees it.
pub async fn start(
    store: &SqliteStore,
    definition: &Arc<Definition>,
    id: InstanceId,
    input: Value,
) -> anyhow::Result<engine::Phase> {
    let by = Actor::new("bench")?;
    let policy = EffectivePolicy { echo: true, ..EffectivePolicy::default() };
    let (instance, events) = engine::start(definition, id.clone(), input, by, policy, Timestamp::now());
    let new = NewInstance {
        idempotency_key: None,
        request_digest: Digest::of(id.as_str().as_bytes()),
        id,
        release_id: None,
        definition: definition.digest.clone(),
        definition_name: definition.full_name(),
        definition_source: definition.source.clone(),
        definitions: Vec::new(),
        parent: None,
        events,
        projection: worker::projection(&instance),
        listeners: instance.listeners(),
        also: Alongside::default(),
    };
    store.start_instance(new).await?;
    Ok(instance.phase())
}
