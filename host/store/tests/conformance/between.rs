//! What lies between instances: children, and messages that commit with events.

use store::{Alongside, Append, AppendError, InstanceFilter, Message, NewInstance, Phase};

use crate::House;
use crate::fixtures::{
    RUNNING, append, at, attempt_started, claim, id, lease_of, new_instance, recorded, task_started,
};

crate::on_every_store!(
    a_child_starts_with_the_append_that_intends_it_or_not_at_all,
    a_message_to_an_instance_that_has_ended_is_nobodys,
    a_message_is_dismissed_by_the_owner_who_has_read_everything,
    a_definition_is_found_by_the_name_it_ran_under,
);

fn cancel(reason: &str) -> Message {
    Message::Cancel { by: "cli:alice".parse().unwrap(), reason: reason.to_owned() }
}

fn child(name: &str, parent: &str) -> NewInstance {
    NewInstance { parent: Some(id(parent)), ..new_instance(name) }
}

async fn a_child_starts_with_the_append_that_intends_it_or_not_at_all(house: House) {
    let store = house.store.as_ref();
    store.start_instance(new_instance("parent")).await.unwrap();
    let leases = claim(store, "host", 1).await;
    let starting = |revision: u64| Append {
        instance: id("parent"),
        expected_revision: revision,
        lease: lease_of(&leases, "parent"),
        events: recorded(revision, 5, vec![task_started("t")]),
        projection: RUNNING,
        taken: Vec::new(),
        listeners: None,
        snapshot: None,
        also: Alongside { starts: vec![child("child", "parent")], messages: vec![(id("child"), cancel("late"))] },
    };
    let refused = store.append(starting(7)).await;
    assert!(matches!(refused, Err(AppendError::Conflict { .. })));
    assert!(store.instance(&id("child")).await.unwrap().is_none());
    store.append(starting(1)).await.unwrap();
    let row = store.instance(&id("child")).await.unwrap().unwrap();
    assert_eq!((row.parent, row.phase, row.revision), (Some(id("parent")), Phase::Running, 1));
    assert_eq!(store.inbox(&id("child")).await.unwrap().len(), 1, "the message follows the start");
    // A child that is there already is left as it is.
    store.append(starting(2)).await.unwrap();
    assert_eq!(store.history(&id("child"), 0).await.unwrap().len(), 1);
    let children = InstanceFilter { parent: Some(id("parent")), ..InstanceFilter::default() };
    assert_eq!(store.instances(children).await.unwrap().len(), 1);
}

async fn a_message_to_an_instance_that_has_ended_is_nobodys(house: House) {
    let store = house.store.as_ref();
    let ended = crate::fixtures::COMPLETED;
    store.start_instance(NewInstance { projection: ended, ..new_instance("gone") }).await.unwrap();
    let also = Alongside { messages: vec![(id("gone"), cancel("late"))], ..Alongside::default() };
    store.start_instance(NewInstance { also, ..new_instance("new") }).await.unwrap();
    assert!(store.inbox(&id("gone")).await.unwrap().is_empty());
}

async fn a_message_is_dismissed_by_the_owner_who_has_read_everything(house: House) {
    let store = house.store.as_ref();
    store.start_instance(new_instance("a")).await.unwrap();
    store.send(&id("a"), cancel("one")).await.unwrap();
    store.send(&id("a"), cancel("two")).await.unwrap();
    let first = store.inbox(&id("a")).await.unwrap()[0].id;
    let leases = claim(store, "host", 1).await;
    let lease = lease_of(&leases, "a");
    append(store, &leases, "a", 1, vec![attempt_started("t", 1)], RUNNING).await.unwrap();
    let stale = store.dismiss(&id("a"), 1, lease, vec![first]).await;
    assert!(matches!(stale, Err(AppendError::Conflict { expected: 1, .. })));
    let late = store.dismiss(&id("a"), 2, store::Lease { fence: lease.fence - 1, ..lease }, vec![first]).await;
    assert!(matches!(late, Err(AppendError::LeaseLost { .. })));
    assert_eq!(store.inbox(&id("a")).await.unwrap().len(), 2);
    store.dismiss(&id("a"), 2, lease, vec![first]).await.unwrap();
    assert_eq!(store.inbox(&id("a")).await.unwrap().len(), 1);
    assert!(!store.ready(&crate::fixtures::ALL_SHARDS, at(9)).await.unwrap().is_empty());
}

async fn a_definition_is_found_by_the_name_it_ran_under(house: House) {
    let store = house.store.as_ref();
    assert_eq!(store.definition_named("tests/train:1.0.0").await.unwrap(), None);
    store.start_instance(new_instance("a")).await.unwrap();
    assert_eq!(store.definition_named("tests/train:1.0.0").await.unwrap().as_deref(), Some("document: {}"));
    assert_eq!(store.definition_named("tests/train:2.0.0").await.unwrap(), None);
}
