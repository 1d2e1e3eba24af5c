//! What cancel, suspend and resume share: a message for whoever owns the release.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use store::{InstanceRow, Message, StoreError};
use utoipa::ToSchema;
use workflow::Actor;

use super::{ReleaseLine, find};
use crate::ApiState;
use crate::problem::{ErrorType, Problem, RequestProblem};

/// Longest reason: it is one line of the audit.
const REASON_CHARACTERS_MAX: usize = 500;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonRequest {
    /// One line for the audit.
    #[schema(max_length = 500, example = "wrong version")]
    reason: String,
}

/// Leaves the message that `by` and the reason make; `what` names it in the log.
pub(super) async fn leave(
    state: &ApiState,
    name: &str,
    request: ReasonRequest,
    by: Actor,
    what: &str,
    message: impl FnOnce(Actor, String) -> Message,
) -> Result<(StatusCode, Json<ReleaseLine>), Problem> {
    let reason = reason(&request)?;
    let row = find(&state.store, name).await?;
    if row.phase.is_final() {
        return Err(ended(&row));
    }
    match state.store.send(&row.id, message(by.clone(), reason)).await {
        Ok(()) => tracing::info!(instance.id = %row.id, "{by} asks to {what} instance `{}`", row.id),
        // It ended between the look and the message.
        Err(StoreError::NotFound { .. }) => return Err(ended(&row)),
        Err(error) => return Err(error.into()),
    }
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

fn reason(request: &ReasonRequest) -> Result<String, Problem> {
    let reason = request.reason.trim();
    if reason.is_empty() || reason.contains(char::is_control) || reason.chars().count() > REASON_CHARACTERS_MAX {
        let detail = format!("a reason is one line of 1 to {REASON_CHARACTERS_MAX} characters");
        let problem = RequestProblem { pointer: "/reason".to_owned(), detail: detail.clone() };
        return Err(Problem::new(ErrorType::InvalidRequest, detail).with_errors(vec![problem]));
    }
    Ok(reason.to_owned())
}

fn ended(row: &InstanceRow) -> Problem {
    Problem::new(ErrorType::ReleaseEnded, format!("instance `{}` has ended", row.id))
}
