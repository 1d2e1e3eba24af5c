//! `GET /healthz`: whether this host can answer. Needs no token and tells nothing else.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(check_health))
}

/// Say whether this host can answer
#[utoipa::path(get, path = "/healthz", operation_id = "checkHealth", tag = "host",
    responses((status = 200, description = "The store answers", body = Health)))]
async fn check_health(State(state): State<ApiState>) -> Result<Json<Health>, Problem> {
    state.store.checkpoint().await?;
    Ok(Json(Health { status: "ok" }))
}
