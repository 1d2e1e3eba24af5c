//! Events: kept once, and left for everybody who listened before.

use serde_json::json;
use store::{Append, Lease, Message, NewInstance, PublishError, Published, Store};
use workflow::engine::Listener;
use workflow::{Actor, CloudEvent, Event};

use crate::House;
use crate::fixtures::{
    COMPLETED, WAITING, append, at, claim, completed, id, lease_of, new_instance, path, recorded, task_started,
};

crate::on_every_store!(
    the_same_event_is_kept_once_and_another_with_its_name_is_refused,
    an_event_is_left_for_everybody_who_listens_for_its_type,
    who_listens_only_later_does_not_get_it,
    what_is_emitted_reaches_others_with_the_append_that_emits_it,
    an_instance_hears_itself_if_it_listened_before_it_spoke,
    events_are_read_in_the_order_of_arrival,
);

fn event(number: u64, kind: &str) -> CloudEvent {
    let id = number.to_string();
    CloudEvent::new(json!({"specversion": "1.0", "id": id, "source": "/s", "type": kind, "data": {"n": 1.5}})).unwrap()
}

fn by() -> Actor {
    "token:local".parse().unwrap()
}

fn listener(task: &str, registered: u64, types: &[&str]) -> Listener {
    Listener { path: path(task), registered, types: types.iter().map(|kind| (*kind).to_owned()).collect() }
}

async fn listening(store: &dyn Store, name: &str, listeners: Vec<Listener>) {
    store.start_instance(NewInstance { projection: WAITING, listeners, ..new_instance(name) }).await.unwrap();
}

/// Paths and events that wait for an instance.
async fn heard(store: &dyn Store, name: &str) -> Vec<String> {
    let inbox = store.inbox(&id(name)).await.unwrap();
    let line = |message: &Message| match message {
        Message::Event { path, registered, event } => format!("{path} {registered} {} {}", event.id(), event.kind()),
        other => format!("{other:?}"),
    };
    inbox.iter().map(|item| line(&item.message)).collect()
}

fn saying(leases: &[Lease], name: &str, revision: u64, events: Vec<Event>, listeners: Option<Vec<Listener>>) -> Append {
    Append {
        instance: id(name),
        expected_revision: revision,
        lease: lease_of(leases, name),
        events: recorded(revision, 5, events),
        projection: WAITING,
        taken: Vec::new(),
        listeners,
        snapshot: None,
        also: Default::default(),
    }
}

fn emitted(number: u64) -> Event {
    Event::EventEmitted { path: path("say"), event: event(number, "a") }
}

async fn the_same_event_is_kept_once_and_another_with_its_name_is_refused(house: House) {
    let store = house.store.as_ref();
    listening(store, "l", vec![listener("w", 1, &[])]).await;
    assert_eq!(store.publish(event(1, "a"), by(), at(1)).await.unwrap(), Published::New { sequence: 1 });
    assert_eq!(store.publish(event(2, "a"), by(), at(2)).await.unwrap(), Published::New { sequence: 2 });
    assert_eq!(store.publish(event(1, "a"), by(), at(3)).await.unwrap(), Published::Known { sequence: 1 });
    let other = store.publish(event(1, "b"), by(), at(4)).await;
    assert!(matches!(other, Err(PublishError::Differs { .. })), "{other:?}");
    assert_eq!(heard(store, "l").await.len(), 2);
}

async fn an_event_is_left_for_everybody_who_listens_for_its_type(house: House) {
    let store = house.store.as_ref();
    listening(store, "one", vec![listener("w", 1, &["a", "b"]), listener("v", 1, &["c"])]).await;
    listening(store, "two", vec![listener("w", 1, &[])]).await;
    listening(store, "three", vec![listener("w", 1, &["b"])]).await;
    store.publish(event(1, "a"), by(), at(1)).await.unwrap();
    assert_eq!(heard(store, "one").await, ["/do/0/w 1 1 a"]);
    assert_eq!(heard(store, "two").await, ["/do/0/w 1 1 a"]);
    assert!(heard(store, "three").await.is_empty());
    let ready = store.ready(&crate::fixtures::ALL_SHARDS, at(1)).await.unwrap();
    assert_eq!(ready.len(), 2, "{ready:?}");
}

async fn who_listens_only_later_does_not_get_it(house: House) {
    let store = house.store.as_ref();
    listening(store, "l", Vec::new()).await;
    store.publish(event(1, "a"), by(), at(1)).await.unwrap();
    let leases = claim(store, "host", 1).await;
    let started = saying(&leases, "l", 1, vec![task_started("w")], Some(vec![listener("w", 2, &["a"])]));
    store.append(started).await.unwrap();
    store.publish(event(2, "a"), by(), at(2)).await.unwrap();
    assert_eq!(heard(store, "l").await, ["/do/0/w 2 2 a"]);
    assert_eq!(store.listeners(&id("l")).await.unwrap(), [listener("w", 2, &["a"])]);
    // An append that says nothing about listeners leaves them.
    append(store, &leases, "l", 2, vec![task_started("x")], WAITING).await.unwrap();
    assert_eq!(store.listeners(&id("l")).await.unwrap().len(), 1);
    let ends = Append { projection: COMPLETED, ..saying(&leases, "l", 3, vec![completed()], Some(Vec::new())) };
    store.append(ends).await.unwrap();
    store.publish(event(3, "a"), by(), at(3)).await.unwrap();
    assert!(heard(store, "l").await.is_empty());
    assert!(store.listeners(&id("l")).await.unwrap().is_empty());
}

async fn what_is_emitted_reaches_others_with_the_append_that_emits_it(house: House) {
    let store = house.store.as_ref();
    listening(store, "l", vec![listener("w", 1, &["a"])]).await;
    listening(store, "s", Vec::new()).await;
    let leases = claim(store, "host", 1).await;
    assert!(store.append(saying(&leases, "s", 7, vec![emitted(1)], None)).await.is_err());
    assert!(heard(store, "l").await.is_empty());
    store.append(saying(&leases, "s", 1, vec![emitted(1), emitted(2), emitted(1)], None)).await.unwrap();
    assert_eq!(heard(store, "l").await, ["/do/0/w 1 1 a", "/do/0/w 1 2 a"]);
    let kept = store.cloud_events(0, 10).await.unwrap();
    assert_eq!(kept.iter().map(|event| event.sent_by.as_str()).collect::<Vec<_>>(), ["instance:s", "instance:s"]);
}

async fn an_instance_hears_itself_if_it_listened_before_it_spoke(house: House) {
    let store = house.store.as_ref();
    listening(store, "s", vec![listener("w", 1, &["a"])]).await;
    let leases = claim(store, "host", 1).await;
    // Revision 2 speaks, and 3 is where `v` begins to listen.
    let listeners = vec![listener("v", 3, &["a"]), listener("w", 1, &["a"])];
    let events = vec![emitted(1), Event::ListenStarted { path: path("v") }];
    store.append(saying(&leases, "s", 1, events, Some(listeners))).await.unwrap();
    assert_eq!(heard(store, "s").await, ["/do/0/w 1 1 a"]);
}

async fn events_are_read_in_the_order_of_arrival(house: House) {
    let store = house.store.as_ref();
    for number in 1..=5 {
        store.publish(event(number, "a"), by(), at(1)).await.unwrap();
    }
    let page = store.cloud_events(2, 2).await.unwrap();
    assert_eq!(page.iter().map(|event| (event.sequence, event.event.id())).collect::<Vec<_>>(), [(3, "3"), (4, "4")]);
    assert_eq!(page[0].event, event(3, "a"));
}
