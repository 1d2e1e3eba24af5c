//! OpenAPI, A2A and MCP.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use web_stub::{Asked, Part, Reply, Web};
use workflow::EffectOutcome;
use workflow::calls::{
    A2aCall, Agent, AuthenticationScheme, Call, CallEndpoint, CallRequest, HttpOutput, McpCall, McpClient,
    McpTransport, OpenApiCall,
};

use crate::damage::{Dice, damage};
use crate::house::{House, Options, at, from_secret, given, kind, rules_of};

fn endpoint(uri: &str) -> CallEndpoint {
    CallEndpoint { uri: uri.to_owned(), authentication: None }
}

fn call(request: CallRequest) -> Call {
    Call { request, class: None, time_limit_ms: 0 }
}

fn openapi(document: &str, operation: &str, parameters: Value) -> Call {
    let Value::Object(parameters) = parameters else { panic!("parameters are a mapping") };
    call(CallRequest::OpenApi(Box::new(OpenApiCall {
        document: endpoint(document),
        operation_id: operation.to_owned(),
        parameters,
        authentication: None,
        output: HttpOutput::Content,
        redirect: false,
    })))
}

/// A server with a document at `/doc`, which echoes the line of each other request.
fn described(document: &'static str) -> Web {
    Web::plain(move |asked| match asked.target.as_str() {
        "/doc" => Reply::new(200, &[], document.replace("HOST", asked.header("host").unwrap())),
        _ => Reply::json(&json!(asked.line()).to_string()),
    })
}

const SWAGGER: &str = r##"{
    "swagger": "2.0", "host": "HOST", "basePath": "/v2", "schemes": ["http"],
    "parameters": {"Key": {"name": "x-key", "in": "header", "type": "string"}},
    "paths": {
        "/pet/findByStatus": {"get": {"operationId": "find", "parameters": [
            {"name": "status", "in": "query", "type": "array", "collectionFormat": "multi", "required": true},
            {"name": "tags", "in": "query", "type": "array"}, {"$ref": "#/parameters/Key"}]}},
        "/pet/{id}": {"parameters": [{"name": "id", "in": "path", "required": true, "type": "string"}],
            "get": {"operationId": "get"}, "delete": {"operationId": "drop"},
            "post": {"operationId": "form", "parameters": [{"name": "name", "in": "formData", "type": "string"}]},
            "put": {"operationId": "put", "parameters": [{"name": "pet", "in": "body", "required": true, "schema": {}}]}}
    }
}"##;

const OPENAPI: &str = r##"
openapi: 3.0.3
servers: [{ url: '/{base}/v3', variables: { base: { default: api } } }]
paths:
  /pets:
    get:
      operationId: list
      parameters:
      - { name: tag, in: query, schema: { type: array } }
      - { name: ids, in: query, explode: false, schema: { type: array } }
      - { name: filter, in: query, style: deepObject, schema: { type: object } }
      - { name: session, in: cookie, schema: { type: string } }
    post:
      operationId: add
      requestBody: { required: true, content: { application/json: {} } }
"##;

