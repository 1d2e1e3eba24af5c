//! Schedules over a store that breaks around every commit: each cause starts one instance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use store::{Alongside, CommitFault, InstanceFilter, MemoryStore, NewInstance, StartError, Store, StoreError};
use worker::{NotScheduled, ScheduledStart, StartScheduled, projection, start_due};
use workflow::capability::EffectivePolicy;
use workflow::definition::{self, Definition};
use workflow::engine;
use workflow::event::Event;
use workflow::{Actor, CloudEvent, Digest, Timestamp};

struct Starter {
    store: Arc<MemoryStore>,
    definition: Arc<Definition>,
    now: Timestamp,
}

#[async_trait]
impl StartScheduled for Starter {
    async fn start(&self, start: ScheduledStart<'_>) -> Result<(), NotScheduled> {
        let by = Actor::new(format!("schedule:{}", start.trigger.name())).unwrap();
        let policy = EffectivePolicy::default();
        let (instance, events) = engine::start(&self.definition, start.id.clone(), start.input, by, policy, self.now);
        let new = NewInstance {
            id: start.id,
            idempotency_key: None,
            request_digest: Digest::of(b"scheduled"),
            release_id: None,
            definition: self.definition.digest.clone(),
            definition_name: self.definition.full_name(),
            definition_source: self.definition.source.clone(),
            definitions: Vec::new(),
            parent: None,
            events,
            projection: projection(&instance),
            listeners: Vec::new(),
            also: Alongside::default(),
        };
        match self.store.start_instance(new).await {
            Ok(_) | Err(StartError::Store(StoreError::Exists { .. })) => Ok(()),
            Err(StartError::Store(error)) => Err(error.into()),
            Err(other) => Err(NotScheduled::Refused { detail: other.to_string() }),
        }
    }
}

fn at(text: &str) -> Timestamp {
    format!("2026-06-07T{text}Z").parse().unwrap()
}

fn definition(schedule: &str) -> Arc<Definition> {
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }}\nschedule: {schedule}\ndo: [ {{ a: {{ set: '${{ . }}' }} }} ]\n"
    );
    Arc::new(definition::parse(&text, "d.yaml").unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// Who started what, with which input.
async fn started(store: &MemoryStore) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for row in store.instances(InstanceFilter::default()).await.unwrap() {
        let history = store.history(&row.id, 0).await.unwrap();
        if let Event::InstanceStarted { started_by, input, .. } = &history[0].event {
            found.push((started_by.to_string(), input.clone()));
        }
    }
    found.reverse();
    found
}

/// Looks at every one of `times`, with a fault at the `broken`-th write; what failed is tried again, as a host does.
async fn story(schedule: &str, times: &[&str], broken: Option<(usize, CommitFault)>) -> (Vec<(String, Value)>, u64) {
    let store = Arc::new(MemoryStore::new());
    let definition = definition(schedule);
    let faults = store.faults();
    if let Some((writes, fault)) = broken {
        faults.after(writes, fault);
    }
    for (number, time) in times.iter().enumerate() {
        let starter = Starter { store: store.clone(), definition: definition.clone(), now: at(time) };
        while start_due(store.as_ref(), &starter, &definition, at(time)).await.is_err() {}
        let event = json!({"specversion": "1.0", "id": number.to_string(), "source": "/s", "type": "t"});
        let event = CloudEvent::new(event).unwrap();
        while store.publish(event.clone(), Actor::new("out").unwrap(), at(time)).await.is_err() {}
    }
    (started(&store).await, faults.writes())
}

#[tokio::test]
async fn every_cause_starts_one_instance_whatever_breaks_around_any_commit() {
    let times = ["12:00:00", "12:00:30", "12:01:00", "12:01:10", "12:05:30", "12:06:00"];
    for (schedule, count) in [
        // The minutes 1, 5 (made up for once) and 6.
        ("{ every: PT1M }", 3),
        ("{ cron: '* * * * *' }", 3),
        // Each ends at once: at the first look, and a minute after each end.
        ("{ after: PT1M }", 3),
        // Of each event but the last, which nobody looked for.
        ("{ on: { one: { with: { type: t } } } }", 5),
        ("{ on: { all: [ { with: { type: t } }, { with: { type: t } } ] } }", 2),
        ("{ every: PT1M, on: { one: { with: { type: t } } } }", 8),
    ] {
        let (straight, writes) = story(schedule, &times, None).await;
        assert_eq!(straight.len(), count, "{schedule}: {straight:?}");
        for broken in 0..usize::try_from(writes).unwrap() {
            for fault in [CommitFault::BeforeCommit, CommitFault::AfterCommit] {
                let (found, _) = story(schedule, &times, Some((broken, fault))).await;
                assert_eq!(found, straight, "{schedule}: {fault:?} at write {broken}");
            }
        }
    }
}

#[tokio::test]
async fn two_hosts_start_the_same_once() {
    let store = Arc::new(MemoryStore::new());
    let definition = definition("{ every: PT1M }");
    let other = Arc::new(store.another_host());
    for second in 0..300 {
        let now = at("12:00:00") + Duration::from_secs(second);
        for host in [&store, &other] {
            let starter = Starter { store: host.clone(), definition: definition.clone(), now };
            start_due(host.as_ref(), &starter, &definition, now).await.unwrap();
        }
    }
    let mut by: BTreeMap<String, usize> = BTreeMap::new();
    started(&store).await.into_iter().for_each(|(who, _)| *by.entry(who).or_default() += 1);
    assert_eq!(by, [("schedule:every".to_owned(), 4)].into());
}

#[tokio::test]
async fn the_input_of_an_instance_is_nothing_or_its_events() {
    let (found, _) =
        story("{ on: { one: { with: { type: t } } }, every: PT1M }", &["12:00:00", "12:01:00"], None).await;
    assert_eq!(found[0], ("schedule:every".to_owned(), json!({})));
    assert_eq!(found[1].0, "schedule:on");
    assert_eq!(found[1].1[0]["id"], "0");
}
