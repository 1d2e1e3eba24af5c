//! What the store in memory does wrong when a simulation asks for it.

use store::{AppendError, CommitFault, MemoryStore, StartError, Store as _, StoreError};

use crate::fixtures::{RUNNING, append, claim, id, new_instance, task_started};

fn is_lost(result: &Result<(), AppendError>) -> bool {
    matches!(result, Err(AppendError::Store(StoreError::Database { .. })))
}

#[tokio::test]
async fn a_crash_before_the_commit_writes_nothing_and_one_after_it_writes_everything() {
    let store = MemoryStore::new();
    store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&store, "host-a", 0).await;
    let add = |revision| append(&store, &leases, "i-1", revision, vec![task_started("a")], RUNNING);

    store.faults().crash_before_commit();
    assert!(is_lost(&add(1).await));
    assert_eq!(store.history(&id("i-1"), 0).await.unwrap().len(), 1);
    store.faults().crash_after_commit();
    assert!(is_lost(&add(1).await));
    assert_eq!(store.history(&id("i-1"), 0).await.unwrap().len(), 2);
    // Each fault happens once. The caller that tries again blindly meets its own write.
    assert!(matches!(add(1).await, Err(AppendError::Conflict { .. })));
    add(2).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_not_announced() {
    let store = MemoryStore::new();
    let mut changes = store.changes();
    store.faults().crash_after_commit();
    let lost = store.start_instance(new_instance("i-1")).await;
    assert!(matches!(lost, Err(StartError::Store(StoreError::Database { .. }))));
    assert!(changes.try_recv().is_err());
    assert!(store.instance(&id("i-1")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_fault_can_be_placed_at_any_write() {
    for place in 0..4 {
        let store = MemoryStore::new();
        let faults = store.faults();
        faults.after(place, CommitFault::BeforeCommit);
        for number in 0..5 {
            let started = store.start_instance(new_instance(&format!("i-{number}"))).await;
            assert_eq!(started.is_err(), number == place, "fault at {place}, write {number}");
        }
        assert_eq!(faults.writes(), 5);
        faults.after(0, CommitFault::BeforeCommit);
        faults.clear();
        store.start_instance(new_instance("i-last")).await.unwrap();
    }
}

#[tokio::test]
async fn the_planted_bug_lets_a_late_owner_write() {
    let store = MemoryStore::new();
    let other = store.another_host();
    store.start_instance(new_instance("i-1")).await.unwrap();
    let first = claim(&store, "host-a", 0).await;
    claim(&other, "host-b", 20).await;
    let late = || append(&store, &first, "i-1", 1, vec![task_started("a")], RUNNING);
    assert!(matches!(late().await, Err(AppendError::LeaseLost { .. })));
    // Only this host has the bug.
    store.faults().ignore_fence(true);
    late().await.unwrap();
    let late = append(&other, &first, "i-1", 2, vec![task_started("b")], RUNNING).await;
    assert!(matches!(late, Err(AppendError::LeaseLost { .. })));
}
