//! Stored bytes: whole, in ranges, and one after another.

use axum::body::Body;
use serde_json::json;

use crate::house::{House, STDERR, STDOUT};

async fn built(house: &House) -> String {
    let id = house.start("r1").await;
    house.work(&id).await;
    id
}

#[tokio::test]
async fn an_artifact_is_listed_and_downloaded_and_a_browser_does_not_run_it() {
    let house = House::new();
    let id = built(&house).await;
    let list = house.get("/v1/releases/r1/artifacts").await.json().await;
    let uris: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, [format!("artifact://{id}/build/1/stderr.log"), format!("artifact://{id}/build/1/stdout.log")]);
    assert_eq!(list["items"][1]["sizeBytes"], STDOUT.len());

    let answer = house.get(&format!("/v1/artifacts/{id}/build/1/stdout.log")).await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"stdout.log\"; filename*=UTF-8''stdout.log"
    );
    assert_eq!(answer.header("content-length"), STDOUT.len().to_string());
    assert_eq!(json!(answer.header("etag").trim_matches('"')), list["items"][1]["digest"]);
    assert_eq!(answer.text().await, STDOUT);
}

#[tokio::test]
async fn a_range_of_an_artifact_can_be_had() {
    let house = House::new();
    let id = built(&house).await;
    let path = format!("/v1/artifacts/{id}/build/1/stdout.log");
    let size = STDOUT.len();
    for (range, expected) in [("bytes=0-3", 0..4), ("bytes=10-", 10..size), ("bytes=-5", size - 5..size)] {
        let answer = house.send("GET", &path, &[("range", range)], Body::empty()).await;
        assert_eq!(answer.status, 206, "{range}");
        let content_range = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.text().await, STDOUT[expected], "{range}");
    }
    let outside = house.send("GET", &path, &[("range", "bytes=500-")], Body::empty()).await;
    assert_eq!(outside.header("content-range"), format!("bytes */{size}"));
    assert_eq!(outside.problem().await, format!("416 range-not-satisfiable: the content has {size} bytes"));
}

#[tokio::test]
async fn the_logs_of_a_task_are_read_as_one_text_and_read_on_from_where_one_stopped() {
    let house = House::new();
    built(&house).await;
    let both = format!("{STDOUT}{STDERR}");
    let cases = [
        ("", both.as_str()),
        ("?task=/do/0/build", &both),
        ("?task=%2Fdo%2F0%2Fbuild&stream=stdout", STDOUT),
        ("?task=/do/0/build&stream=stderr&attempt=1", STDERR),
        ("?task=/do/0/build&attempt=2", ""),
        ("?task=/do/1/approve", ""),
    ];
    for (query, expected) in cases {
        let answer = house.get(&format!("/v1/releases/r1/logs{query}")).await;
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.text().await, expected, "{query}");
    }
    let from = format!("bytes={}-", STDOUT.len() - 5);
    let rest = house.send("GET", "/v1/releases/r1/logs", &[("range", &from)], Body::empty()).await;
    assert_eq!(rest.text().await, both[STDOUT.len() - 5..]);
    assert_eq!(
        house.get("/v1/releases/r1/logs?task=/do/9/x").await.problem().await,
        "404 task-not-found: release `r1` has no task `/do/9/x`, or has not come to it yet"
    );
}
