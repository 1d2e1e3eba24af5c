//! Many requests in one transaction, and what happens when it fails.

use std::sync::Arc;

use store::{AppendError, NewInstance, SqliteStore, StartError, Started, Store as _, StoreError, rebuild_check};

use crate::fixtures::{COMPLETED, RUNNING, append, claim, completed, id, new_instance, task_started};
use crate::opening::{open, tamper};

const INSTANCES: usize = 40;

fn name(number: usize) -> String {
    format!("i-{number}")
}

async fn with_instances(dir: &std::path::Path) -> Arc<SqliteStore> {
    let store = Arc::new(open(dir).await);
    for number in 0..INSTANCES {
        store.start_instance(new_instance(&name(number))).await.unwrap();
    }
    store
}

/// One append to every instance, all at once.
async fn append_to_all(store: &Arc<SqliteStore>, revision: u64) -> Vec<Result<(), AppendError>> {
    let leases = Arc::new(claim(&**store, "host-a", 0).await);
    let tasks: Vec<_> = (0..INSTANCES)
        .map(|number| {
            let (store, leases) = (store.clone(), leases.clone());
            tokio::spawn(async move {
                append(&*store, &leases, &name(number), revision, vec![task_started("a")], RUNNING).await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test]
async fn appends_of_many_instances_share_commits() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_instances(dir.path()).await;
    let before = store.statistics();
    for revision in 1..=10 {
        assert!(append_to_all(&store, revision).await.iter().all(Result::is_ok));
    }
    let after = store.statistics();
    assert_eq!(after.appends - before.appends, 400);
    assert_eq!(after.events - before.events, 400);
    // Ten rounds, each a claim and a batch; on one thread nothing else can interleave.
    let commits = after.commits - before.commits;
    assert!(commits <= 40, "{commits} commits for 400 appends");
}

#[tokio::test]
async fn a_failed_transaction_is_an_error_for_every_waiter_and_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_instances(dir.path()).await;
    let size = store.checkpoint().await.unwrap().unwrap().size;
    // The last statement before the commit fails: every write of the batch is done by then.
    tamper(dir.path(), "alter table checkpoint rename to away").await;
    for result in append_to_all(&store, 1).await {
        assert!(matches!(result, Err(AppendError::Store(StoreError::Database { .. }))), "{result:?}");
    }
    tamper(dir.path(), "alter table away rename to checkpoint").await;
    for number in 0..INSTANCES {
        assert_eq!(store.history(&id(&name(number)), 0).await.unwrap().len(), 1);
    }
    assert_eq!(store.audit(0, 1_000).await.unwrap().len() as u64, size);
    assert!(store.statistics().failures > 0);

    // And the writer goes on.
    assert!(append_to_all(&store, 1).await.iter().all(Result::is_ok));
    assert_eq!(rebuild_check(&*store, None).await.unwrap(), INSTANCES);
}

/// A release starts again in the very batch that ends its run before, and not in one in which that comes later.
#[tokio::test]
async fn a_start_that_asks_about_others_sees_what_came_before_it_in_its_batch() {
    let release = |name| NewInstance { release_id: Some("r-1".to_owned()), ..new_instance(name) };
    for end_first in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        store.start_instance(release("before")).await.unwrap();
        let leases = claim(&store, "host-a", 0).await;
        let commits = store.statistics().commits;
        let end = append(&store, &leases, "before", 1, vec![completed()], COMPLETED);
        let start = store.start_instance(release("again"));
        let (ended, started) = match end_first {
            true => tokio::join!(end, start),
            false => {
                let (started, ended) = tokio::join!(start, end);
                (ended, started)
            }
        };
        assert_eq!(store.statistics().commits - commits, 1, "both were in one batch");
        ended.unwrap();
        match started {
            Ok(started) => assert!(end_first && started == Started::New, "{started:?}"),
            Err(error) => assert!(!end_first && matches!(error, StartError::ReleaseRunning { .. }), "{error:?}"),
        }
        assert_eq!(rebuild_check(&store, None).await.unwrap(), if end_first { 2 } else { 1 });
    }
}

#[tokio::test]
async fn what_breaks_a_constraint_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_instances(dir.path()).await;
    // The row of one instance lags behind its history: its next event is there already.
    assert!(append_to_all(&store, 1).await.iter().all(Result::is_ok));
    tamper(dir.path(), "update instance set revision = 1 where id = 'i-7'").await;
    let leases = claim(&*store, "host-a", 0).await;

    let tasks: Vec<_> = (0..INSTANCES)
        .map(|number| {
            let (store, leases) = (store.clone(), leases.clone());
            let revision = if number == 7 { 1 } else { 2 };
            tokio::spawn(async move {
                append(&*store, &leases, &name(number), revision, vec![task_started("b")], RUNNING).await
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let result = task.await.unwrap();
        assert_eq!(result.is_err(), number == 7, "{number}: {result:?}");
    }
    let leaves = store.audit(0, 1_000).await.unwrap();
    let checkpoint = store.checkpoint().await.unwrap();
    store::audit::verify(leaves.into_iter(), checkpoint.as_ref(), None).unwrap();
}
