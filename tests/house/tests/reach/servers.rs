//! MCP servers that are processes in sandboxes: a real server, the real
//! sandbox, and each way in which a server is no good.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sandbox::local::{Local, LocalConfig};
use sandbox::{ParameterValue, Provider, Templates};
use serde_json::{Value, json};
use tempfile::TempDir;
use worker::{McpPlace, McpServer, Services};
use workflow::EffectOutcome;
use workflow::event::Event;

use crate::engine::{Engine, instance, key};
use crate::report::target;
use crate::services::{answer, mcp, said};

const SERVER: &str = include_str!("mcp_server.py");

const TEMPLATE: &str = r#"
name = "tools"
version = "1.0.0"
summary = "Servers of MCP for tests."
[rootfs]
kind = "host"
[limits]
processes = 64
[commands.server]
summary = "A server in Python."
argv = ["python3", "-c", "{code}", "{how}"]
[commands.server.parameters]
code = { type = "text", pattern = "(?s).+", length_max = 20000 }
how = { type = "text", pattern = "[a-z-]+", length_max = 20 }
[commands.nothing]
summary = "No server at all."
argv = ["no-such-program"]
"#;

/// A host with one server, which is as its kind says, and a sandbox to run it in.
struct World {
    engine: Engine,
    provider: Arc<Local>,
    folder: TempDir,
}

impl World {
    async fn new(how: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("templates/tools")).unwrap();
        std::fs::write(folder.path().join("templates/tools/template.toml"), TEMPLATE).unwrap();
        let templates = Arc::new(Templates::load(&folder.path().join("templates")).unwrap());
        let launcher = target().join("debug/light-workflow");
        let local = LocalConfig::new(folder.path().join("sandbox"), templates.clone(), launcher);
        let provider = Arc::new(Local::new(local).unwrap());
        let text = |text: &str| ParameterValue::Text(text.to_owned());
        let (command, parameters) = match how {
            "nothing" => ("tools/nothing", Default::default()),
            _ => ("tools/server", [("code".to_owned(), text(SERVER)), ("how".to_owned(), text(how))].into()),
        };
        let place = McpPlace::Sandbox { command: command.parse().unwrap(), parameters };
        let server = McpServer { place, time_limit: Duration::from_secs(if how == "hang" { 2 } else { 60 }) };
        let services = Services { mcp_servers: [("tools".to_owned(), server)].into(), ..Services::default() };
        let engine = Engine::with(|hands| worker::Hands {
            provider: provider.clone(),
            templates,
            services: Arc::new(services),
            ..hands
        })
        .await;
        Self { engine, provider, folder }
    }

    /// What was said, and the answer on record.
    async fn call(&self, tool: &str, arguments: Value) -> (String, Value) {
        let grants = mcp(&["tools/add", "tools/reach", "tools/stay", "tools/fail", "tools/other"]);
        let hex = arguments.to_string().bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let ran = self.engine.granted(&grants, "mcp", &[&format!("tools/{tool}"), &hex]).await;
        (said(&ran).to_owned(), answer(&ran).clone())
    }
}

