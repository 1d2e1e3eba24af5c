//! What plugins ask beyond their release, both ways: granted, approved by the
//! operator and answered, and each way in which it is not. The other sides are
//! stubs on loopback.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use calls::{Client, Limits, Rules};
use serde_json::{Value, json};
use web_stub::{Asked, Reply, Web};
use worker::{McpPlace, McpServer, Model, Service, Services};
use workflow::EffectOutcome;
use workflow::capability::{ArtifactsReadGrant, Grants, HttpGrant, McpGrant, ModelGrant};
use workflow::event::Event;

use crate::engine::{Engine, Ran};

/// A host that may call these servers, and is configured to ask services there.
async fn host(webs: &[&Web], services: Services) -> Engine {
    let allow = webs.iter().map(|web| origin(web).parse().unwrap()).collect();
    let limits = Limits { time: Duration::from_secs(20), ..Limits::default() };
    let client = Client::new(Rules { allow, ..Rules::default() }, None, limits).unwrap();
    Engine::with(|hands| worker::Hands { client: Arc::new(client), services: Arc::new(services), ..hands }).await
}

/// A host with an origin that may be read, a model and a server of tools; they answer as long as these stubs live.
pub async fn with_everything() -> (Engine, Everything) {
    let reads = Web::plain(|_| Reply::new(200, &[], "read"));
    let asks = oracle(r#"{ "cause": "flaky" }"#);
    let uses = adding(false, Arc::default());
    let Services { models, .. } = with_model(&asks);
    let Services { mcp_servers, .. } = with_server(&uses);
    let engine = host(&[&reads, &asks, &uses], Services { models, mcp_servers }).await;
    let origin = origin(&reads);
    (engine, Everything { origin, _stubs: [reads, asks, uses] })
}

pub struct Everything {
    /// What the operator lets plugins read from.
    pub origin: String,
    _stubs: [Web; 3],
}

fn origin(web: &Web) -> String {
    format!("http://{}", web.address())
}

fn service(web: &Web, path: &str, secret: Option<&str>) -> Service {
    let secret = secret.map(|name| name.parse().unwrap());
    Service { origin: origin(web).parse().unwrap(), path: path.to_owned(), secret }
}

pub fn names<T: std::str::FromStr + Ord>(names: &[&str]) -> BTreeSet<T>
where
    T::Err: std::fmt::Debug,
{
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn http(origins: &[&str], bytes_max: u64) -> Grants {
    Grants { http: Some(HttpGrant { origins: names(origins), requests_max: 2, bytes_max }), ..Grants::default() }
}

fn model(models: &[&str]) -> Grants {
    Grants {
        model: Some(ModelGrant { models: names(models), questions_max: 2, answer_tokens_max: 1000 }),
        artifacts_read: Some(ArtifactsReadGrant { names: ["t/*/source.bundle".to_owned()].into() }),
        ..Grants::default()
    }
}

pub fn mcp(tools: &[&str]) -> Grants {
    Grants { mcp: Some(McpGrant { tools: names(tools), calls_max: 2 }), ..Grants::default() }
}

#[track_caller]
pub fn said(ran: &Ran) -> &str {
    match &ran.outcome {
        EffectOutcome::Output { output } => output.as_str().unwrap(),
        other => panic!("no output: {other:?}"),
    }
}

/// The answer that the history has of the one host call.
pub fn answer(ran: &Ran) -> &Value {
    let mut answers = ran.history.iter().filter_map(|event| match event {
        Event::HostCallCompleted { answer, .. } => Some(answer),
        _ => None,
    });
    answers.next().unwrap_or_else(|| panic!("no answer: {ran:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_reads_from_a_granted_origin_that_the_operator_approves_and_from_no_other() {
    let web = Web::plain(|asked| match asked.target.as_str() {
        "/moved" => Reply::new(302, &[("location", "/index")], ""),
        "/missing" => Reply::status(404),
        "/large" => Reply::new(200, &[], "x".repeat(5_000)),
        _ => Reply::new(200, &[("x-note", "holds value of git-credential")], "value of git-credential, twice"),
    });
    let elsewhere = Web::plain(|_| Reply::status(200));
    let engine = host(&[&web], Services::default()).await;
    let (here, there) = (origin(&web), origin(&elsewhere));
    let at = |path: &str| format!("{here}{path}");
    let both = http(&[&here, &there], 1_000);

    let ran = engine.granted(&both, "http", &[&at("/index?x=1"), "x-team=release"]).await;
    assert_eq!(said(&ran), "ok");
    let got = &answer(&ran)["ok"];
    assert_eq!(got["status"], 200);
    // The body is base64 of `[secret git-credential], twice`.
    assert_eq!(got["body"], "W3NlY3JldCBnaXQtY3JlZGVudGlhbF0sIHR3aWNl");
    assert!(got["headers"].to_string().contains("holds [secret git-credential]"), "{got}");
    assert_eq!(web.lines(), ["GET /index?x=1"]);
    assert_eq!(web.asked()[0].header("x-team"), Some("release"));

    // The journal answers, and nobody is asked again.
    let again = engine.again(900, &both, "http", &[&at("/index?x=1"), "x-team=release"], ran.history.clone()).await;
    assert_eq!((said(&again), web.lines().len(), again.events.len()), ("ok", 1, 0));

    let answers = [("/moved", 302), ("/missing", 404)];
    for (path, status) in answers {
        let ran = engine.granted(&both, "http", &[&at(path)]).await;
        assert_eq!((said(&ran), &answer(&ran)["ok"]["status"]), ("ok", &json!(status)), "{path}");
    }
    let ran = engine.granted(&both, "http", &[&at("/index"), "method:HEAD"]).await;
    assert_eq!((said(&ran), &answer(&ran)["ok"]["body"]), ("ok", &json!("")));
    assert_eq!(web.lines()[1..], ["GET /moved", "GET /missing", "HEAD /index"]);
    let ran = engine.granted(&both, "http", &[&at("/large")]).await;
    assert_eq!(said(&ran), "quota");

    let before = web.lines().len();
    let wide = "y".repeat(2_000);
    let cases = [
        // Not granted.
        (http(&[&there], 1_000), at("/index"), "denied http"),
        (Grants::default(), at("/index"), "not-granted"),
        // Granted, and the operator approves it not, or no more.
        (both.clone(), format!("{there}/index"), "denied http"),
        (both.clone(), format!("{there}/{wide}"), "denied http"),
        (both.clone(), "http://169.254.169.254/latest".to_owned(), "denied http"),
        (both.clone(), format!("http://user@{}/", web.address()), "invalid"),
    ];
    for (grants, url, expected) in cases {
        let ran = engine.granted(&grants, "http", &[&url]).await;
        match &ran.outcome {
            EffectOutcome::Output { output } => {
                assert!(output.as_str().unwrap().starts_with(expected), "{url}: {ran:?}")
            }
            EffectOutcome::Faulted { error } => assert!(error.kind.ends_with(expected), "{url}: {ran:?}"),
            other => panic!("{url}: {other:?}"),
        }
        // A refusal is on record, and is the same when the step runs again.
        if expected.starts_with("denied") {
            assert!(answer(&ran)["denied"].is_string(), "{ran:?}");
            let again = engine.again(901, &grants, "http", &[&url], ran.history.clone()).await;
            assert_eq!(said(&again), said(&ran), "{url}");
        }
    }
    assert_eq!((web.lines().len(), elsewhere.lines().len()), (before, 0));
    let nobody = http(&["http://127.0.0.1:9"], 1_000);
    let deaf = Engine::with(|hands| {
        let rules = Rules { allow: names(&["http://127.0.0.1:9"]), ..Rules::default() };
        worker::Hands { client: Arc::new(Client::new(rules, None, Limits::default()).unwrap()), ..hands }
    })
    .await;
    assert_eq!(said(&deaf.granted(&nobody, "http", &["http://127.0.0.1:9/"]).await), "unavailable");
}

/// A model that blames a flaky test, in `form`.
fn oracle(content: &'static str) -> Web {
    Web::plain(move |_| {
        Reply::json(
            &json!({ "model": "oracle-7b", "choices": [{ "message": { "content": content }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 40, "completion_tokens": 7 } })
            .to_string(),
        )
    })
}

fn with_model(web: &Web) -> Services {
    let service = service(web, "/v1/chat/completions", Some("cargo-registry-token"));
    let model = Model { service, name: "oracle".to_owned(), time_limit: Duration::from_secs(10) };
    Services { models: [("default".parse().unwrap(), model)].into(), ..Services::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_asked_without_secrets_and_its_answer_fits_or_is_not_passed_on() {
    let web = oracle("```json\n{ \"cause\": \"flaky: value of git-credential\" }\n```");
    let engine = host(&[&web], with_model(&web)).await;
    let grants = model(&["default", "other"]);
    let fields = ["default", "prompt:why? value of git-credential", "evidence:artifact://probe/t/1/source.bundle"];
    let ran = engine.granted(&grants, "model", &fields).await;
    assert_eq!(said(&ran), "ok", "{ran:?}");
    assert_eq!(
        answer(&ran)["ok"],
        json!({ "value": { "cause": "flaky: [secret git-credential]" }, "model": format!("oracle-7b at {}", origin(&web)),
            "questionTokens": 40, "answerTokens": 7 })
    );
    let asked = web.asked();
    let body: Value = serde_json::from_str(asked[0].text()).unwrap();
    assert_eq!((asked[0].line().as_str(), &body["model"]), ("POST /v1/chat/completions", &json!("oracle")));
    assert_eq!(
        (&body["max_tokens"], &body["messages"][1]["content"]),
        (&json!(100), &json!("why? [secret git-credential]"))
    );
    assert_eq!(
        body["messages"][2]["content"],
        "Evidence `artifact://probe/t/1/source.bundle` (application/octet-stream, 6 bytes):\nbundle"
    );
    assert_eq!(asked[0].header("authorization"), Some("Bearer value of cargo-registry-token"));
    assert!(!asked[0].text().contains("value of"), "{}", asked[0].text());

    let again = engine.again(900, &grants, "model", &fields, ran.history.clone()).await;
    assert_eq!((said(&again), web.lines().len()), ("ok", 1), "the journal answers");

    let cases = [
        (model(&["other"]), "default", "denied model default"),
        (grants.clone(), "other", "unavailable"),
        (model(&["default"]), "evidence", "denied model evidence"),
    ];
    for (grants, name, expected) in cases {
        assert_eq!(said(&engine.granted(&grants, "model", &[name]).await), expected);
    }
    let unread = ["default", "evidence:artifact://probe/t/1/stdout.log"];
    assert!(said(&engine.granted(&grants, "model", &unread).await).starts_with("denied artifacts-read"));
    assert_eq!(web.lines().len(), 1);
    for content in ["I do not know.", r#"{ "reason": 1 }"#, "[1]"] {
        let web = oracle(content);
        let ran = host(&[&web], with_model(&web)).await.granted(&grants, "model", &["default"]).await;
        assert_eq!(said(&ran), "unavailable", "{content}");
        assert!(answer(&ran)["unavailable"].as_str().unwrap().contains("is not passed on"), "{ran:?}");
    }
    let nothing = host(&[], Services::default()).await.granted(&grants, "model", &["default"]).await;
    assert_eq!(answer(&nothing)["unavailable"], "this host has no model `default`; none is configured in [models]");
}

fn rpc(asked: &Asked) -> Value {
    serde_json::from_str(asked.text()).unwrap_or_default()
}

/// A server with the tool `add`; `lose`: it goes away when it is called.
fn adding(lose: bool, calls: Arc<AtomicUsize>) -> Web {
    Web::plain(move |asked| {
        let message = rpc(asked);
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {} }),
            "notifications/initialized" => return Reply::status(202),
            "tools/call" => {
                calls.fetch_add(1, Ordering::SeqCst);
                if lose {
                    return Reply::raw("");
                }
                if message["params"]["name"] != "add" {
                    let error = json!({ "code": -32602, "message": "there is no such tool" });
                    return Reply::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }).to_string());
                }
                json!({ "content": [{ "type": "text", "text": "value of git-credential" }], "structuredContent": { "sum": 3 } })
            }
            _ => return Reply::status(404),
        };
        Reply::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string())
    })
}

