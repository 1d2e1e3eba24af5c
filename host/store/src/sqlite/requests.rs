//! What callers hand to the writer, prepared as far as possible on their side.

use std::sync::Arc;

use tokio::sync::oneshot;
use workflow::approval::canonical;
use workflow::command::Artifact;
use workflow::engine::Listener;
use workflow::event::Decision;
use workflow::schedule::Trigger;
use workflow::{Actor, CloudEvent, Digest, InstanceId, Recorded, Timestamp};

use super::text::time_text;
use crate::derive::{Derived, derive};
use crate::errors::{AppendError, DecideError, PublishError, StartError, StoreError};
use crate::rows::{
    Alongside, Append, HostId, Lease, Message, NewArtifact, NewInstance, Phase, Projection, Published, ScheduleRow,
    Started,
};

/// One request: what to do, what came of it, and who waits for that.
pub(super) struct Job<W, R> {
    pub what: W,
    /// Set when the job has been carried out; sent after the commit.
    pub answer: Option<R>,
    reply: oneshot::Sender<R>,
}

impl<W, R> Job<W, R> {
    pub(super) fn new(what: W, reply: oneshot::Sender<R>) -> Self {
        Self { what, answer: None, reply }
    }

    fn settle(self) {
        let answer = self.answer.expect("a committed batch has carried out every job");
        // A caller that was cancelled does not wait any more; its write stands.
        let _ = self.reply.send(answer);
    }

    fn settle_with(self, answer: R) {
        let _ = self.reply.send(answer);
    }
}

pub(super) enum Request {
    Start(Box<Job<StartJob, Result<Started, StartError>>>),
    Append(Job<AppendJob, Result<(), AppendError>>),
    ClaimShards(Job<ClaimJob, Result<Vec<Lease>, StoreError>>),
    ReleaseShards(Job<HostId, Result<(), StoreError>>),
    Send(Job<(InstanceId, Message), Result<(), StoreError>>),
    Decide(Job<(String, Decision), Result<(), DecideError>>),
    NameArtifact(Job<NameJob, Result<(), StoreError>>),
    Dismiss(Job<DismissJob, Result<(), AppendError>>),
    Publish(Job<PublishJob, Result<Published, PublishError>>),
    Schedule(Job<(Digest, Trigger, Timestamp), Result<ScheduleRow, StoreError>>),
    KeepSchedule(Job<ScheduleRow, Result<(), StoreError>>),
}

impl Request {
    /// Gives every waiter its answer; the transaction is committed.
    pub(super) fn settle(self) {
        match self {
            Request::Start(job) => job.settle(),
            Request::Append(job) => job.settle(),
            Request::ClaimShards(job) => job.settle(),
            Request::ReleaseShards(job) => job.settle(),
            Request::Send(job) => job.settle(),
            Request::Decide(job) => job.settle(),
            Request::NameArtifact(job) => job.settle(),
            Request::Dismiss(job) => job.settle(),
            Request::Publish(job) => job.settle(),
            Request::Schedule(job) => job.settle(),
            Request::KeepSchedule(job) => job.settle(),
        }
    }

    /// Gives every waiter the error that rolled the transaction back.
    pub(super) fn fail(self, error: &SharedError) {
        let failed = |doing| StoreError::Database { doing, source: Box::new(error.clone()) };
        match self {
            Request::Start(job) => job.settle_with(Err(failed("record the new instance").into())),
            Request::Append(job) => job.settle_with(Err(failed("append to the history").into())),
            Request::ClaimShards(job) => job.settle_with(Err(failed("claim shards"))),
            Request::ReleaseShards(job) => job.settle_with(Err(failed("release shards"))),
            Request::Send(job) => job.settle_with(Err(failed("leave a message"))),
            Request::Decide(job) => job.settle_with(Err(failed("record the decision").into())),
            Request::NameArtifact(job) => job.settle_with(Err(failed("name the artifact"))),
            Request::Dismiss(job) => job.settle_with(Err(failed("remove messages").into())),
            Request::Publish(job) => job.settle_with(Err(failed("record the event").into())),
            Request::Schedule(job) => job.settle_with(Err(failed("read a schedule"))),
            Request::KeepSchedule(job) => job.settle_with(Err(failed("keep a schedule"))),
        }
    }

