//! `GET /v1/human-tasks/{id}`: all that a decision needs.

use axum::Json;
use axum::extract::State;

use super::{HumanTaskView, find};
use crate::ApiState;
use crate::http::PathParam;
use crate::problem::Problem;

/// Show a human task
#[utoipa::path(get, path = "/v1/human-tasks/{id}", operation_id = "getHumanTask", tag = "human tasks",
    params(("id" = String, Path, description = "Id of the human task")),
    responses(
        (status = 200, description = "The human task", body = HumanTaskView),
        (status = 404, description = "No such human task"),
    ))]
pub(crate) async fn get_human_task(
    State(state): State<ApiState>,
    PathParam(id): PathParam,
) -> Result<Json<HumanTaskView>, Problem> {
    Ok(Json(find(&state.store, &id).await?.into()))
}
