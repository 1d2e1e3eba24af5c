//! The same random calls give the same answers and the same rows on every store.

use std::fmt::{Debug, Display};

use proptest::prelude::*;
use store::{
    Alongside, Append, ArtifactBytes, InstanceFilter, Lease, Message, NewArtifact, NewInstance, Phase, Projection,
    SharedStore, human_task_id, rebuild_check, shard_of,
};
use workflow::{Digest, Event};

use crate::House;
use crate::fixtures::{
    ALL_SHARDS, at, attempt_completed, attempt_started, completed, decision, id, new_instance, path, question_asked,
    recorded, task_started,
};

const INSTANCES: usize = 4;
const HOSTS: usize = 2;

/// One call, with small numbers so that calls meet each other.
#[derive(Debug, Clone)]
enum Call {
    Start { name: usize, key: Option<u8>, request: u8, release: Option<u8> },
    Append { name: usize, host: usize, late: u64, events: Vec<Told>, waiting: Option<i64>, take: bool },
    Claim { host: usize, seconds: i64, lease_ms: u64 },
    Release { host: usize },
    Cancel { name: usize },
    Decide { name: usize, task: u8, prompt: u8, value: usize },
    Put { name: usize, file: u8, content: u8 },
}

#[derive(Debug, Clone)]
enum Told {
    Task(u8),
    AttemptStarted(u8, u32),
    AttemptCompleted(u8, u32),
    Asked(u8, u8),
    Answered(u8, u8),
    Faulted(u8),
    Completed,
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        2 => (0..2u8).prop_map(Told::Task),
        3 => (0..2u8, 1..3u32).prop_map(|(task, attempt)| Told::AttemptStarted(task, attempt)),
        3 => (0..2u8, 1..3u32).prop_map(|(task, attempt)| Told::AttemptCompleted(task, attempt)),
        3 => (0..2u8, 0..2u8).prop_map(|(task, prompt)| Told::Asked(task, prompt)),
        1 => (0..2u8, 0..2u8).prop_map(|(task, prompt)| Told::Answered(task, prompt)),
        1 => (0..2u8).prop_map(Told::Faulted),
        1 => Just(Told::Completed),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let name = 0..INSTANCES;
    let host = 0..HOSTS;
    prop_oneof![
        3 => (name.clone(), proptest::option::of(0..2u8), 0..2u8, proptest::option::of(0..2u8))
            .prop_map(|(name, key, request, release)| Call::Start { name, key, request, release }),
        8 => (
            name.clone(),
            host.clone(),
            prop_oneof![4 => Just(0), 1 => 1..3u64],
            proptest::collection::vec(told(), 1..5),
            proptest::option::of(0..60i64),
            any::<bool>(),
        )
            .prop_map(|(name, host, late, events, waiting, take)| {
                Call::Append { name, host, late, events, waiting, take }
            }),
        2 => (host.clone(), 0..8i64, 2_000..9_000u64)
            .prop_map(|(host, seconds, lease_ms)| Call::Claim { host, seconds, lease_ms }),
        1 => host.prop_map(|host| Call::Release { host }),
        1 => name.clone().prop_map(|name| Call::Cancel { name }),
        3 => (name.clone(), 0..2u8, 0..2u8, 0..3usize)
            .prop_map(|(name, task, prompt, value)| Call::Decide { name, task, prompt, value }),
        1 => (name, 0..2u8, 0..2u8).prop_map(|(name, file, content)| Call::Put { name, file, content }),
    ]
}

/// What the hosts of one store know.
struct Run {
    store: SharedStore,
    leases: [Vec<Lease>; HOSTS],
    second: i64,
}

fn name(number: usize) -> String {
    format!("i-{number}")
}

fn task(number: u8) -> String {
    format!("task-{number}")
}

fn prompt(number: u8) -> String {
    format!("is it {number}?")
}

fn answer<T: Debug, E: Display>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("refused: {error}"),
    }
}

impl Run {
    fn new(store: SharedStore) -> Self {
        Self { store, leases: Default::default(), second: 0 }
    }

