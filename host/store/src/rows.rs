//! The values that go into a store and come out of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use workflow::approval;
use workflow::command::Artifact;
use workflow::engine::Listener;
use workflow::event::{Decision, Question};
use workflow::schedule::{Trigger, Windows};
use workflow::{
    Actor, ArtifactUri, CloudEvent, Digest, EffectClass, EffectOutcome, InstanceId, Recorded, TaskPath, Timestamp,
};

use crate::errors::{DecideError, StoreError};

/// Instances are spread over this many shards; a lease and its fence are held
/// per shard, so that starting a step costs no lease write.
pub const SHARDS: u32 = 16;

/// The shard of an instance: the same on every host and in every store.
pub fn shard_of(instance: &InstanceId) -> u32 {
    let sum = Sha256::digest(instance.as_str());
    u32::from_be_bytes([sum[0], sum[1], sum[2], sum[3]]) % SHARDS
}

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
    /// Every phase, in the order of a life.
    pub const ALL: [Phase; 6] =
        [Phase::Pending, Phase::Running, Phase::Waiting, Phase::Completed, Phase::Faulted, Phase::Cancelled];

    /// As stored and as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Pending => "pending",
            Phase::Running => "running",
            Phase::Waiting => "waiting",
            Phase::Completed => "completed",
            Phase::Faulted => "faulted",
            Phase::Cancelled => "cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

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
    /// Nothing new starts until somebody resumes it; `phase` says what its owner has to do all the same.
    pub suspended: bool,
}

/// What is committed together with events, for instances other than their own.
#[derive(Debug, Clone, Default)]
pub struct Alongside {
    /// Children that the events start. One that is there already is left as it is.
    pub starts: Vec<NewInstance>,
    /// An instance that has ended takes none.
    pub messages: Vec<(InstanceId, Message)>,
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
    /// Digest and source of the definitions that it and its children may run; kept, too.
    pub definitions: Vec<(Digest, String)>,
    /// The instance that it is a child of.
    pub parent: Option<InstanceId>,
    /// `InstanceStarted` and whatever the first decision added.
    pub events: Vec<Recorded>,
    pub projection: Projection,
    /// Who of it waits for events.
    pub listeners: Vec<Listener>,
    pub also: Alongside,
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
    /// Who of it waits for events from now on; none if that is as before.
    pub listeners: Option<Vec<Listener>>,
    /// What the instance is after these events, to be kept in place of an older state.
    pub snapshot: Option<Vec<u8>>,
    pub also: Alongside,
}

/// What an instance was at a revision, as its owner wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptState {
    /// Of the last event that is in it.
    pub revision: u64,
    pub state: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
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
    pub suspended: bool,
    /// The instance that it is a child of.
    pub parent: Option<InstanceId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    pub phase: Option<Phase>,
    pub release_id: Option<String>,
    pub releases_only: bool,
    /// Only those that are suspended, or only those that are not.
    pub suspended: Option<bool>,
    /// Only children of this one.
    pub parent: Option<InstanceId>,
    /// Older than this one, in the order of creation.
    pub before: Option<InstanceId>,
    /// At most this many; 0 is all.
    pub limit: u32,
}

/// What an attempt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    Command,
    Plugin,
    /// What plugins would run, for a question.
    Plan,
    Workflow,
    Call,
    Echo,
}

/// What became of an attempt; the details are in its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// A command ended, well or not.
    Command,
    Output,
    Faulted,
    Unknown,
}

/// One try at a task. A task that is entered again by a jump starts its attempt anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRow {
    pub path: TaskPath,
    pub attempt: u32,
    pub effect: EffectKind,
    pub class: EffectClass,
    pub started_at: Timestamp,
    /// None: its outcome is not in the history yet.
    pub completed_at: Option<Timestamp>,
    pub outcome: Option<AttemptOutcome>,
}

/// The id of the human task that asks at `path`.
pub fn human_task_id(instance: &InstanceId, path: &TaskPath) -> String {
    format!("{instance}.{}", &Digest::of(path.as_str().as_bytes()).hex()[..12])
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HumanTask {
    /// `<instance>.<hex of the path's digest, 12 digits>`: stable, and safe in a URL.
    pub id: String,
    pub instance: InstanceId,
    pub release_id: Option<String>,
    pub path: TaskPath,
    pub question: Question,
    pub asked_at: Timestamp,
    /// Left for the owner, or already in the history.
    pub decision: Option<Decision>,
    /// When the history answered it, or ended without an answer.
    pub closed_at: Option<Timestamp>,
}

impl HumanTask {
    /// Whether this decision may be left for the owner: the question is open,
    /// and the decision is on what is asked now.
    pub(crate) fn accepts(&self, decision: &Decision) -> Result<(), DecideError> {
        if let Some(first) = &self.decision {
            let (value, by) = (first.value.clone(), first.decided_by.clone());
            return Err(DecideError::Decided { task: self.id.clone(), value, by });
        }
        if self.closed_at.is_some() {
            return Err(StoreError::NotFound { what: format!("open human task `{}`", self.id) }.into());
        }
        approval::check(&self.question, decision)?;
        Ok(())
    }

    /// A person can still decide it.
    pub fn is_open(&self) -> bool {
        self.decision.is_none() && self.closed_at.is_none()
    }
}

/// What others leave for the host that owns an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Message {
    Decided {
        path: TaskPath,
        decision: Decision,
    },
    Cancel {
        by: Actor,
        reason: String,
    },
    Suspend {
        by: Actor,
        reason: String,
    },
    Resume {
        by: Actor,
        reason: String,
    },
    /// An event for the `listen` at `path` that was registered at that revision.
    Event {
        path: TaskPath,
        registered: u64,
        event: CloudEvent,
    },
    /// A child that is waited for has ended.
    ChildEnded {
        path: TaskPath,
        attempt: u32,
        outcome: Box<EffectOutcome>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct InboxItem {
    pub id: i64,
    pub instance: InstanceId,
    pub message: Message,
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the order of arrival, from 1; a later event has a greater one.
    pub sequence: u64,
    pub event: CloudEvent,
    /// A client, or the instance that emitted it.
    pub sent_by: Actor,
    pub at: Timestamp,
}

/// Where a schedule of a definition stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleRow {
    pub definition: Digest,
    pub trigger: Trigger,
    /// When a host first saw it: `every` counts from here.
    pub first_seen: Timestamp,
    /// The latest due time that was started.
    pub last_due: Option<Timestamp>,
    /// Of `after`: the instance whose end is waited for.
    pub last_instance: Option<InstanceId>,
    /// Of `on`: events up to this place are taken up; those before it was first seen, too.
    pub read: u64,
    pub windows: Windows,
}

/// What became of an event that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    New {
        sequence: u64,
    },
    /// An event with this source and id is here, and it is the same.
    Known {
        sequence: u64,
    },
}

/// Something changed; sent after the commit. Readers look it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `phase` is where the append left the instance.
    Appended {
        instance: InstanceId,
        shard: u32,
        revision: u64,
        phase: Phase,
    },
    Inbox {
        instance: InstanceId,
        shard: u32,
    },
}

#[derive(Debug, Clone)]
pub struct NewArtifact {
    pub uri: ArtifactUri,
    pub instance: InstanceId,
    pub media_type: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactRow {
    #[serde(flatten)]
    pub artifact: Artifact,
    pub instance: InstanceId,
    pub media_type: String,
    pub created_at: Timestamp,
}

/// What an artifact is made of.
#[derive(Debug)]
pub enum ArtifactBytes {
    Memory(Vec<u8>),
    /// An opened regular file, read from its start to its end.
    File(std::fs::File),
}
