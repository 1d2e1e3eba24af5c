//! The few sentences that tests are made of.

use serde_json::{Value, json};
use store::{Alongside, Append, AppendError, Lease, NewInstance, Phase, Projection, Store, shard_of};
use workflow::approval::subject_digest;
use workflow::capability::EffectivePolicy;
use workflow::event::{Decision, FlowTarget, Question, QuestionOption};
use workflow::{Digest, Effect, EffectOutcome, Event, InstanceId, Recorded, TaskPath, Timestamp};

/// How long a lease lasts in these tests.
pub const LEASE_MS: u64 = 10_000;

/// Seconds after the beginning of the tests' own day.
pub fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-24T10:00:00.25Z".parse().unwrap();
    start + jiff::SignedDuration::from_secs(second)
}

pub fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

pub fn path(task: &str) -> TaskPath {
    TaskPath::root().child("do", 0, task)
}

pub const RUNNING: Projection = Projection { phase: Phase::Running, wake_at: None, suspended: false };
pub const WAITING: Projection = Projection { phase: Phase::Waiting, wake_at: None, suspended: false };
pub const COMPLETED: Projection = Projection { phase: Phase::Completed, wake_at: None, suspended: false };

pub fn waiting_until(second: i64) -> Projection {
    Projection { phase: Phase::Waiting, wake_at: Some(at(second)), suspended: false }
}

pub fn recorded(after: u64, second: i64, events: Vec<Event>) -> Vec<Recorded> {
    let events = events.into_iter().zip(after + 1..);
    events.map(|(event, revision)| Recorded { revision, at: at(second), event }).collect()
}

pub fn instance_started() -> Event {
    Event::InstanceStarted {
        definition: Digest::of(b"document: {}"),
        definition_name: "tests/train:1.0.0".to_owned(),
        input: json!({ "version": "1.2.3", "share": 0.1, "zeta": 1, "alpha": "ä\n\"" }),
        started_by: "cli:alice".parse().unwrap(),
        policy: Box::new(EffectivePolicy::default()),
        parent: None,
    }
}

pub fn new_instance(name: &str) -> NewInstance {
    NewInstance {
        id: id(name),
        idempotency_key: None,
        request_digest: Digest::of(b"a request"),
        release_id: None,
        definition: Digest::of(b"document: {}"),
        definition_name: "tests/train:1.0.0".to_owned(),
        definition_source: "document: {}".to_owned(),
        definitions: Vec::new(),
        parent: None,
        events: recorded(0, 0, vec![instance_started()]),
        projection: RUNNING,
        listeners: Vec::new(),
        also: Alongside::default(),
    }
}

pub fn task_started(task: &str) -> Event {
    Event::TaskStarted {
        path: path(task),
        input: json!({ "payload": "x".repeat(300) }),
        timeout_ms: None,
        retry: Default::default(),
    }
}

pub fn attempt_started(task: &str, attempt: u32) -> Event {
    Event::AttemptStarted { path: path(task), attempt, effect: Box::new(Effect::Echo { input: json!([1, 2.5]) }) }
}

pub fn attempt_completed(task: &str, attempt: u32) -> Event {
    let outcome = EffectOutcome::Output { output: json!({ "done": true }) };
    Event::AttemptCompleted { path: path(task), attempt, outcome: Box::new(outcome) }
}

pub fn task_completed(task: &str) -> Event {
    Event::TaskCompleted { path: path(task), output: Value::Null, context: None, then: FlowTarget::Continue }
}

pub fn question(prompt: &str) -> Question {
    let options = ["approved", "rejected"]
        .map(|value| QuestionOption { label: value.to_uppercase(), value: value.to_owned(), description: None })
        .to_vec();
    let subject = json!({ "crates": ["a", "b"] });
    Question {
        prompt: prompt.to_owned(),
        assignee: None,
        role: Some("approver".to_owned()),
        subject_digest: subject_digest(prompt, &options, &subject, None),
        options,
        subject,
        plan: None,
        due: None,
        on_timeout: None,
        answer: None,
        category: None,
        reason: None,
        auto_approvable: false,
    }
}

pub fn question_asked(task: &str, prompt: &str) -> Event {
    Event::QuestionAsked { path: path(task), question: Box::new(question(prompt)) }
}

pub fn decision(prompt: &str, value: &str) -> Decision {
    Decision {
        value: value.to_owned(),
        decided_by: "token:bob".parse().unwrap(),
        decided_at: at(5),
        subject_digest: question(prompt).subject_digest,
        comment: Some("looks right".to_owned()),
    }
}

pub fn completed() -> Event {
    Event::InstanceCompleted { output: json!({ "published": 2 }) }
}

/// The lease on the shard of an instance.
pub fn lease_of(leases: &[Lease], name: &str) -> Lease {
    let shard = shard_of(&id(name));
    *leases.iter().find(|lease| lease.shard == shard).expect("the shard is claimed")
}

/// All shards, for a host at a time.
pub async fn claim(store: &dyn Store, host: &str, second: i64) -> Vec<Lease> {
    store.claim_shards(&host.to_owned(), at(second), LEASE_MS).await.unwrap()
}

/// Appends after `revision`, under the lease of `leases` that fits.
pub async fn append(
    store: &dyn Store,
    leases: &[Lease],
    name: &str,
    revision: u64,
    events: Vec<Event>,
    projection: Projection,
) -> Result<(), AppendError> {
    append_taking(store, leases, name, revision, events, projection, Vec::new()).await
}

/// The same, taking up messages.
pub async fn append_taking(
    store: &dyn Store,
    leases: &[Lease],
    name: &str,
    revision: u64,
    events: Vec<Event>,
    projection: Projection,
    taken: Vec<i64>,
) -> Result<(), AppendError> {
    let append = Append {
        instance: id(name),
        expected_revision: revision,
        lease: lease_of(leases, name),
        events: recorded(revision, revision as i64, events),
        projection,
        taken,
        listeners: None,
        snapshot: None,
        also: Alongside::default(),
    };
    store.append(append).await
}

pub const ALL_SHARDS: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
