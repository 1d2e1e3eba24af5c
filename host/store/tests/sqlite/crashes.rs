//! A process that appends is killed, or its disk is full: nothing acknowledged is lost.
//!
//! The process is this test binary, started again with one ignored test and a
//! folder in its environment.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use store::audit::{self, Export};
use store::{AppendError, InstanceFilter, SqliteStore, Store, StoreError, rebuild_check};

use crate::fixtures::{RUNNING, append, attempt_completed, attempt_started, claim, id, new_instance, task_started};
use crate::opening::open;

const FOLDER: &str = "STORE_TEST_FOLDER";
const ROUND: &str = "STORE_TEST_ROUND";
const INSTANCES: u64 = 8;

/// The appending process: a line on standard output for each acknowledged revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the tests below start it in a process of its own"]
async fn appends_until_it_is_killed() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("a folder to work in"));
    let round: i64 = std::env::var(ROUND).expect("a round").parse().unwrap();
    let store = Arc::new(open(&folder).await);
    // Each round is a new host, after the leases of the one before.
    let leases = Arc::new(claim(&*store, &format!("host-{round}"), round * 100).await);
    let tasks: Vec<_> = (0..INSTANCES)
        .map(|number| tokio::spawn(append_for_ever(store.clone(), leases.clone(), format!("i-{number}"))))
        .collect();
    for task in tasks {
        let error = task.await.unwrap();
        println!("failed {}", matches!(error, AppendError::Store(StoreError::Database { .. })));
    }
}

async fn append_for_ever(store: Arc<SqliteStore>, leases: Arc<Vec<store::Lease>>, name: String) -> AppendError {
    let row = store.instance(&id(&name)).await.unwrap();
    let mut revision = match row {
        Some(row) => row.revision,
        None => match store.start_instance(new_instance(&name)).await {
            Ok(_) => 1,
            Err(store::StartError::Store(error)) => return error.into(),
            Err(refused) => panic!("{refused}"),
        },
    };
    loop {
        writeln!(std::io::stdout().lock(), "acked {name} {revision}").unwrap();
        let attempt = u32::try_from(revision).unwrap();
        let events = vec![attempt_started("a", attempt), attempt_completed("a", attempt), task_started("b")];
        if let Err(error) = append(&*store, &leases, &name, revision, events, RUNNING).await {
            return error;
        }
        revision += 3;
    }
}

fn command(program: &str, folder: &Path, round: u32) -> Command {
    let mut command = Command::new(program);
    command.env(FOLDER, folder).env(ROUND, round.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn appending(folder: &Path, round: u32) -> Child {
    let test = std::env::current_exe().unwrap();
    command(test.to_str().unwrap(), folder, round)
        .args(["crashes::appends_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .spawn()
        .unwrap()
}

/// Notes an acknowledged revision; other lines are the test harness's own.
fn note(acked: &mut BTreeMap<String, u64>, line: &str) -> bool {
    let Some(start) = line.find("acked ") else { return false };
    let mut words = line[start..].split(' ').skip(1);
    // A line that the kill cut off has no newline and is not read by us as whole.
    let (Some(name), Some(revision)) = (words.next(), words.next()) else { return false };
    let Ok(revision) = revision.trim_end().parse::<u64>() else { return false };
    let highest = acked.entry(name.to_owned()).or_insert(0);
    *highest = revision.max(*highest);
    true
}

async fn check(folder: &Path, acked: &BTreeMap<String, u64>) -> u64 {
    let store = open(folder).await;
    for (name, revision) in acked {
        let history = store.history(&id(name), 0).await.unwrap();
        assert!(history.len() as u64 >= *revision, "{name}: {revision} was acknowledged, {} are there", history.len());
    }
    rebuild_check(&store, None).await.unwrap();
    let key = store.checkpoint().await.unwrap().map(|checkpoint| checkpoint.key);
    let mut file = Vec::new();
    audit::export(&store, &mut file).await.unwrap();
    Export::read(file.as_slice()).unwrap().verify(key.as_deref()).unwrap().leaves
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_kill() {
    const KILLS: u32 = 24;
    let dir = tempfile::tempdir().unwrap();
    let mut acked = BTreeMap::new();
    let mut leaves = 0;
    for round in 0..KILLS {
        let mut child = appending(dir.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // Each round is killed at another place: while it opens, in the first batch, or in a later one.
        let target = (round * 37) % 200;
        let mut seen = 0;
        let mut line = String::new();
        while seen < target {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the process ended by itself in round {round}");
            seen += u32::from(note(&mut acked, &line));
        }
        child.kill().unwrap();
        // What it had said before it died counts too.
        loop {
            line.clear();
            if lines.read_line(&mut line).unwrap() == 0 {
                break;
            }
            if line.ends_with('\n') {
                note(&mut acked, &line);
            }
        }
        child.wait().unwrap();
        let now = check(dir.path(), &acked).await;
        assert!(now >= leaves, "round {round} lost something that was there before it");
        leaves = now;
    }
    assert_eq!(acked.len() as u64, INSTANCES);
    assert!(leaves > 24 * 100, "only {leaves} leaves: the processes were killed before they did much");
}

#[tokio::test]
async fn a_full_disk_is_an_error_for_every_waiter_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let test = std::env::current_exe().unwrap();
    // A limit of 1 MiB on each file stands in for the disk; the signal is
    // ignored, so that a write past it fails with an error as a full disk's does.
    let script =
        "trap '' XFSZ; ulimit -f 1024; exec \"$0\" crashes::appends_until_it_is_killed --exact --ignored --nocapture";
    let output = command("/bin/bash", dir.path(), 0).args(["-c", script]).arg(&test).output().unwrap();
    let mut acked = BTreeMap::new();
    let mut failed = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        note(&mut acked, line);
        assert!(!line.contains("failed false"), "an error that is not the database's");
        failed += u64::from(line.contains("failed true"));
    }
    assert_eq!(failed, INSTANCES, "every waiter hears of it");
    assert!(acked.values().all(|revision| *revision > 1), "{acked:?}");
    check(dir.path(), &acked).await;

    // With room again, the next host goes on.
    let store = open(dir.path()).await;
    let leases = claim(&store, "host-next", 100).await;
    for row in store.instances(InstanceFilter::default()).await.unwrap() {
        append(&store, &leases, row.id.as_str(), row.revision, vec![task_started("c")], RUNNING).await.unwrap();
    }
}
