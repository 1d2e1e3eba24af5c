//! The history as JSON and as server-sent events.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::house::{Answer, House};

async fn follow(house: &House, path: &str, more: &[(&str, &str)]) -> Answer {
    let mut headers = vec![("accept", "text/event-stream")];
    headers.extend_from_slice(more);
    house.send("GET", path, &headers, Body::empty()).await
}

async fn revisions(house: &House, path: &str) -> (Vec<u64>, Value) {
    let page = house.get(path).await.json().await;
    let items = page["items"].as_array().unwrap().iter().map(|item| item["revision"].as_u64().unwrap());
    (items.collect(), page["next"].clone())
}

#[tokio::test]
async fn the_history_comes_page_by_page() {
    let house = House::new();
    let id = house.start("r1").await;
    house.work(&id).await;
    let (all, next) = revisions(&house, "/v1/releases/r1/events").await;
    assert_eq!((all.len(), next), (7, Value::Null));
    assert_eq!(revisions(&house, "/v1/releases/r1/events?limit=2").await, (vec![1, 2], json!(2)));
    assert_eq!(revisions(&house, "/v1/releases/r1/events?after=5&limit=2").await, (vec![6, 7], Value::Null));
    assert_eq!(revisions(&house, "/v1/releases/r1/events?after=99").await, (vec![], Value::Null));
}

#[tokio::test]
async fn a_follower_gets_what_was_then_what_comes_and_then_the_end() {
    let house = House::new();
    let id = house.start("r1").await;
    let stream = follow(&house, "/v1/releases/r1/events", &[]).await;
    assert_eq!(stream.status, StatusCode::OK);
    let work = async {
        house.work(&id).await;
        house.post("/v1/releases/r1/cancel", json!({ "reason": "seen enough" })).await;
        house.work(&id).await;
    };
    let (events, ()) = tokio::join!(stream.events(usize::MAX), work);
    let ids: Vec<_> = events.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>());
    let names: Vec<_> = events.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "InstanceStarted",
            "TaskStarted",
            "AttemptStarted",
            "AttemptCompleted",
            "TaskCompleted",
            "TaskStarted",
            "QuestionAsked",
            "InstanceCancelled",
        ]
    );
}

#[tokio::test]
async fn a_follower_that_comes_back_misses_nothing_and_is_told_when_to_stop() {
    let house = House::new();
    let id = house.start("r1").await;
    house.work(&id).await;
    let path = format!("/v1/releases/{id}/events");
    let first = follow(&house, &path, &[]).await.events(2).await;
    let last = first.last().unwrap().0.to_string();
    house.post("/v1/releases/r1/cancel", json!({ "reason": "enough" })).await;
    house.work(&id).await;
    // The header is newer than the URL that a browser repeats.
    let path = format!("{path}?after=0");
    let rest = follow(&house, &path, &[("last-event-id", &last)]).await.events(usize::MAX).await;
    assert_eq!(rest.first().unwrap().0, first.last().unwrap().0 + 1);
    assert_eq!(rest.last().unwrap().1, "InstanceCancelled");
    let last = rest.last().unwrap().0.to_string();
    let done = follow(&house, &path, &[("last-event-id", &last)]).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert_eq!(
        follow(&house, &path, &[("last-event-id", "x")]).await.problem().await,
        "400 invalid-header: `Last-Event-ID` is the revision of an event: a number"
    );
}

#[tokio::test(start_paused = true)]
async fn what_another_process_writes_is_followed_too() {
    let house = House::new();
    let id = house.start("r1").await;
    let stream = follow(&house, "/v1/releases/r1/events", &[]).await;
    // Its changes are not told to the store that the API reads.
    let other = house.store.another_host();
    let work = async { while house.turn(&id, &other).await {} };
    let (events, ()) = tokio::join!(stream.events(7), work);
    assert_eq!(events.last().unwrap().1, "QuestionAsked");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_has_heartbeats_and_ends_with_the_host() {
    let house = House::new();
    let id = house.start("r1").await;
    house.work(&id).await;
    let after = house.get("/v1/releases/r1").await.json().await["revision"].to_string();
    let stream = follow(&house, &format!("/v1/releases/r1/events?after={after}"), &[]).await;
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_secs(50)).await;
        house.state.stop_streams();
    };
    let (text, ()) = tokio::join!(stream.text(), stop);
    assert_eq!(text, ":\n\n:\n\n:\n\n", "one every 15 s, then the end");
}
