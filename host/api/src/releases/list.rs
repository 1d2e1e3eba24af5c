//! `GET /v1/releases`: all releases, page by page.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{InstanceFilter, SharedStore};
use utoipa::{IntoParams, ToSchema};
use workflow::InstanceId;

use super::{Phase, ReleaseLine};
use crate::ApiState;
use crate::http::QueryParams;
use crate::problem::{ErrorType, Problem};

/// Releases on a page when the client does not say.
const LIMIT: u32 = 50;
/// Releases on a page at most.
const LIMIT_MAX: u32 = 200;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only those in this phase.
    phase: Option<Phase>,
    /// Only the runs of this release.
    #[serde(rename = "releaseId")]
    #[param(rename = "releaseId")]
    release_id: Option<String>,
    /// How many at most: 1 to 200, 50 if not given.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ReleasePage {
    /// Newest first.
    items: Vec<ReleaseLine>,
    /// `cursor` of the next page; none on the last one.
    next: Option<String>,
}

/// List releases
#[utoipa::path(get, path = "/v1/releases", operation_id = "listReleases", tag = "releases",
    params(ListParams),
    responses((status = 200, description = "A page of releases", body = ReleasePage)))]
pub(crate) async fn list_releases(
    State(state): State<ApiState>,
    QueryParams(params): QueryParams<ListParams>,
) -> Result<Json<ReleasePage>, Problem> {
    let limit = params.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::new(ErrorType::InvalidQuery, format!("`limit` is a number from 1 to {LIMIT_MAX}")));
    }
    let before = match params.cursor {
        Some(cursor) => Some(cursor_instance(&state.store, &cursor).await?),
        None => None,
    };
    let filter = InstanceFilter {
        releases_only: true,
        release_id: params.release_id,
        before,
        // One more tells whether there is another page.
        limit: limit + 1,
        ..params.phase.map(Phase::filter).unwrap_or_default()
    };
    let mut items: Vec<ReleaseLine> = state.store.instances(filter).await?.into_iter().map(ReleaseLine::from).collect();
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = if more { items.last().map(|line| line.id.clone()) } else { None };
    Ok(Json(ReleasePage { items, next }))
}

async fn cursor_instance(store: &SharedStore, cursor: &str) -> Result<InstanceId, Problem> {
    let refused = || Problem::new(ErrorType::InvalidQuery, "`cursor` is not the `next` of a page of this list");
    let id = InstanceId::new(cursor).map_err(|_| refused())?;
    store.instance(&id).await?.map(|row| row.id).ok_or_else(refused)
}
