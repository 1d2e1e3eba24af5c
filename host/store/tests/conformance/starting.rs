//! Starting an instance, once.

use store::{NewInstance, Phase, StartError, Started, StoreError};
use workflow::Digest;

use crate::House;
use crate::fixtures::{
    COMPLETED, RUNNING, append, at, claim, completed, id, instance_started, new_instance, recorded, task_started,
};

crate::on_every_store!(
    a_new_instance_can_be_read_back,
    the_same_key_and_request_give_the_first_instance,
    the_same_key_for_another_request_is_refused,
    a_release_runs_once_at_a_time,
    an_id_is_used_once,
    many_starts_with_one_key_make_one_instance,
);

async fn a_new_instance_can_be_read_back(house: House) {
    let mut new = new_instance("i-1");
    new.release_id = Some("r-1".to_owned());
    new.events = recorded(0, 0, vec![instance_started(), task_started("build")]);
    assert_eq!(house.store.start_instance(new.clone()).await.unwrap(), Started::New);

    let row = house.store.instance(&id("i-1")).await.unwrap().unwrap();
    assert_eq!((row.phase, row.revision, row.created_at), (Phase::Running, 2, at(0)));
    assert_eq!(row.release_id.as_deref(), Some("r-1"));
    assert_eq!(house.store.history(&id("i-1"), 0).await.unwrap(), new.events);
    assert_eq!(house.store.history(&id("i-1"), 1).await.unwrap(), new.events[1..]);
    assert_eq!(house.store.definition(&new.definition).await.unwrap().as_deref(), Some("document: {}"));
    assert_eq!(house.store.definition(&Digest::of(b"another")).await.unwrap(), None);
    assert!(house.store.instance(&id("i-2")).await.unwrap().is_none());
}

fn with_key(name: &str, request: &[u8]) -> NewInstance {
    NewInstance { idempotency_key: Some("key-1".to_owned()), request_digest: Digest::of(request), ..new_instance(name) }
}

async fn the_same_key_and_request_give_the_first_instance(house: House) {
    assert_eq!(house.store.start_instance(with_key("i-1", b"a")).await.unwrap(), Started::New);
    let again = house.store.start_instance(with_key("i-2", b"a")).await.unwrap();
    assert_eq!(again, Started::Existing(id("i-1")));
    assert!(house.store.instance(&id("i-2")).await.unwrap().is_none());
    assert!(house.store.history(&id("i-2"), 0).await.unwrap().is_empty());
}

async fn the_same_key_for_another_request_is_refused(house: House) {
    house.store.start_instance(with_key("i-1", b"a")).await.unwrap();
    let refused = house.store.start_instance(with_key("i-2", b"b")).await.unwrap_err();
    assert!(matches!(refused, StartError::KeyReused { key } if key == "key-1"));
    assert!(house.store.instance(&id("i-2")).await.unwrap().is_none());
}

async fn a_release_runs_once_at_a_time(house: House) {
    let release = |name| NewInstance { release_id: Some("r-1".to_owned()), ..new_instance(name) };
    house.store.start_instance(release("i-1")).await.unwrap();
    let refused = house.store.start_instance(release("i-2")).await.unwrap_err();
    assert!(matches!(refused, StartError::ReleaseRunning { instance, .. } if instance == id("i-1")));

    let leases = claim(&*house.store, "host-a", 1).await;
    append(&*house.store, &leases, "i-1", 1, vec![completed()], COMPLETED).await.unwrap();
    assert_eq!(house.store.start_instance(release("i-2")).await.unwrap(), Started::New);
}

async fn an_id_is_used_once(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let refused = house.store.start_instance(new_instance("i-1")).await.unwrap_err();
    assert!(matches!(refused, StartError::Store(StoreError::Exists { .. })), "{refused}");
    assert_eq!(house.store.history(&id("i-1"), 0).await.unwrap().len(), 1);
}

async fn many_starts_with_one_key_make_one_instance(house: House) {
    let starts: Vec<_> = (0..40)
        .map(|number| {
            let store = house.store.clone();
            tokio::spawn(async move { store.start_instance(with_key(&format!("i-{number}"), b"a")).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for start in starts {
        new += usize::from(start.await.unwrap() == Started::New);
    }
    assert_eq!(new, 1);
    let listed = house.store.instances(store::InstanceFilter::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].phase, RUNNING.phase);
}
