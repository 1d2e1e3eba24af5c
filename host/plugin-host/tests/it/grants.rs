//! What is not granted is not linked; what is not in a grant is denied as data.

use plugin_host::{CallError, Interface};
use serde_json::json;
use workflow::capability::Grants;

use crate::common::{all_grants, components, evil, evil_with, host, plugin};

#[tokio::test]
async fn an_import_without_a_grant_is_refused_and_every_one_is_named() {
    let grants = Grants { sandbox: None, log: None, ..all_grants() };
    let (result, record) = evil_with("say hello", grants).await;
    let text = result.unwrap_err().to_string();
    assert_eq!(
        text,
        "plugin `evil` imports `lightapi:release/log` (emit), which the task does not grant; add `log: { lines-max: 1000, bytes-max: 262144 }` to the task's grants; \
         plugin `evil` imports `lightapi:release/sandbox` (exec), which the task does not grant; add `sandbox: { commands: [template/command], commands-max: 1 }` to the task's grants; \
         plugin `evil` imports `lightapi:release/sandbox-secret` (exec-with-secrets), which the task does not grant; add `sandbox: { commands: [template/command], commands-max: 1 } and secrets: { names: [secret-name] }` to the task's grants"
    );
    assert_eq!(record, Default::default(), "nothing ran");
}

#[tokio::test]
async fn each_interface_alone_is_refused_without_its_grant() {
    for (interface, grants) in [
        (Interface::Log, Grants { log: None, ..all_grants() }),
        (Interface::ArtifactsRead, Grants { artifacts_read: None, ..all_grants() }),
        (Interface::ArtifactsWrite, Grants { artifacts_write: None, ..all_grants() }),
        (Interface::Sandbox, Grants { sandbox: None, ..all_grants() }),
        (Interface::Secrets, Grants { secrets: None, ..all_grants() }),
        (Interface::Model, Grants { model: None, ..all_grants() }),
        (Interface::Mcp, Grants { mcp: None, ..all_grants() }),
        (Interface::Http, Grants { http: None, ..all_grants() }),
    ] {
        let (result, _) = evil_with("say hello", grants).await;
        let Err(CallError::Refused(missing)) = result else { panic!("{interface} was not refused: {result:?}") };
        assert_eq!(missing.0[0].interface, interface);
    }
}

#[tokio::test]
async fn a_grant_that_no_import_needs_is_flagged() {
    let cargo = plugin("cargo").await;
    let texts: Vec<_> = cargo.over_grants(&all_grants()).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "plugin `cargo` is granted `artifacts-write` and imports nothing that needs it; remove it",
            "plugin `cargo` is granted `secrets` and imports nothing that needs it; remove it",
            "plugin `cargo` is granted `model` and imports nothing that needs it; remove it",
            "plugin `cargo` is granted `mcp` and imports nothing that needs it; remove it",
            "plugin `cargo` is granted `http` and imports nothing that needs it; remove it"
        ]
    );
    assert_eq!(plugin("evil").await.over_grants(&all_grants()), []);
}

#[tokio::test]
async fn each_call_outside_its_grant_is_denied_as_data_and_recorded() {
    for (input, said) in [
        (
            "exec rust-release/cargo-test",
            "denied: sandbox rust-release/cargo-test: the command is not in `sandbox.commands` of the task's grants",
        ),
        ("exec sh -c id", "denied: sandbox sh -c id: the command is not in `sandbox.commands` of the task's grants"),
        (
            "stat artifact://i/other/1/x",
            "denied: artifacts-read artifact://i/other/1/x: no entry of `artifacts-read.names` of the task's grants covers it",
        ),
        (
            "read artifact://i/other/1/x",
            "denied: artifacts-read artifact://i/other/1/x: no entry of `artifacts-read.names` of the task's grants covers it",
        ),
        (
            "put other.json",
            "denied: artifacts-write other.json: the name is not in `artifacts-write.names` of the task's grants",
        ),
        (
            "put ../report.json",
            "denied: artifacts-write ../report.json: the name is not in `artifacts-write.names` of the task's grants",
        ),
        ("secret other", "denied: secrets other: the secret is not in `secrets.names` of the task's grants"),
        ("ask other", "denied: model other: the model is not in `model.models` of the task's grants"),
        (
            "ask default artifact://i/other/1/x",
            "denied: artifacts-read artifact://i/other/1/x: no entry of `artifacts-read.names` of the task's grants covers it",
        ),
        ("tool issues/close", "denied: mcp issues/close: the tool is not in `mcp.tools` of the task's grants"),
        ("tool issues/search/x", "denied: mcp issues/search/x: the tool is not in `mcp.tools` of the task's grants"),
        (
            "fetch https://other.test/",
            "denied: http https://other.test/: `https://other.test` is not in `http.origins` of the task's grants",
        ),
        (
            "fetch http://index.test/",
            "denied: http http://index.test/: `http://index.test` is not in `http.origins` of the task's grants",
        ),
        (
            "fetch https://index.test:8443/",
            "denied: http https://index.test:8443/: `https://index.test:8443` is not in `http.origins` of the task's grants",
        ),
    ] {
        let (result, record) = evil(input).await;
        assert_eq!(result.unwrap(), json!(said), "{input}");
        assert_eq!(record.calls, Vec::<String>::new(), "{input}");
        let (sequence, denial) = &record.denied[0];
        assert_eq!(*sequence, 1);
        assert_eq!(format!("denied: {} {}: {}", denial.capability, denial.subject, denial.reason), said);
    }
}

