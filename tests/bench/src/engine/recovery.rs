//! A host starts where another died with very many instances in its hands.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use store::{SqliteOptions, SqliteStore};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use worker::{Act, Attempt, Definitions, Journal};
use workflow::{EffectKey, EffectOutcome, InstanceId};

use super::house::{start, worker};
use super::{payload, w5};
use crate::machine::{Machine, ms};
use crate::report::{Figure, figure, progress};

const INSTANCES: usize = 10_000;
const CLIENTS: usize = 128;

/// Takes every attempt and ends none, until each instance has been seen.
struct Roll {
    seen: Mutex<HashSet<InstanceId>>,
    all: Mutex<Option<oneshot::Sender<()>>>,
}

#[async_trait]
impl Act for Roll {
    async fn act(&self, attempt: Attempt, _: Journal) -> Option<EffectOutcome> {
        let complete = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(attempt.key.instance) && seen.len() == INSTANCES
        };
        if complete && let Some(all) = self.all.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = all.send(());
        }
        std::future::pending().await
    }

    async fn forget(&self, _: &EffectKey) {}

    async fn stop(&self, _: &EffectKey) {}

    async fn close(&self, _: &InstanceId) {}
}

pub async fn measure(machine: &Machine) -> anyhow::Result<Vec<Figure>> {
    progress("recovery of 10,000 open instances");
    let folder = machine.data("recovery");
    let definition = w5()?;
    let store = Arc::new(SqliteStore::open(&folder, SqliteOptions::default()).await?);
    let created = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (store, definition) = (store.clone(), definition.clone());
        clients.spawn(async move {
            for number in (client..INSTANCES).step_by(CLIENTS) {
                start(&store, &definition, InstanceId::new(format!("open-{number}"))?, payload()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let created = created.elapsed();
    drop(store);

    let (all, wait) = oneshot::channel();
    let roll = Arc::new(Roll { seen: Mutex::default(), all: Mutex::new(Some(all)) });
    let started = Instant::now();
    let store = Arc::new(SqliteStore::open(&folder, SqliteOptions::default()).await?);
    let opened = started.elapsed();
    let (stop, stopped) = watch::channel(false);
    let working = tokio::spawn(worker(store, roll.clone(), Arc::new(Definitions::default())).run(stopped));
    wait.await.context("the worker has stopped")?;
    let runnable = started.elapsed();
    stop.send_replace(true);
    working.await??;
    let seen = roll.seen.lock().unwrap_or_else(PoisonError::into_inner).len();
    ensure!(seen == INSTANCES, "{seen} of {INSTANCES} instances were taken up");
    Ok(vec![
        figure("recovery.startsPerSecond", INSTANCES as f64 / created.as_secs_f64(), "per s"),
        figure("recovery.storeOpened", ms(opened), "ms"),
        figure("recovery.allRunnable", ms(runnable), "ms").at_most(1_000.0),
    ])
}
