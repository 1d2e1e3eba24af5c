//! Releases: instances that a release request started.

mod artifacts;
mod cancel;
mod create;
mod events;
mod follow;
mod get;
mod leave;
mod list;
mod logs;
mod phase;
mod request_schema;
mod suspend;

use serde::Serialize;
use store::{InstanceRow, Runs, SharedStore};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use workflow::Timestamp;

use crate::ApiState;
use crate::problem::{ErrorType, Problem};
use phase::Phase;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create::start_release, list::list_releases))
        .routes(routes!(get::get_release))
        .routes(routes!(events::list_events))
        .routes(routes!(logs::get_logs))
        .routes(routes!(artifacts::list_artifacts))
        .routes(routes!(cancel::cancel_release))
        .routes(routes!(suspend::suspend_release))
        .routes(routes!(suspend::resume_release))
}

/// A release without its details.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReleaseLine)]
pub(crate) struct ReleaseLine {
    /// Id of the instance: names this run for ever.
    id: String,
    /// The request's own name for the release. A release that failed may be run again under it.
    release_id: Option<String>,
    /// Digest of the definition's text.
    definition: String,
    /// `namespace/name:version` of the definition.
    definition_name: String,
    phase: Phase,
    /// Number of events so far.
    revision: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<InstanceRow> for ReleaseLine {
    fn from(row: InstanceRow) -> Self {
        Self {
            id: row.id.into(),
            release_id: row.release_id,
            definition: row.definition.into(),
            definition_name: row.definition_name,
            phase: if row.suspended && !row.phase.is_final() { Phase::Suspended } else { row.phase.into() },
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The instance that is meant by its own id, or by a release id: then the run that counts.
pub(crate) async fn find(store: &SharedStore, name: &str) -> Result<InstanceRow, Problem> {
    Ok(find_runs(store, name).await?.meant)
}

/// As [`find`], with the other runs of the same release.
async fn find_runs(store: &SharedStore, name: &str) -> Result<Runs, Problem> {
    let runs = store::runs_of(store.as_ref(), name).await?;
    runs.ok_or_else(|| Problem::new(ErrorType::ReleaseNotFound, format!("there is no release `{name}`")))
}