#[tokio::test]
async fn each_call_inside_its_grant_reaches_the_worker_numbered() {
    for (input, said, calls) in [
        ("exec rust-release/cargo-build", "exit code 0", vec!["1 exec rust-release/cargo-build"]),
        ("read artifact://i/t/1/x", "16", vec!["1 read artifact://i/t/1/x 0 4194304"]),
        ("put report.json", "artifact://i/t/1/report.json", vec!["1 put report.json text/plain 5"]),
        ("secret token", "token: exit code 0", vec!["2 exec rust-release/cargo-publish with token"]),
        (
            "exec-artifact artifact://i/t/1/x",
            "exit code 0",
            vec!["1 exec rust-release/cargo-build file=Artifact(\"artifact://i/t/1/x\")"],
        ),
        (
            "ask default artifact://i/t/1/x",
            "\"flaky\" of test default 1",
            vec!["1 ask default 500 why? artifact://i/t/1/x"],
        ),
        (
            "tool issues/search",
            "[{\"type\":\"text\",\"text\":\"found\"}]",
            vec!["1 tool issues/search {\"query\":\"flaky\"}"],
        ),
        ("fetch https://INDEX.test:443/a?b", "404 60", vec!["1 fetch Get https://INDEX.test:443/a?b 100"]),
    ] {
        let (result, record) = evil(input).await;
        assert_eq!(result.unwrap(), json!(said), "{input}");
        assert_eq!(record.calls, calls, "{input}");
        assert_eq!(record.denied, [], "{input}");
    }
}

#[tokio::test]
async fn a_reference_that_is_none_is_an_invalid_call() {
    for input in ["stat file:///etc/passwd", "stat artifact://i/t/../x", "exec-artifact /etc/passwd"] {
        let (result, record) = evil(input).await;
        let said = result.unwrap();
        assert!(said.as_str().unwrap().starts_with("invalid: "), "{said}");
        assert_eq!(record.calls, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_command_over_the_granted_number_is_a_quota() {
    let mut grants = all_grants();
    grants.sandbox.as_mut().unwrap().commands_max = 1;
    let (result, record) = evil_with("exec-twice rust-release/cargo-build", grants).await;
    assert_eq!(
        result.unwrap(),
        json!("exit code 0, quota: this call ran 1 commands, as many as `sandbox.commands-max` grants")
    );
    assert_eq!(record.calls, ["1 exec rust-release/cargo-build"]);
}

#[tokio::test]
async fn what_is_granted_by_number_ends_as_a_quota() {
    for (input, said, calls) in [
        ("ask-times 3", "this call asked 2 questions, as many as `model.questions-max` grants", 2),
        ("ask-tokens 1001", "an answer of 1001 tokens is asked for; `model.answer-tokens-max` leaves 1000", 0),
        ("tool-times 3", "this call used 2 tools, as many as `mcp.calls-max` grants", 2),
        ("fetch-times 3", "this call made 2 requests, as many as `http.requests-max` grants", 2),
    ] {
        let (result, record) = evil(input).await;
        assert_eq!(result.unwrap(), json!(format!("quota: {said}")), "{input}");
        assert_eq!(record.calls.len(), calls, "{input}: {:?}", record.calls);
    }
    // What was received is off what may still be received.
    let (_, record) = evil("fetch-times 2").await;
    assert!(record.calls[1].ends_with(" 40"), "{:?}", record.calls);
}

#[tokio::test]
async fn a_url_that_two_readers_could_read_differently_is_invalid() {
    for url in [
        "https://index.test@evil.test/",
        "https://evil.test\\@index.test/",
        "//index.test/",
        "file:///etc/passwd",
        "https://index.test/#x",
        "https://index.test/a b",
        "https://índex.test/",
        "https:///index.test/",
    ] {
        let (result, record) = evil(&format!("fetch {url}")).await;
        let said = result.unwrap();
        assert!(said.as_str().unwrap().starts_with("invalid: the URL is not an absolute one"), "{url}: {said}");
        assert_eq!(record.calls, Vec::<String>::new());
    }
}

#[tokio::test]
async fn describe_and_plan_reach_nothing() {
    let evil = plugin("evil").await;
    let description = host().describe(&evil).await.unwrap();
    assert_eq!(description.summary, "denied: sandbox rust-release/cargo-build: `describe` has no effects");
    let planned = host().plan(&evil, &json!("x")).await.unwrap();
    assert_eq!(planned[0].why, "denied: sandbox rust-release/cargo-build: `plan` has no effects");
}

#[test]
fn missing_and_superfluous_grants_are_known_from_the_bytes_alone() {
    let inspection = plugin_host::inspect(&components()["cargo-publish"]).unwrap();
    let missing: Vec<_> = inspection
        .missing_grants("cargo-publish", &Grants::default())
        .iter()
        .map(|missing| missing.interface)
        .collect();
    assert_eq!(missing, [Interface::Log, Interface::Secrets, Interface::SandboxSecret]);
    let over: Vec<_> =
        inspection.over_grants("cargo-publish", &all_grants()).into_iter().map(|over| over.key).collect();
    assert_eq!(over, ["artifacts-read", "artifacts-write", "model", "mcp", "http"]);
}
