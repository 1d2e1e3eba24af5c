//! Every way to call out and every way to listen, under a host that is killed everywhere.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use web_stub::{Asked, Reply, Web, http2};
use workflow::definition;

use crate::crash::{commits, side_by_side};
use crate::history::{events, no_effect_happened_twice};
use crate::world::{Host, RELEASE, Ran, Stage, root};

const SERVER: &str = include_str!("../reach/mcp_server.py");

const PROTO: &str = "syntax = \"proto3\"; package greet;
service Greeter { rpc Greet (Request) returns (Answer) { option idempotency_level = NO_SIDE_EFFECTS; } }
message Request {} message Answer { string text = 1; }";

fn source(greeter_port: u16) -> String {
    let text = fs::read_to_string(root().join("tests/house/definitions/every-way.yaml")).unwrap();
    text.replace("THE_SERVER", &json!(SERVER).to_string()).replace("GREETER_PORT", &greeter_port.to_string())
}

struct Ways {
    stage: Stage,
    definition: String,
    _servers: (Web, http2::Web),
}

impl Ways {
    fn new() -> Self {
        let stage = Stage::unattended();
        let ways = Web::plain(answer);
        let greeter = http2::Web::plain(|_| http2::Reply {
            status: 200,
            headers: vec![("content-type", "application/grpc".to_owned())],
            body: vec![b"\0\0\0\0\x07\x0a\x05hello".to_vec()],
            trailers: Some(vec![("grpc-status", "0".to_owned())]),
            ..http2::Reply::default()
        });
        let calls = format!(
            "\n[calls]\nallow = [\"http://{}\"]\n[calls.resolve]\n\"ways.test:80\" = \"{}\"\n",
            greeter.address(),
            ways.address()
        );
        stage.configure(|text| text + &calls);
        let definition = stage.write("every-way.yaml", &source(greeter.address().port())).display().to_string();
        Self { stage, definition, _servers: (ways, greeter) }
    }

    fn start(&self, host: &Host, crash_after: Option<usize>) -> Ran {
        let request = self.stage.written.request.display().to_string();
        let arguments = ["release", "start", &request, "--definition", &self.definition, "--yes"];
        match crash_after {
            Some(count) => host.run_and_crash_after(&arguments, count),
            None => host.run(&arguments),
        }
    }

    /// How it ended, once nothing is left to do.
    fn left(&self, host: &Host) -> (String, Value) {
        if host.phase().as_deref() != Some("completed") {
            self.start(host, None).ended_with(0);
        }
        no_effect_happened_twice(&events(host));
        host.run(&["audit", "verify"]).ended_with(0);
        let summary = host.json(&["release", "summary", RELEASE, "--format", "json"]);
        (summary["status"].as_str().unwrap().to_owned(), summary["output"].clone())
    }
}

fn answer(asked: &Asked) -> Reply {
    let found = |value: Value| Reply::json(&value.to_string());
    match asked.line().as_str() {
        "GET /openapi.json" => found(json!({
            "openapi": "3.0.4", "info": { "title": "ways", "version": "1" }, "servers": [{ "url": "/" }],
            "paths": { "/look": { "get": { "operationId": "look", "responses": { "200": { "description": "it" } } } } },
        })),
        "GET /look" => found(json!({ "looked": true })),
        "GET /greet.proto" => Reply::new(200, &[("content-type", "text/plain")], PROTO),
        "PUT /put" => found(json!({ "put": true })),
        "POST /agent" | "POST /mcp" => {
            let message: Value = serde_json::from_str(asked.text()).unwrap();
            let Some(id) = message.get("id") else { return Reply::status(202) };
            let result = match message["method"].as_str().unwrap() {
                "initialize" => json!({
                    "protocolVersion": message["params"]["protocolVersion"], "capabilities": { "tools": {} },
                    "serverInfo": { "name": "ways", "version": "1" },
                }),
                method => json!({ "method": method }),
            };
            found(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
        }
        _ => Reply::status(404),
    }
}

fn wanted() -> (String, Value) {
    let heard = json!([[1], [1, 2], ["com.example.b"], [1, 2], [1]]);
    let output = json!({
        "openapi": true, "a2a": "message/send", "mcp": "tools/call", "process": 42, "grpc": "hello", "http": true,
        "heard": heard,
    });
    ("completed".to_owned(), output)
}

/// What the definition must have. Messages have a sweep of their own (`messages.rs`); `run.container` belongs here when it runs.
const WAYS: &[&str] = &[
    "a2a",
    "grpc",
    "http",
    "listen all",
    "listen any",
    "listen any until an event",
    "listen any until it holds",
    "listen one",
    "mcp http",
    "mcp stdio",
    "openapi",
];

/// The way a task goes, where its kind has several.
fn way(task: &Value) -> Option<String> {
    if let Some(call) = task["call"].as_str() {
        let transport = task["with"]["transport"].as_object().and_then(|transport| transport.keys().next());
        return Some(transport.map_or_else(|| call.to_owned(), |transport| format!("{call} {transport}")));
    }
    let to = task["listen"]["to"].as_object()?;
    let strategy = to.keys().find(|key| *key != "until")?;
    Some(match to.get("until") {
        None => format!("listen {strategy}"),
        Some(Value::String(_)) => format!("listen {strategy} until it holds"),
        Some(_) => format!("listen {strategy} until an event"),
    })
}

#[test]
fn the_definition_of_this_sweep_has_every_way() {
    let definition = definition::parse(&source(1), "every-way.yaml").unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut ways = BTreeSet::new();
    definition::each_task(&definition.tasks, &mut |task| ways.extend(way(&task.source)));
    assert_eq!(ways.iter().map(String::as_str).collect::<Vec<_>>(), WAYS);
}

#[test]
fn every_way_survives_a_host_that_is_killed_again_and_again() {
    let ways = Ways::new();
    let host = ways.stage.host();
    let mut kills = 0;
    while host.phase().as_deref() != Some("completed") {
        // Two writes now and then: whoever recorded that it is about to send must live to send, once.
        let ran = ways.start(&host, Some(1 + usize::from(kills * 618 % 1000 < 300)));
        assert!(ran.was_killed() || host.phase().as_deref() == Some("completed"), "start {kills}: {ran:?}");
        kills += 1;
        assert!(kills < 200, "{kills} starts and no end");
    }
    println!("{kills} kills");
    // Each of the six calls is a commit, and at most every second one is passed over.
    assert!(kills >= 4, "{kills} kills");
    assert_eq!(ways.left(&host), wanted());
}

#[test]
fn every_way_survives_a_host_that_is_killed_once_anywhere() {
    let commits = {
        let ways = Ways::new();
        let host = ways.stage.host();
        ways.start(&host, None).ended_with(0);
        assert_eq!(ways.left(&host), wanted());
        commits(&host)
    };
    let points: Vec<usize> = (1..=commits).collect();
    assert!(commits > 6, "{commits} commits");
    side_by_side(points.len(), |index| {
        let ways = Ways::new();
        let host = ways.stage.host();
        ways.start(&host, Some(points[index]));
        assert_eq!(ways.left(&host), wanted(), "killed after commit {} of {commits}", points[index]);
    });
    println!("{} of {commits} commits killed after", points.len());
}
