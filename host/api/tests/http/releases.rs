//! Starting, listing, showing and cancelling.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::house::{House, request};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_release_is_started_once_for_each_idempotency_key() {
    let house = House::new();
    let send = async |key: &str, body: Value| {
        house.send("POST", "/v1/releases", &[JSON, ("idempotency-key", key)], body.to_string()).await
    };
    let first = send("k1", request("r1")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let location = first.header("location").to_owned();
    let first = first.json().await;
    assert_eq!(location, format!("/v1/releases/{}", first["id"].as_str().unwrap()));
    assert_eq!((&first["releaseId"], &first["existing"]), (&json!("r1"), &json!(false)));

    let again = send("k1", request("r1")).await;
    assert_eq!((again.status, again.header("location")), (StatusCode::OK, location.as_str()));
    assert_eq!(again.json().await["existing"], true);

    let reused = send("k1", request("r2")).await.problem().await;
    assert_eq!(reused, "409 idempotency-key-reused: idempotency key `k1` was used for another request");
    let running = send("k2", request("r1")).await.problem().await;
    let id = first["id"].as_str().unwrap();
    assert_eq!(running, format!("409 release-running: release `r1` is already running as instance `{id}`"));
    assert_eq!(house.get("/v1/releases").await.json().await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_host_lacks_is_told_to_its_operator_and_not_to_the_client() {
    let house = House::new();
    let mut java = request("r1");
    java["releaseType"] = json!("java-train");
    java["runtimeFamilies"] = json!(["java"]);
    let problem = house.post("/v1/releases", java).await.problem().await;
    assert_eq!(
        problem,
        "503 release-unavailable: this host is not set up for such a release; its log says what is missing"
    );
    house.store.faults().crash_after_commit();
    let problem = house.post("/v1/releases", request("r1")).await.problem().await;
    assert!(problem.starts_with("503 store-unavailable: the store did not answer; what was asked may have been"));
}

#[tokio::test]
async fn releases_are_listed_newest_first_and_page_by_page() {
    let house = House::new();
    for name in ["r1", "r2", "r3", "r4", "r5"] {
        house.start(name).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/releases?limit=2".to_owned();
    loop {
        let page = house.get(&path).await.json().await;
        let names = page["items"].as_array().unwrap().iter().map(|item| item["releaseId"].as_str().unwrap().to_owned());
        seen.push(names.collect::<Vec<_>>());
        match page["next"].as_str() {
            Some(cursor) => path = format!("/v1/releases?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, [vec!["r5", "r4"], vec!["r3", "r2"], vec!["r1"]]);

    let id = house.get("/v1/releases/r3").await.json().await["id"].as_str().unwrap().to_owned();
    house.work(&id).await;
    let waiting = house.get("/v1/releases?phase=waiting").await.json().await;
    assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
    assert_eq!(waiting["items"][0]["releaseId"], "r3");
}

#[tokio::test]
async fn a_release_shows_its_tasks_in_order_and_what_waits_for_a_person() {
    let house = House::new();
    let id = house.start("r1").await;
    house.work(&id).await;
    let release = house.get("/v1/releases/r1").await.json().await;
    assert_eq!(release, house.get(&format!("/v1/releases/{id}")).await.json().await);
    assert_eq!((&release["phase"], &release["startedBy"]), (&json!("waiting"), &json!("token:local")));
    let tasks: Vec<_> = release["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| format!("{} {} {}", task["path"], task["status"], task["attempt"]))
        .collect();
    assert_eq!(tasks, [r#""/do/0/build" "completed" 1"#, r#""/do/1/approve" "running" 0"#]);
    let command = &release["commands"][0];
    assert_eq!((&command["command"], &command["exitCode"]), (&json!("make all"), &json!(0)));
    assert!(release["policyDigest"].as_str().unwrap().starts_with("sha256:"));
    let task = &release["humanTasks"][0];
    assert_eq!((&task["prompt"], &task["open"]), (&json!("Publish?"), &json!(true)));
    assert_eq!(task["subject"], json!({ "version": "1.2.3" }));
}

#[tokio::test]
async fn a_release_id_means_the_run_that_goes_on_and_else_the_one_that_completed() {
    let house = House::new();
    let first = house.start("r1").await;
    assert_eq!(
        house.post("/v1/releases/r1/cancel", json!({ "reason": "try again" })).await.status,
        StatusCode::ACCEPTED
    );
    house.work(&first).await;
    let second = house.start("r1").await;
    assert_ne!(first, second);
    assert_eq!(house.get("/v1/releases/r1").await.json().await["id"], second.as_str());
    assert_eq!(house.get(&format!("/v1/releases/{first}")).await.json().await["phase"], "cancelled");

    house.work(&second).await;
    let task = house.get("/v1/releases/r1").await.json().await["humanTasks"][0].clone();
    let decision = json!({ "value": "approved", "subjectDigest": task["subjectDigest"] });
    house.post(&format!("/v1/human-tasks/{}/decision", task["id"].as_str().unwrap()), decision).await;
    house.work(&second).await;
    // A rerun that comes to nothing does not hide what was released.
    let third = house.start("r1").await;
    assert_eq!(house.get("/v1/releases/r1").await.json().await["id"], third.as_str());
    house.post("/v1/releases/r1/cancel", json!({ "reason": "released already" })).await;
    house.work(&third).await;
    let release = house.get("/v1/releases/r1").await.json().await;
    assert_eq!((&release["id"], &release["phase"]), (&json!(second), &json!("completed")));
    let others: Vec<&Value> = release["otherRuns"].as_array().unwrap().iter().map(|run| &run["id"]).collect();
    assert_eq!(others, [&json!(third), &json!(first)]);
    house.start("r2").await;
    let runs = house.get("/v1/releases?releaseId=r1").await.json().await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_cancel_is_recorded_for_the_worker_and_refused_after_the_end() {
    let house = House::new();
    let id = house.start("r1").await;
    let answer = house.post("/v1/releases/r1/cancel", json!({ "reason": " wrong version " })).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json().await["phase"], "running");
    house.work(&id).await;
    let release = house.get("/v1/releases/r1").await.json().await;
    assert_eq!(release["phase"], "cancelled");
    assert_eq!(release["cancelled"], json!({ "by": "token:local", "reason": "wrong version" }));
    let again = house.post("/v1/releases/r1/cancel", json!({ "reason": "twice" })).await.problem().await;
    assert_eq!(again, format!("409 release-ended: instance `{id}` has ended"));
}
