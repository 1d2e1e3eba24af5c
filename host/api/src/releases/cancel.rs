//! `POST /v1/releases/{id}/cancel`: ask that a release ends.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use store::Message;

use super::ReleaseLine;
use super::leave::{ReasonRequest, leave};
use crate::ApiState;
use crate::http::{Caller, JsonBody, PathParam};
use crate::problem::Problem;

/// Cancel a release
///
/// The request is recorded; the host that owns the release stops its commands and ends it. What was published stays published.
#[utoipa::path(post, path = "/v1/releases/{id}/cancel", operation_id = "cancelRelease", tag = "releases",
    params(("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id")),
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
    leave(&state, &name, request, by, "cancel", |by, reason| Message::Cancel { by, reason }).await
}
