//! Real tools reach what is listed, and nothing else.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::thread;

use sandbox::ExecError;
use workflow::CommandStatus;
use workflow::command::SandboxMode;

use super::world::{World, request};

/// Serves the files of a folder on the loopback device.
fn serve(folder: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || answer(stream, &folder));
        }
    });
    address
}

fn answer(stream: TcpStream, folder: &Path) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let path = first.split(' ').nth(1)?.trim_start_matches('/').split('?').next()?.to_owned();
    let (status, body) = match std::fs::read(folder.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    (&stream).write_all(&[head.as_bytes(), &body].concat()).ok()
}

/// Files and a repository behind `files.test`; the same server is `private.test`'s name on this host.
fn world(folder: &Path) -> World {
    std::fs::write(folder.join("hello"), "hello from outside\n").expect("a file");
    let address = serve(folder.to_owned());
    let names = ["files.test:80", "files.test:443"];
    World::with(BTreeMap::from(names.map(|name| (name.to_owned(), address))))
}

fn repository(folder: &Path) {
    let script = "git init -q -b main work && cd work && echo 1 > file && git add file && \
                  git -c user.name=t -c user.email=t@t.test commit -qm one && cd .. && \
                  git clone -q --bare work repo.git && git -C repo.git update-server-info";
    let done = Process::new("sh").args(["-euc", script]).current_dir(folder).status().expect("sh");
    assert!(done.success());
}

#[tokio::test]
async fn git_and_curl_reach_a_listed_name_through_the_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    repository(folder.path());
    let world = world(folder.path());
    let script = "curl -sS http://files.test/hello && git clone -q http://files.test/repo.git copy && cat copy/file && \
                  curl -sSp http://files.test:443/hello";
    let mut command = request(1, SandboxMode::WorkflowSession, &["sh", "-euc", script]);
    command.command.egress = vec!["files.test:80".to_owned(), "files.test:443".to_owned()];
    let outcome = world.run(command).await;
    assert_eq!(outcome.stdout_excerpt, "hello from outside\n1\nhello from outside\n", "{outcome:?}");
    assert!(outcome.egress.len() >= 3 && outcome.egress.iter().all(|decision| decision.allowed), "{outcome:?}");
}

#[tokio::test]
async fn whatever_is_not_listed_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path());
    // The second is listed and mapped for another port only; the last is listed and leads to this host.
    let script = "for url in http://elsewhere.test/ http://files.test:81/ http://files.test@elsewhere.test/ http://10.0.0.1/; do \
                  curl -sS -o /dev/null -w '%{http_code} %header{x-egress-policy}\\n' \"$url\"; done; \
                  curl -sS https://elsewhere.test/ 2>&1; exit 1";
    let mut command = request(1, SandboxMode::PerTask, &["sh", "-c", script]);
    command.command.egress = vec!["files.test:80".to_owned()];
    let outcome = world.run(command).await;
    assert_eq!(outcome.status, CommandStatus::PolicyViolation, "{outcome:?}");
    assert!(outcome.stdout_excerpt.starts_with(&"403 deny\n".repeat(4)), "{outcome:?}");
    assert!(outcome.stdout_excerpt.contains("response 403"), "{outcome:?}");
    assert_eq!(outcome.egress.iter().filter(|decision| !decision.allowed).count(), 5, "{outcome:?}");
}

#[tokio::test]
async fn a_command_cannot_list_more_than_its_template() {
    let world = World::new();
    let mut command = request(1, SandboxMode::PerTask, &["true"]);
    command.command.egress = vec!["elsewhere.test:443".to_owned()];
    let error = world.provider.exec(command).await.expect_err("refused");
    assert!(matches!(error, ExecError::Start { .. } | ExecError::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("elsewhere.test:443"), "{error}");
}

#[tokio::test]
async fn a_refusal_that_a_command_survives_is_no_violation() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path());
    let mut command = request(1, SandboxMode::PerTask, &["sh", "-c", "curl -sS http://elsewhere.test/; true"]);
    command.command.egress = vec!["files.test:80".to_owned()];
    let outcome = world.run(command).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    assert!(outcome.egress.iter().any(|decision| !decision.allowed), "{outcome:?}");
}
