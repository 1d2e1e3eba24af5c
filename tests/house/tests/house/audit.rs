//! Whatever is done to the log is found, in an export and in the database itself.

use std::fs;
use std::path::PathBuf;

use crate::database;
use crate::world::{Host, Stage, root};

/// What somebody does to the lines of an export.
type Edit = fn(&mut Vec<String>);

/// A host with some history: small releases, one of them answered.
fn host_with_a_log(stage: &Stage) -> Host {
    let host = stage.host();
    for name in ["hello", "approval"] {
        let definition = root().join(format!("definitions/examples/{name}.yaml"));
        let request = stage.request_with(|request| request["releaseId"] = name.into());
        let arguments = ["release", "start", request.to_str().unwrap(), "--yes", "--definition"];
        host.run(&[&arguments[..], &[definition.to_str().unwrap()]].concat()).ended_with(0);
    }
    host
}

fn exported(host: &Host, stage: &Stage) -> (PathBuf, Vec<String>) {
    let path = stage.path("export.jsonl");
    host.run(&["audit", "export", "--output", path.to_str().unwrap()]).ended_with(0);
    let lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    assert!(lines.len() > 10, "{lines:?}");
    (path, lines)
}

#[test]
fn an_export_that_was_touched_is_refused_with_the_leaf_and_one_that_was_not_passes() {
    let stage = Stage::unattended();
    let host = host_with_a_log(&stage);
    let (path, lines) = exported(&host, &stage);
    let file = path.to_str().unwrap();
    let verified = host.run(&["audit", "verify", file]).ended_with(0);
    assert!(verified.stdout.contains(&format!("{} events, all in place", lines.len() - 1)), "{}", verified.stdout);
    host.run(&["audit", "verify"]).ended_with(0);

    // Line n of the file holds leaf n − 1.
    let edits: [(&str, Edit, &str); 8] = [
        (
            "a value is edited",
            |lines| lines[4] = lines[4].replace("TaskStarted", "TaskSkipped").replace("TaskCompleted", "TaskSkipped"),
            "3",
        ),
        ("a line is removed", |lines| drop(lines.remove(4)), "3"),
        ("two lines are swapped", |lines| lines.swap(4, 5), "3"),
        ("a line comes twice", |lines| lines.insert(5, lines[4].clone()), "4"),
        ("the last line is removed", |lines| drop(lines.pop()), "leaf"),
        ("a blank is added", |lines| lines[6] = lines[6].replacen(':', ": ", 1), "5"),
        ("a line is no JSON", |lines| lines[6].truncate(20), "5"),
        (
            "a time is edited",
            |lines| lines[2] = lines[2].replacen("2026-", "2025-", 1).replacen("2027-", "2025-", 1),
            "1",
        ),
    ];
    for (what, edit, leaf) in edits {
        let mut changed = lines.clone();
        edit(&mut changed);
        assert_ne!(changed, lines, "{what}: nothing was changed");
        fs::write(&path, changed.join("\n") + "\n").unwrap();
        let ran = host.run(&["audit", "verify", file]).ended_with(1);
        assert!(ran.stderr.contains("leaf") && ran.stderr.contains(leaf), "{what}: {}", ran.stderr);
    }
}

#[test]
fn an_export_that_another_key_signed_is_refused_when_the_key_is_known() {
    let stage = Stage::unattended();
    let host = host_with_a_log(&stage);
    let (path, lines) = exported(&host, &stage);
    let header: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    let key = header["checkpoint"]["key"].as_str().unwrap();
    let file = path.to_str().unwrap();
    host.run(&["audit", "verify", file, "--key", key]).ended_with(0);
    host.run(&["audit", "verify", file, "--key", &"0".repeat(64)]).ended_with(1).says(key);
}

#[test]
fn a_row_that_was_changed_in_the_database_is_found() {
    let changes = [
        (
            "an event is edited",
            "drop trigger event_is_never_changed; \
             update event set body = replace(body, 'describe-change', 'describe-chance') where leaf = (select min(leaf) from event where body like '%describe-change%');",
        ),
        (
            "an event is edited and its hash made to fit nothing",
            "drop trigger event_is_never_changed; update event set hash = lower(hex(randomblob(32))) where leaf = 3;",
        ),
        ("the checkpoint is edited", "update checkpoint set size = size - 1;"),
    ];
    for (what, statements) in changes {
        let stage = Stage::unattended();
        let host = host_with_a_log(&stage);
        host.run(&["audit", "verify"]).ended_with(0);
        database::tamper(&host, statements);
        let ran = host.run(&["audit", "verify"]).ended_with(1);
        println!("{what}: {}", ran.stderr);
        assert!(ran.stderr.contains("leaf") || ran.stderr.contains("signature"), "{what}: {}", ran.stderr);
    }
}

#[test]
fn a_row_that_does_not_follow_from_the_events_is_told_by_name() {
    let changes = [
        ("update human_task set closed_at = null", "human task `"),
        (
            "update instance set definition_name = 'release/other:1.0.0' where release_id = 'hello'",
            "the name of its definition is \"release/other:1.0.0\"",
        ),
        (
            "update instance set phase = 'waiting' where release_id = 'hello'",
            "its end is nothing, and its history says \"completed\"",
        ),
        ("update instance set wake_at = '2030-01-01T00:00:00.000000000Z'", "its next timer is"),
        ("update definition set source = source || ' '", "the digest of its definition's source"),
        ("drop trigger event_is_never_removed; delete from event where leaf = 2", "leaf 2 is missing where it belongs"),
        ("delete from checkpoint", "nobody has signed these"),
    ];
    for (statements, said) in changes {
        let stage = Stage::unattended();
        let host = host_with_a_log(&stage);
        let verified = host.run(&["audit", "verify"]).ended_with(0);
        assert!(verified.stdout.contains("the rows of 2 instances and the files"), "{}", verified.stdout);
        database::tamper(&host, statements);
        let ran = host.run(&["audit", "verify"]).ended_with(1).says(said);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    }
}

#[test]
fn a_stored_file_that_was_changed_or_is_gone_is_told_by_name() {
    let stage = Stage::unattended();
    let host = stage.host();
    host.start_release(&stage).ended_with(0);
    host.run(&["audit", "verify"]).ended_with(0);
    let (uri, digest) = database::artifacts(&host).into_iter().find(|(uri, _)| uri.ends_with("stdout.log")).unwrap();
    let path = host.data.join(format!("artifacts/sha256/{}/{digest}", &digest[..2]));
    fs::write(&path, "nothing of it is true").unwrap();
    host.run(&["audit", "verify"]).ended_with(1).says(&format!("the file of `{uri}` is "));
    fs::remove_file(&path).unwrap();
    host.run(&["audit", "verify"]).ended_with(1).says(&format!("the file of `{uri}` is unreadable"));
}

#[test]
fn a_key_that_is_none_and_a_place_that_cannot_be_written_are_wrong_uses() {
    let stage = Stage::unattended();
    let host = host_with_a_log(&stage);
    host.run(&["audit", "verify", "--key", "12ab"]).ended_with(2).says("a public key is 64 hex digits");
    host.run(&["audit", "export", "--output", "/nowhere/a.jsonl"])
        .ended_with(2)
        .says("failed to write the export `/nowhere/a.jsonl`: No such file or directory");
}
