//! Adding to a history under a lease.

use store::{
    Alongside, Append, AppendError, AttemptOutcome, Change, InstanceFilter, Phase, StoreError, rebuild_check, shard_of,
};

use crate::House;
use crate::fixtures::{
    ALL_SHARDS, COMPLETED, RUNNING, WAITING, append, at, attempt_completed, attempt_started, claim, completed, id,
    lease_of, new_instance, recorded, task_completed, task_started,
};

crate::on_every_store!(
    an_append_follows_the_revision_it_names,
    a_late_revision_is_a_conflict_and_writes_nothing,
    a_refused_append_does_not_touch_its_neighbours,
    an_append_to_no_instance_says_so,
    attempts_follow_from_the_events,
    an_attempt_that_is_entered_again_starts_anew,
    changes_come_after_the_commit,
    many_appends_at_once_are_all_there,
    a_state_is_kept_with_the_events_it_was_made_after,
);

async fn a_state_is_kept_with_the_events_it_was_made_after(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    let kept = async || house.store.snapshot(&id("i-1")).await.unwrap().map(|kept| (kept.revision, kept.state));
    let keep = async |revision, state: &[u8]| {
        let append = Append {
            instance: id("i-1"),
            expected_revision: revision,
            lease: lease_of(&leases, "i-1"),
            events: recorded(revision, 5, vec![task_started("a"), task_completed("a")]),
            projection: RUNNING,
            taken: Vec::new(),
            listeners: None,
            snapshot: Some(state.to_vec()),
            also: Alongside::default(),
        };
        house.store.append(append).await
    };
    assert_eq!(kept().await, None);
    keep(1, b"one").await.unwrap();
    assert_eq!(kept().await, Some((3, b"one".to_vec())));
    append(&*house.store, &leases, "i-1", 3, vec![task_started("b")], RUNNING).await.unwrap();
    assert_eq!(kept().await, Some((3, b"one".to_vec())), "events without a state leave the older one");
    assert!(matches!(keep(3, b"late").await, Err(AppendError::Conflict { .. })));
    assert_eq!(kept().await, Some((3, b"one".to_vec())));
    keep(4, b"two").await.unwrap();
    assert_eq!(kept().await, Some((6, b"two".to_vec())));
}

async fn an_append_follows_the_revision_it_names(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &leases, "i-1", 1, vec![task_started("a"), task_completed("a")], RUNNING).await.unwrap();
    append(&*house.store, &leases, "i-1", 3, vec![task_started("b")], WAITING).await.unwrap();

    let history = house.store.history(&id("i-1"), 0).await.unwrap();
    assert_eq!(history.iter().map(|event| event.revision).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(history[3].event, task_started("b"));
    let row = house.store.instance(&id("i-1")).await.unwrap().unwrap();
    assert_eq!((row.phase, row.revision, row.updated_at), (Phase::Waiting, 4, at(3)));
}

async fn a_late_revision_is_a_conflict_and_writes_nothing(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &leases, "i-1", 1, vec![task_started("a")], RUNNING).await.unwrap();
    for revision in [0, 1, 3] {
        let refused = append(&*house.store, &leases, "i-1", revision, vec![task_started("b")], WAITING).await;
        assert!(matches!(refused, Err(AppendError::Conflict { expected, .. }) if expected == revision));
    }
    assert_eq!(house.store.history(&id("i-1"), 0).await.unwrap().len(), 2);
    assert_eq!(house.store.instance(&id("i-1")).await.unwrap().unwrap().phase, Phase::Running);
}

async fn a_refused_append_does_not_touch_its_neighbours(house: House) {
    for name in ["i-1", "i-2", "i-3"] {
        house.store.start_instance(new_instance(name)).await.unwrap();
    }
    let leases = claim(&*house.store, "host-a", 0).await;
    let one = |name, revision| append(&*house.store, &leases, name, revision, vec![task_started("a")], RUNNING);
    // Asked for at once, so they may share a transaction; the same instance twice as well.
    let (a, b, c, d) = tokio::join!(one("i-1", 1), one("i-2", 9), one("i-1", 2), one("i-3", 1));
    a.unwrap();
    assert!(matches!(b, Err(AppendError::Conflict { expected: 9, .. })));
    c.unwrap();
    d.unwrap();
    for (name, expected) in [("i-1", 3), ("i-2", 1), ("i-3", 2)] {
        assert_eq!(house.store.history(&id(name), 0).await.unwrap().len(), expected, "{name}");
    }
}