/// Processes on this machine whose command line holds `text`.
fn processes_with(text: &str) -> usize {
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    all.filter(|line| line.windows(text.len()).any(|window| window == text.as_bytes())).count()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_a_sandbox_answers_has_no_network_and_is_gone_afterwards() {
    let world = World::new("good").await;
    let (said, answer) = world.call("add", json!({ "a": 1, "b": 2 })).await;
    assert_eq!(said, "ok", "{answer}");
    assert_eq!(
        answer["ok"],
        json!({ "isError": false, "content": [{ "type": "text", "text": "3" }], "structured": { "sum": 3 } })
    );
    let (_, answer) = world.call("fail", json!({})).await;
    assert_eq!(answer["ok"]["isError"], true);
    let (said, _) = world.call("other", json!({})).await;
    assert_eq!(said, "invalid: tool `tools/other` does not take this: -32602: there is no such tool");

    // Somebody listens on this machine, and the server cannot get there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "example.com", "192.0.2.1"] {
        let (_, answer) = world.call("reach", json!({ "host": host, "port": port.to_string() })).await;
        let text = answer["ok"]["content"][0]["text"].as_str().unwrap();
        assert!(text.ends_with("Error") || text == "gaierror", "{host}: {text}");
    }
    // A time that no other test sleeps for names the process.
    let (said, answer) = world.call("stay", json!({ "seconds": "31536017" })).await;
    assert_eq!(said, "ok", "{answer}");
    assert_eq!(processes_with("31536017"), 0, "what the server started ended with its sandbox");
    assert!(is_empty(&world.folder.path().join("sandbox/spool")), "its spool is forgotten when the answer is recorded");
    assert!(is_empty(&world.folder.path().join("sandbox/tasks")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_good_ends_with_an_error_of_its_own() {
    // Before it was asked to do something nothing happened; afterwards nobody knows.
    for (how, expected) in [
        ("other-version", "the server speaks \"1999-01-01\", and not 2025-06-18"),
        ("nothing", "`no-such-program` could not be started"),
    ] {
        let (said, answer) = World::new(how).await.call("add", json!({ "a": 1, "b": 2 })).await;
        assert_eq!(said, "unavailable", "{how}");
        assert!(answer["unavailable"].as_str().unwrap().contains(expected), "{how}: {answer}");
    }
    for (how, expected) in [
        ("hang", "it did not answer within 2000 ms"),
        ("flood", "it wrote more than 4194304 bytes without an answer"),
        ("garbage", "it wrote what is no message: \"Listening on port 3000 ...\""),
        ("exit", "it ended before it answered (exit status: 3)"),
    ] {
        let world = World::new(how).await;
        let ran = world.engine.granted(&mcp(&["tools/add"]), "mcp", &["tools/add"]).await;
        let EffectOutcome::Unknown { detail } = &ran.outcome else { panic!("{how}: {ran:?}") };
        assert!(detail.contains(expected), "{how}: {detail}");
        assert_eq!(ran.events, ["CallStarted"], "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_died_meanwhile_finds_the_answer_of_the_server_it_had_started() {
    let world = World::new("good").await;
    let (grants, hex) = (mcp(&["tools/add"]), "7b2261223a312c2262223a327d");
    let attempt = world.engine.next();
    let ran = world.engine.again(attempt, &grants, "mcp", &["tools/add", hex], Vec::new()).await;
    let Event::CallStarted { command: Some(command), .. } = &ran.history[0] else { panic!("{ran:?}") };
    assert_eq!(command.argv[..2], ["python3", "-c"]);
    assert_eq!(said(&ran), "ok");

    // The same call of an attempt that is on record as started: run to its end by an earlier host.
    let attempt = world.engine.next();
    let server = workflow::EffectKey { sequence: 1, ..key(attempt) };
    let request = sandbox::ExecRequest {
        key: server.clone(),
        command: (**command).clone(),
        secrets: Default::default(),
        inputs: Default::default(),
        also_redact: Vec::new(),
    };
    world.provider.exec(request).await.unwrap();
    // It would answer something else if it were started again: there is no such program now.
    let mut broken = (**command).clone();
    broken.argv = vec!["no-such-program".to_owned()];
    let recorded = Event::CallStarted {
        path: server.path.clone(),
        attempt,
        sequence: 1,
        subject: Some("tools/add".to_owned()),
        command: Some(Box::new(broken)),
        fingerprint: None,
    };
    let ran = world.engine.again(attempt, &grants, "mcp", &["tools/add", hex], vec![recorded]).await;
    assert_eq!((said(&ran), &ran.events[..]), ("ok", &["HostCallCompleted"][..]), "{ran:?}");
    assert_eq!(answer(&ran)["ok"]["structured"]["sum"], 3);
    world.provider.close_session(&instance()).await;
}