    async fn call(&mut self, call: &Call) -> String {
        let store = &self.store;
        match call {
            Call::Start { name: number, key, request, release } => {
                let new = NewInstance {
                    idempotency_key: key.map(|key| format!("key-{key}")),
                    request_digest: Digest::of(&[*request]),
                    release_id: release.map(|release| format!("release-{release}")),
                    ..new_instance(&name(*number))
                };
                answer(store.start_instance(new).await)
            }
            Call::Append { name: number, host, late, events, waiting, take } => {
                let instance = id(&name(*number));
                let row = store.instance(&instance).await.unwrap();
                let expected_revision = row.as_ref().map_or(0, |row| row.revision).saturating_sub(*late);
                let shard = shard_of(&instance);
                let Some(&lease) = self.leases[*host].iter().find(|lease| lease.shard == shard) else {
                    return "no lease".to_owned();
                };
                if row.is_some_and(|row| row.phase.is_final()) {
                    return "it has ended".to_owned();
                }
                let inbox = store.inbox(&instance).await.unwrap();
                let ends = events.iter().position(|told| matches!(told, Told::Completed));
                // Nothing follows the end of an instance.
                let events = &events[..ends.map_or(events.len(), |end| end + 1)];
                let phase = match (ends, waiting) {
                    (Some(_), _) => Phase::Completed,
                    (None, Some(_)) => Phase::Waiting,
                    (None, None) => Phase::Running,
                };
                let append = Append {
                    instance,
                    expected_revision,
                    lease,
                    events: recorded(expected_revision, self.second, events.iter().map(event).collect()),
                    projection: Projection { phase, wake_at: waiting.map(at), suspended: false },
                    taken: if *take { inbox.iter().map(|item| item.id).collect() } else { Vec::new() },
                    listeners: None,
                    snapshot: None,
                    also: Alongside::default(),
                };
                answer(store.append(append).await)
            }
            Call::Claim { host, seconds, lease_ms } => {
                self.second += seconds;
                let result = store.claim_shards(&format!("host-{host}"), at(self.second), *lease_ms).await;
                // A host that got nothing is late and does not know: it keeps its old leases.
                if let Ok(leases) = &result
                    && !leases.is_empty()
                {
                    self.leases[*host].clone_from(leases);
                }
                answer(result)
            }
            Call::Release { host } => answer(store.release_shards(&format!("host-{host}")).await),
            Call::Cancel { name: number } => {
                let message = Message::Cancel { by: "cli:alice".parse().unwrap(), reason: "late".to_owned() };
                answer(store.send(&id(&name(*number)), message).await)
            }
            Call::Decide { name: number, task: at_task, prompt: asked, value } => {
                let task_id = human_task_id(&id(&name(*number)), &path(&task(*at_task)));
                let value = ["approved", "rejected", "maybe"][*value];
                answer(store.decide(&task_id, decision(&prompt(*asked), value)).await)
            }
            Call::Put { name: number, file, content } => {
                let new = NewArtifact {
                    uri: format!("artifact://{}/file-{file}", name(*number)).parse().unwrap(),
                    instance: id(&name(*number)),
                    media_type: "text/plain".to_owned(),
                };
                answer(store.put_artifact(new, ArtifactBytes::Memory(vec![*content; 9])).await)
            }
        }
    }

    /// Everything a reader can see, but the times of artifacts, which have no event.
    async fn rows(&self) -> Vec<String> {
        let store = &self.store;
        let mut rows = vec![
            answer(store.instances(InstanceFilter::default()).await),
            answer(store.ready(&ALL_SHARDS, at(self.second)).await),
            answer(store.ready(&[1, 5, 9], at(30)).await),
            answer(store.next_wake(&ALL_SHARDS, at(self.second)).await),
            answer(store.human_tasks(None, false).await),
            answer(store.human_tasks(None, true).await),
        ];
        for number in 0..INSTANCES {
            let instance = id(&name(number));
            rows.push(answer(store.history(&instance, 1).await));
            rows.push(answer(store.attempts(&instance).await));
            rows.push(answer(store.inbox(&instance).await));
            let artifacts = store.artifacts(&instance).await.unwrap();
            rows.push(format!("{:?}", artifacts.iter().map(|row| &row.artifact).collect::<Vec<_>>()));
        }
        rows
    }

    /// The log without its signature, which is each store's own.
    async fn log(&self) -> String {
        let checkpoint = self.store.checkpoint().await.unwrap();
        let length = checkpoint.map(|checkpoint| (checkpoint.size, checkpoint.hash));
        format!("{length:?} {:?}", self.store.audit(0, 10_000).await.unwrap())
    }
}

fn event(told: &Told) -> Event {
    match told {
        Told::Task(number) => task_started(&task(*number)),
        Told::AttemptStarted(number, attempt) => attempt_started(&task(*number), *attempt),
        Told::AttemptCompleted(number, attempt) => attempt_completed(&task(*number), *attempt),
        Told::Asked(number, asked) => question_asked(&task(*number), &prompt(*asked)),
        Told::Answered(number, asked) => {
            Event::QuestionAnswered { path: path(&task(*number)), decision: decision(&prompt(*asked), "approved") }
        }
        Told::Faulted(number) => Event::TaskFaulted {
            path: path(&task(*number)),
            error: workflow::effect::StandardError::Timeout.fault("nobody answered"),
        },
        Told::Completed => completed(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_store_gives_the_same_answers_and_rows(calls in proptest::collection::vec(call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (memory, sqlite) = (House::memory(), House::sqlite().await);
            let mut runs = [Run::new(memory.store.clone()), Run::new(sqlite.store.clone())];
            // Claimed and started first, so that most calls meet something.
            let claim = |host| Call::Claim { host, seconds: 0, lease_ms: 5_000 };
            let start = |name| Call::Start { name, key: None, request: 0, release: None };
            for call in [claim(0), start(0), start(1)].iter().chain(&calls) {
                let [memory, sqlite] = &mut runs;
                assert_eq!(memory.call(call).await, sqlite.call(call).await, "{call:?}");
                assert_eq!(memory.rows().await, sqlite.rows().await, "after {call:?}");
            }
            let [memory, sqlite] = &runs;
            assert_eq!(memory.log().await, sqlite.log().await);
            for run in &runs {
                // A decision that its owner took up without an answer is in neither history nor inbox.
                if !calls.iter().any(|call| matches!(call, Call::Append { take: true, .. })) {
                    rebuild_check(&*run.store, None).await.unwrap();
                }
            }
        });
    }
}
