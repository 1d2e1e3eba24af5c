//! The inbox and its decisions.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::house::House;

async fn asked(house: &House) -> (String, Value) {
    let id = house.start("r1").await;
    house.work(&id).await;
    let open = house.get("/v1/human-tasks?open=true").await.json().await;
    assert_eq!(open["items"].as_array().unwrap().len(), 1);
    (id, open["items"][0].clone())
}

fn path(task: &Value) -> String {
    format!("/v1/human-tasks/{}", task["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_decision_moves_the_release_and_stays_on_record() {
    let house = House::new();
    let (id, task) = asked(&house).await;
    assert_eq!(house.get(&path(&task)).await.json().await, task);
    let decision = json!({ "value": "approved", "subjectDigest": task["subjectDigest"], "comment": "looks good" });
    let answer = house.post(&format!("{}/decision", path(&task)), decision).await;
    assert_eq!(answer.status, StatusCode::OK);
    let decided = answer.json().await;
    assert_eq!(decided["open"], false);
    assert_eq!(decided["decision"]["decidedBy"], "token:local");
    assert_eq!(decided["decision"]["comment"], "looks good");
    assert_eq!(house.get("/v1/human-tasks?open=true").await.json().await["items"], json!([]));
    house.work(&id).await;
    assert_eq!(house.get("/v1/releases/r1").await.json().await["phase"], "completed");
    let all = house.get(&format!("/v1/human-tasks?release={id}")).await.json().await;
    assert_eq!(all["items"][0]["decision"]["value"], "approved");
}

#[tokio::test]
async fn only_the_first_decision_on_what_is_asked_now_counts() {
    let house = House::new();
    let (_, task) = asked(&house).await;
    let decide = async |value: &str, digest: &str| {
        house.post(&format!("{}/decision", path(&task)), json!({ "value": value, "subjectDigest": digest })).await
    };
    let current = task["subjectDigest"].as_str().unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    assert_eq!(
        decide("approved", &other).await.problem().await,
        format!(
            "409 stale-decision: the decision names `{other}`, but what is asked now is `{current}`: \
             look again and decide on that"
        )
    );
    assert_eq!(
        decide("maybe", current).await.problem().await,
        "422 not-an-option: `maybe` is not one of the options: `approved`, `rejected`"
    );
    assert_eq!(decide("rejected", current).await.status, StatusCode::OK);
    let id = task["id"].as_str().unwrap();
    assert_eq!(
        decide("approved", current).await.problem().await,
        format!("409 decided-already: human task `{id}` was decided already: `rejected` by token:local")
    );
}

#[tokio::test]
async fn nobody_decides_for_a_release_that_has_ended() {
    let house = House::new();
    let (id, task) = asked(&house).await;
    house.post("/v1/releases/r1/cancel", json!({ "reason": "enough" })).await;
    house.work(&id).await;
    let decision = json!({ "value": "approved", "subjectDigest": task["subjectDigest"] });
    let name = task["id"].as_str().unwrap();
    assert_eq!(
        house.post(&format!("{}/decision", path(&task)), decision).await.problem().await,
        format!("409 human-task-closed: nobody waits for human task `{name}` any more")
    );
}
