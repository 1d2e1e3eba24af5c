//! The document: what there is, by name.

use insta::assert_snapshot;

use crate::house::House;

#[tokio::test]
async fn these_are_the_endpoints() {
    let house = House::new();
    let document = house.get("/v1/openapi.json").await.json().await;
    let mut lines = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().cloned().collect();
            lines.push(format!("{:5}{path} {name} {}", method.to_uppercase(), statuses.join(" ")));
        }
    }
    assert_snapshot!(lines.join("\n"), @r"
    GET  /healthz checkHealth 200 default
    GET  /v1/artifacts/{uri} getArtifact 200 206 404 416 default
    GET  /v1/audit exportAudit 200 default
    GET  /v1/cloudevents listCloudEvents 200 default
    POST /v1/events sendEvent 200 202 409 422 default
    GET  /v1/human-tasks listHumanTasks 200 default
    GET  /v1/human-tasks/{id} getHumanTask 200 404 default
    POST /v1/human-tasks/{id}/decision decideHumanTask 200 404 409 422 default
    GET  /v1/openapi.json getOpenApi 200 default
    GET  /v1/releases listReleases 200 default
    POST /v1/releases startRelease 200 201 400 409 422 503 default
    GET  /v1/releases/{id} getRelease 200 404 default
    GET  /v1/releases/{id}/artifacts listArtifacts 200 404 default
    POST /v1/releases/{id}/cancel cancelRelease 202 404 409 422 default
    GET  /v1/releases/{id}/cloudevents listReleaseCloudEvents 200 404 default
    GET  /v1/releases/{id}/events listEvents 200 204 404 default
    GET  /v1/releases/{id}/logs getLogs 200 206 404 416 default
    POST /v1/releases/{id}/resume resumeRelease 202 404 409 422 default
    POST /v1/releases/{id}/suspend suspendRelease 202 404 409 422 default
    ");
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let house = House::new();
    let document = house.get("/v1/openapi.json").await.json().await;
    let text = document.to_string();
    let references: Vec<_> = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.len() > 20);
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}