#[tokio::test]
async fn parameters_go_where_the_document_says() {
    let swagger = described(SWAGGER);
    let cases = [
        ("find", json!({"status": "available"}), "GET /v2/pet/findByStatus?status=available", ""),
        (
            "find",
            json!({"status": ["a", "b"], "tags": ["c", "d"]}),
            "GET /v2/pet/findByStatus?status=a&status=b&tags=c%2Cd",
            "",
        ),
        ("get", json!({"id": "a/../b ?"}), "GET /v2/pet/a%2F..%2Fb%20%3F", ""),
        ("drop", json!({"id": 7}), "DELETE /v2/pet/7", ""),
        ("form", json!({"id": 7, "name": "Mi lou"}), "POST /v2/pet/7", "name=Mi+lou"),
        ("put", json!({"id": 7, "pet": {"x": 1}}), "PUT /v2/pet/7", r#"{"x":1}"#),
    ];
    let house = House::of(&[&swagger]);
    for (operation, parameters, line, body) in cases {
        assert_eq!(
            house.output(openapi(&at(&swagger, "/doc"), operation, parameters)).await,
            json!(line),
            "{operation}"
        );
        assert_eq!(swagger.asked().pop().unwrap().text(), body, "{operation}");
    }
    let third = described(OPENAPI);
    let parameters = json!({"tag": ["a", "b"], "ids": [1, 2], "filter": {"k": "v"}, "session": "s"});
    let house = House::of(&[&third]);
    let output = house.output(openapi(&at(&third, "/doc"), "list", parameters)).await;
    assert_eq!(output, json!("GET /api/v3/pets?tag=a&tag=b&ids=1%2C2&filter%5Bk%5D=v"));
    assert_eq!(third.asked().pop().unwrap().header("cookie"), Some("session=s"));
    assert_eq!(
        house.output(openapi(&at(&third, "/doc"), "add", json!({"body": {"x": 1}}))).await,
        json!("POST /api/v3/pets")
    );
    assert_eq!(third.asked().pop().unwrap().text(), r#"{"x":1}"#);
    assert_eq!(house.announced(), 1);
}

#[tokio::test]
async fn what_does_not_fit_the_document_is_said_before_anything_is_called() {
    let web = described(SWAGGER);
    let house = House::of(&[&web]);
    let cases = [
        ("fnd", json!({}), "no operation `fnd`; it has find, get"),
        ("find", json!({}), "needs the parameter `status`"),
        ("get", json!({"id": 1, "idd": 2}), "no parameter `idd`"),
    ];
    for (operation, parameters, message) in cases {
        let fault = house.fault(openapi(&at(&web, "/doc"), operation, parameters)).await;
        assert_eq!(kind(&fault), "configuration");
        assert!(fault.detail.as_ref().unwrap().contains(message), "{fault:?}");
    }
    assert!(web.lines().iter().all(|line| line == "GET /doc"), "{:?}", web.lines());
}

#[tokio::test]
async fn the_server_that_a_document_names_needs_an_approval_of_its_own() {
    let web = Web::plain(|_| {
        Reply::json(
            r#"{"openapi": "3.1.0", "servers": [{"url": "http://169.254.169.254/"}], "paths": {"/": {"get": {"operationId": "x"}}}}"#,
        )
    });
    let fault = House::of(&[&web]).fault(openapi(&at(&web, "/doc"), "x", json!({}))).await;
    assert_eq!(kind(&fault), "authorization");
}

#[tokio::test]
async fn a_document_may_be_a_file_below_the_folder_of_the_operator_and_nowhere_else() {
    let web = described(SWAGGER);
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("documents");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("pets.json"), SWAGGER.replace("HOST", &web.address().to_string())).unwrap();
    std::fs::write(folder.path().join("outside.json"), SWAGGER).unwrap();
    std::os::unix::fs::symlink("../outside.json", inside.join("link.json")).unwrap();
    let mut rules = rules_of(&[&web]);
    rules.files = Some(inside);
    let house = House::with(Options { rules, ..Options::default() });
    assert_eq!(house.output(openapi("file://pets.json", "get", json!({"id": 1}))).await, json!("GET /v2/pet/1"));
    for outside in
        ["file://../outside.json", "file://link.json", "file:///../outside.json", "file://a/../../outside.json"]
    {
        assert_eq!(kind(&house.fault(openapi(outside, "get", json!({"id": 1}))).await), "authorization", "{outside}");
    }
    let without = House::of(&[&web]);
    assert_eq!(kind(&without.fault(openapi("file://pets.json", "get", json!({"id": 1}))).await), "authorization");
}

fn a2a(agent: Agent, method: &str) -> Call {
    call(CallRequest::A2a(Box::new(A2aCall { method: method.to_owned(), agent, parameters: json!({"message": "hi"}) })))
}

fn rpc(asked: &Asked) -> Value {
    serde_json::from_slice(&asked.body).unwrap()
}

#[tokio::test]
async fn an_agent_is_asked_where_it_is_or_where_its_card_says() {
    let web = Web::plain(|asked| match asked.method.as_str() {
        "GET" => Reply::json(r#"{"name": "agent", "url": "/a2a"}"#),
        _ => {
            let message = rpc(asked);
            Reply::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": message}).to_string())
        }
    });
    let house = House::of(&[&web]);
    for agent in
        [Agent::Server(endpoint(&at(&web, "/a2a"))), Agent::Card(endpoint(&at(&web, "/.well-known/agent-card.json")))]
    {
        let output = house.output(a2a(agent, "message/send")).await;
        assert_eq!(output, json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": "hi"}}));
        assert_eq!(web.asked().pop().unwrap().line(), "POST /a2a");
    }
    assert_eq!(house.announced(), 2);
    house.output(a2a(Agent::Server(endpoint(&at(&web, "/a2a"))), "tasks/get")).await;
    assert_eq!(house.announced(), 2);
}

#[tokio::test]
async fn a_stream_of_an_agent_is_a_list_and_an_error_of_it_is_a_fault() {
    let web = Web::plain(|asked| match rpc(asked)["method"].as_str().unwrap() {
        "message/stream" => {
            let event = |n: u32| format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": 1, "result": n}));
            Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{}", event(1)))
                .then(Part::Bytes(format!(": ping\n\ndata: {{\"method\": \"other\"}}\n\n{}", event(2)).into_bytes()))
        }
        _ => Reply::json(r#"{"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "task not found"}}"#),
    });
    let house = House::of(&[&web]);
    let server = || Agent::Server(endpoint(&at(&web, "/")));
    assert_eq!(house.output(a2a(server(), "message/stream")).await, json!([1, 2]));
    let fault = house.fault(a2a(server(), "tasks/get")).await;
    assert_eq!((kind(&fault), fault.detail.as_deref()), ("rpc-error", Some("-32001: task not found")));
}

fn mcp(uri: &str, method: &str, authentication: Option<workflow::calls::Authentication>) -> Call {
    call(CallRequest::Mcp(Box::new(McpCall {
        protocol_version: "2025-06-18".to_owned(),
        method: method.to_owned(),
        parameters: json!({"name": "add", "arguments": {"a": 1}}),
        transport: McpTransport::Http {
            endpoint: CallEndpoint { uri: uri.to_owned(), authentication },
            headers: vec![("x-team".to_owned(), "release".to_owned())],
        },
        client: McpClient { name: "me".to_owned(), version: "1".to_owned() },
    })))
}

/// A server of MCP; `streamed`: it answers with events.
fn mcp_server(version: &'static str, streamed: bool) -> Web {
    Web::plain(move |asked| {
        if asked.method == "DELETE" {
            return Reply::status(200);
        }
        let message = rpc(asked);
        let result = match message["method"].as_str().unwrap() {
            "initialize" => {
                json!({"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}})
            }
            "notifications/initialized" => return Reply::status(202),
            _ => json!({"content": [{"type": "text", "text": message["params"].to_string()}]}),
        };
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string();
        match streamed {
            true => Reply::new(
                200,
                &[("content-type", "text/event-stream"), ("Mcp-Session-Id", "s-1")],
                format!("data: {answer}\n\n"),
            ),
            false => Reply::new(200, &[("content-type", "application/json"), ("Mcp-Session-Id", "s-1")], answer),
        }
    })
}

#[tokio::test]
async fn a_tool_is_called_between_greeting_and_goodbye() {
    for streamed in [false, true] {
        let web = mcp_server("2025-06-18", streamed);
        let house = House::of(&[&web]);
        let output = house
            .output(mcp(&at(&web, "/mcp"), "tools/call", given(AuthenticationScheme::Bearer, json!({"token": "t"}))))
            .await;
        assert_eq!(output, json!({"content": [{"type": "text", "text": r#"{"name":"add","arguments":{"a":1}}"#}]}));
        let asked = web.asked();
        let said: Vec<String> = asked
            .iter()
            .map(|asked| match asked.method.as_str() {
                "POST" => rpc(asked)["method"].as_str().unwrap().to_owned(),
                other => other.to_owned(),
            })
            .collect();
        assert_eq!(said, ["initialize", "notifications/initialized", "tools/call", "DELETE"]);
        assert_eq!(rpc(&asked[0])["params"]["clientInfo"], json!({"name": "me", "version": "1"}));
        for (index, asked) in asked.iter().enumerate() {
            assert_eq!(asked.header("authorization"), Some("Bearer t"), "{index}");
            assert_eq!(asked.header("x-team"), Some("release"), "{index}");
            let in_session = (index > 0).then_some("s-1");
            assert_eq!(asked.header("mcp-session-id"), in_session, "{index}");
            assert_eq!(asked.header("mcp-protocol-version"), in_session.map(|_| "2025-06-18"), "{index}");
        }
        // Only the call of a tool must not be repeated.
        assert_eq!(house.announced(), 1);
    }
}

#[tokio::test]
async fn a_server_that_speaks_another_version_is_not_asked_anything() {
    let web = mcp_server("2024-11-05", false);
    let fault = House::of(&[&web]).fault(mcp(&at(&web, "/mcp"), "tools/list", None)).await;
    assert_eq!(kind(&fault), "communication");
    assert_eq!(web.lines(), ["POST /mcp"]);
}

#[tokio::test]
async fn a_challenge_is_not_something_these_protocols_have() {
    let web = mcp_server("2025-06-18", false);
    let house = House::of(&[&web]).secret("s", "ann:correct horse");
    let fault = house.fault(mcp(&at(&web, "/mcp"), "tools/list", from_secret(AuthenticationScheme::Digest, "s"))).await;
    assert_eq!(kind(&fault), "configuration");
}

/// Whatever stands in somebody else's document, the host gives an answer or a fault.
#[tokio::test]
async fn a_damaged_openapi_document_is_an_answer_or_a_fault() {
    const DOCUMENT: &str = r##"{"openapi": "3.0.3", "servers": [{"url": "/v1/{area}", "variables": {"area": {"default": "a"}}}],
  "paths": {"/pets/{id}": {"parameters": [{"$ref": "#/components/parameters/id"}],
    "get": {"operationId": "get", "parameters": [{"name": "tags", "in": "query", "style": "form", "explode": true, "schema": {"type": "array"}},
      {"name": "x-trace", "in": "header"}, {"name": "session", "in": "cookie"}],
      "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/pet"}}}}, "responses": {}}}},
  "components": {"parameters": {"id": {"name": "id", "in": "path", "required": true}}, "schemas": {"pet": {"type": "object"}}}}"##;
    let served = Arc::new(Mutex::new(String::new()));
    let document = served.clone();
    let web = Web::plain(move |asked| match asked.target.as_str() {
        "/doc" => Reply::json(&document.lock().unwrap()),
        _ => Reply::json("{}"),
    });
    let house = House::of(&[&web]);
    let mut dice = Dice::new(0x0A21);
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..400 {
        *served.lock().unwrap() = damage(DOCUMENT, &mut dice);
        let parameters = json!({"id": 1, "tags": ["a", "b"], "x-trace": "t", "session": "s", "body": {"n": 1}});
        match house.perform(openapi(&at(&web, "/doc"), "get", parameters)).await {
            EffectOutcome::Output { .. } => answered += 1,
            EffectOutcome::Faulted { .. } => refused += 1,
            other => panic!("{other:?} of\n{}", served.lock().unwrap()),
        }
    }
    assert!(answered > 20 && refused > 100, "the damage is neither too small nor too great: {answered} {refused}");
    // Nothing but the document and what it describes was asked for, and here.
    assert!(web.asked().len() >= 400);
}
