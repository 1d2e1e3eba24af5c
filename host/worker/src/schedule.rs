//! Which instances this host drives, and when.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use store::{Change, HostId, Lease, Phase, SharedStore, StoreError, shard_of};
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::{debug, error, info, warn};
use workflow::{InstanceId, Timestamp};

use crate::act::Act;
use crate::clock::Clock;
use crate::drive::DriveError;
use crate::run::{Rest, Run};
use crate::{Definitions, Driver};

/// How this host works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// A label that no other process has.
    pub host: HostId,
    /// How long a shard stays ours without a renewal; renewed at a third of it.
    pub lease: Duration,
    /// How often the store is asked for what other processes wrote.
    pub poll: Duration,
    /// Events after which the state of an instance is kept beside its history; a twentieth of the
    /// history if that is more. About as many are read again when it is loaded.
    pub snapshot_events: u64,
}

impl WorkerOptions {
    pub fn new(host: HostId) -> Self {
        // Three missed renewals of 10 s, so that one slow commit does not start a second build.
        Self { host, lease: Duration::from_secs(30), poll: Duration::from_secs(1), snapshot_events: 1_000 }
    }
}

/// The leases this host holds, by shard.
pub(crate) type Leases = HashMap<u32, Lease>;

/// Histories read at once. A host that takes over ten thousand instances must not
/// queue them all before the store's few readers, where the last would time out.
const LOADING_MAX: usize = 64;

/// Drives the instances of the shards it holds.
pub struct Worker {
    pub(crate) store: SharedStore,
    pub(crate) act: Arc<dyn Act>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) clock: Arc<dyn Clock>,
    options: WorkerOptions,
}

/// An instance that is being driven here.
struct Driven {
    messages: mpsc::UnboundedSender<()>,
    stop: tokio::task::AbortHandle,
    shard: u32,
}

impl Worker {
    pub fn new(
        store: SharedStore,
        act: Arc<dyn Act>,
        definitions: Arc<Definitions>,
        clock: Arc<dyn Clock>,
        options: WorkerOptions,
    ) -> Arc<Self> {
        Arc::new(Self { store, act, definitions, clock, options })
    }

    /// Works until `stop` says so, then gives its leases back. Commands that
    /// run then go on by themselves; the next host finds them.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) -> Result<(), StoreError> {
        let mut changes = self.store.changes();
        let (leases, watch_leases) = watch::channel(Leases::new());
        let mut schedule = Schedule {
            worker: self.clone(),
            stop: stop.clone(),
            leases,
            watch_leases,
            driven: HashMap::new(),
            runs: JoinSet::new(),
            loading: Arc::new(Semaphore::new(LOADING_MAX)),
        };
        schedule.renew().await?;
        let mut renewal = tokio::time::interval(self.options.lease / 3);
        renewal.reset();
        // Its own clock: a host that is always busy still sees what other processes wrote.
        let mut poll = tokio::time::interval(self.options.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll.reset();
        let mut wake = schedule.start_ready().await?;
        loop {
            let pause = wake.map(|at| self.until(at));
            // Changes before ends: when an end is seen, what its run appended has been seen too.
            let looked = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                _ = renewal.tick() => schedule.renew().await.map(|()| wake),
                _ = poll.tick() => schedule.start_ready().await,
                change = changes.recv() => match change {
                    Ok(change) => {
                        schedule.follow(change);
                        Ok(wake)
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => schedule.start_ready().await,
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                Some(ended) = schedule.runs.join_next_with_id() => Ok(earlier(wake, schedule.ended(ended))),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => schedule.start_ready().await,
            };
            match looked {
                Ok(next) => wake = next,
                // The leases run out if this lasts, and others go on; until then, try again.
                Err(error) => {
                    error!(error = crate::act::chain(&error), "The store did not answer");
                    tokio::time::sleep(self.options.poll).await;
                }
            }
        }
        // What only waits stops at once; what is final finishes its cleaning.
        let _ = tokio::time::timeout(CLEANING, async { while schedule.runs.join_next().await.is_some() {} }).await;
        schedule.runs.shutdown().await;
        self.store.release_shards(&self.options.host).await
    }

    pub(crate) fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.clock.now())).unwrap_or(Duration::ZERO)
    }
}

/// How long a host that stops waits for final instances to be cleaned up: two
/// commands that need their TERM and KILL.
const CLEANING: Duration = Duration::from_secs(30);

/// An instance whose run ended, with the messages it did not see any more.
type Ended = (InstanceId, mpsc::UnboundedReceiver<()>, Result<Rest, DriveError>);

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Returns when the host is told to stop, or nobody is left who could tell it.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

