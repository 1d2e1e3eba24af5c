//! `GET /v1/human-tasks`: the inbox.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::HumanTaskView;
use crate::ApiState;
use crate::http::QueryParams;
use crate::problem::Problem;
use crate::releases;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those that can still be decided.
    #[serde(default)]
    open: bool,
    /// Only those of this release: its release id or its instance id.
    release: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HumanTaskList {
    /// Oldest first.
    items: Vec<HumanTaskView>,
}

/// List human tasks
#[utoipa::path(get, path = "/v1/human-tasks", operation_id = "listHumanTasks", tag = "human tasks",
    params(ListParams),
    responses((status = 200, description = "The human tasks", body = HumanTaskList)))]
pub(crate) async fn list_human_tasks(
    State(state): State<ApiState>,
    QueryParams(params): QueryParams<ListParams>,
) -> Result<Json<HumanTaskList>, Problem> {
    let instance = match params.release {
        Some(release) => Some(releases::find(&state.store, &release).await?.id),
        None => None,
    };
    let tasks = state.store.human_tasks(instance.as_ref(), params.open).await?;
    Ok(Json(HumanTaskList { items: tasks.into_iter().map(HumanTaskView::from).collect() }))
}
