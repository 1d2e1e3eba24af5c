//! The rows, and what each call does to them.

use std::collections::BTreeMap;
use std::io::Read as _;

use workflow::approval::canonical;
use workflow::command::Artifact;
use workflow::engine::Listener;
use workflow::event::Decision;
use workflow::schedule::Trigger;
use workflow::{ArtifactUri, Digest, InstanceId, Recorded, TaskPath, Timestamp};

use crate::audit::{AuditKey, AuditLeaf, Checkpoint, ORIGIN, leaf_hash};
use crate::derive::{apply_attempts, apply_human_tasks, derive};
use crate::errors::{AppendError, DecideError, StartError, StoreError};
use crate::rows::{
    Alongside, Append, ArtifactRow, AttemptRow, Change, HostId, HumanTask, InboxItem, InstanceFilter, InstanceRow,
    KeptState, Lease, Message, NewArtifact, NewInstance, SHARDS, ScheduleRow, Started, StoredEvent, shard_of,
};

/// Signs the logs of simulations; no secret.
const KEY_SEED: [u8; 32] = [7; 32];

#[derive(Debug)]
pub(super) struct State {
    /// In the order of creation.
    pub(super) instances: Vec<Instance>,
    by_id: BTreeMap<InstanceId, usize>,
    pub definitions: BTreeMap<Digest, String>,
    shards: Vec<Shard>,
    messages: i64,
    /// Every event of the store: instance and position in its history.
    log: Vec<(usize, usize)>,
    /// Hashes of a first part of the log; made when somebody asks.
    hashes: Vec<String>,
    pub artifacts: BTreeMap<ArtifactUri, ArtifactRow>,
    bytes: BTreeMap<Digest, Vec<u8>>,
    /// In the order of arrival; the first has sequence 1.
    pub(super) events: Vec<StoredEvent>,
    pub(super) schedules: BTreeMap<(Digest, Trigger), ScheduleRow>,
    /// The latest time anybody told us: there is no clock here.
    now: Timestamp,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub row: InstanceRow,
    idempotency_key: Option<String>,
    request_digest: Digest,
    history: Vec<Recorded>,
    pub attempts: BTreeMap<(TaskPath, u32), AttemptRow>,
    human_tasks: BTreeMap<String, HumanTask>,
    pub inbox: Vec<InboxItem>,
    pub listeners: Vec<Listener>,
    pub snapshot: Option<KeptState>,
}

#[derive(Debug, Clone, Default)]
struct Shard {
    owner: Option<HostId>,
    fence: i64,
    until: Option<Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            instances: Vec::new(),
            by_id: BTreeMap::new(),
            definitions: BTreeMap::new(),
            shards: vec![Shard::default(); SHARDS as usize],
            messages: 0,
            log: Vec::new(),
            hashes: Vec::new(),
            artifacts: BTreeMap::new(),
            bytes: BTreeMap::new(),
            events: Vec::new(),
            schedules: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }
}

impl State {
    pub(super) fn get(&self, id: &InstanceId) -> Option<&Instance> {
        self.by_id.get(id).map(|&index| &self.instances[index])
    }

    /// The answer, and what changed.
    pub(super) fn start(&mut self, mut new: NewInstance) -> Result<(Started, Vec<Change>), StartError> {
        assert_consecutive(&new.id, 0, &new.events);
        if let Some(key) = &new.idempotency_key
            && let Some(first) = self.instances.iter().find(|one| one.idempotency_key.as_ref() == Some(key))
        {
            return if first.request_digest == new.request_digest {
                Ok((Started::Existing(first.row.id.clone()), Vec::new()))
            } else {
                Err(StartError::KeyReused { key: key.clone() })
            };
        }
        if let Some(release) = &new.release_id
            && let Some(running) = self
                .instances
                .iter()
                .find(|one| one.row.release_id.as_ref() == Some(release) && !one.row.phase.is_final())
        {
            return Err(StartError::ReleaseRunning { release: release.clone(), instance: running.row.id.clone() });
        }
        if self.by_id.contains_key(&new.id) {
            return Err(StoreError::Exists { what: format!("an instance `{}`", new.id) }.into());
        }
        self.definitions.entry(new.definition.clone()).or_insert(new.definition_source);
        for (digest, source) in new.definitions {
            self.definitions.entry(digest).or_insert(source);
        }
        let also = std::mem::take(&mut new.also);
        let row = InstanceRow {
            id: new.id.clone(),
            release_id: new.release_id,
            definition: new.definition,
            definition_name: new.definition_name,
            phase: new.projection.phase,
            revision: 0,
            shard: shard_of(&new.id),
            wake_at: new.projection.wake_at,
            suspended: new.projection.suspended,
            parent: new.parent,
            created_at: new.events[0].at,
            updated_at: new.events[0].at,
        };
        let index = self.instances.len();
        self.by_id.insert(new.id, index);
        self.instances.push(Instance {
            row,
            idempotency_key: new.idempotency_key,
            request_digest: new.request_digest,
            history: Vec::new(),
            attempts: BTreeMap::new(),
            human_tasks: BTreeMap::new(),
            inbox: Vec::new(),
            listeners: Vec::new(),
            snapshot: None,
        });
        let sent = self.record(index, new.events, Some(new.listeners));
        let mut changes = vec![self.appended(index)];
        changes.extend(sent);
        changes.extend(self.alongside(also));
        Ok((Started::New, changes))
    }

