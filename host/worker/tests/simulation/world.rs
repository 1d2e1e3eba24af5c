//! The world of a simulation: hosts that crash, a clock that jumps, effects that are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use store::{
    Alongside, AppendError, CommitFault, DecideError, InstanceFilter, Lease, MemoryFaults, MemoryStore, Message,
    NewInstance, PublishError, Published, SharedStore, Store, StoreError,
};
use tokio::runtime::Runtime;
use worker::{Definitions, DriveError, Driver, projection};
use workflow::definition::Definition;
use workflow::engine::{self, Instance};
use workflow::event::{Decision, Event};
use workflow::{
    Actor, ArtifactUri, CloudEvent, Command, CommandResult, CommandStatus, Digest, Effect, EffectKey, EffectOutcome,
    InstanceId, Timestamp,
};

use crate::checks;
use crate::definitions::Programs;
use crate::rules::Rules;

/// A mistake that the simulation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    FenceNotChecked,
    EffectBeforeCommit,
    /// A message stays where it was when it is taken up.
    MessageKept,
    /// Some deliveries of events are forgotten.
    DeliveryLost,
}

/// Longer than most jumps of the clock, shorter than some.
const LEASE: Duration = Duration::from_secs(30);
const HOSTS: usize = 3;
const INSTANCES: usize = 2;
/// After these many steps the faults stop, and everything must come to its end.
const HARD_STEPS: usize = 280;
const CALM_STEPS: usize = 4_000;

struct Host {
    name: String,
    leases: BTreeMap<u32, Lease>,
    drivers: BTreeMap<InstanceId, Driver>,
    /// Outcomes that are not recorded yet.
    outcomes: Vec<(EffectKey, EffectOutcome)>,
}

