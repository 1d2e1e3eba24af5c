//! `GET /v1/releases/{id}/events`: the history, as JSON or as it grows.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use workflow::{Recorded, Timestamp};

use super::find;
use super::follow::Follow;
use crate::ApiState;
use crate::http::{PathParam, QueryParams, accepts_event_stream, single_header};
use crate::problem::{ErrorType, Problem};

/// Events on a page when the client does not say, and at most.
const LIMIT: usize = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// Only events after this revision; 0 if not given.
    #[serde(default)]
    after: u64,
    /// How many at most, as JSON: 1 to 1000.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// In order.
    items: Vec<RecordedView>,
    /// `after` of the next page; none if these are all so far.
    next: Option<u64>,
}

/// A fact about a release.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct RecordedView {
    /// From 1, without gaps.
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `type` names what happened; the other fields depend on it.
    #[schema(value_type = Object)]
    pub event: Value,
}

impl From<Recorded> for RecordedView {
    fn from(recorded: Recorded) -> Self {
        let event = serde_json::to_value(&recorded.event).expect("an event has string keys only");
        Self { revision: recorded.revision, at: recorded.at, event }
    }
}

/// List or follow the events of a release
///
/// With `Accept: text/event-stream` the history so far is sent and then every event as it is recorded, until the release
/// has ended. `id` is the revision: a client that comes back with `Last-Event-ID` misses nothing and is told nothing twice.
/// 204 tells a client that came back after the last event to stop.
#[utoipa::path(get, path = "/v1/releases/{id}/events", operation_id = "listEvents", tag = "releases",
    params(
        ("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id"),
        EventParams,
        ("Last-Event-ID" = Option<u64>, Header, description = "For server-sent events, in place of `after`"),
    ),
    responses(
        (status = 200, description = "The events", content(
            (EventPage = "application/json"),
            (RecordedView = "text/event-stream"),
        )),
        (status = 204, description = "For server-sent events: the release has ended and nothing comes any more"),
        (status = 404, description = "No such release"),
    ))]
pub(crate) async fn list_events(
    State(state): State<ApiState>,
    PathParam(name): PathParam,
    QueryParams(params): QueryParams<EventParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = find(&state.store, &name).await?;
    if accepts_event_stream(&headers) {
        let after = last_event_id(&headers)?.unwrap_or(params.after);
        if row.phase.is_final() && after >= row.revision {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        return Ok(Follow::new(state.store, row.id, after, state.stop.subscribe()).into_response());
    }
    let limit = params.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT).contains(&limit) {
        return Err(Problem::new(ErrorType::InvalidQuery, format!("`limit` is a number from 1 to {LIMIT}")));
    }
    let mut history = state.store.history(&row.id, params.after).await?;
    let more = history.len() > limit;
    history.truncate(limit);
    let next = if more { history.last().map(|recorded| recorded.revision) } else { None };
    Ok(Json(EventPage { items: history.into_iter().map(RecordedView::from).collect(), next }).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = single_header(headers, "last-event-id", 20)? else { return Ok(None) };
    let refused = || Problem::new(ErrorType::InvalidHeader, "`Last-Event-ID` is the revision of an event: a number");
    text.parse().map(Some).map_err(|_| refused())
}
