//! Outbound calls through the real program: what the conformance kit of the
//! specification asks of `call`, `try` and the data flow, against stubs on loopback.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use web_stub::{Authority, Reply, Web};

use crate::world::{Host, Ran};

/// The hosts of the kit under one certificate, and a host that is told where they are.
struct Net {
    folder: TempDir,
    web: Web,
}

const HOSTS: [&str; 2] = ["petstore.swagger.io", "httpbin.org"];

impl Net {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("light-workflow.toml"), "").unwrap();
        Self { web: Web::secure(&authority, &HOSTS, answer), folder }
    }

    fn host(&self) -> Host {
        let folder = self.folder.path();
        Host { config: folder.join("light-workflow.toml"), data: folder.join("data"), folder: folder.to_owned() }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Runs these tasks with this input; nothing but the two options of a conformance run is given.
    fn run(&self, tasks: &str, input: &Value) -> Ran {
        let head = "document: { dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }\n";
        self.write("definition.yaml", &format!("{head}{tasks}"));
        self.write("input.json", &input.to_string());
        let resolve = HOSTS.map(|host| format!("{host}:443={}", self.web.address()));
        self.host().run(&[
            "run",
            "definition.yaml",
            "--input",
            "input.json",
            "--format",
            "json",
            "--http-resolve",
            &resolve[0],
            "--http-resolve",
            &resolve[1],
            "--http-ca",
            "ca.pem",
        ])
    }

    #[track_caller]
    fn output(&self, tasks: &str, input: Value) -> Value {
        let ran = self.run(tasks, &input).ended_with(0);
        read(&ran)["output"].clone()
    }

    #[track_caller]
    fn error(&self, tasks: &str, input: Value) -> Value {
        let ran = self.run(tasks, &input).ended_with(1);
        read(&ran)["error"].clone()
    }
}