async fn an_append_to_no_instance_says_so(house: House) {
    let leases = claim(&*house.store, "host-a", 0).await;
    let refused = append(&*house.store, &leases, "i-1", 1, vec![task_started("a")], RUNNING).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::NotFound { .. }))));
}

async fn attempts_follow_from_the_events(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &leases, "i-1", 1, vec![attempt_started("a", 1)], RUNNING).await.unwrap();
    let attempts = house.store.attempts(&id("i-1")).await.unwrap();
    assert_eq!((attempts[0].attempt, attempts[0].started_at, attempts[0].completed_at), (1, at(1), None));

    // The outcome of one effect and the intent of the next share a commit.
    let events = vec![attempt_completed("a", 1), task_completed("a"), task_started("b"), attempt_started("b", 1)];
    append(&*house.store, &leases, "i-1", 2, events, RUNNING).await.unwrap();
    let attempts = house.store.attempts(&id("i-1")).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|row| (row.path.task_name(), row.completed_at, row.outcome)).collect();
    assert_eq!(told, [("a", Some(at(2)), Some(AttemptOutcome::Output)), ("b", None, None)]);
    rebuild_check(&*house.store, None).await.unwrap();
}

async fn an_attempt_that_is_entered_again_starts_anew(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &leases, "i-1", 1, vec![attempt_started("a", 1)], RUNNING).await.unwrap();
    let events = vec![attempt_completed("a", 1), task_completed("a"), task_started("a"), attempt_started("a", 1)];
    append(&*house.store, &leases, "i-1", 2, events, RUNNING).await.unwrap();
    let attempts = house.store.attempts(&id("i-1")).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].started_at, attempts[0].completed_at), (at(2), None));
    rebuild_check(&*house.store, None).await.unwrap();
}

async fn changes_come_after_the_commit(house: House) {
    let mut changes = house.store.changes();
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &leases, "i-1", 1, vec![task_started("a"), completed()], COMPLETED).await.unwrap();
    let shard = shard_of(&id("i-1"));
    let appended = |revision, phase| Change::Appended { instance: id("i-1"), shard, revision, phase };
    let started = new_instance("i-1").projection.phase;
    assert_eq!(changes.recv().await.unwrap(), appended(1, started));
    assert_eq!(changes.recv().await.unwrap(), appended(3, COMPLETED.phase));
    assert!(changes.is_empty());
}

async fn many_appends_at_once_are_all_there(house: House) {
    const INSTANCES: u64 = 24;
    const APPENDS: u64 = 20;
    let leases = claim(&*house.store, "host-a", 0).await;
    let work = (0..INSTANCES).map(|number| {
        let (store, leases) = (house.store.clone(), leases.clone());
        tokio::spawn(async move {
            let name = format!("i-{number}");
            store.start_instance(new_instance(&name)).await.unwrap();
            for revision in 1..=APPENDS {
                append(&*store, &leases, &name, revision, vec![task_started("a")], RUNNING).await.unwrap();
            }
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let other = house.another_host().await;
    let rows = other.instances(InstanceFilter::default()).await.unwrap();
    assert_eq!(rows.len() as u64, INSTANCES);
    for row in rows {
        assert_eq!(other.history(&row.id, 0).await.unwrap().len() as u64, APPENDS + 1);
    }
    assert_eq!(other.checkpoint().await.unwrap().unwrap().size, INSTANCES * (APPENDS + 1));
    assert_eq!(other.ready(&ALL_SHARDS, at(0)).await.unwrap().len() as u64, INSTANCES);
    rebuild_check(&*other, None).await.unwrap();
}