pub struct World {
    random: u64,
    bug: Option<Bug>,
    now: Timestamp,
    store: Arc<MemoryStore>,
    faults: MemoryFaults,
    programs: Arc<Programs>,
    definitions: Definitions,
    hosts: Vec<Host>,
    mains: Vec<InstanceId>,
    watcher: InstanceId,
    /// Number of the next tick.
    tick: u64,
    /// Its answer got lost: it is sent again.
    tick_unsure: bool,
    /// What the world did, by key: asked twice it answers the same and does nothing again.
    effects: BTreeMap<EffectKey, EffectOutcome>,
    /// The highest fence that was handed out, by shard.
    fences: BTreeMap<u32, i64>,
    /// What happens to the next write.
    coming: Option<CommitFault>,
    rules: Rules,
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let faults = store.faults();
        faults.ignore_fence(bug == Some(Bug::FenceNotChecked));
        faults.keep_messages(bug == Some(Bug::MessageKept));
        faults.lose_deliveries(bug == Some(Bug::DeliveryLost));
        let programs = Programs::get();
        let definitions = Definitions::default();
        programs.all().into_iter().for_each(|definition| definitions.insert(definition.clone()));
        let host = |index: usize| Host {
            name: format!("host-{index}"),
            leases: BTreeMap::new(),
            drivers: BTreeMap::new(),
            outcomes: Vec::new(),
        };
        Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            bug,
            now: "2026-06-07T18:00:00Z".parse().expect("a fixed time is valid"),
            store,
            faults,
            programs,
            definitions,
            hosts: (0..HOSTS).map(host).collect(),
            mains: (0..INSTANCES).map(|n| InstanceId::new(format!("i{n}")).expect("a label")).collect(),
            watcher: InstanceId::new("watcher").expect("a label"),
            tick: 1,
            tick_unsure: false,
            effects: BTreeMap::new(),
            fences: BTreeMap::new(),
            coming: None,
            rules: Rules::default(),
        }
    }

    /// Runs the story to its end; `Err` is the first thing that must not be.
    pub fn run(mut self) -> Result<Rules, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        self.story(&runtime)?;
        Ok(self.rules)
    }

    fn story(&mut self, runtime: &Runtime) -> Result<(), String> {
        runtime.block_on(self.start(&self.watcher.clone(), self.programs.watcher.clone()));
        for id in self.mains.clone() {
            runtime.block_on(self.start(&id, self.programs.main.clone()));
        }
        for _ in 0..HARD_STEPS {
            runtime.block_on(self.step(true))?;
        }
        self.faults.clear();
        for _ in 0..CALM_STEPS {
            if runtime.block_on(self.all_final()) {
                let (mains, watcher) = (&self.mains, &self.watcher);
                let check = checks::histories(self.store.as_ref(), &self.programs, mains, watcher, &mut self.rules);
                return runtime.block_on(check);
            }
            runtime.block_on(self.step(false))?;
        }
        Err("without faults it still came to no end".to_owned())
    }

    async fn start(&mut self, id: &InstanceId, definition: Arc<Definition>) {
        let policy = self.programs.policy(&definition);
        let by = Actor::new("simulation").expect("an actor");
        let children = [&self.programs.child, self.programs.detached()];
        let (instance, events) = engine::start(&definition, id.clone(), serde_json::json!({}), by, policy, self.now);
        let new = NewInstance {
            id: id.clone(),
            idempotency_key: None,
            request_digest: Digest::of(id.as_str().as_bytes()),
            release_id: None,
            definition: definition.digest.clone(),
            definition_name: definition.full_name(),
            definition_source: definition.source.clone(),
            definitions: children.map(|child| (child.digest.clone(), child.source.clone())).into(),
            parent: None,
            events,
            projection: projection(&instance),
            listeners: instance.listeners(),
            also: Alongside::default(),
        };
        self.store.start_instance(new).await.expect("an instance starts");
    }

    /// One thing happens.
    async fn step(&mut self, hard: bool) -> Result<(), String> {
        let host = self.pick(HOSTS);
        match self.pick(if hard { 120 } else { 92 }) {
            0..=9 => self.renew(host).await,
            10..=29 => self.take_up_ready(host).await?,
            30..=57 => self.act(host).await?,
            58..=67 => self.take_up_outcome(host).await?,
            68..=73 => self.answer().await,
            74..=79 => {
                let seconds = 1 + self.pick(12) as u64;
                self.now += Duration::from_secs(seconds);
            }
            80..=86 => self.send_tick().await?,
            87..=91 => self.resume().await,
            92..=95 => self.suspend().await,
            96..=101 => self.crash(host),
            102..=109 => self.plan(CommitFault::BeforeCommit),
            110..=116 => self.plan(CommitFault::AfterCommit),
            _ => self.now += LEASE + Duration::from_secs(5),
        }
        Ok(())
    }

    async fn renew(&mut self, host: usize) {
        let lease_ms = u64::try_from(LEASE.as_millis()).expect("it fits");
        let name = self.hosts[host].name.clone();
        let Ok(leases) = self.store.claim_shards(&name, self.now, lease_ms).await else {
            return self.failed_write(host);
        };
        for lease in &leases {
            let highest = self.fences.entry(lease.shard).or_default();
            if lease.fence > *highest {
                self.rules.takeovers += u64::from(*highest > 0);
                *highest = lease.fence;
            }
        }
        self.hosts[host].leases = leases.into_iter().map(|lease| (lease.shard, lease)).collect();
    }

    /// Loads what can move, and takes up what waits in its inbox.
    async fn take_up_ready(&mut self, host: usize) -> Result<(), String> {
        let shards: Vec<u32> = self.hosts[host].leases.keys().copied().collect();
        let Ok(ready) = self.store.ready(&shards, self.now).await else { return Ok(()) };
        let Some(id) = ready.get(self.pick(ready.len().max(1))).cloned() else { return Ok(()) };
        if !self.hosts[host].drivers.contains_key(&id) {
            let driver = self.load(&id).await?;
            self.hosts[host].drivers.insert(id.clone(), driver);
        }
        self.take_up(host, &id, Vec::new()).await
    }

    /// From the state that somebody kept, if that was done; it must be what the whole history gives.
    async fn load(&mut self, id: &InstanceId) -> Result<Driver, String> {
        let store: SharedStore = self.store.clone();
        let snapshot_events = 1 + self.pick(8) as u64;
        self.rules.resumed += u64::from(store.snapshot(id).await.map_err(|error| error.to_string())?.is_some());
        let driver = Driver::load(store.clone(), &self.definitions, id, snapshot_events).await;
        let driver = driver.map_err(|error| error.to_string())?;
        let history = store.history(id, 0).await.map_err(|error| error.to_string())?;
        let folded = Instance::fold(id.clone(), driver.instance().definition().clone(), history);
        if folded.as_ref() != Ok(driver.instance()) {
            return Err(format!("`{id}` was read as {:?}, and its history is {folded:?}", driver.instance()));
        }
        Ok(driver)
    }

    async fn take_up(&mut self, host: usize, id: &InstanceId, incoming: Vec<Event>) -> Result<(), String> {
        let shard = store::shard_of(id);
        let Some(lease) = self.hosts[host].leases.get(&shard).copied() else { return Ok(()) };
        if self.bug == Some(Bug::EffectBeforeCommit) {
            self.act_too_early(host, id, incoming.clone()).await?;
        }
        let Some(driver) = self.hosts[host].drivers.get_mut(id) else { return Ok(()) };
        let before = driver.instance().revision();
        match driver.take_up(lease, incoming, true, self.now).await {
            Ok(()) => {
                let wrote = self.hosts[host].drivers[id].instance().revision() > before;
                if wrote && self.fences.get(&shard).is_some_and(|highest| *highest > lease.fence) {
                    return Err(format!(
                        "{} wrote to `{id}` with the old fence {}",
                        self.hosts[host].name, lease.fence
                    ));
                }
            }
            Err(DriveError::Append(AppendError::LeaseLost { shard })) => {
                self.rules.late_owners_refused += 1;
                self.hosts[host].leases.remove(&shard);
                self.hosts[host].drivers.retain(|id, _| store::shard_of(id) != shard);
            }
            Err(DriveError::Append(AppendError::Conflict { .. })) => drop(self.hosts[host].drivers.remove(id)),
            Err(DriveError::Append(AppendError::Store(_)) | DriveError::Store(_)) => self.failed_write(host),
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    /// Carries out an open attempt of something this host drives.
    async fn act(&mut self, host: usize) -> Result<(), String> {
        let known: BTreeSet<EffectKey> = self.hosts[host].outcomes.iter().map(|(key, _)| key.clone()).collect();
        let open: Vec<(EffectKey, Effect)> = self.hosts[host]
            .drivers
            .values()
            .flat_map(|driver| open_attempts(driver.instance()))
            .filter(|(key, _)| !known.contains(key))
            .collect();
        let Some((key, effect)) = open.get(self.pick(open.len().max(1))).cloned() else { return Ok(()) };
        let outcome = self.carry_out(&key, &effect).await?;
        self.hosts[host].outcomes.push((key, outcome));
        Ok(())
    }

    /// The planted bug: what follows is done before it is committed.
    async fn act_too_early(&mut self, host: usize, id: &InstanceId, incoming: Vec<Event>) -> Result<(), String> {
        let Some(driver) = self.hosts[host].drivers.get(id) else { return Ok(()) };
        let mut instance = driver.instance().clone();
        if instance.advance(incoming, self.now).is_err() {
            return Ok(());
        }
        for (key, effect) in open_attempts(&instance) {
            self.carry_out(&key, &effect).await?;
        }
        Ok(())
    }

    /// The world's side: it may do only what somebody committed to.
    async fn carry_out(&mut self, key: &EffectKey, effect: &Effect) -> Result<EffectOutcome, String> {
        let history = self.store.history(&key.instance, 0).await.map_err(|error| error.to_string())?;
        let intended = history.iter().any(|recorded| {
            matches!(&recorded.event, Event::AttemptStarted { path, attempt, .. }
                if *path == key.path && *attempt == key.attempt)
        });
        if !intended {
            return Err(format!("{key:?} was done, and there is no intent of it in the history"));
        }
        if let Some(outcome) = self.effects.get(key) {
            return Ok(outcome.clone());
        }
        let outcome = match effect {
            Effect::Echo { input } => EffectOutcome::Output { output: input.clone() },
            Effect::Command { command, .. } => {
                EffectOutcome::Command { result: Box::new(listed(key, command, self.now)) }
            }
            Effect::Call { .. } => EffectOutcome::Output { output: serde_json::json!({ "put": true }) },
            Effect::Plugin { .. } | Effect::Plan { .. } | Effect::Workflow { .. } => {
                return Err(format!("{key:?} is nothing to carry out"));
            }
        };
        self.effects.insert(key.clone(), outcome.clone());
        self.rules.effects += 1;
        Ok(outcome)
    }

    async fn take_up_outcome(&mut self, host: usize) -> Result<(), String> {
        let count = self.hosts[host].outcomes.len();
        if count == 0 {
            return Ok(());
        }
        let at = self.pick(count);
        let (key, outcome) = self.hosts[host].outcomes.swap_remove(at);
        let event = Event::AttemptCompleted { path: key.path, attempt: key.attempt, outcome: Box::new(outcome) };
        self.take_up(host, &key.instance, vec![event]).await
    }

    /// Somebody answers an open question.
    async fn answer(&mut self) {
        let Ok(open) = self.store.human_tasks(None, true).await else { return };
        let Some(task) = open.get(self.pick(open.len().max(1))) else { return };
        let decision = Decision {
            value: task.question.options[0].value.clone(),
            decided_by: Actor::new("person").expect("an actor"),
            decided_at: self.now,
            subject_digest: task.question.subject_digest.clone(),
            comment: None,
        };
        match self.store.decide(&task.id, decision).await {
            Ok(()) => self.rules.people_answered += 1,
            Err(DecideError::Store(_)) => self.count_lost_write(),
            Err(DecideError::Refused(_) | DecideError::Decided { .. }) => {}
        }
    }

    /// The outside world sends the next tick, until it knows that it was kept.
    async fn send_tick(&mut self) -> Result<(), String> {
        let event = CloudEvent::new(serde_json::json!({
            "specversion": "1.0", "id": self.tick.to_string(), "source": "/outside", "type": "tick",
        }))
        .map_err(|error| error.to_string())?;
        self.rules.events_sent_again += u64::from(self.tick_unsure);
        match self.store.publish(event, Actor::new("outside").expect("an actor"), self.now).await {
            Ok(Published::New { .. } | Published::Known { .. }) => {
                self.rules.events_sent += 1;
                self.tick += 1;
                self.tick_unsure = false;
                Ok(())
            }
            Err(PublishError::Store(_)) => {
                self.count_lost_write();
                self.tick_unsure = true;
                Ok(())
            }
            Err(error @ PublishError::Differs { .. }) => Err(error.to_string()),
        }
    }

    async fn suspend(&mut self) {
        let at = self.pick(self.mains.len());
        let message = Message::Suspend { by: Actor::new("person").expect("an actor"), reason: "wait".to_owned() };
        if let Err(StoreError::Database { .. }) = self.store.send(&self.mains[at].clone(), message).await {
            self.count_lost_write();
        }
    }

    async fn resume(&mut self) {
        let at = self.pick(self.mains.len());
        let id = self.mains[at].clone();
        if !self.store.instance(&id).await.is_ok_and(|row| row.is_some_and(|row| row.suspended)) {
            return;
        }
        let message = Message::Resume { by: Actor::new("person").expect("an actor"), reason: "go".to_owned() };
        if let Err(StoreError::Database { .. }) = self.store.send(&id, message).await {
            self.count_lost_write();
        }
    }

    /// The process is gone, with all that was in its memory.
    fn crash(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        host.leases.clear();
        host.drivers.clear();
        host.outcomes.clear();
    }

    fn plan(&mut self, fault: CommitFault) {
        self.faults.after(0, fault);
        self.coming = Some(fault);
    }

    fn count_lost_write(&mut self) {
        match self.coming.take() {
            Some(CommitFault::BeforeCommit) => self.rules.crashes_before_commit += 1,
            Some(CommitFault::AfterCommit) => self.rules.crashes_after_commit += 1,
            None => {}
        }
    }

    /// Nobody knows whether it was written: what is in memory is worth nothing.
    fn failed_write(&mut self, host: usize) {
        self.count_lost_write();
        self.hosts[host].drivers.clear();
        self.hosts[host].outcomes.clear();
    }

    async fn all_final(&self) -> bool {
        let all = self.store.instances(InstanceFilter::default()).await;
        all.is_ok_and(|rows| rows.iter().all(|row| row.phase.is_final()))
    }

    /// A number below `bound`: xorshift, so that a seed is a story.
    fn pick(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % bound as u64).expect("it is below a usize")
    }
}

