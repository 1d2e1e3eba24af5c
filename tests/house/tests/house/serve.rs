//! The same release over HTTP, with the API and the worker in one process and in two.

use std::fs;

use serde_json::{Value, json};

use crate::history::{events, no_effect_happened_twice};
use crate::http::Client;
use crate::leftovers::nothing_is_left_of;
use crate::world::{Host, RELEASE, Running, Stage, eventually};

/// `serve` with the API, and a client that holds its token.
pub struct Serving {
    running: Running,
    pub client: Client,
}

impl Serving {
    pub fn start(host: &Host, role: &str) -> Self {
        let mut running = Running::spawn(host.command(&["serve", "--listen", "127.0.0.1:0", "--role", role]));
        let line = running.line_with("listening on http://");
        let address = line.rsplit_once("http://").unwrap().1.trim().to_owned();
        running.line_with("bearer token in");
        let token = fs::read_to_string(host.data.join("api-token")).unwrap().trim().to_owned();
        Self { running, client: Client { address, token: Some(token) } }
    }

    pub fn kill(self) {
        self.running.kill();
    }
}

/// Starts the stage's release with this key; gives the answer's body.
pub fn start_release(client: &Client, stage: &Stage, key: &str, status: u16) -> Value {
    let request = fs::read_to_string(&stage.written.request).unwrap();
    client.post("/v1/releases", &[("idempotency-key", key)], &request).with_status(status).json()
}

/// The question that is open now.
pub fn open_task(client: &Client) -> Value {
    eventually("a human task", || {
        let tasks = client.get("/v1/human-tasks?open=true").with_status(200).json();
        tasks["items"].get(0).cloned()
    })
}

pub fn decide(client: &Client, task: &Value, value: &str, status: u16) -> Value {
    let body = json!({ "value": value, "subjectDigest": task["subjectDigest"], "comment": "looked at it" });
    let path = format!("/v1/human-tasks/{}/decision", task["id"].as_str().unwrap());
    client.post(&path, &[], &body.to_string()).with_status(status).json()
}

pub fn wait_for_end(client: &Client, id: &str) -> Value {
    eventually("the end of the release", || {
        let release = client.get(&format!("/v1/releases/{id}")).with_status(200).json();
        ["completed", "faulted", "cancelled"].contains(&release["phase"].as_str().unwrap()).then_some(release)
    })
}

fn assert_released(stage: &Stage) {
    assert_eq!(stage.published(), Stage::all_crates());
    assert_eq!(stage.tags(), [format!("v1.2.0 {}", stage.written.commit)]);
    assert_eq!(stage.pushes(), [200]);
}

