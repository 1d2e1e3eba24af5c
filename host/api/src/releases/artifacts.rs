//! `GET /v1/releases/{id}/artifacts`: what a release made.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::ArtifactRow;
use utoipa::ToSchema;
use workflow::Timestamp;

use super::find;
use crate::ApiState;
use crate::http::PathParam;
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct ArtifactList {
    /// By reference.
    items: Vec<ArtifactView>,
}

/// A stored file; `GET /v1/artifacts/…` has its content.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Artifact)]
struct ArtifactView {
    #[schema(example = "artifact://0199f0c2-5c1f-7e6b-9d8e-6f2f3a1b4c5d/build/1/stdout.log")]
    uri: String,
    digest: String,
    size_bytes: u64,
    media_type: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<ArtifactRow> for ArtifactView {
    fn from(row: ArtifactRow) -> Self {
        Self {
            uri: row.artifact.uri.into(),
            digest: row.artifact.digest.into(),
            size_bytes: row.artifact.size_bytes,
            media_type: row.media_type,
            created_at: row.created_at,
        }
    }
}

/// List the artifacts of a release
#[utoipa::path(get, path = "/v1/releases/{id}/artifacts", operation_id = "listArtifacts", tag = "artifacts",
    params(("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id")),
    responses(
        (status = 200, description = "The artifacts", body = ArtifactList),
        (status = 404, description = "No such release"),
    ))]
pub(crate) async fn list_artifacts(
    State(state): State<ApiState>,
    PathParam(name): PathParam,
) -> Result<Json<ArtifactList>, Problem> {
    let row = find(&state.store, &name).await?;
    let rows = state.store.artifacts(&row.id).await?;
    Ok(Json(ArtifactList { items: rows.into_iter().map(ArtifactView::from).collect() }))
}
