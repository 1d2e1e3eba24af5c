//! `POST /v1/releases/{id}/cancel`: ask that a release ends.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use store::{InstanceRow, Message, StoreError};
use utoipa::ToSchema;

use super::{ReleaseLine, find};
use crate::ApiState;
use crate::http::{Caller, JsonBody, PathParam};
use crate::problem::{ErrorType, Problem, RequestProblem};

/// Longest reason: it is one line of the audit.
const REASON_CHARACTERS_MAX: usize = 500;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonRequest {
    /// One line for the audit.
    #[schema(max_length = 500, example = "wrong version")]
    reason: String,
}

/// Cancel a release
///
/// The request is recorded; the host that owns the release stops its commands and ends it. What was published stays published.
#[utoipa::path(post, path = "/v1/releases/{id}/cancel", operation_id = "cancelRelease", tag = "releases",
    params(("id" = String, Path, description = "Release id (the newest run of it) or instance id")),
    request_body = ReasonRequest,
    responses(
        (status = 202, description = "The request is recorded; this is the release as it was then", body = ReleaseLine),
        (status = 404, description = "No such release"),
        (status = 409, description = "The release has ended"),
        (status = 422, description = "The reason is not valid"),
    ))]
pub(crate) async fn cancel_release(
    State(state): State<ApiState>,
    Caller(by): Caller,
    PathParam(name): PathParam,
    JsonBody(request): JsonBody<ReasonRequest>,
) -> Result<(StatusCode, Json<ReleaseLine>), Problem> {
    let reason = reason(request)?;
    let row = find(&state.store, &name).await?;
    if row.phase.is_final() {
        return Err(ended(&row));
    }
    match state.store.send(&row.id, Message::Cancel { by: by.clone(), reason }).await {
        Ok(()) => tracing::info!(instance.id = %row.id, "{by} asks to cancel instance `{}`", row.id),
        // It ended between the look and the message.
        Err(StoreError::NotFound { .. }) => return Err(ended(&row)),
        Err(error) => return Err(error.into()),
    }
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

pub(super) fn reason(request: ReasonRequest) -> Result<String, Problem> {
    let reason = request.reason.trim();
    if reason.is_empty() || reason.contains(char::is_control) || reason.chars().count() > REASON_CHARACTERS_MAX {
        let detail = format!("a reason is one line of 1 to {REASON_CHARACTERS_MAX} characters");
        let problem = RequestProblem { pointer: "/reason".to_owned(), detail: detail.clone() };
        return Err(Problem::new(ErrorType::InvalidRequest, detail).with_errors(vec![problem]));
    }
    Ok(reason.to_owned())
}

pub(super) fn ended(row: &InstanceRow) -> Problem {
    Problem::new(ErrorType::ReleaseEnded, format!("instance `{}` has ended", row.id))
}
