//! What hostile and mistaken clients are told.

use axum::body::Body;
use serde_json::{Value, json};

use crate::house::{House, request};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_wrong_path_method_or_query_is_answered_with_what_is_wrong() {
    let house = House::new();
    house.start("r1").await;
    let cases = [
        ("GET", "/", "404 unknown-path: there is nothing at this path; /v1/openapi.json lists what there is"),
        ("GET", "/v1/nothing", "404 unknown-path: there is nothing at this path; /v1/openapi.json lists what there is"),
        (
            "DELETE",
            "/v1/releases",
            "405 wrong-method: this path does not have this method; the `Allow` header lists its methods",
        ),
        ("GET", "/v1/releases/none", "404 release-not-found: there is no release `none`"),
        ("GET", "/v1/releases/%FF", "400 invalid-path: "),
        ("GET", "/v1/releases/..%2F..%2Fetc", "404 release-not-found: there is no release `../../etc`"),
        ("GET", "/v1/releases?limit=0", "400 invalid-query: `limit` is a number from 1 to 200"),
        ("GET", "/v1/releases?limit=-1", "400 invalid-query: "),
        ("GET", "/v1/releases?phase=open", "400 invalid-query: "),
        ("GET", "/v1/releases?fase=open", "400 invalid-query: "),
        ("GET", "/v1/releases?cursor=none", "400 invalid-query: `cursor` is not the `next` of a page of this list"),
        ("GET", "/v1/releases?cursor=%00", "400 invalid-query: `cursor` is not the `next` of a page of this list"),
        ("GET", "/v1/releases/r1/events?after=x", "400 invalid-query: "),
        ("GET", "/v1/releases/r1/events?limit=1001", "400 invalid-query: `limit` is a number from 1 to 1000"),
        ("GET", "/v1/releases/r1/logs?stream=all", "400 invalid-query: "),
        ("GET", "/v1/artifacts/x", "404 artifact-not-found: there is no artifact `artifact://x`"),
        ("GET", "/v1/artifacts/x/%2E%2E/y", "404 artifact-not-found: there is no artifact `artifact://x/../y`"),
        ("GET", "/v1/human-tasks/none", "404 human-task-not-found: there is no human task `none`"),
        ("GET", "/v1/human-tasks?release=none", "404 release-not-found: there is no release `none`"),
    ];
    for (method, path, expected) in cases {
        let problem = house.send(method, path, &[], Body::empty()).await.problem().await;
        let fits = if expected.ends_with(": ") { problem.starts_with(expected) } else { problem == expected };
        assert!(fits, "{method} {path}: {problem}");
    }
    let wrong_method = house.send("PUT", "/v1/releases/r1", &[], Body::empty()).await;
    assert_eq!(wrong_method.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn a_problem_names_the_path_of_the_request_without_its_query() {
    let house = House::new();
    let body = house.get("/v1/releases/none?token=secret").await.json().await;
    assert_eq!(body["instance"], "/v1/releases/none");
    assert_eq!(body["title"], "No such release");
    assert_eq!(body["errors"], Value::Null);
}

#[tokio::test]
async fn a_body_that_is_not_the_json_expected_is_refused_with_its_place() {
    let house = House::new();
    let deep = "[".repeat(100_000);
    let deep_and_whole = format!("{deep}{}", "]".repeat(100_000));
    let cases = [
        ("", "400 malformed-json: EOF while parsing a value at line 1 column 0"),
        ("{\n  \"releaseId\": }", "400 malformed-json: expected value at line 2 column 16"),
        ("{} {}", "400 malformed-json: trailing characters at line 1 column 4"),
        (&deep, "400 malformed-json: EOF while parsing a list at line 1 column 100000"),
        (&deep_and_whole, "422 invalid-request: "),
        ("[]", "422 invalid-request: "),
        ("null", "422 invalid-request: "),
        ("{}", "422 invalid-request: "),
    ];
    for path in [
        "/v1/releases",
        "/v1/releases/r1/cancel",
        "/v1/releases/r1/suspend",
        "/v1/human-tasks/x/decision",
        "/v1/events",
    ] {
        for (body, expected) in cases {
            let problem = house.send("POST", path, &[JSON], body.to_owned()).await.problem().await;
            let shown = &body[..body.len().min(20)];
            let fits = if expected.ends_with(": ") { problem.starts_with(expected) } else { problem == expected };
            assert!(fits, "{path} {shown:?}: {problem}");
        }
        let not_text = house.send("POST", path, &[JSON], vec![b'"', 0xff, b'"']).await.problem().await;
        assert_eq!(not_text, "400 malformed-json: the request body is not UTF-8");
        let large = house.send("POST", path, &[JSON], vec![b' '; (1 << 20) + 1]).await.problem().await;
        assert_eq!(large, "413 body-too-large: a request body has at most 1048576 bytes");
        for media_type in [None, Some("text/plain"), Some("application/jsonx"), Some("multipart/form-data")] {
            let headers: Vec<_> = media_type.iter().map(|value| ("content-type", *value)).collect();
            let problem = house.send("POST", path, &headers, "{}").await.problem().await;
            assert!(problem.starts_with("415 unsupported-media-type: "), "{media_type:?}: {problem}");
        }
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_release_request_is_said_at_once() {
    let house = House::new();
    let mut body = request("../r1");
    body["repos"][0]["ref"] = json!("--upload-pack=x");
    body["repos"][0]["branch"] = json!("main");
    body["publishPolicy"]["maxRepairAttempts"] = json!(-1);
    let answer = house.post("/v1/releases", body).await;
    assert_eq!(answer.status, 422);
    let body = answer.json().await;
    let errors = body["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/releaseId", "/repos/0/ref", "/repos/0", "/publishPolicy/maxRepairAttempts"]);
    assert!(errors[0]["detail"].as_str().unwrap().contains("`../r1` is not a name (line 1, column "));
    assert_eq!(house.get("/v1/releases").await.json().await["items"], json!([]));
}

#[tokio::test]
async fn wrong_fields_of_other_requests_are_named_by_pointer() {
    let house = House::new();
    let long = "x".repeat(4_001);
    let digest = format!("sha256:{}", "0".repeat(64));
    let cases = [
        ("/v1/releases/r1/cancel", json!({ "reason": 5 }), "/reason"),
        ("/v1/releases/r1/cancel", json!({ "reason": " " }), "/reason"),
        ("/v1/releases/r1/cancel", json!({ "reason": "a\nb" }), "/reason"),
        ("/v1/releases/r1/cancel", json!({ "reason": "a", "force": true }), "/force"),
        ("/v1/human-tasks/x/decision", json!({ "value": "approved", "subjectDigest": "md5:1" }), "/subjectDigest"),
        (
            "/v1/human-tasks/x/decision",
            json!({ "value": "approved", "subjectDigest": digest, "comment": long }),
            "/comment",
        ),
    ];
    for (path, body, pointer) in cases {
        let answer = house.post(path, body.clone()).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.json().await["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn an_idempotency_key_that_is_no_key_is_refused_before_anything_is_written() {
    let house = House::new();
    let long = "k".repeat(256);
    for (headers, said) in [
        (vec![("idempotency-key", "")], "must have 1 to 255 characters"),
        (vec![("idempotency-key", long.as_str())], "must have 1 to 255 characters"),
        (vec![("idempotency-key", "a"), ("idempotency-key", "b")], "comes more than once"),
        (vec![("idempotency-key", "ä")], "has characters that are not visible ASCII"),
    ] {
        let mut all = vec![JSON];
        all.extend(headers);
        let problem = house.send("POST", "/v1/releases", &all, request("r1").to_string()).await.problem().await;
        assert_eq!(problem, format!("400 invalid-header: the header `idempotency-key` {said}"));
    }
    assert_eq!(house.get("/v1/releases").await.json().await["items"], json!([]));
}

#[tokio::test]
async fn without_an_idempotency_key_no_release_is_started() {
    let house = House::new();
    let problem = house.send("POST", "/v1/releases", &[JSON], request("r1").to_string()).await.problem().await;
    assert_eq!(
        problem,
        "400 idempotency-key-missing: name the attempt with the header `Idempotency-Key`, 1 to 255 characters and new \
         for each release: when the answer is lost, the same key again starts nothing twice"
    );
    assert_eq!(house.get("/v1/releases").await.json().await["items"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_whole_body_begins_with_what_is_wrong() {
    let house = House::new();
    let problem = house.post("/v1/releases", json!([])).await.problem().await;
    assert!(problem.starts_with("422 invalid-request: the file must be a mapping, not a list"), "{problem}");
}

#[tokio::test]
async fn a_request_that_the_definition_does_not_take_is_refused_with_its_place() {
    let house = House::new();
    let answer = house.post("/v1/releases", request("not-taken")).await;
    assert_eq!(answer.status, 422);
    let body = answer.json().await;
    assert_eq!(body["type"], "https://light-workflow.dev/errors/request-not-taken");
    let (detail, error) = (body["detail"].as_str().unwrap(), &body["errors"][0]);
    assert!(detail.starts_with("release/tested:1.0.0 does not take this request: /releaseId: "), "{detail}");
    assert_eq!(error["pointer"], "/releaseId");
    assert!(error["detail"].as_str().unwrap().contains("is not allowed for \"not-taken\""), "{error}");
    assert_eq!(house.get("/v1/releases").await.json().await["items"], json!([]));
}
