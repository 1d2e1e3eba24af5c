//! Opening a folder: what is kept, and what is refused.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use store::{OpenError, SqliteOptions, SqliteStore, Store as _, rebuild_check};

use crate::fixtures::{COMPLETED, WAITING, append, claim, id, new_instance, question_asked};

/// Runs `sql` on the database as somebody else would, with the store closed or open.
pub async fn tamper(dir: &Path, sql: &'static str) {
    let mut connection =
        sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("light-workflow.db")).connect().await.unwrap();
    connection.execute(sqlx::raw_sql(sql)).await.unwrap();
    connection.close().await.unwrap();
}

pub async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, SqliteOptions::default()).await.unwrap()
}

async fn open_error(dir: &Path) -> OpenError {
    SqliteStore::open(dir, SqliteOptions::default()).await.expect_err("it opens")
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_store_that_is_opened_again_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&store, "host-a", 0).await;
    append(&store, &leases, "i-1", 1, vec![question_asked("approve", "go?")], WAITING).await.unwrap();
    let (history, checkpoint) = (store.history(&id("i-1"), 0).await.unwrap(), store.checkpoint().await.unwrap());
    drop(store);

    let store = open(dir.path()).await;
    assert_eq!(store.history(&id("i-1"), 0).await.unwrap(), history);
    assert_eq!(store.checkpoint().await.unwrap(), checkpoint);
    assert_eq!(store.human_tasks(None, true).await.unwrap().len(), 1);
    // The lease is still that host's, and its fence still counts.
    append(&store, &leases, "i-1", 2, vec![question_asked("approve-2", "go on?")], WAITING).await.unwrap();
    assert_eq!(rebuild_check(&store, None).await.unwrap(), 1);
}

#[tokio::test]
async fn only_the_owner_can_read_a_store() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("data");
    let store = open(&dir).await;
    drop(store);
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("artifacts/sha256")), 0o700);
    assert_eq!(mode(&dir.join("audit.key")), 0o600);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    tamper(dir.path(), "pragma user_version = 99").await;
    let refused = open_error(dir.path()).await;
    assert!(matches!(refused, OpenError::TooNew { found: 99, known: 5, .. }), "{refused}");
    assert!(refused.to_string().ends_with("use a newer light-workflow"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("light-workflow.db"), "not a database, but long enough to be read as one").unwrap();
    let refused = open_error(dir.path()).await;
    assert!(matches!(refused, OpenError::Database { .. } | OpenError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn an_audit_key_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    std::fs::set_permissions(dir.path().join("audit.key"), Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open_error(dir.path()).await, OpenError::KeyExposed { .. }));
}

#[tokio::test]
async fn an_audit_key_that_was_exchanged_or_lost_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.start_instance(new_instance("i-1")).await.unwrap();
    drop(store);
    let key = dir.path().join("audit.key");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    assert!(matches!(open_error(dir.path()).await, OpenError::KeyChanged { .. }));
    std::fs::write(&key, "not hex").unwrap();
    assert!(matches!(open_error(dir.path()).await, OpenError::KeyForm { .. }));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(open_error(dir.path()).await, OpenError::KeyChanged { .. }));
    assert!(!key.exists(), "no new key is made for a log that was signed");
}

#[tokio::test]
async fn the_history_cannot_be_changed_through_sql() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.start_instance(new_instance("i-1")).await.unwrap();
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(dir.path().join("light-workflow.db"))
        .connect()
        .await
        .unwrap();
    for sql in ["update event set body = '{}'", "delete from event", "update event set revision = 2"] {
        let refused = connection.execute(sql).await.unwrap_err();
        assert!(refused.to_string().contains("an event is never"), "{refused}");
    }
}

#[tokio::test]
async fn rows_that_do_not_follow_from_the_history_are_found() {
    let dir = tempfile::tempdir().unwrap();
    for sql in [
        "update attempt set completed_at = null, outcome = null",
        "update attempt set started_at = '2026-01-01T00:00:00.000000000Z'",
        "delete from attempt",
        "update human_task set closed_at = asked_at",
        "delete from human_task",
        "update instance set revision = revision + 1",
        "update instance set phase = 'completed'",
        "update instance set created_at = '2026-01-01T00:00:00.000000000Z'",
        "update instance set definition_name = 'another'",
        "update definition set source = 'document: {} '",
        "drop trigger event_is_never_removed; delete from event where revision = 3",
    ] {
        let dir = dir.path().join(workflow::Digest::of(sql.as_bytes()).hex());
        let store = open(&dir).await;
        store.start_instance(new_instance("i-1")).await.unwrap();
        let leases = claim(&store, "host-a", 0).await;
        let events = vec![
            crate::fixtures::attempt_started("a", 1),
            crate::fixtures::attempt_completed("a", 1),
            question_asked("approve", "go?"),
        ];
        append(&store, &leases, "i-1", 1, events, WAITING).await.unwrap();
        rebuild_check(&store, None).await.unwrap();
        tamper(&dir, sql).await;
        assert!(rebuild_check(&store, None).await.is_err(), "`{sql}` is not found");
    }
}

#[tokio::test]
async fn every_difference_is_told_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&store, "host-a", 0).await;
    let events = vec![crate::fixtures::attempt_started("a", 1), question_asked("approve", "go?")];
    append(&store, &leases, "i-1", 1, events, WAITING).await.unwrap();
    for sql in
        ["update human_task set closed_at = asked_at", "delete from attempt", "update instance set phase = 'cancelled'"]
    {
        tamper(dir.path(), sql).await;
    }
    let found = store::rebuild(&store, None).await.unwrap().differences;
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    assert_eq!(said[0], "instance `i-1`: its end is \"cancelled\", and its history says nothing");
    assert_eq!(said[1], "instance `i-1`: attempt 1 of `/do/0/a` is not there, and its history says it should be");
    assert!(said[2].starts_with("instance `i-1`: human task `i-1."), "{}", said[2]);
    assert!(said[2].contains("`: `closedAt` is \"2"), "{}", said[2]);
    assert!(said[2].ends_with("and its history says nothing"), "{}", said[2]);
}