    pub(super) fn append(&mut self, append: Append, check_fence: bool) -> Result<Vec<Change>, AppendError> {
        let Append { instance, expected_revision, lease, events, projection, taken, listeners, snapshot, also } =
            append;
        assert_consecutive(&instance, expected_revision, &events);
        let Some(&index) = self.by_id.get(&instance) else {
            return Err(StoreError::NotFound { what: format!("instance `{instance}`") }.into());
        };
        let row = &self.instances[index].row;
        if check_fence && !self.owns(lease, row.shard) {
            return Err(AppendError::LeaseLost { shard: lease.shard });
        }
        if row.revision != expected_revision {
            return Err(AppendError::Conflict { instance, expected: expected_revision });
        }
        let sent = self.record(index, events, listeners);
        let one = &mut self.instances[index];
        one.row.phase = projection.phase;
        one.row.wake_at = projection.wake_at;
        one.row.suspended = projection.suspended;
        if let Some(state) = snapshot {
            one.snapshot = Some(KeptState { revision: one.row.revision, state });
        }
        let mut changes = vec![self.appended(index)];
        changes.extend(sent);
        changes.extend(self.alongside(also));
        let inbox = &mut self.instances[index].inbox;
        inbox.retain(|item| !taken.contains(&item.id) && !projection.phase.is_final());
        Ok(changes)
    }

    fn owns(&self, lease: Lease, shard_number: u32) -> bool {
        let shard = &self.shards[shard_number as usize];
        shard.fence == lease.fence && shard.owner.is_some() && shard_number == lease.shard
    }

    fn appended(&self, index: usize) -> Change {
        let row = &self.instances[index].row;
        Change::Appended { instance: row.id.clone(), shard: row.shard, revision: row.revision, phase: row.phase }
    }

    /// What other instances get with a commit.
    fn alongside(&mut self, also: Alongside) -> Vec<Change> {
        let mut changes = Vec::new();
        for child in also.starts {
            if let Ok((Started::New, started)) = self.start(child) {
                changes.extend(started);
            }
        }
        for (instance, message) in also.messages {
            changes.extend(self.send(&instance, message).ok());
        }
        changes
    }

    pub(super) fn dismiss(
        &mut self,
        id: &InstanceId,
        expected_revision: u64,
        lease: Lease,
        messages: &[i64],
        check_fence: bool,
    ) -> Result<(), AppendError> {
        if check_fence && !self.owns(lease, shard_of(id)) {
            return Err(AppendError::LeaseLost { shard: lease.shard });
        }
        if let Some(&index) = self.by_id.get(id) {
            if self.instances[index].row.revision != expected_revision {
                return Err(AppendError::Conflict { instance: id.clone(), expected: expected_revision });
            }
            self.instances[index].inbox.retain(|item| !messages.contains(&item.id));
        }
        Ok(())
    }

    pub(super) fn definition_named(&self, name: &str) -> Option<String> {
        let newest = self.instances.iter().rev().find(|one| one.row.definition_name == name)?;
        self.definitions.get(&newest.row.definition).cloned()
    }

    /// Adds events to the history and the log, with the rows that follow from them.
    fn record(&mut self, index: usize, events: Vec<Recorded>, listeners: Option<Vec<Listener>>) -> Vec<Change> {
        let one = &mut self.instances[index];
        let derived = derive(&events);
        let last_at = events.last().expect("an append has at least one event").at;
        apply_attempts(&mut one.attempts, derived.attempts);
        apply_human_tasks(
            &mut one.human_tasks,
            &one.row.id,
            one.row.release_id.as_deref(),
            last_at,
            derived.human_tasks,
        );
        for event in events {
            self.log.push((index, one.history.len()));
            one.history.push(event);
        }
        one.row.revision = one.history.len() as u64;
        one.row.updated_at = last_at;
        if let Some(listeners) = listeners {
            one.listeners = listeners;
        }
        let id = one.row.id.clone();
        self.now = self.now.max(last_at);
        self.emit(&id, derived.emitted, last_at)
    }

