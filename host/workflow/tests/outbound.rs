//! The intent of an outbound call: all of it evaluated, nothing left to chance.

mod support;

use insta::assert_snapshot;
use serde_json::{Value, json};
use support::{Run, definition};
use workflow::calls::{CallRequest, HttpCall};
use workflow::definition::{parse, warnings};
use workflow::effect::{Effect, EffectClass, EffectOutcome};
use workflow::event::Event;

/// The call that a task with this `with` intends, or the fault.
fn http(with: &str, input: Value) -> Result<(HttpCall, EffectClass), String> {
    let run = Run::start(&definition(&format!("do: [{{ t: {{ call: http, with: {with} }} }}]")), input);
    if let Some(error) = run.instance.error() {
        return Err(support::fault(error));
    }
    let open = run.instance.open_attempts().next().expect("the call is open");
    let Effect::Call { call, class } = open.effect else { panic!("{:?}", open.effect) };
    match &call.request {
        CallRequest::Http(http) => Ok(((**http).clone(), *class)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_uri_template_takes_scalars_and_encodes_them() {
    let uri = |input: Value| {
        http("{ method: get, endpoint: 'https://a.example/x/{v}?y={v}' }", input).map(|(http, _)| http.endpoint.uri)
    };
    assert_eq!(uri(json!({"v": 7})).unwrap(), "https://a.example/x/7?y=7");
    assert_eq!(uri(json!({"v": true})).unwrap(), "https://a.example/x/true?y=true");
    assert_eq!(uri(json!({})).unwrap(), "https://a.example/x/?y=");
    assert_eq!(uri(json!({"v": null})).unwrap(), "https://a.example/x/?y=");
    assert_eq!(
        uri(json!({"v": "../a b?c#d@é"})).unwrap(),
        "https://a.example/x/..%2Fa%20b%3Fc%23d%40%C3%A9?y=..%2Fa%20b%3Fc%23d%40%C3%A9"
    );
    assert_snapshot!(uri(json!({"v": [1]})).unwrap_err(), @"expression 400 at /do/0/t: `{v}` of the endpoint is [1], and no text");
}

#[test]
fn braces_in_data_are_no_template() {
    let with = "{ method: get, endpoint: '${ .target }' }";
    let (http, _) = http(with, json!({"target": "https://a.example/{v}", "v": "x"})).unwrap();
    assert_eq!(http.endpoint.uri, "https://a.example/{v}");
}

#[test]
fn headers_and_queries_are_texts_and_no_value_can_add_a_header() {
    let with = "{ method: post, endpoint: https://a.example, headers: '${ .h }', query: '${ .q }', body: '${ .b }' }";
    let input = |h: Value, q: Value| json!({"h": h, "q": q, "b": {"x": 1}});
    let (call, class) =
        http(with, input(json!({"X-A": 1, "x-gone": null}), json!({"a": ["b", 2], "c": false}))).unwrap();
    assert_eq!(call.headers, [("X-A".to_owned(), "1".to_owned())]);
    let pairs: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["a=b", "a=2", "c=false"]);
    assert_eq!((call.body, class), (Some(json!({"x": 1})), EffectClass::Reconcilable));
    for wrong in [
        json!({"x": "a\r\nX-Evil: 1"}),
        json!({"x": "a\nb"}),
        json!({"x": "\0"}),
        json!({"a b": "c"}),
        json!({"": "c"}),
        json!({"x": {}}),
        json!([]),
    ] {
        let error = http(with, input(wrong.clone(), json!(null))).unwrap_err();
        assert!(error.starts_with("expression 400"), "{wrong}: {error}");
    }
}

#[test]
fn the_method_says_what_may_be_done_twice_unless_the_definition_does() {
    let class =
        |method: &str| http(&format!("{{ method: {method}, endpoint: https://a.example }}"), json!({})).unwrap().1;
    let classes: Vec<String> = ["get", "HEAD", "options", "put", "delete", "post", "patch", "purge"]
        .map(|method| format!("{method} {:?}", class(method)))
        .to_vec();
    assert_snapshot!(classes.join(", "), @"get Pure, HEAD Pure, options Pure, put Idempotent, delete Idempotent, post Reconcilable, patch Reconcilable, purge Reconcilable");
    let text = "do: [{ t: { call: http, with: { method: post, endpoint: https://a.example }, metadata: { lightWorkflow: { effect: idempotent } } } }]";
    let run = Run::start(&definition(text), json!({}));
    assert_eq!(run.instance.open_attempts().next().unwrap().effect.class(), EffectClass::Idempotent);
}

#[test]
fn a_call_that_may_have_been_sent_is_not_repeated() {
    let mut run = Run::start(
        &definition("do: [{ t: { call: http, with: { method: post, endpoint: https://a.example } } }]"),
        json!({}),
    );
    let open = run.instance.open_attempts().next().unwrap();
    let (path, attempt) = (open.path.clone(), open.attempt);
    run.take(vec![Event::CallStarted {
        path: path.clone(),
        attempt,
        sequence: 0,
        subject: None,
        command: None,
        fingerprint: None,
    }]);
    assert!(matches!(run.instance.open_attempts().next().unwrap().host_calls, [Event::CallStarted { .. }]));
    let outcome = Box::new(EffectOutcome::Unknown { detail: "nobody saw it".to_owned() });
    run.take(vec![Event::AttemptCompleted { path, attempt, outcome }]);
    assert!(run.instance.error().unwrap().kind.ends_with("/outcome-unknown"));
}

fn said(text: &str) -> String {
    let text = format!("{}{text}", support::HEAD);
    match parse(&text, "d.yaml") {
        Ok(definition) => {
            warnings(&definition, "d.yaml").iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn what_is_wrong_with_a_call_is_said_at_its_place() {
    let task = |with: &str| said(&format!("do: [{{ t: {{ call: http, with: {with} }} }}]"));
    assert_snapshot!(task("{ method: get }"), @r#"d.yaml:2:31: `with.endpoint` is missing"#);
    assert_snapshot!(task("{ method: 'g t', endpoint: ftp://a }"), @r#"
    d.yaml:2:41: `with.method`: `g t` is no HTTP method; write `get`, `post`, `put`, …
    d.yaml:2:58: `with.endpoint`: `ftp://a` is no origin like `https://api.example.com` or `http://127.0.0.1:8080`: its scheme is neither `http` nor `https`
    "#);
    assert_snapshot!(task("{ method: connect, endpoint: 'https://a.example/{?q}' }"), @r#"
    d.yaml:2:41: `with.method`: `connect` is not a method that a call may use
    d.yaml:2:60: `with.endpoint`: `{?q}` is no simple expansion: only `{name}` is known here; write the query into `query`
    "#);
    assert_snapshot!(task("{ method: get, endpoint: https://u:p@a.example, headers: [a], query: { a: 1 }, output: text, redirect: yes }"), @r#"
    d.yaml:2:56: `with.endpoint`: `https://u:p@a.example` is no origin like `https://api.example.com` or `http://127.0.0.1:8080`: a user name stands before its host; write `authentication`
    d.yaml:2:88: `with.headers` must be a mapping or an expression
    d.yaml:2:105: `with.query.a` must be text, not `1`; put it in quotes
    d.yaml:2:118: `text` is not a value of `with.output`; it can be `raw`, `content`, `response`
    d.yaml:2:134: `with.redirect` must be true or false, not text
    "#);
    assert_snapshot!(task("{ method: get, endpoint: 'https://a.example/${ .x }' }"), @r#"
    d.yaml:2:56: `with.endpoint`: `https://a.example/${ .x }` is only partly an expression; make the whole text one, like `${ "v\(.release.version)" }`
    "#);
    assert_snapshot!(task("{ method: get, endpoint: { uri: https://a.example, authentication: { use: nobody } } }"), @r#"d.yaml:2:105: `with.endpoint.authentication.use`: there is no `nobody` in `use.authentications`; declare it under `use.authentications`"#);
    assert_snapshot!(task("{ method: get, endpoint: { uri: https://a.example, authentication: { oauth2: { authority: https://b.example, grant: refresh_token } } } }"), @r#"d.yaml:2:98: `with.endpoint.authentication`: this grant needs a token for which the language has no field; use `client_credentials`, `password` or a token exchange"#);
    assert_snapshot!(said("do: [{ t: { call: http, with: { method: get, endpoint: https://a.example }, metadata: { lightWorkflow: { grants: {}, security: { secrets: [s] } } } } }]"), @r#"
    d.yaml:2:106: `metadata.lightWorkflow.grants` has no effect on a call of the host itself; remove it, or move it to a task with `call`
    d.yaml:2:118: `metadata.lightWorkflow.security` has no effect on a call of the host itself; remove it, or move it to a task with `run`, `call`
    d.yaml:2:139: secrets go only into a fresh sandbox, and this task shares that of the workflow; add `sandbox: { mode: per-task, reason: … }` beside `secrets`
    "#);
}

#[test]
fn a_credential_in_a_definition_is_a_warning() {
    let auth = |policy: &str| {
        said(&format!(
            "do: [{{ t: {{ call: http, with: {{ method: get, endpoint: {{ uri: https://a.example, authentication: {policy} }} }} }} }}]"
        ))
    };
    assert_snapshot!(auth("{ basic: { username: u, password: p } }"), @r#"d.yaml:2:132: warning: `password` stands in the definition, so it is kept in the history; put it into a secret of the host and write `basic: { use: NAME }`"#);
    assert_snapshot!(auth("{ bearer: { token: '${ .token }' } }"), @r#"d.yaml:2:117: warning: `token` comes from data, so it is kept in the history; put it into a secret of the host and write `bearer: { use: NAME }`"#);
    assert_snapshot!(auth("{ oauth2: { authority: https://b.example, grant: client_credentials, endpoints: { token: /t }, client: { id: i, secret: s } } }"), @r#"d.yaml:2:218: warning: `secret` stands in the definition, so it is kept in the history; put it into a secret of the host and write `oauth2: { use: NAME }`"#);
    assert_eq!(auth("{ bearer: { use: s } }"), "");
}

#[test]
fn what_is_wrong_with_a_grpc_service_or_a_server_of_mcp_is_said_at_its_place() {
    let grpc = |with: &str| said(&format!("do: [{{ t: {{ call: grpc, with: {with} }} }}]"));
    let mcp = |transport: &str, light: &str| {
        said(&format!(
            "do: [{{ t: {{ call: mcp, with: {{ method: tools/list, transport: {transport} }}, metadata: {{ lightWorkflow: {light} }} }} }}]"
        ))
    };
    let proto = "proto: { endpoint: 'file://app/greet.proto' }";
    let cases = [
        (
            grpc(&format!(
                "{{ {proto}, service: {{ name: G, host: localhost, port: 5011 }}, method: M, arguments: {{ a: '${{ .a }}' }} }}"
            )),
            vec![],
        ),
        (
            grpc("{ service: { host: localhost }, arguments: 7 }"),
            vec![
                "`with.proto` is missing",
                "`with.service.name` is missing",
                "`with.method` is missing",
                "`with.arguments` must be a mapping or an expression",
            ],
        ),
        (
            grpc(&format!("{{ {proto}, service: {{ name: G, host: 'https://a.example' }}, method: M }}")),
            vec!["write the host alone, and `port` beside it"],
        ),
        (
            grpc(&format!(
                "{{ {proto}, service: {{ name: G, host: a.example, port: 70000, tls: true }}, method: M, option: x }}"
            )),
            vec!["`with.service.port`", "unknown field `tls`", "unknown field `option`"],
        ),
        (
            mcp(
                "{ stdio: { command: python3, arguments: [-m, server], environment: { A: b } } }",
                "{ security: { sandbox: { template: tools } }, egress: ['a.example:443'], effect: pure }",
            ),
            vec![],
        ),
        (
            mcp("{ stdio: { arguments: [7] } }", "{}"),
            vec!["`with.transport.stdio.command` is missing", "must be text, not `7`"],
        ),
        (
            mcp("{ stdio: { command: a, environment: { 'A=B': c } } }", "{}"),
            vec!["`A=B` cannot name an environment variable"],
        ),
        (
            mcp("{ stdio: { command: a }, http: { endpoint: https://a.example } }", "{}"),
            vec!["`transport` needs either `http` or `stdio`"],
        ),
        (mcp("{}", "{}"), vec!["`transport` needs either `http` or `stdio`"]),
        (mcp("{ stdio: { command: a }, options: {} }", "{}"), vec!["`with.transport.options` is refused"]),
        (
            mcp("{ stdio: { command: a } }", "{ grants: {} }"),
            vec!["`metadata.lightWorkflow.grants` has no effect on a server in a sandbox"],
        ),
        (
            mcp("{ http: { endpoint: https://a.example } }", "{ egress: ['a.example:443'] }"),
            vec!["`metadata.lightWorkflow.egress` has no effect on a call of the host itself"],
        ),
    ];
    for (said, expected) in cases {
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{said}");
        assert!(lines.iter().all(|line| line.starts_with("d.yaml:2:")), "{said}");
        for expected in expected {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
}
