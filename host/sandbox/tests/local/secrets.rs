//! Secrets go to fresh sandboxes only, and nowhere else.

use std::fs;
use std::path::Path;

use sandbox::{ExecError, SecretValue};
use workflow::CommandStatus;

use super::house::{House, processes_with, session, task, with_secret};

const VALUE: &str = "tok-4714-correct-horse";

#[tokio::test]
async fn a_secret_is_a_variable_and_a_file_of_the_commands_user() {
    let house = House::new();
    let script = "test \"$TOKEN\" = \"$(cat /run/secrets/release-token)\" && stat -c '%a %U' /run/secrets/release-token \
        && printf %s \"$TOKEN\" | wc -c";
    let outcome = house.run(with_secret(task(1, &["sh", "-c", script]), VALUE)).await;
    assert_eq!(outcome.stdout_excerpt, format!("400 runner\n{}\n", VALUE.len()), "{outcome:?}");
}

#[tokio::test]
async fn a_secret_is_nowhere_on_the_disk_or_in_a_command_line() {
    let house = House::new();
    let script = "echo \"$TOKEN\"; echo \"$TOKEN\" | base64 >&2; touch \"$TOKEN.txt\"; sleep 1; exit 1";
    let mut request = with_secret(task(1, &["sh", "-c", script]), VALUE);
    request.also_redact.push(SecretValue::new("another-secret-value"));
    let looking = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        processes_with(VALUE)
    };
    let (outcome, seen) = tokio::join!(house.run(request), looking);
    assert_eq!(seen, [""; 0]);
    assert_eq!(outcome.status, CommandStatus::Failed, "{outcome:?}");
    assert_eq!(outcome.stdout_excerpt, "[secret release-token]\n");
    assert!(!outcome.stderr_excerpt.is_empty() && !format!("{outcome:?}").contains(VALUE), "{outcome:?}");
    assert_eq!(files_with(&house.root(), VALUE), [""; 0]);
}

#[tokio::test]
async fn a_session_gets_no_secret() {
    let house = House::new();
    let error = house.refused(with_secret(session(1, &["true"]), VALUE)).await;
    assert!(matches!(error, ExecError::Start { .. }), "{error:?}");
}

#[tokio::test]
async fn a_secret_that_cannot_be_redacted_is_not_used() {
    let house = House::new();
    let error = house.refused(with_secret(task(1, &["true"]), "short")).await;
    assert!(matches!(error, ExecError::Start { .. }), "{error:?}");
    assert!(error.to_string().contains("fewer than 8 bytes"), "{error}");
}

#[tokio::test]
async fn a_secret_without_a_value_starts_nothing() {
    let house = House::new();
    let mut request = with_secret(task(1, &["true"]), VALUE);
    request.secrets.clear();
    let error = house.refused(request).await;
    assert!(error.to_string().contains("secret `release-token` has no value"), "{error}");
    assert_eq!(fs::read_dir(house.root().join("tasks")).expect("a folder").count(), 0);
}

/// Files below `folder` with `text` in their name or content.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a type");
        let content = if kind.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
        if path.to_string_lossy().contains(text) || String::from_utf8_lossy(&content).contains(text) {
            found.push(path.display().to_string());
        }
        if kind.is_dir() {
            found.extend(files_with(&path, text));
        }
    }
    found
}
