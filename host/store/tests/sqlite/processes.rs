//! Two stores over one file, as two processes have them.

use std::sync::Arc;

use store::{Message, Store as _, audit, rebuild_check};

use crate::fixtures::{RUNNING, append, claim, id, new_instance, task_started};
use crate::opening::open;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_make_one_log_without_a_gap() {
    const APPENDS: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let serve = Arc::new(open(dir.path()).await);
    let tool = Arc::new(open(dir.path()).await);
    serve.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*serve, "host-a", 0).await;

    let owner = tokio::spawn({
        let serve = serve.clone();
        async move {
            for revision in 1..=APPENDS {
                append(&*serve, &leases, "i-1", revision, vec![task_started("a")], RUNNING).await.unwrap();
            }
        }
    });
    let other = tokio::spawn({
        let tool = tool.clone();
        async move {
            for number in 0..APPENDS {
                tool.start_instance(new_instance(&format!("other-{number}"))).await.unwrap();
                let message = Message::Cancel { by: "cli:alice".parse().unwrap(), reason: number.to_string() };
                tool.send(&id("i-1"), message).await.unwrap();
            }
        }
    });
    owner.await.unwrap();
    other.await.unwrap();

    assert_eq!(tool.history(&id("i-1"), 0).await.unwrap().len() as u64, APPENDS + 1);
    assert_eq!(serve.inbox(&id("i-1")).await.unwrap().len() as u64, APPENDS);
    let checkpoint = serve.checkpoint().await.unwrap().unwrap();
    let leaves = tool.audit(0, 1_000).await.unwrap();
    let verified = audit::verify(leaves.into_iter(), Some(&checkpoint), None).unwrap();
    assert_eq!(verified.leaves, 2 * APPENDS + 1);
    rebuild_check(&*tool, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_open_a_new_folder_at_once_agree() {
    let dir = tempfile::tempdir().unwrap();
    let opens: Vec<_> = (0..6)
        .map(|_| {
            let dir = dir.path().to_owned();
            tokio::spawn(async move { open(&dir).await })
        })
        .collect();
    for (number, opening) in opens.into_iter().enumerate() {
        let store = opening.await.unwrap();
        store.start_instance(new_instance(&format!("i-{number}"))).await.unwrap();
    }
    let store = open(dir.path()).await;
    let checkpoint = store.checkpoint().await.unwrap().unwrap();
    let leaves = store.audit(0, 100).await.unwrap();
    assert_eq!(audit::verify(leaves.into_iter(), Some(&checkpoint), None).unwrap().leaves, 6);
}
