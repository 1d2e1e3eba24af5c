//! CloudEvents: those that come in, and those of life cycles.

mod lifecycle;
mod send;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(send::send_event))
        .routes(routes!(lifecycle::list_release_cloud_events))
        .routes(routes!(lifecycle::list_cloud_events))
}