struct Schedule {
    worker: Arc<Worker>,
    stop: watch::Receiver<bool>,
    leases: watch::Sender<Leases>,
    watch_leases: watch::Receiver<Leases>,
    driven: HashMap<InstanceId, Driven>,
    runs: JoinSet<Ended>,
    loading: Arc<Semaphore>,
}

impl Schedule {
    /// Renews what we hold and takes what is free; stops driving what we lost.
    async fn renew(&mut self) -> Result<(), StoreError> {
        let options = &self.worker.options;
        let lease_ms = u64::try_from(options.lease.as_millis()).unwrap_or(u64::MAX);
        let held = self.worker.store.claim_shards(&options.host, self.worker.clock.now(), lease_ms).await?;
        let held: Leases = held.into_iter().map(|lease| (lease.shard, lease)).collect();
        let lost: HashSet<u32> = {
            let before = self.leases.borrow();
            let same = |lease: &Lease| held.get(&lease.shard).is_some_and(|now| now.fence == lease.fence);
            before.values().filter(|lease| !same(lease)).map(|lease| lease.shard).collect()
        };
        for driven in self.driven.values().filter(|driven| lost.contains(&driven.shard)) {
            driven.stop.abort();
        }
        if !lost.is_empty() {
            warn!(shards = lost.len(), "Lost leases");
        }
        self.leases.send_replace(held);
        Ok(())
    }

    fn shards(&self) -> Vec<u32> {
        self.leases.borrow().keys().copied().collect()
    }

    /// Starts whatever can move now; gives the time of the next timer.
    async fn start_ready(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let shards = self.shards();
        let now = self.worker.clock.now();
        for instance in self.worker.store.ready(&shards, now).await? {
            match self.driven.get(&instance) {
                Some(driven) => drop(driven.messages.send(())),
                None => self.start(instance),
            }
        }
        self.worker.store.next_wake(&shards, now).await
    }

    /// Follows one change that this process wrote. What is driven here appends as
    /// it goes; others concern us if they can move.
    fn follow(&mut self, change: Change) {
        match change {
            Change::Inbox { instance, .. } => match self.driven.get(&instance) {
                Some(driven) => drop(driven.messages.send(())),
                None => self.start(instance),
            },
            Change::Appended { instance, .. } if self.driven.contains_key(&instance) => {}
            Change::Appended { instance, phase, .. } => match phase {
                Phase::Pending | Phase::Running => self.start(instance),
                Phase::Waiting | Phase::Completed | Phase::Faulted | Phase::Cancelled => {}
            },
        }
    }

    fn start(&mut self, instance: InstanceId) {
        let shard = shard_of(&instance);
        if !self.leases.borrow().contains_key(&shard) {
            return;
        }
        let (messages, receiver) = mpsc::unbounded_channel();
        let worker = self.worker.clone();
        let leases = self.watch_leases.clone();
        let stopping = self.stop.clone();
        let id = instance.clone();
        let loading = self.loading.clone();
        let stop = self.runs.spawn(async move {
            let turn = loading.acquire().await;
            let every = worker.options.snapshot_events;
            let loaded = Driver::load(worker.store.clone(), &worker.definitions, &id, every).await;
            drop(turn);
            match loaded {
                Ok(driver) => {
                    let mut run = Run::new(&worker, driver, shard, leases, receiver, stopping);
                    let rest = run.until_rest().await;
                    (id, run.into_messages(), rest)
                }
                Err(error) => (id, receiver, Err(error)),
            }
        });
        self.driven.insert(instance, Driven { messages, stop, shard });
    }

    /// Forgets an instance that came to rest; gives its next timer.
    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) -> Option<Timestamp> {
        let (instance, mut messages, rest) = match ended {
            Ok((_, ended)) => ended,
            Err(panic_or_abort) => {
                // The history is whole: the instance is loaded again at the next poll.
                if panic_or_abort.is_panic() {
                    error!(error = %panic_or_abort, "Driving an instance panicked");
                }
                let id = panic_or_abort.id();
                self.driven.retain(|_, driven| driven.stop.id() != id);
                return None;
            }
        };
        self.driven.remove(&instance);
        match rest {
            Ok(Rest::Final) => info!(instance.id = %instance, "Instance ended"),
            Ok(Rest::Waiting { .. }) if messages.try_recv().is_ok() => self.start(instance),
            Ok(Rest::Waiting { wake_at }) => return wake_at,
            Ok(Rest::Stopped) => {}
            Err(error @ DriveError::Append(_)) => {
                debug!(instance.id = %instance, error = %error, "Stopped driving an instance");
            }
            Err(error) => {
                let chain = crate::act::chain(&error);
                error!(instance.id = %instance, error = chain, "Failed to drive an instance");
            }
        }
        None
    }
}
