//! `GET /v1/releases/{id}/cloudevents` and `/v1/cloudevents`: what happens to
//! workflows and their tasks, as the specification has it. Made of the history
//! when it is asked for.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use workflow::lifecycle::lifecycle;
use workflow::{CloudEvent, InstanceId};

use crate::ApiState;
use crate::http::{PathParam, QueryParams};
use crate::problem::{ErrorType, Problem};
use crate::releases::find;

/// Events of the history that a page covers when the client does not say, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LifecycleParams {
    /// `next` of the page before; 0 begins at the start.
    #[serde(default)]
    after: u64,
    /// How many events of the history at most: 1 to 1000, 100 if not given. Each makes none, one or several.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LifecyclePage {
    /// CloudEvents in order, in the structured JSON form.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// `after` of the next page. Stable: what follows it is the same for ever, and grows.
    next: u64,
    /// Whether there is more already.
    more: bool,
}

impl LifecycleParams {
    fn limit(&self) -> Result<u32, Problem> {
        let limit = self.limit.unwrap_or(LIMIT);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::new(ErrorType::InvalidQuery, format!("`limit` is a number from 1 to {LIMIT_MAX}")))
    }
}

/// List the lifecycle events of a release
///
/// `io.serverlessworkflow.workflow.*.v1` and `io.serverlessworkflow.task.*.v1`, with their `id` made of instance, revision and
/// number: who reads again after a restart gets the same events. An output that is too large for an event is named by `outputUri`.
#[utoipa::path(get, path = "/v1/releases/{id}/cloudevents", operation_id = "listReleaseCloudEvents", tag = "events",
    params(("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id"), LifecycleParams),
    responses(
        (status = 200, description = "A page of events; `after` is a revision", body = LifecyclePage),
        (status = 404, description = "No such release"),
    ))]
pub(crate) async fn list_release_cloud_events(
    State(state): State<ApiState>,
    PathParam(name): PathParam,
    QueryParams(params): QueryParams<LifecycleParams>,
) -> Result<Json<LifecyclePage>, Problem> {
    let limit = u64::from(params.limit()?);
    let row = find(&state.store, &name).await?;
    let history = state.store.history(&row.id, 0).await?;
    let last = history.last().map_or(0, |recorded| recorded.revision);
    let next = params.after.saturating_add(limit).min(last).max(params.after);
    let items = lifecycle(&row.id, &history).into_iter();
    let items = items.filter(|(revision, _)| *revision > params.after && *revision <= next);
    Ok(Json(LifecyclePage { items: items.map(|(_, event)| event.into()).collect(), next, more: next < last }))
}

/// List the lifecycle events of all workflows
///
/// In the order in which they were recorded. `after` is a place in the log of the whole store.
#[utoipa::path(get, path = "/v1/cloudevents", operation_id = "listCloudEvents", tag = "events",
    params(LifecycleParams),
    responses((status = 200, description = "A page of events", body = LifecyclePage)))]
pub(crate) async fn list_cloud_events(
    State(state): State<ApiState>,
    QueryParams(params): QueryParams<LifecycleParams>,
) -> Result<Json<LifecyclePage>, Problem> {
    let limit = params.limit()?;
    // One more tells whether there is another page.
    let mut leaves = state.store.audit(params.after, limit + 1).await?;
    let more = leaves.len() > limit as usize;
    leaves.truncate(limit as usize);
    let next = leaves.last().map_or(params.after, |leaf| leaf.index + 1);
    let mut of: BTreeMap<InstanceId, Vec<(u64, CloudEvent)>> = BTreeMap::new();
    let mut items = Vec::new();
    for leaf in leaves {
        if !of.contains_key(&leaf.instance) {
            let history = state.store.history(&leaf.instance, 0).await?;
            of.insert(leaf.instance.clone(), lifecycle(&leaf.instance, &history));
        }
        let events = of.get(&leaf.instance).map_or(&[][..], Vec::as_slice);
        let start = events.partition_point(|(revision, _)| *revision < leaf.revision);
        let made = events[start..].iter().take_while(|(revision, _)| *revision == leaf.revision);
        items.extend(made.map(|(_, event)| Value::from(event.clone())));
    }
    Ok(Json(LifecyclePage { items, next, more }))
}