#[test]
fn a_release_is_started_watched_decided_and_read_over_http() {
    let stage = Stage::with_a_person();
    let host = stage.host();
    let serving = Serving::start(&host, "all");
    let client = &serving.client;

    for path in ["/v1/releases", "/v1/human-tasks", "/v1/releases/x/logs"] {
        for token in [None, Some("lw_0000".to_owned())] {
            let stranger = Client { address: client.address.clone(), token };
            let answer = stranger.get(path).with_status(401);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }

    let started = start_release(client, &stage, "key-1", 201);
    assert_eq!(start_release(client, &stage, "key-1", 200)["id"], started["id"], "the same key starts nothing new");
    assert_eq!(start_release(client, &stage, "key-2", 409)["status"], 409, "one run of a release at a time");
    let id = started["id"].as_str().unwrap().to_owned();

    let path = format!("/v1/releases/{id}/events");
    let mut followed = Vec::new();
    let mut stale = Value::Null;
    for event in client.follow(&path) {
        if event["event"]["type"] == "QuestionAsked" {
            let task = open_task(client);
            assert_eq!(task["subject"]["crates"].as_array().unwrap().len(), 3);
            assert!(stage.published().is_empty(), "nothing is published before the decision");
            stale = task.clone();
            stale["subjectDigest"] = format!("sha256:{}", "0".repeat(64)).into();
            decide(client, &stale, "approved", 409);
            decide(client, &task, "perhaps", 422);
            let decided = decide(client, &task, "approved", 200);
            assert_eq!(decided["decision"]["decidedBy"], "token:local");
            decide(client, &task, "approved", 409);
        }
        followed.push(event);
    }
    assert_ne!(stale, Value::Null, "a person was asked");
    let revisions: Vec<u64> = followed.iter().map(|event| event["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, (1..=revisions.len() as u64).collect::<Vec<_>>(), "every event once, in order");
    assert_eq!(followed.last().unwrap()["event"]["type"], "InstanceCompleted");

    let release = wait_for_end(client, &id);
    assert_eq!(release["phase"], "completed");
    assert_released(&stage);

    let logs = client.get(&format!("/v1/releases/{RELEASE}/logs")).with_status(200).text();
    for text in ["Compiling demo-changelog", "test result: ok", "Uploaded demo-notes-cli"] {
        assert!(logs.contains(text), "expected `{text}` in the logs");
    }
    let artifacts = client.get(&format!("/v1/releases/{id}/artifacts")).with_status(200).json();
    let crates: Vec<&str> = artifacts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["uri"].as_str().unwrap())
        .filter(|uri| uri.ends_with(".crate"))
        .collect();
    assert_eq!(crates.len(), 3);
    for uri in crates {
        let answer =
            client.get(&format!("/v1/artifacts/{}", uri.strip_prefix("artifact://").unwrap())).with_status(200);
        let digest = workflow::Digest::of(&answer.body).to_string();
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
        assert!(
            stage.demo.registry().log().iter().any(|entry| digest.ends_with(&entry.digest)),
            "{uri} is what was published"
        );
    }
    drop(serving);
    host.run(&["audit", "verify"]).ended_with(0);
}

#[test]
fn a_server_that_was_killed_goes_on_with_its_releases_when_it_is_started_again() {
    let stage = Stage::with_a_person();
    let host = stage.host();
    // In the middle of the build, and again while a person is asked, and in the middle of the publish.
    let serving = Serving::start(&host, "all");
    let id = start_release(&serving.client, &stage, "key", 201)["id"].as_str().unwrap().to_owned();
    let events = format!("/v1/releases/{id}/events");
    let building = |event: &Value| {
        event["event"]["type"] == "CommandStarted" && event.to_string().contains("rust-release/cargo-build")
    };
    assert!(serving.client.follow(&events).any(|event| building(&event)));
    serving.kill();

    let serving = Serving::start(&host, "all");
    let task = open_task(&serving.client);
    serving.kill();

    let serving = Serving::start(&host, "all");
    assert_eq!(open_task(&serving.client), task, "the question is the same after a restart");
    decide(&serving.client, &task, "approved", 200);
    let publishing = |event: &Value| {
        event["event"]["type"] == "CommandStarted" && event.to_string().contains("rust-release/cargo-publish")
    };
    assert!(serving.client.follow(&events).any(|event| publishing(&event)));
    serving.kill();

    let serving = Serving::start(&host, "all");
    let release = wait_for_end(&serving.client, &id);
    assert_eq!(release["phase"], "completed", "{release}");
    // The server closes the session of what has ended; the kill must not come first.
    let sessions = host.data.join("sandbox/sessions");
    eventually("the session is closed", || fs::read_dir(&sessions).unwrap().next().is_none().then_some(()));
    drop(serving);
    assert_released(&stage);
    no_effect_happened_twice(&crate::history::events(&host));
    nothing_is_left_of(&host);
}

#[test]
fn the_api_and_the_worker_are_two_processes_that_meet_only_in_the_store() {
    let stage = Stage::with_a_person();
    let host = stage.host();
    let api = Serving::start(&host, "api");
    let id = start_release(&api.client, &stage, "key", 201)["id"].as_str().unwrap().to_owned();
    // Nobody works yet: the API itself runs nothing.
    let release = api.client.get(&format!("/v1/releases/{id}")).with_status(200).json();
    assert_eq!(release["commands"], json!([]));
    assert!(!host.data.join("sandbox").exists(), "the API has no sandboxes");

    let worker = Running::spawn(host.command(&["serve", "--role", "worker"]));
    let task = open_task(&api.client);
    decide(&api.client, &task, "approved", 200);
    assert_eq!(wait_for_end(&api.client, &id)["phase"], "completed");
    assert_released(&stage);
    worker.kill();
    api.kill();
    no_effect_happened_twice(&events(&host));
}
