//! `${ $secrets.NAME }`: where it may stand, what it means there, and what is said of it anywhere else.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use support::{HEAD, Run, actor, noon, resolved};
use workflow::calls::{AuthenticationProperties, CallRequest};
use workflow::command::Command;
use workflow::definition::{self, Definition, Reading, tasks_with_secrets_before_an_approval, warnings};
use workflow::documents::{DocumentName, Documents};
use workflow::{Effect, InstanceId, engine};

const FRESH: &str =
    "metadata: { lightWorkflow: { security: { sandbox: { mode: per-task, template: small, reason: r } SECRETS } } }";

/// What `check` says of a definition.
fn said(text: &str) -> String {
    let lines =
        |problems: Vec<definition::Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    match definition::parse(&format!("{HEAD}{text}"), "d.yaml") {
        Ok(definition) => lines(warnings(&definition, "d.yaml")),
        Err(problems) => lines(problems),
    }
}

/// A definition with secrets that is started, as far as its first effect.
fn started(tasks: &str, input: Value) -> Run {
    let definition = support::definition(&format!("use: {{ secrets: [git-token, token] }}\n{tasks}"));
    let id = InstanceId::new("i-1").unwrap();
    let (instance, history) = engine::start(&definition, id, input, actor("test"), resolved(&definition), noon());
    let mut run = Run { instance, history, now: noon() };
    run.take(Vec::new());
    run
}

