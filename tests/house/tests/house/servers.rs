//! Calls of a definition to a server of MCP in a sandbox, and to one that speaks gRPC.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use web_stub::http2;

use crate::world::{Host, Ran, root};

const SERVER: &str = include_str!("../reach/mcp_server.py");

const HEAD: &str = "document:
  dsl: '1.0.3'
  namespace: tests
  name: servers
  version: '0.1.0'
  metadata: { lightWorkflow: { security: { sandbox: { template: rust-release } } } }
do:
";

struct World(TempDir);

impl World {
    fn new(calls: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let templates = root().join("sandbox-templates");
        let text = format!("[paths]\ntemplates = {templates:?}\n[calls]\nfiles = \"documents\"\n{calls}");
        fs::write(folder.path().join("light-workflow.toml"), text).unwrap();
        fs::create_dir(folder.path().join("documents")).unwrap();
        Self(folder)
    }

    fn run(&self, tasks: &str) -> Ran {
        let folder = self.0.path();
        fs::write(folder.join("definition.yaml"), format!("{HEAD}{tasks}")).unwrap();
        let host =
            Host { config: folder.join("light-workflow.toml"), data: folder.join("data"), folder: folder.to_owned() };
        host.run(&["run", "definition.yaml", "--format", "json"])
    }

    #[track_caller]
    fn output(&self, tasks: &str) -> Value {
        serde_json::from_str::<Value>(&self.run(tasks).ended_with(0).stdout).unwrap()["output"].clone()
    }

    #[track_caller]
    fn error(&self, tasks: &str) -> Value {
        serde_json::from_str::<Value>(&self.run(tasks).ended_with(1).stdout).unwrap()["error"].clone()
    }
}

/// A task that starts the fixture, which is as `how` says, and asks it this. YAML reads JSON.
fn ask(how: &str, method: &str, parameters: &Value, light: &Value) -> String {
    let stdio =
        json!({ "command": "python3", "arguments": ["-c", SERVER, how], "environment": { "PYTHONUNBUFFERED": "1" } });
    let with = json!({ "method": method, "parameters": parameters, "transport": { "stdio": stdio }, "timeout": { "seconds": 20 } });
    format!("- ask: {}\n", json!({ "call": "mcp", "with": with, "metadata": { "lightWorkflow": light } }))
}

#[test]
fn a_definition_asks_a_server_that_it_starts_in_the_sandbox_of_its_task() {
    let world = World::new("");
    let listed = world.output(&ask("good", "tools/list", &json!({}), &json!({})));
    assert_eq!(listed["tools"][0]["name"], "add");
    let add = json!({ "name": "add", "arguments": { "a": 1, "b": 41 } });
    let fresh = json!({ "security": { "sandbox": { "mode": "per-task", "reason": "tests" } } });
    assert_eq!(world.output(&ask("good", "tools/call", &add, &fresh))["structuredContent"]["sum"], 42);

    let kind = |error: &Value| error["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let error = world.error(&ask("good", "tools/call", &json!({ "name": "other" }), &json!({})));
    assert_eq!((kind(&error).as_str(), &error["status"]), ("rpc-error", &json!(502)));
    // What acts and gives no answer may have happened, unless the definition knows better.
    let error = world.error(&ask("garbage", "tools/call", &add, &json!({})));
    assert_eq!(kind(&error), "outcome-unknown");
    let error = world.error(&ask("garbage", "tools/call", &add, &json!({ "effect": "pure" })));
    assert_eq!(kind(&error), "communication");
    assert!(error["detail"].as_str().unwrap().contains("Listening on port 3000"), "{error}");
    let error = world.error(&ask("other-version", "tools/list", &json!({}), &json!({})));
    assert_eq!(kind(&error), "communication");
}

/// `HelloReply { message: "Hello Ann" }` behind the length of a message.
const REPLY: &[u8] = b"\x00\x00\x00\x00\x0b\x0a\x09Hello Ann";

#[test]
fn a_definition_calls_a_method_of_a_proto_document() {
    let web = http2::Web::plain(|_| http2::Reply {
        status: 200,
        headers: vec![("content-type", "application/grpc".to_owned())],
        body: vec![REPLY.to_vec()],
        trailers: Some(vec![("grpc-status", "0".to_owned())]),
        ..http2::Reply::default()
    });
    let world = World::new(&format!("allow = [\"http://{}\"]\n", web.address()));
    let proto = "syntax = \"proto3\"; package GreeterApi; service Greeter { rpc SayHello (Hello) returns (Reply) {} }
        message Hello { string name = 1; } message Reply { string message = 1; }";
    fs::write(world.0.path().join("documents/greet.proto"), proto).unwrap();
    let tasks = |port: u16| {
        format!(
            "- user: {{ set: {{ name: Ann }} }}\n- greet:\n    call: grpc\n    with:\n      proto: {{ endpoint: file://greet.proto }}\n      \
             service: {{ name: GreeterApi.Greeter, host: 127.0.0.1, port: {port} }}\n      method: SayHello\n      \
             arguments: {{ name: '${{ .name }}' }}\n"
        )
    };
    assert_eq!(world.output(&tasks(web.address().port())), json!({ "message": "Hello Ann" }));
    assert_eq!(web.asked()[0].body, b"\x00\x00\x00\x00\x05\x0a\x03Ann");
    // Another port is another origin, and nobody approved it.
    world.run(&tasks(1)).ended_with(2).says("which is not approved");
}