#[tokio::test]
async fn a_stored_file_with_other_bytes_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.start_instance(new_instance("i-1")).await.unwrap();
    let uri: workflow::ArtifactUri = "artifact://i-1/t/1/a.txt".parse().unwrap();
    let new =
        store::NewArtifact { uri: uri.clone(), instance: "i-1".parse().unwrap(), media_type: "text/plain".to_owned() };
    let kept = store.put_artifact(new, store::ArtifactBytes::Memory(b"before".to_vec())).await.unwrap();
    let instance = "i-1".parse().unwrap();
    assert_eq!(store::check_kept_bytes(&store, &instance).await.unwrap().differences, Vec::new());
    let path = store.artifact_path(&kept.digest).unwrap();
    std::fs::write(&path, "beforf").unwrap();
    let found = store::check_kept_bytes(&store, &instance).await.unwrap().differences;
    assert_eq!(found.len(), 1);
    assert!(
        found[0].to_string().starts_with("instance `i-1`: the file of `artifact://i-1/t/1/a.txt` is unreadable"),
        "{}",
        found[0]
    );
    std::fs::write(&path, "before and more").unwrap();
    let found = store::check_kept_bytes(&store, &instance).await.unwrap().differences;
    assert!(found[0].to_string().contains("is 15 bytes long, and its history says sha256:"), "{}", found[0]);
    std::fs::remove_file(&path).unwrap();
    let found = store::check_kept_bytes(&store, &instance).await.unwrap().differences;
    assert!(found[0].to_string().contains("No such file"), "{}", found[0]);
}

/// An instance that ended, the summary of its history, and the summary that is kept of it.
async fn kept(store: &SqliteStore, name: &str, change: impl Fn(String) -> String) -> store::KeptBytes {
    store.start_instance(new_instance(name)).await.unwrap();
    let leases = claim(store, "host-a", 0).await;
    let end = workflow::Event::InstanceCompleted { output: serde_json::json!({ "published": 3 }) };
    append(store, &leases, name, 1, vec![end], COMPLETED).await.unwrap();
    let summary = workflow::summary::Summary::of(&store.history(&id(name), 0).await.unwrap()).unwrap();
    let summary = summary.files().map(|(name, _, bytes)| (format!("summary/1/{name}"), bytes));
    let log = ("t/1/plugin.log.jsonl".to_owned(), b"{}".to_vec());
    for (file, bytes) in summary.into_iter().chain([log]) {
        let uri = format!("artifact://{name}/{file}").parse().unwrap();
        let new = store::NewArtifact { uri, instance: id(name), media_type: "text/plain".to_owned() };
        let bytes = change(String::from_utf8(bytes).unwrap()).into_bytes();
        store.put_artifact(new, store::ArtifactBytes::Memory(bytes)).await.unwrap();
    }
    store::check_kept_bytes(store, &id(name)).await.unwrap()
}

#[tokio::test]
async fn a_summary_that_the_history_does_not_give_is_told_and_so_is_a_file_that_no_event_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let right = kept(&store, "i-1", |text| text).await;
    assert_eq!(right.differences, Vec::new());
    assert_eq!(right.unnamed, ["artifact://i-1/t/1/plugin.log.jsonl"]);
    assert_eq!(right.other_summary, Vec::<String>::new());

    let wrong = kept(&store, "i-2", |text| text.replace("published\": 3", "published\": 4")).await;
    let said: Vec<String> = wrong.differences.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].starts_with("instance `i-2`: `artifact://i-2/summary/1/summary.md` is sha256:"), "{said:#?}");
    assert!(said[1].starts_with("instance `i-2`: `artifact://i-2/summary/1/summary.json` is sha256:"), "{said:#?}");

    let older = kept(&store, "i-3", |text| text.replace("\"format\": 1,", "\"format\": 0,")).await;
    assert_eq!(older.differences, Vec::new());
    let both = ["artifact://i-3/summary/1/summary.md", "artifact://i-3/summary/1/summary.json"];
    assert_eq!(older.other_summary, both, "each is named: nothing vouches for what they say");

    let broken =
        kept(&store, "i-4", |text| text.replace("\"format\": 1,", "\"format\": 1").replace("# Release", "# No")).await;
    assert_eq!(broken.differences.len(), 2, "what is no summary is compared: {broken:?}");
}

#[tokio::test]
async fn a_state_beside_another_event_than_it_was_made_after_is_not_given() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&store, "host-a", 0).await;
    let append = store::Append {
        instance: id("i-1"),
        expected_revision: 1,
        lease: crate::fixtures::lease_of(&leases, "i-1"),
        events: crate::fixtures::recorded(1, 5, vec![question_asked("approve", "go?")]),
        projection: WAITING,
        taken: Vec::new(),
        listeners: None,
        snapshot: Some(b"state".to_vec()),
        also: store::Alongside::default(),
    };
    store.append(append).await.unwrap();
    assert!(store.snapshot(&id("i-1")).await.unwrap().is_some());
    tamper(dir.path(), "update snapshot set revision = 1").await;
    assert!(store.snapshot(&id("i-1")).await.unwrap().is_none());
}