fn with_server(web: &Web) -> Services {
    let place = McpPlace::Remote(service(web, "/mcp", Some("cargo-registry-token")));
    let server = McpServer { place, time_limit: Duration::from_secs(10) };
    Services { mcp_servers: [("math".to_owned(), server)].into(), ..Services::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_called_after_its_intent_is_on_record_and_never_twice() {
    let calls = Arc::new(AtomicUsize::new(0));
    let web = adding(false, calls.clone());
    let engine = host(&[&web], with_server(&web)).await;
    let grants = mcp(&["math/add", "math/subtract", "docs/find"]);
    let ran = engine.granted(&grants, "mcp", &["math/add"]).await;
    assert_eq!((said(&ran), &ran.events[..]), ("ok", &["CallStarted", "HostCallCompleted"][..]), "{ran:?}");
    assert!(matches!(&ran.history[0], Event::CallStarted { sequence: 1, subject: Some(subject), command: None, .. }
        if subject == "math/add"));
    assert_eq!(
        answer(&ran)["ok"],
        json!({ "isError": false, "content": [{ "type": "text", "text": "[secret git-credential]" }], "structured": { "sum": 3 } })
    );
    assert!(
        web.asked().iter().all(|asked| asked.header("authorization") == Some("Bearer value of cargo-registry-token"))
    );

    let again = engine.again(900, &grants, "mcp", &["math/add"], ran.history.clone()).await;
    assert_eq!((said(&again), calls.load(Ordering::SeqCst)), ("ok", 1), "the journal answers");
    // The host died between the intent and the answer.
    let unknown = engine.again(901, &grants, "mcp", &["math/add"], ran.history[..1].to_vec()).await;
    assert!(
        matches!(&unknown.outcome, EffectOutcome::Unknown { detail } if detail.contains("`math/add`, may have been sent")),
        "{unknown:?}"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 1, "it is not called again");

    let cases = [
        (mcp(&["math/subtract"]), "math/add", "denied mcp math/add"),
        (
            grants.clone(),
            "math/subtract",
            "invalid: tool `math/subtract` does not take this: -32602: there is no such tool",
        ),
        (grants.clone(), "docs/find", "unavailable"),
    ];
    for (grants, tool, expected) in cases {
        assert_eq!(said(&engine.granted(&grants, "mcp", &[tool]).await), expected, "{tool}");
    }
    let lost = Arc::new(AtomicUsize::new(0));
    let web = adding(true, lost.clone());
    let ran = host(&[&web], with_server(&web)).await.granted(&grants, "mcp", &["math/add"]).await;
    assert!(matches!(ran.outcome, EffectOutcome::Unknown { .. }), "{ran:?}");
    assert_eq!((lost.load(Ordering::SeqCst), &ran.events[..]), (1, &["CallStarted"][..]));
    // Configured, and the operator took the approval back meanwhile.
    let web = adding(false, Arc::default());
    let ran = host(&[], with_server(&web)).await.granted(&grants, "mcp", &["math/add"]).await;
    assert_eq!((said(&ran), web.lines().len()), ("unavailable", 0));
    let nothing = host(&[], Services::default()).await.granted(&grants, "mcp", &["math/add"]).await;
    assert_eq!(answer(&nothing)["unavailable"], "this host has no MCP server `math`; none is configured in [mcp]");
}