fn command_of(run: &Run) -> Command {
    match run.instance.open_attempts().next().unwrap_or_else(|| panic!("{}", run.lines())).effect {
        Effect::Command { command, .. } => command.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn process(kind: &str, environment: &str, secrets: &str) -> String {
    let process = match kind {
        "shell" => "shell: { command: ls",
        "script" => "script: { language: sh, code: ls",
        _ => "container: { image: 'docker.io/library/busybox:1'",
    };
    format!("do: [{{ t: {{ run: {{ {process}, {environment} }} }}, {} }} }}]", FRESH.replace("SECRETS", secrets))
}

#[test]
fn a_variable_of_a_process_is_a_secret_as_if_security_named_it() {
    for kind in ["shell", "script"] {
        let environment =
            "environment: { LEVEL: '${ .level }', GH: '${ $secrets[\"git-token\"] }', SAME: '${$secrets.token}' }";
        let named = started(&process(kind, environment, ""), json!({ "level": 7 }));
        let listed = started(&process(kind, "arguments: []", ", secrets: [git-token, token]"), json!({}));
        assert_eq!(named.instance.policy().secrets(), listed.instance.policy().secrets());
        assert_eq!(named.instance.policy().secrets().len(), 2);
        let command = command_of(&named);
        let variables: Vec<_> = command.secrets.iter().map(|(name, secret)| format!("{name}={secret}")).collect();
        assert_eq!(variables, ["GH=git-token", "SAME=token"]);
        assert_eq!(command.environment, BTreeMap::from([("LEVEL".to_owned(), "7".to_owned())]));
    }
    let text = format!(
        "use: {{ secrets: [token] }}\n{}",
        process("container", "environment: { A: '${ $secrets.token }' }", "")
    );
    assert_eq!(resolved(&support::definition(&text)).secrets().len(), 1);
}

#[test]
fn a_secret_that_security_names_too_has_the_variable_that_was_chosen() {
    let environment = "environment: { A: '${ $secrets.token }', B: '${ $secrets.token }' }";
    let run = started(&process("shell", environment, ", secrets: [git-token, token]"), json!({}));
    let variables: Vec<_> = command_of(&run).secrets.into_keys().collect();
    assert_eq!(variables, ["A", "B", "GIT_TOKEN"]);
}

#[test]
fn a_field_of_authentication_names_a_secret_beside_others_that_are_given() {
    let oauth2 = "authority: 'https://i.example', grant: password, client: { id: c, secret: '${ $secrets.token }', assertion: '${ $secrets.token }' }, username: '${ .user }', password: '${ $secrets[\"git-token\"] }', subject: { token: '${ $secrets.token }', type: jwt }, actor: { token: '${ $secrets.token }', type: jwt }";
    let client = json!({ "id": "c", "secret": null, "assertion": null, "authentication": "client_secret_post" });
    let token = json!({ "token": null, "type": "jwt" });
    for (policy, fields, secrets) in [
        ("bearer: { token: '${ $secrets.token }' }", json!({ "token": null }), json!({ "/token": "token" })),
        (
            "basic: { username: '${ .user }', password: '${ $secrets.token }' }",
            json!({ "username": "ann", "password": null }),
            json!({ "/password": "token" }),
        ),
        (
            "digest: { username: '${ $secrets.token }', password: '${ $secrets[\"git-token\"] }' }",
            json!({ "username": null, "password": null }),
            json!({ "/username": "token", "/password": "git-token" }),
        ),
        (
            &format!("oauth2: {{ {oauth2} }}"),
            json!({ "client": client, "username": "ann", "password": null, "subject": token, "actor": token }),
            json!({ "/client/secret": "token", "/client/assertion": "token", "/password": "git-token", "/subject/token": "token", "/actor/token": "token" }),
        ),
    ] {
        for text in [
            format!(
                "do: [{{ t: {{ call: http, with: {{ method: get, endpoint: {{ uri: 'https://a.example', authentication: {{ {policy} }} }} }} }} }}]"
            ),
            format!(
                "do: [{{ t: {{ call: openapi, with: {{ document: {{ endpoint: 'https://a.example' }}, operationId: o, authentication: {{ {policy} }} }} }} }}]"
            ),
        ] {
            let run = started(&text, json!({ "user": "ann" }));
            let Effect::Call { call, .. } = run.instance.open_attempts().next().unwrap().effect else {
                panic!("{text}")
            };
            let authentication = match &call.request {
                CallRequest::Http(http) => &http.endpoint.authentication,
                CallRequest::OpenApi(openapi) => &openapi.authentication,
                other => panic!("{other:?}"),
            };
            let properties = &authentication.as_ref().unwrap().properties;
            let AuthenticationProperties::Completed { fields: given, secrets: named } = properties else {
                panic!("{policy}: {properties:?}")
            };
            assert_eq!(json!(named), secrets, "{policy}");
            for (name, value) in fields.as_object().unwrap() {
                assert_eq!(&given[name], value, "{policy}: {name}");
            }
            // What is written is read again.
            assert_eq!(&serde_json::from_value::<AuthenticationProperties>(json!(properties)).unwrap(), properties);
            let known: BTreeSet<_> = named.values().collect();
            assert_eq!(run.instance.policy().secrets(), known, "{policy}");
        }
    }
}

#[test]
fn a_shared_policy_names_one_as_well_and_nothing_of_it_is_kept_or_warned_of() {
    let text = "use: { secrets: [token], authentications: { a: { bearer: { token: '${ $secrets.token }' } } } }\ndo: [{ t: { call: http, with: { method: get, endpoint: { uri: 'https://a.example', authentication: { use: a } } } } }]";
    assert_eq!(said(text), "");
    assert_eq!(resolved(&support::definition(text)).secrets().len(), 1);
}

#[test]
fn in_cel_it_has_no_dollar() {
    let text = |secret: &str| {
        format!(
            "evaluate: {{ language: cel }}\nuse: {{ secrets: [git-token] }}\n{}",
            process("shell", &format!("environment: {{ A: '{secret}' }}"), "")
        )
    };
    for secret in ["${ secrets[\"git-token\"] }", "${{ secrets[\"git-token\"] }}"] {
        assert_eq!(resolved(&support::definition(&text(secret))).secrets().len(), 1, "{secret}");
    }
    assert!(said(&text("${ secrets[\"git-token\"] + \"x\" }")).contains("`secrets` is not available here"));
}

/// Everywhere else, in every form.
#[test]
fn anywhere_else_it_is_refused_and_the_places_are_named() {
    let call = |with: &str| format!("call: http, with: {{ method: get, {with} }}");
    let run = |fields: &str| format!("run: {{ shell: {{ command: ls, {fields} }} }}, {}", FRESH.replace("SECRETS", ""));
    let auth =
        |policy: &str| call(&format!("endpoint: {{ uri: 'https://a.example', authentication: {{ {policy} }} }}"));
    let oauth2 = |field: &str| auth(&format!("oauth2: {{ authority: 'https://i.example', grant: password, {field} }}"));
    let one = "'${ $secrets.token }'";
    let tasks = [
        format!("set: {{ x: {one} }}"),
        format!("set: {{ x: 1 }}, if: {one}"),
        format!("set: {{ x: 1 }}, input: {{ from: {one} }}"),
        format!("set: {{ x: 1 }}, output: {{ as: {one} }}"),
        format!("set: {{ x: 1 }}, export: {{ as: {one} }}"),
        format!("set: {{ x: 1 }}, timeout: {{ after: {one} }}"),
        format!("switch: [{{ a: {{ when: {one}, then: end }} }}]"),
        format!("emit: {{ event: {{ with: {{ type: t, data: {one} }} }} }}"),
        format!("wait: {one}"),
        format!("ask: {{ prompt: {one} }}"),
        format!("call: echo, with: {{ x: {one} }}"),
        format!("raise: {{ error: {{ type: 'https://a.example/e', status: 400, title: {one} }} }}"),
        run(&format!("arguments: [{one}]")),
        run(&format!("stdin: {one}")),
        run("environment: { A: '${ \"Bearer \" + $secrets.token }' }"),
        run("environment: { A: '${ $secrets }' }"),
        run("environment: { A: '${ $secrets.token.field }' }"),
        run("environment: { A: '${ $secrets[\"to\" + \"ken\"] }' }"),
        run("environment: { A: '${ $secrets[.name] }' }"),
        run("environment: { A: '${ $secrets.git-token }' }"),
        run("environment: { A: '${ $secrets.token | length }' }"),
        format!("run: {{ shell: {{ command: {one} }} }}, {}", FRESH.replace("SECRETS", "")),
        format!("run: {{ workflow: {{ namespace: n, name: d, version: '1.0.0', input: {{ x: {one} }} }} }}"),
        format!(
            "call: mcp, with: {{ method: tools/list, transport: {{ stdio: {{ command: ls, environment: {{ A: {one} }} }} }} }}, {}",
            FRESH.replace("SECRETS", "")
        ),
        call(&format!("endpoint: {one}")),
        call(&format!("endpoint: 'https://a.example', headers: {{ authorization: {one} }}")),
        call(&format!("endpoint: 'https://a.example', query: {{ a: {one} }}")),
        call(&format!("endpoint: 'https://a.example', body: {{ a: {one} }}")),
        auth("bearer: { token: '${ $secrets.token + \"x\" }' }"),
        oauth2(&format!("client: {{ id: {one} }}")),
        oauth2(&format!("scopes: [{one}]")),
        oauth2(&format!("endpoints: {{ token: {one} }}")),
    ];
    for task in tasks {
        let said = said(&format!("use: {{ secrets: [token, git-token] }}\ndo: [{{ t: {{ {task} }} }}]"));
        let places = "names one, as the whole value of a variable in `environment` of `run.shell`, `run.script` and `run.container`, or of `username`, `password`, `token`, `secret` and `assertion` in `authentication`";
        assert!(said.contains("`$secrets` is not available here") && said.contains(places), "{task}\nsays {said}");
    }
    // A part of a text is no expression at all.
    let half = run("environment: { A: 'Bearer ${ $secrets.token }' }");
    assert!(said(&format!("do: [{{ t: {{ {half} }} }}]")).contains("is only partly an expression"));
    let other = run("environment: { A: '${ $authorization.parameter }' }");
    assert!(said(&format!("do: [{{ t: {{ {other} }} }}]")).contains("there is no variable `$authorization` here"));
}

#[test]
fn what_security_asks_of_a_secret_is_asked_of_this_one() {
    let task = |secret: &str, light: &str| {
        format!(
            "do: [{{ t: {{ run: {{ shell: {{ command: ls, environment: {{ TOKEN: '${{ $secrets{secret} }}' }} }} }}, {light} }} }}]"
        )
    };
    let fresh = FRESH.replace("SECRETS", "");
    let call = "do: [{ t: { call: http, with: { method: get, endpoint: { uri: 'https://a.example', authentication: { bearer: { token: '${ $secrets.tokn }' } } } } } }]";
    for (uses, text, expected) in [
        (
            "secrets: [token]",
            task(".tokn", &fresh),
            "`run.shell.environment.TOKEN`: `use.secrets` does not name `tokn`; did you mean `token`?",
        ),
        ("secrets: [token]", call.to_owned(), "`use.secrets` does not name `tokn`; did you mean `token`?"),
        ("timeouts: {}", task(".token", &fresh), "`use.secrets` does not name `token`; add `token` to `use.secrets`"),
        ("secrets: [token]", task("[\"to/ken\"]", &fresh), "`to/ken` is not a valid secret name"),
        (
            "secrets: [token]",
            task(".token", "timeout: { after: PT1M }"),
            "secrets go only into a fresh sandbox, and this task shares that of the workflow; add `sandbox: { mode: per-task, reason: … }` to `metadata.lightWorkflow.security` of the task",
        ),
        (
            "secrets: [token, other]",
            task(".other", &FRESH.replace("SECRETS", ", secrets: [token]")),
            "`TOKEN` is the variable of secret `token`, which `security.secrets` names; choose another name for one of the two",
        ),
    ] {
        let said = said(&format!("use: {{ {uses} }}\n{text}"));
        assert!(said.contains(expected) && said.lines().count() == 1, "{text}\nsays {said}");
    }
}

#[test]
fn a_person_is_asked_before_a_secret_that_a_field_names() {
    let process = "run: { shell: { command: ls, environment: { A: '${ $secrets.token }' } } }";
    let process = format!("{process}, {}", FRESH.replace("SECRETS", ""));
    let call = |method: &str| {
        format!(
            "call: http, with: {{ method: {method}, endpoint: {{ uri: 'https://a.example', authentication: {{ basic: {{ username: a, password: '${{ $secrets.token }}' }} }} }} }}"
        )
    };
    for (task, unasked) in [(process, 1), (call("post"), 1), (call("get"), 0)] {
        for (before, expected) in [("", unasked), ("{ ask: { ask: { prompt: Publish? } } }, ", 0)] {
            let text = format!("use: {{ secrets: [token] }}\ndo: [{before}{{ t: {{ {task} }} }}]");
            let definition = support::definition(&text);
            assert_eq!(tasks_with_secrets_before_an_approval(&definition).len(), expected, "{text}");
        }
    }
}

#[test]
fn what_comes_from_the_network_names_none() {
    let process = "run: { shell: { command: ls, environment: { A: '${ $secrets.token }' } } }";
    let call = "call: http\nwith: { method: get, endpoint: { uri: 'https://a.example', authentication: { bearer: { token: '${ $secrets.token }' } } } }";
    let script = "run: { script: { language: sh, source: { endpoint: 'https://c.example/d' }, environment: { A: '${ $secrets.token }' } } }";
    for (task, document, expected) in [
        ("call: 'https://c.example/d'", process, "a function from the network may not use secrets"),
        ("call: 'https://c.example/d'", call, "a function from the network may not use secrets"),
        (script, "ls", "a script from the network may not use secrets"),
    ] {
        let mut documents = Documents::default();
        documents.keep(DocumentName::default().resolve("https://c.example/d").unwrap(), Ok(document.to_owned()));
        let text = format!("{HEAD}use: {{ secrets: [token] }}\ndo: [{{ t: {{ {task} }} }}]");
        let said = match definition::read(&text, "d.yaml", &documents) {
            Reading::Refused(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect::<String>(),
            Reading::Definition(_) | Reading::Wanting(_) => panic!("{document} is not refused"),
        };
        assert!(said.contains(expected) && said.lines().count() == 1, "{document}\nsays {said}");
    }
}

#[test]
fn a_process_that_nobody_waits_for_has_it_too() {
    let shell = "shell: { command: ls, environment: { A: '${ .a }', GH: '${ $secrets[\"git-token\"] }' } }";
    let text = format!(
        "do: [{{ t: {{ run: {{ {shell}, await: false }}, {} }} }}]",
        FRESH.replace("SECRETS", ", secrets: [token]")
    );
    let definition = support::definition(&format!("use: {{ secrets: [git-token, token] }}\n{text}"));
    let child: &Arc<Definition> = definition.detached.values().next().unwrap();
    let (instance, history) = engine::start(
        child,
        InstanceId::new("i-2").unwrap(),
        json!({ "values": ["a"] }),
        actor("test"),
        resolved(child),
        noon(),
    );
    let mut run = Run { instance, history, now: noon() };
    run.take(Vec::new());
    let command = command_of(&run);
    let variables: Vec<_> = command.secrets.iter().map(|(name, secret)| format!("{name}={secret}")).collect();
    assert_eq!(variables, ["GH=git-token", "TOKEN=token"]);
    assert_eq!(command.environment["A"], "a");
}
