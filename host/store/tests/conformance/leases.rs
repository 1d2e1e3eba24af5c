//! Claims, leases and fences, in a simulated time.

use store::{AppendError, SHARDS};

use crate::House;
use crate::fixtures::{ALL_SHARDS, RUNNING, append, at, claim, id, new_instance, task_started, waiting_until};

crate::on_every_store!(
    the_first_host_claims_every_shard,
    a_renewal_keeps_the_fence,
    a_live_lease_is_nobody_elses,
    an_expired_lease_goes_to_another_host_and_stops_the_first,
    a_released_shard_is_free_at_once_and_stops_its_old_owner,
    a_host_that_takes_a_shard_back_has_a_new_fence,
    a_late_owner_with_a_late_revision_has_lost_its_lease,
    ready_is_what_runs_or_is_due,
    the_next_wake_is_the_earliest_timer_to_come,
);

async fn the_first_host_claims_every_shard(house: House) {
    let leases = claim(&*house.store, "host-a", 0).await;
    assert_eq!(leases.iter().map(|lease| lease.shard).collect::<Vec<_>>(), (0..SHARDS).collect::<Vec<_>>());
    assert!(leases.iter().all(|lease| lease.fence == 1 && lease.until == at(10)));
}

async fn a_renewal_keeps_the_fence(house: House) {
    claim(&*house.store, "host-a", 0).await;
    for second in [5, 25] {
        // The second one comes late, but nobody else was there meanwhile.
        let leases = claim(&*house.store, "host-a", second).await;
        assert!(leases.iter().all(|lease| lease.fence == 1 && lease.until == at(second + 10)));
    }
}

async fn a_live_lease_is_nobody_elses(house: House) {
    claim(&*house.store, "host-a", 0).await;
    let other = house.another_host().await;
    assert_eq!(claim(&*other, "host-b", 9).await, []);
}

async fn an_expired_lease_goes_to_another_host_and_stops_the_first(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let first = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &first, "i-1", 1, vec![task_started("a")], RUNNING).await.unwrap();

    let other = house.another_host().await;
    let second = claim(&*other, "host-b", 10).await;
    assert_eq!(second.len() as u32, SHARDS);
    assert!(second.iter().all(|lease| lease.fence == 2));
    let late = append(&*house.store, &first, "i-1", 2, vec![task_started("b")], RUNNING).await;
    assert!(matches!(late, Err(AppendError::LeaseLost { .. })));
    append(&*other, &second, "i-1", 2, vec![task_started("c")], RUNNING).await.unwrap();

    let history = house.store.history(&id("i-1"), 2).await.unwrap();
    assert_eq!(history.iter().map(|event| &event.event).collect::<Vec<_>>(), [&task_started("c")]);
    assert_eq!(claim(&*house.store, "host-a", 11).await, []);
}

async fn a_released_shard_is_free_at_once_and_stops_its_old_owner(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let first = claim(&*house.store, "host-a", 0).await;
    house.store.release_shards(&"host-a".to_owned()).await.unwrap();
    let late = append(&*house.store, &first, "i-1", 1, vec![task_started("a")], RUNNING).await;
    assert!(matches!(late, Err(AppendError::LeaseLost { .. })));

    let second = claim(&*house.store, "host-b", 1).await;
    assert_eq!(second.len() as u32, SHARDS);
    append(&*house.store, &second, "i-1", 1, vec![task_started("b")], RUNNING).await.unwrap();
}

async fn a_host_that_takes_a_shard_back_has_a_new_fence(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let first = claim(&*house.store, "host-a", 0).await;
    claim(&*house.store, "host-b", 20).await;
    let third = claim(&*house.store, "host-a", 40).await;
    assert!(third.iter().all(|lease| lease.fence == 3));
    let late = append(&*house.store, &first, "i-1", 1, vec![task_started("a")], RUNNING).await;
    assert!(matches!(late, Err(AppendError::LeaseLost { .. })));
    append(&*house.store, &third, "i-1", 1, vec![task_started("b")], RUNNING).await.unwrap();
}

async fn a_late_owner_with_a_late_revision_has_lost_its_lease(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let first = claim(&*house.store, "host-a", 0).await;
    let second = claim(&*house.store, "host-b", 20).await;
    append(&*house.store, &second, "i-1", 1, vec![task_started("a")], RUNNING).await.unwrap();
    let late = append(&*house.store, &first, "i-1", 1, vec![task_started("b")], RUNNING).await;
    assert!(matches!(late, Err(AppendError::LeaseLost { .. })));
    let conflict = append(&*house.store, &second, "i-1", 1, vec![task_started("b")], RUNNING).await;
    assert!(matches!(conflict, Err(AppendError::Conflict { .. })));
}

async fn ready_is_what_runs_or_is_due(house: House) {
    let mut waiting = new_instance("i-2");
    waiting.projection = waiting_until(30);
    let mut finished = new_instance("i-3");
    finished.projection = crate::fixtures::COMPLETED;
    for new in [new_instance("i-1"), waiting, finished] {
        house.store.start_instance(new).await.unwrap();
    }
    let ready = |second| house.store.ready(&ALL_SHARDS, at(second));
    assert_eq!(ready(29).await.unwrap(), [id("i-1")]);
    assert_eq!(ready(30).await.unwrap(), [id("i-1"), id("i-2")]);
    let mine = store::shard_of(&id("i-2"));
    assert_eq!(house.store.ready(&[mine], at(30)).await.unwrap().last(), Some(&id("i-2")));
    assert_eq!(house.store.ready(&[], at(30)).await.unwrap(), []);
}

async fn the_next_wake_is_the_earliest_timer_to_come(house: House) {
    for (name, second) in [("i-1", 30), ("i-2", 20), ("i-3", 40)] {
        let mut new = new_instance(name);
        new.projection = waiting_until(second);
        house.store.start_instance(new).await.unwrap();
    }
    let next = |second| house.store.next_wake(&ALL_SHARDS, at(second));
    assert_eq!(next(0).await.unwrap(), Some(at(20)));
    assert_eq!(next(20).await.unwrap(), Some(at(30)));
    assert_eq!(next(40).await.unwrap(), None);
    let shard = store::shard_of(&id("i-3"));
    assert!(house.store.next_wake(&[shard], at(0)).await.unwrap() <= Some(at(40)));
    assert_eq!(house.store.next_wake(&[], at(0)).await.unwrap(), None);
}