    pub(super) fn history(&self, id: &InstanceId, revision: u64) -> Vec<Recorded> {
        let start = usize::try_from(revision).unwrap_or(usize::MAX);
        self.get(id).and_then(|one| one.history.get(start..)).map(<[_]>::to_vec).unwrap_or_default()
    }

    pub(super) fn list(&self, filter: &InstanceFilter) -> Vec<InstanceRow> {
        let older_than = match &filter.before {
            Some(before) => self.by_id.get(before).copied().unwrap_or(0),
            None => self.instances.len(),
        };
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit as usize };
        let fits = |row: &&InstanceRow| {
            filter.phase.is_none_or(|phase| row.phase == phase)
                && filter.release_id.as_ref().is_none_or(|release| row.release_id.as_ref() == Some(release))
                && (!filter.releases_only || row.release_id.is_some())
                && filter.suspended.is_none_or(|suspended| row.suspended == suspended)
                && filter.parent.as_ref().is_none_or(|parent| row.parent.as_ref() == Some(parent))
        };
        self.instances[..older_than].iter().rev().map(|one| &one.row).filter(fits).take(limit).cloned().collect()
    }

    pub(super) fn claim(&mut self, host: &HostId, now: Timestamp, until: Timestamp) -> Vec<Lease> {
        self.now = self.now.max(now);
        let mut leases = Vec::new();
        for (shard, number) in self.shards.iter_mut().zip(0..) {
            let ours = shard.owner.as_ref() == Some(host);
            let free = shard.owner.is_none() || shard.until.is_some_and(|until| until <= now);
            if ours || free {
                shard.fence += i64::from(!ours);
                shard.owner = Some(host.clone());
                shard.until = Some(until);
                leases.push(Lease { shard: number, fence: shard.fence, until });
            }
        }
        leases
    }

    pub(super) fn release(&mut self, host: &HostId) {
        for shard in self.shards.iter_mut().filter(|shard| shard.owner.as_ref() == Some(host)) {
            shard.owner = None;
            shard.until = None;
        }
    }

    pub(super) fn ready(&self, shards: &[u32], now: Timestamp) -> Vec<InstanceId> {
        let ready = self.live(shards).filter(|one| {
            one.row.phase != crate::Phase::Waiting
                || one.row.wake_at.is_some_and(|at| at <= now)
                || !one.inbox.is_empty()
        });
        ready.map(|one| one.row.id.clone()).collect()
    }

    pub(super) fn next_wake(&self, shards: &[u32], now: Timestamp) -> Option<Timestamp> {
        self.live(shards).filter_map(|one| one.row.wake_at).filter(|at| *at > now).min()
    }

    fn live<'a>(&'a self, shards: &'a [u32]) -> impl Iterator<Item = &'a Instance> {
        self.instances.iter().filter(|one| shards.contains(&one.row.shard) && !one.row.phase.is_final())
    }

    pub(super) fn send(&mut self, id: &InstanceId, message: Message) -> Result<Change, StoreError> {
        let one = self.by_id.get(id).map(|&index| &mut self.instances[index]);
        let Some(one) = one.filter(|one| !one.row.phase.is_final()) else {
            return Err(StoreError::NotFound { what: format!("running instance `{id}`") });
        };
        self.messages += 1;
        one.inbox.push(InboxItem { id: self.messages, instance: id.clone(), message });
        Ok(Change::Inbox { instance: id.clone(), shard: one.row.shard })
    }

    pub(super) fn human_tasks(&self, instance: Option<&InstanceId>, open: bool) -> Vec<HumanTask> {
        let all = self.instances.iter().flat_map(|one| one.human_tasks.values());
        let mut tasks: Vec<HumanTask> = all
            .filter(|task| instance.is_none_or(|id| task.instance == *id) && (!open || task.is_open()))
            .cloned()
            .collect();
        tasks.sort_by(|a, b| (a.asked_at, &a.id).cmp(&(b.asked_at, &b.id)));
        tasks
    }

    pub(super) fn human_task(&self, id: &str) -> Option<&HumanTask> {
        self.instances.iter().find_map(|one| one.human_tasks.get(id))
    }

    pub(super) fn decide(&mut self, id: &str, decision: Decision) -> Result<Change, DecideError> {
        let Some(task) = self.human_task(id) else {
            return Err(StoreError::NotFound { what: format!("human task `{id}`") }.into());
        };
        task.accepts(&decision)?;
        let instance = task.instance.clone();
        let message = Message::Decided { path: task.path.clone(), decision: decision.clone() };
        let change = self.send(&instance, message)?;
        let one = &mut self.instances[self.by_id[&instance]];
        let task = one.human_tasks.get_mut(id).expect("the task was found above");
        task.decision = Some(decision);
        Ok(change)
    }

    pub(super) fn put_artifact(&mut self, new: NewArtifact, bytes: Vec<u8>) -> Result<Artifact, StoreError> {
        let artifact = Artifact { uri: new.uri.clone(), digest: Digest::of(&bytes), size_bytes: bytes.len() as u64 };
        if let Some(row) = self.artifacts.get(&new.uri) {
            let stored = row.artifact.digest.clone();
            return if stored == artifact.digest {
                Ok(artifact)
            } else {
                Err(StoreError::ArtifactDiffers { uri: new.uri, stored, offered: artifact.digest })
            };
        }
        if !self.by_id.contains_key(&new.instance) {
            return Err(StoreError::NotFound { what: format!("instance `{}`", new.instance) });
        }
        self.bytes.insert(artifact.digest.clone(), bytes);
        let row = ArtifactRow {
            artifact: artifact.clone(),
            instance: new.instance,
            media_type: new.media_type,
            created_at: self.now,
        };
        self.artifacts.insert(new.uri, row);
        Ok(artifact)
    }

    pub(super) fn read_artifact(&self, uri: &ArtifactUri, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        let missing = || StoreError::NotFound { what: format!("artifact `{uri}`") };
        let bytes = &self.bytes[&self.artifacts.get(uri).ok_or_else(missing)?.artifact.digest];
        let index = |number: u64| usize::try_from(number).map_or(bytes.len(), |index| index.min(bytes.len()));
        Ok(bytes[index(offset)..index(offset.saturating_add(length))].to_vec())
    }

    pub(super) fn audit(&mut self, from: u64, limit: u32) -> Vec<AuditLeaf> {
        self.extend_hashes();
        let leaves = (0..).zip(&self.log).zip(&self.hashes);
        let leaves = leaves.skip(usize::try_from(from).unwrap_or(usize::MAX)).take(limit as usize);
        leaves
            .map(|((index, place), hash)| {
                let (instance, recorded) = self.at(*place);
                let event = serde_json::from_str(&body(recorded)).expect("our own JSON");
                AuditLeaf {
                    index,
                    instance: instance.clone(),
                    revision: recorded.revision,
                    at: recorded.at,
                    event,
                    hash: hash.clone(),
                }
            })
            .collect()
    }

    pub(super) fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.extend_hashes();
        let hash = self.hashes.last()?;
        Some(AuditKey::from_seed(KEY_SEED).checkpoint(self.hashes.len() as u64, hash))
    }

    fn extend_hashes(&mut self) {
        for index in self.hashes.len()..self.log.len() {
            let (instance, recorded) = self.at(self.log[index]);
            let previous = self.hashes.last().map_or(ORIGIN, String::as_str);
            let hash = leaf_hash(previous, index as u64, instance, recorded.revision, recorded.at, &body(recorded));
            self.hashes.push(hash);
        }
    }

    fn at(&self, (instance, position): (usize, usize)) -> (&InstanceId, &Recorded) {
        let one = &self.instances[instance];
        (&one.row.id, &one.history[position])
    }
}

fn body(recorded: &Recorded) -> String {
    canonical(&serde_json::to_value(&recorded.event).expect("an event has string keys only"))
}

fn assert_consecutive(id: &InstanceId, expected_revision: u64, events: &[Recorded]) {
    assert!(!events.is_empty(), "an append has at least one event");
    for (event, revision) in events.iter().zip(expected_revision + 1..) {
        assert_eq!(event.revision, revision, "events of `{id}` follow revision {expected_revision}");
    }
}

pub(super) fn read_whole(file: &mut std::fs::File) -> Result<Vec<u8>, StoreError> {
    let failed = |source: std::io::Error| StoreError::Database { doing: "store an artifact", source: source.into() };
    std::io::Seek::rewind(file).map_err(failed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
