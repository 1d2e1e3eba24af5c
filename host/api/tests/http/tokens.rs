//! Who gets in: every endpoint of the document is tried without a token.

use axum::http::StatusCode;
use serde_json::Value;

use crate::house::House;

async fn endpoints(house: &House) -> Vec<(String, String, bool)> {
    let document = house.get("/v1/openapi.json").await.json().await;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let guarded = operation["security"] != Value::Null;
            found.push((method.to_uppercase(), path.replace("{id}", "x").replace("{uri}", "x/y"), guarded));
        }
    }
    found
}

#[tokio::test]
async fn no_endpoint_answers_without_a_valid_token_except_two_that_tell_nothing() {
    let house = House::new();
    let wrong = format!("Bearer lw_{}", "0".repeat(64));
    let basic = format!("Basic {}", house.token);
    let longer = format!("Bearer {}0", house.token);
    let mut open = Vec::new();
    for (method, path, guarded) in endpoints(&house).await {
        for header in [None, Some(wrong.as_str()), Some(&basic), Some(&longer), Some("Bearer"), Some("Bearer ")] {
            let headers: Vec<_> = header.iter().map(|value| ("authorization", *value)).collect();
            let answer = house.send_bare(&method, &path, &headers, "").await;
            if guarded {
                assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{method} {path}");
                let problem = answer.problem().await;
                assert!(problem.starts_with("401 unauthorized: "), "{method} {path} {header:?}: {problem}");
            } else {
                assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
            }
        }
        if !guarded {
            open.push(path);
        }
    }
    assert_eq!(open, ["/healthz", "/v1/openapi.json"]);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_two_tokens_are_none() {
    let house = House::new();
    let (lower, proper) = (format!("bearer {}", house.token), format!("Bearer {}", house.token));
    let get = async |headers: &[(&str, &str)]| house.send_bare("GET", "/v1/releases", headers, "").await.status;
    assert_eq!(get(&[("authorization", &lower)]).await, StatusCode::OK);
    assert_eq!(get(&[("authorization", &proper), ("authorization", &proper)]).await, StatusCode::UNAUTHORIZED);
}