/// What a command of this world does: it prints one word.
fn listed(key: &EffectKey, command: &Command, now: Timestamp) -> CommandResult {
    let stream = |name: &str| {
        ArtifactUri::new(format!("artifact://{}/{}/{name}.log", key.instance, key.attempt)).expect("a reference")
    };
    CommandResult {
        task_name: "listed".to_owned(),
        task_path: key.path.clone(),
        attempt: key.attempt,
        command: command.line(),
        exit_code: Some(0),
        status: CommandStatus::Succeeded,
        started_at: now,
        completed_at: now,
        duration_ms: 0,
        stdout_ref: stream("stdout"),
        stderr_ref: stream("stderr"),
        summary: "it ended".to_owned(),
        changed_files: Vec::new(),
        artifacts: Vec::new(),
        egress: Vec::new(),
        sandbox_digest: Digest::of(b"simulated"),
        stdout_excerpt: "listed".to_owned(),
        stderr_excerpt: String::new(),
    }
}

fn open_attempts(instance: &Instance) -> Vec<(EffectKey, Effect)> {
    instance
        .open_attempts()
        .map(|open| {
            let key = EffectKey {
                instance: instance.id().clone(),
                path: open.path.clone(),
                attempt: open.attempt,
                sequence: 0,
            };
            (key, open.effect.clone())
        })
        .collect()
}