fn read(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

/// The six answers that the kit needs.
fn answer(asked: &web_stub::Asked) -> Reply {
    let pet = |id: u32| Reply::json(&json!({"id": id, "name": "Milou", "status": "available"}).to_string());
    match (asked.header("host").unwrap(), asked.target.as_str()) {
        ("petstore.swagger.io", "/v2/pet/findByStatus?status=available") => Reply::json(r#"[{"id": 1}, {"id": 2}]"#),
        ("petstore.swagger.io", "/v2/pet/1") => pet(1),
        ("petstore.swagger.io", "/v2/pet/2") => pet(2),
        ("petstore.swagger.io", "/v2/swagger.json") => Reply::json(
            &json!({
                "swagger": "2.0", "host": "petstore.swagger.io", "basePath": "/v2", "schemes": ["https", "http"],
                "paths": {"/pet/findByStatus": {"get": {"operationId": "findPetsByStatus", "parameters": [{
                    "name": "status", "in": "query", "required": true, "type": "array", "collectionFormat": "multi",
                }]}}},
            })
            .to_string(),
        ),
        ("httpbin.org", "/basic-auth/ann/secret%20word") => match asked.header("authorization") {
            // `ann:secret word`
            Some("Basic YW5uOnNlY3JldCB3b3Jk") => Reply::json(r#"{"authenticated": true, "user": "ann"}"#),
            Some(_) | None => Reply::status(401),
        },
        ("httpbin.org", "/headers") => Reply::json(&json!({"seen": asked.header("authorization")}).to_string()),
        _ => Reply::new(404, &[("content-type", "application/json")], r#"{"message": "Pet not found"}"#),
    }
}

const FIND: &str = "do:\n- findPet:\n    call: http\n    with:\n      method: get\n      endpoint:\n        uri: 'https://petstore.swagger.io/v2/pet/findByStatus?status={status}'\n";

#[test]
fn a_call_gives_the_content_or_the_whole_response() {
    let net = Net::new();
    let input = json!({"status": "available"});
    assert_eq!(net.output(FIND, input.clone()), json!([{"id": 1}, {"id": 2}]));
    let response = net.output(&format!("{FIND}      output: response\n"), input);
    for property in ["/request/method", "/request/uri", "/request/headers", "/statusCode", "/headers", "/content"] {
        assert!(response.pointer(property).is_some(), "{property}");
    }
    assert_eq!((&response["statusCode"], &response["content"][1]["id"]), (&json!(200), &json!(2)));
}

#[test]
fn a_call_proves_who_it_is_with_basic_authentication() {
    let net = Net::new();
    let tasks = "do:\n- getSecured:\n    call: http\n    with:\n      method: get\n      endpoint:\n        uri: https://httpbin.org/basic-auth/{username}/{password}\n        authentication: { basic: { username: '${ .username }', password: '${ .password }' } }\n";
    let output = net.output(tasks, json!({"username": "ann", "password": "secret word"}));
    assert_eq!(output, json!({"authenticated": true, "user": "ann"}));
}

#[test]
fn an_operation_of_an_openapi_document_is_called() {
    let net = Net::new();
    let tasks = "do:\n- findPet:\n    call: openapi\n    with:\n      document: { endpoint: https://petstore.swagger.io/v2/swagger.json }\n      operationId: findPetsByStatus\n      parameters: { status: '${ .status }' }\n";
    assert_eq!(net.output(tasks, json!({"status": "available"})), json!([{"id": 1}, {"id": 2}]));
}

/// `catch.errors.with` in the spelling of the kit, which is not the one of the reference.
fn try_with_status(status: u32) -> String {
    format!(
        "do:\n- tryGetPet:\n    try:\n    - getPet:\n        call: http\n        with: {{ method: get, endpoint: 'https://petstore.swagger.io/v2/pet/getPetByName/{{petName}}' }}\n    catch:\n      errors: {{ with: {{ type: https://serverlessworkflow.io/dsl/errors/types/communication, status: {status} }} }}\n      as: err\n      do:\n      - setError: {{ set: {{ error: '${{ $err }}' }} }}\n"
    )
}

#[test]
fn an_answer_that_is_an_error_is_caught_or_ends_the_workflow() {
    let net = Net::new();
    let expected = |error: &Value| {
        assert!(error["type"].as_str().unwrap().ends_with("/errors/communication"), "{error}");
        assert_eq!(error["status"], 404);
        assert_eq!(error["instance"], "/do/0/tryGetPet/try/0/getPet");
    };
    let output = net.output(&try_with_status(404), json!({"petName": "Milou"}));
    expected(&output["error"]);
    expected(&net.error(&try_with_status(503), json!({"petName": "Milou"})));
}

#[test]
fn outputs_of_calls_are_filtered_and_need_not_be_objects() {
    let net = Net::new();
    let one = "do:\n- getPetById1:\n    call: http\n    with: { method: get, endpoint: { uri: 'https://petstore.swagger.io/v2/pet/{petId}' } }\n    output: { as: .id }\n";
    assert_eq!(net.output(one, json!({"petId": 1})), json!(1));
    let two = "- getPetById2:\n    call: http\n    with: { method: get, endpoint: { uri: https://petstore.swagger.io/v2/pet/2 } }\n    output: { as: '{ ids: [ $input, .id ] }' }\n";
    assert_eq!(net.output(&format!("{one}{two}"), json!({"petId": 1})), json!({"ids": [1, 2]}));
}

#[test]
fn a_secret_that_comes_back_is_not_in_the_output() {
    let net = Net::new();
    net.write("token", "an-unlikely-token-value\n");
    net.write("light-workflow.toml", "[secrets]\napi-token = { file = \"token\" }\n");
    let tasks = "use: { secrets: [api-token] }\ndo:\n- echo:\n    call: http\n    with: { method: get, endpoint: { uri: https://httpbin.org/headers, authentication: { bearer: { use: api-token } } } }\n";
    let output = net.output(tasks, json!({}));
    assert_eq!(output, json!({"seen": "Bearer [secret api-token]"}));
    assert_eq!(net.web.asked()[0].header("authorization"), Some("Bearer an-unlikely-token-value"));
}

#[test]
fn a_password_of_secrets_is_in_the_request_and_in_nothing_that_is_kept_or_printed() {
    let net = Net::new();
    net.write("password", "an-unlikely-password\n");
    net.write(
        "light-workflow.toml",
        "[secrets]\napi-password = { file = \"password\" }\n[paths]\ndefinitions = \"definitions\"\n",
    );
    // A run with a child keeps its files.
    fs::create_dir(net.folder.path().join("definitions")).unwrap();
    net.write(
        "definitions/child.yaml",
        "document: { dsl: '1.0.3', namespace: default, name: child, version: '1.0.0' }\ndo: [{ a: { set: { user: ann } } }]\n",
    );
    let tasks = "use: { secrets: [api-password] }\ndo:\n- child: { run: { workflow: { namespace: default, name: child, version: latest } } }\n- echo:\n    call: http\n    with: { method: get, endpoint: { uri: https://httpbin.org/headers, authentication: { basic: { username: '${ .user }', password: '${ $secrets[\"api-password\"] }' } } } }\n";
    let ran = net.run(tasks, &json!({})).ended_with(0);
    // `ann:an-unlikely-password`
    let sent = "Basic YW5uOmFuLXVubGlrZWx5LXBhc3N3b3Jk";
    assert_eq!(net.web.asked()[0].header("authorization"), Some(sent));
    let seen = read(&ran)["output"]["seen"].as_str().unwrap().to_owned();
    assert!(seen.contains("[secret api-password]"), "{seen}");
    let kept = fs::read_dir(net.folder.path().join("data/runs")).unwrap().next().unwrap().unwrap().path();
    let history = Host { data: kept.clone(), ..net.host() }.run(&["audit", "export"]).ended_with(0).stdout;
    assert!(history.contains("/password") && history.contains("api-password"), "{history}");
    // As it is, and in base64 where it begins in what was sent.
    for form in ["an-unlikely-password", "FuLXVubGlrZWx5LXBhc3N3b3Jk"] {
        refuse_below(&kept, form.as_bytes());
        for printed in [&ran.stdout, &ran.stderr, &history] {
            assert!(!printed.contains(form), "{printed}");
        }
    }
    let check = net.host().run(&["check", "definition.yaml"]).ended_with(0);
    assert!(check.stdout.contains("secrets  api-password"), "{}", check.stdout);
    net.write("light-workflow.toml", "");
    net.run("use: { secrets: [api-password] }\ndo: [{ a: { call: http, with: { method: get, endpoint: { uri: https://httpbin.org/headers, authentication: { bearer: { token: '${ $secrets[\"api-password\"] }' } } } } } }]\n", &json!({}))
        .ended_with(2)
        .says("api-password");
}

fn refuse_below(folder: &Path, needle: &[u8]) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            refuse_below(&path, needle);
        } else {
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{}", path.display());
        }
    }
}

#[test]
fn what_nobody_approved_is_named_by_check_and_refused_at_the_start() {
    let net = Net::new();
    net.write(
        "definition.yaml",
        &format!("document: {{ dsl: '1.0.3', namespace: default, name: calls, version: '1.0.0' }}\n{FIND}"),
    );
    let ran = net.host().run(&["check", "definition.yaml"]).ended_with(0);
    assert!(ran.stdout.contains("https://petstore.swagger.io (not approved)"), "{}", ran.stdout);
    ran.says("definition.yaml:4:5: warning: calls `https://petstore.swagger.io`");
    net.host().run(&["run", "definition.yaml"]).ended_with(2).says("which is not approved");
    net.write("light-workflow.toml", "[calls]\nallow = [\"https://petstore.swagger.io\"]\n");
    let ran = net.host().run(&["check", "definition.yaml"]).ended_with(0);
    assert!(ran.stdout.contains("https://petstore.swagger.io (approved)"), "{}", ran.stdout);
    assert_eq!(net.web.lines(), [""; 0]);
}

#[test]
fn a_definition_that_computes_a_forbidden_address_faults() {
    let net = Net::new();
    let tasks = "do:\n- peek: { call: http, with: { method: get, endpoint: '${ .target }' } }\n";
    for target in [
        format!("https://127.0.0.1:{}/", net.web.port()),
        "http://169.254.169.254/latest/".to_owned(),
        "http://localhost/".to_owned(),
    ] {
        let error = net.error(tasks, json!({ "target": target }));
        assert_eq!(error["status"], 403, "{target}: {error}");
    }
    assert_eq!(net.web.lines(), [""; 0]);
}

#[test]
fn a_function_of_a_catalog_is_fetched_once_and_an_instance_keeps_it() {
    let function = "set: { text: '${ .text + \"!\" }' }";
    let authority = Authority::new();
    let web = Web::secure(&authority, &["catalog.test"], move |asked| match asked.target.as_str() {
        "/functions/shout/1.0.0/function.yaml" => Reply::new(200, &[("content-type", "text/yaml")], function),
        _ => Reply::status(404),
    });
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", authority.pem());
    write("light-workflow.toml", "");
    write("in.json", r#"{ "required": ["text"] }"#);
    write(
        "definition.yaml",
        "document: { dsl: '1.0.3', namespace: default, name: catalog, version: '1.0.0' }
input: { schema: { resource: { endpoint: ./in.json } } }
use: { catalogs: { test: { endpoint: https://catalog.test } } }
do:
- shout: { call: 'shout:1.0.0@test', with: { text: '${ .text }' } }
- again: { call: 'shout:1.0.0@test', with: { text: '${ .text }' } }
",
    );
    write("input.json", r#"{ "text": "hello" }"#);
    let host = Host {
        config: folder.path().join("light-workflow.toml"),
        data: folder.path().join("data"),
        folder: folder.path().to_owned(),
    };
    let resolve = format!("catalog.test:443={}", web.address());
    let calls = ["--http-resolve", &resolve, "--http-ca", "ca.pem"];
    let run = ["run", "definition.yaml", "--input", "input.json", "--format", "json"];
    let ran = host.run(&[&run[..], &calls].concat()).ended_with(0);
    assert_eq!(read(&ran)["output"], json!({ "text": "hello!!" }));
    assert_eq!(web.lines(), ["GET /functions/shout/1.0.0/function.yaml"]);
    // Nobody approved it for this one.
    host.run(&run)
        .ended_with(2)
        .says("there is no document `https://catalog.test/functions/shout/1.0.0/function.yaml`");
}
