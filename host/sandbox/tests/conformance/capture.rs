//! A hostile command cannot make the host keep what is not its own.

use std::collections::BTreeMap;

use sandbox::{ExecRequest, SecretValue};
use workflow::command::SandboxMode;
use workflow::{CommandStatus, Digest, SecretName};

use super::world::{World, key, request};

fn capturing(mut request: ExecRequest, globs: &[&str]) -> ExecRequest {
    request.command.capture = globs.iter().map(|glob| (*glob).to_owned()).collect();
    request
}

#[tokio::test]
async fn links_pipes_sockets_and_odd_names_are_not_kept() {
    let world = World::new();
    let script = r#"
import os, socket
os.mkdir("out")
open("out/honest", "w").write("honest")
os.symlink("/etc/passwd", "out/link")
os.symlink("/proc/1/environ", "out/environ")
os.symlink("/", "top")
os.mkfifo("out/pipe")
socket.socket(socket.AF_UNIX).bind("out/socket")
open(b"out/\xff\xfe", "w").write("odd")
open("out/a\nb", "w").write("odd")
os.truncate(os.open("out/huge", os.O_CREAT | os.O_WRONLY), 600 << 20)
os.mkdir("out/closed", 0)
"#;
    let command = request(1, SandboxMode::PerTask, &["python3", "-c", script]);
    let outcome = world.run(capturing(command, &["out/**", "top/etc/passwd", "../**", "/etc/*"])).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    let kept: Vec<_> = outcome.captured.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(kept, ["out/honest"], "{outcome:?}");
    assert_eq!(outcome.captured[0].digest, Digest::of(b"honest"));
    assert_eq!(std::fs::read_to_string(&outcome.captured[0].file).expect("the copy"), "honest");
}

#[tokio::test]
async fn what_is_kept_stays_as_it_was_and_goes_with_the_spool() {
    let world = World::new();
    let first = capturing(request(1, SandboxMode::WorkflowSession, &["sh", "-c", "echo first > file"]), &["file"]);
    let kept = world.run(first).await.captured.remove(0);
    world.shell(2, "echo second > file").await;
    assert_eq!(std::fs::read_to_string(&kept.file).expect("the copy"), "first\n");
    world.provider.discard(&key(1)).await;
    assert!(!kept.file.exists());
}

#[tokio::test]
async fn a_file_with_the_commands_secret_is_not_kept() {
    let world = World::new();
    let script = "printf %s \"$TOKEN\" | base64 > leak; echo fine > fine";
    let mut command = capturing(request(1, SandboxMode::PerTask, &["sh", "-c", script]), &["*"]);
    let name = SecretName::new("release-token").expect("a name");
    command.command.secrets = BTreeMap::from([("TOKEN".to_owned(), name.clone())]);
    command.secrets = BTreeMap::from([(name, SecretValue::new("s3cret-value-of-the-release"))]);
    let outcome = world.run(command).await;
    let kept: Vec<_> = outcome.captured.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(kept, ["fine"], "{outcome:?}");
}

#[tokio::test]
async fn a_tree_that_is_hard_to_remove_is_removed() {
    let world = World::new();
    let script = r#"
import os
os.makedirs("closed/inside")
open("closed/inside/file", "w").close()
os.chmod("closed/inside", 0)
os.chmod("closed", 0)
for _ in range(1500):
    os.mkdir("deep-deep-deep")
    os.chdir("deep-deep-deep")
"#;
    let task = world.run(request(1, SandboxMode::PerTask, &["python3", "-c", script])).await;
    assert_eq!(task.status, CommandStatus::Succeeded, "{task:?}");
    let session = world.run(request(2, SandboxMode::WorkflowSession, &["python3", "-c", script])).await;
    assert_eq!(session.status, CommandStatus::Succeeded, "{session:?}");
    world.provider.close_session(&key(2).instance).await;
    let after = world.shell(3, "ls -A").await;
    assert_eq!(after.stdout_excerpt, "", "{after:?}");
}
