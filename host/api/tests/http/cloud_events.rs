//! Events that come in.

use serde_json::{Value, json};

use crate::house::House;

#[tokio::test]
async fn an_event_is_kept_once_whatever_its_answer_was() {
    let house = House::new();
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"a": 1}});
    let first = house.post("/v1/events", event.clone()).await;
    assert_eq!(
        (first.status, first.json().await),
        (202.try_into().unwrap(), json!({"sequence": 1, "existing": false}))
    );
    let again = house.post("/v1/events", event.clone()).await;
    assert_eq!((again.status, again.json().await), (200.try_into().unwrap(), json!({"sequence": 1, "existing": true})));
    let mut other = event;
    other["data"] = json!(2);
    let refused = house.post("/v1/events", other).await.problem().await;
    assert_eq!(refused, "409 event-id-reused: event `1` of `/s` was sent before, and it was another one");
}

#[tokio::test]
async fn what_is_no_event_is_refused_with_its_place() {
    let house = House::new();
    let cases = [
        (json!([]), ""),
        (json!({"specversion": "1.0", "id": "1", "source": "/s"}), "/type"),
        (json!({"specversion": "0.3", "id": "1", "source": "/s", "type": "t"}), "/specversion"),
        (json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "Bad": 1}), "/Bad"),
    ];
    for (body, pointer) in cases {
        let answer = house.post("/v1/events", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.json().await["errors"][0]["pointer"], pointer, "{body}");
    }
}

/// Type, task and revision of each event, one a line.
fn lines(page: &Value) -> Vec<String> {
    let line = |event: &Value| {
        let kind = event["type"].as_str().unwrap().trim_start_matches("io.serverlessworkflow.");
        let revision = event["id"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        format!("{kind} {} {revision}", event["data"]["task"].as_str().unwrap_or("-"))
    };
    page["items"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn the_life_of_a_release_can_be_read_as_events_page_by_page() {
    let house = House::new();
    let id = house.start("r-1").await;
    let whole = house.get(&format!("/v1/releases/{id}/cloudevents?limit=1000")).await.json().await;
    let all = lines(&whole);
    assert_eq!(all[0], "workflow.started.v1 - 1");
    assert_eq!(all[1], "workflow.status-changed.v1 - 1");
    assert_eq!(all[2..4], ["task.created.v1 /do/0/build 2", "task.started.v1 /do/0/build 2"]);
    let data = &whole["items"][0]["data"];
    assert!(data["name"].as_str().unwrap().contains(&format!("-{id}.")), "{data}");
    for field in ["name", "namespace", "version"] {
        assert!(data["definition"][field].is_string(), "{data}");
    }
    for path in [format!("/v1/releases/{id}/cloudevents"), "/v1/cloudevents".to_owned()] {
        let (mut after, mut read) = (0, Vec::new());
        loop {
            let page = house.get(&format!("{path}?after={after}&limit=1")).await.json().await;
            read.extend(lines(&page));
            after = page["next"].as_u64().unwrap();
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(read, all, "{path}");
        let nothing = house.get(&format!("{path}?after={after}")).await.json().await;
        assert_eq!((lines(&nothing).len(), nothing["next"].as_u64()), (0, Some(after)), "{path}");
    }
}
