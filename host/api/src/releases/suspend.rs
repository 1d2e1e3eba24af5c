//! `POST /v1/releases/{id}/suspend` and `/resume`: stop and go on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use store::Message;

use super::ReleaseLine;
use super::leave::{ReasonRequest, leave};
use crate::ApiState;
use crate::http::{Caller, JsonBody, PathParam};
use crate::problem::Problem;

/// Suspend a release
///
/// Nothing new starts in it and in its children until somebody resumes it; what runs finishes and its outcome is kept. Timers
/// and timeouts wait, too. To suspend what is suspended changes nothing.
#[utoipa::path(post, path = "/v1/releases/{id}/suspend", operation_id = "suspendRelease", tag = "releases",
    params(("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id")),
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
    leave(&state, &name, request, by, "suspend", |by, reason| Message::Suspend { by, reason }).await
}

/// Resume a release
///
/// Timers and timeouts that were due meanwhile fire now.
#[utoipa::path(post, path = "/v1/releases/{id}/resume", operation_id = "resumeRelease", tag = "releases",
    params(("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id")),
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
    leave(&state, &name, request, by, "resume", |by, reason| Message::Resume { by, reason }).await
}
