//! `POST /v1/events`: leave an event for everybody who listens.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use store::{PublishError, Published};
use utoipa::ToSchema;
use workflow::CloudEvent;

use crate::ApiState;
use crate::http::{Caller, JsonText};
use crate::problem::{ErrorType, Problem, RequestProblem};

/// What became of the event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcceptedEvent {
    /// Its place in the order of arrival, from 1.
    sequence: u64,
    /// It was here before; nothing was done now.
    existing: bool,
}

/// Send an event
///
/// A CloudEvent in the structured JSON form, of at most 64 KiB. When this answers, the event is kept and every workflow that
/// listens for it will get it, once. `source` and `id` name it for ever: the same event again changes nothing, so a request
/// whose answer was lost can be repeated.
#[utoipa::path(post, path = "/v1/events", operation_id = "sendEvent", tag = "events",
    request_body(content = Value, content_type = "application/cloudevents+json",
        description = "`specversion`, `id`, `source`, `type`; `data` and other attributes as there are"),
    responses(
        (status = 202, description = "The event is kept", body = AcceptedEvent),
        (status = 200, description = "It was here before", body = AcceptedEvent),
        (status = 409, description = "Another event has this source and id"),
        (status = 422, description = "It is no CloudEvent"),
    ))]
pub(crate) async fn send_event(
    State(state): State<ApiState>,
    Caller(by): Caller,
    JsonText(text): JsonText,
) -> Result<(StatusCode, Json<AcceptedEvent>), Problem> {
    // JSON it is; what is left is that it nests too deep.
    let body: Value =
        serde_json::from_str(&text).map_err(|error| Problem::new(ErrorType::InvalidRequest, error.to_string()))?;
    let event = CloudEvent::new(body).map_err(|error| {
        let pointer = if error.attribute.is_empty() { String::new() } else { format!("/{}", error.attribute) };
        let problem = RequestProblem { pointer, detail: error.detail.clone() };
        Problem::new(ErrorType::InvalidRequest, error.detail).with_errors(vec![problem])
    })?;
    match state.store.publish(event, by, (state.clock)()).await {
        Ok(Published::New { sequence }) => {
            Ok((StatusCode::ACCEPTED, Json(AcceptedEvent { sequence, existing: false })))
        }
        Ok(Published::Known { sequence }) => Ok((StatusCode::OK, Json(AcceptedEvent { sequence, existing: true }))),
        Err(error @ PublishError::Differs { .. }) => Err(Problem::new(ErrorType::EventIdReused, error.to_string())),
        Err(PublishError::Store(error)) => Err(error.into()),
    }
}