    /// Forgets what a transaction that was rolled back answered.
    pub(super) fn reset(&mut self) {
        match self {
            Request::Start(job) => job.answer = None,
            Request::Append(job) => job.answer = None,
            Request::ClaimShards(job) => job.answer = None,
            Request::ReleaseShards(job) => job.answer = None,
            Request::Send(job) => job.answer = None,
            Request::Decide(job) => job.answer = None,
            Request::NameArtifact(job) => job.answer = None,
            Request::Dismiss(job) => job.answer = None,
            Request::Publish(job) => job.answer = None,
            Request::Schedule(job) => job.answer = None,
            Request::KeepSchedule(job) => job.answer = None,
        }
    }
}

/// One database error for everybody in the same transaction.
#[derive(Debug, Clone)]
pub(super) struct SharedError(pub Arc<sqlx::Error>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The events of one append or start, serialised by the caller.
pub(super) struct NewEvents {
    pub instance: Arc<str>,
    pub id: InstanceId,
    pub events: Vec<NewEvent>,
    pub derived: Derived,
    /// Who of the instance waits for events from now on, if that changed.
    pub listeners: Option<Vec<Listener>>,
    /// When the last event happened.
    pub last_at: Timestamp,
    /// Where they leave the instance.
    pub phase: Phase,
}

pub(super) struct NewEvent {
    pub revision: u64,
    pub at: Timestamp,
    pub at_text: Arc<str>,
    /// Canonical JSON.
    pub body: Arc<str>,
}

impl NewEvents {
    /// Events follow `expected_revision` without a gap: anything else is a bug of the caller.
    fn new(
        id: InstanceId,
        expected_revision: u64,
        events: &[Recorded],
        phase: Phase,
        listeners: Option<Vec<Listener>>,
    ) -> Self {
        let last_at = events.last().expect("an append has at least one event").at;
        for (event, revision) in events.iter().zip(expected_revision + 1..) {
            assert_eq!(event.revision, revision, "events of `{id}` follow revision {expected_revision}");
        }
        Self {
            instance: id.as_str().into(),
            id,
            events: events.iter().map(new_event).collect(),
            derived: derive(events),
            listeners,
            last_at,
            phase,
        }
    }
}

fn new_event(recorded: &Recorded) -> NewEvent {
    let value = serde_json::to_value(&recorded.event).expect("an event has string keys only");
    NewEvent {
        revision: recorded.revision,
        at: recorded.at,
        at_text: time_text(recorded.at).into(),
        body: canonical(&value).into(),
    }
}

pub(super) struct StartJob {
    pub new: NewInstance,
    pub events: NewEvents,
    pub also: Also,
}

impl StartJob {
    pub(super) fn new(mut new: NewInstance) -> Self {
        let listeners = Some(std::mem::take(&mut new.listeners)).filter(|listeners| !listeners.is_empty());
        let events = NewEvents::new(new.id.clone(), 0, &new.events, new.projection.phase, listeners);
        let also = Also::new(std::mem::take(&mut new.also));
        Self { new, events, also }
    }
}

/// [`Alongside`], prepared.
#[derive(Default)]
pub(super) struct Also {
    pub starts: Vec<StartJob>,
    pub messages: Vec<(InstanceId, Message)>,
}

impl Also {
    fn new(also: Alongside) -> Self {
        Self { starts: also.starts.into_iter().map(StartJob::new).collect(), messages: also.messages }
    }
}

pub(super) struct AppendJob {
    pub expected_revision: u64,
    pub lease: Lease,
    pub events: NewEvents,
    pub projection: Projection,
    pub taken: Vec<i64>,
    pub snapshot: Option<Vec<u8>>,
    pub also: Also,
}

impl AppendJob {
    pub(super) fn new(append: Append) -> Self {
        let Append { instance, expected_revision, lease, events, projection, taken, listeners, snapshot, also } =
            append;
        let events = NewEvents::new(instance, expected_revision, &events, projection.phase, listeners);
        Self { expected_revision, lease, events, projection, taken, snapshot, also: Also::new(also) }
    }

    pub(super) fn revision(&self) -> u64 {
        self.expected_revision + self.events.events.len() as u64
    }
}

pub(super) struct ClaimJob {
    pub host: HostId,
    pub now: Timestamp,
    pub until: Timestamp,
}

pub(super) struct PublishJob {
    pub event: CloudEvent,
    pub by: Actor,
    pub at: Timestamp,
}

pub(super) struct DismissJob {
    pub instance: InstanceId,
    pub expected_revision: u64,
    pub lease: Lease,
    pub messages: Vec<i64>,
}

pub(super) struct NameJob {
    pub new: NewArtifact,
    pub artifact: Artifact,
    pub now: Timestamp,
}
