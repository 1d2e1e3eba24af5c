//! `POST /v1/releases/{id}/suspend` and `/resume`: stop and go on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use store::{InstanceRow, Message, StoreError};

use super::cancel::{ReasonRequest, ended, reason};
use super::{ReleaseLine, find};
use crate::ApiState;
use crate::http::{Caller, JsonBody, PathParam};
use crate::problem::Problem;

/// Suspend a release
///
/// Nothing new starts in it and in its children until somebody resumes it; what runs finishes and its outcome is kept. Timers
/// and timeouts wait, too. To suspend what is suspended changes nothing.
#[utoipa::path(post, path = "/v1/releases/{id}/suspend", operation_id = "suspendRelease", tag = "releases",
    params(("id" = String, Path, description = "Release id (the newest run of it) or instance id")),
    request_body = ReasonRequest,
    responses(
        (status = 202, description = "The request is recorded; this is the release as it was then", body = ReleaseLine),
        (status = 404, description = "No such release"),
        (status = 409, description = "The release has ended"),
        (status = 422, description = "The reason is not valid"),
    ))]
pub(crate) async fn suspend_release(
    State(state): State<ApiState>,
    Caller(by): Caller,
    PathParam(name): PathParam,
    JsonBody(request): JsonBody<ReasonRequest>,
) -> Result<(StatusCode, Json<ReleaseLine>), Problem> {
    let reason = reason(request)?;
    let row = find(&state.store, &name).await?;
    tracing::info!(instance.id = %row.id, "{by} asks to suspend instance `{}`", row.id);
    leave(&state, row, Message::Suspend { by, reason }).await
}

/// Resume a release
///
/// Timers and timeouts that were due meanwhile fire now.
#[utoipa::path(post, path = "/v1/releases/{id}/resume", operation_id = "resumeRelease", tag = "releases",
    params(("id" = String, Path, description = "Release id (the newest run of it) or instance id")),
    request_body = ReasonRequest,
    responses(
        (status = 202, description = "The request is recorded; this is the release as it was then", body = ReleaseLine),
        (status = 404, description = "No such release"),
        (status = 409, description = "The release has ended"),
        (status = 422, description = "The reason is not valid"),
    ))]
pub(crate) async fn resume_release(
    State(state): State<ApiState>,
    Caller(by): Caller,
    PathParam(name): PathParam,
    JsonBody(request): JsonBody<ReasonRequest>,
) -> Result<(StatusCode, Json<ReleaseLine>), Problem> {
    let reason = reason(request)?;
    let row = find(&state.store, &name).await?;
    tracing::info!(instance.id = %row.id, "{by} asks to resume instance `{}`", row.id);
    leave(&state, row, Message::Resume { by, reason }).await
}

async fn leave(
    state: &ApiState,
    row: InstanceRow,
    message: Message,
) -> Result<(StatusCode, Json<ReleaseLine>), Problem> {
    if row.phase.is_final() {
        return Err(ended(&row));
    }
    match state.store.send(&row.id, message).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(row.into()))),
        // It ended between the look and the message.
        Err(StoreError::NotFound { .. }) => Err(ended(&row)),
        Err(error) => Err(error.into()),
    }
}
