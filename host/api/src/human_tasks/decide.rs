//! `POST /v1/human-tasks/{id}/decision`: a person decides.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use store::{DecideError, SharedStore, StoreError};
use utoipa::ToSchema;
use workflow::Digest;
use workflow::approval::RefusedDecision;
use workflow::event::Decision;

use super::{HumanTaskView, find};
use crate::ApiState;
use crate::http::{Caller, JsonBody, PathParam};
use crate::problem::{ErrorType, Problem, RequestProblem};

/// Longest comment: a page of text; longer reasons belong in an artifact.
const COMMENT_CHARACTERS_MAX: usize = 4_000;

/// A decision on what was shown.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DecisionRequest {
    /// One of the values of the human task's options; for one with an `answer`,
    /// what its schema describes.
    #[schema(example = "approved")]
    value: Value,
    /// `subjectDigest` of the human task as it was shown to the one who decides.
    #[schema(value_type = String)]
    subject_digest: Digest,
    #[schema(max_length = 4_000)]
    comment: Option<String>,
}

/// Decide a human task
///
/// Only the first decision counts, and only on what is asked now.
#[utoipa::path(post, path = "/v1/human-tasks/{id}/decision", operation_id = "decideHumanTask", tag = "human tasks",
    params(("id" = String, Path, description = "Id of the human task")),
    request_body = DecisionRequest,
    responses(
        (status = 200, description = "The decision is recorded", body = HumanTaskView),
        (status = 404, description = "No such human task"),
        (status = 409, description = "Decided already, closed, or the digest is not of what is asked now"),
        (status = 422, description = "None of the options, or an answer that does not conform"),
    ))]
pub(crate) async fn decide_human_task(
    State(state): State<ApiState>,
    Caller(by): Caller,
    PathParam(id): PathParam,
    JsonBody(request): JsonBody<DecisionRequest>,
) -> Result<Json<HumanTaskView>, Problem> {
    if request.comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARACTERS_MAX) {
        let detail = format!("a comment has at most {COMMENT_CHARACTERS_MAX} characters");
        let problem = RequestProblem { pointer: "/comment".to_owned(), detail: detail.clone() };
        return Err(Problem::new(ErrorType::InvalidRequest, detail).with_errors(vec![problem]));
    }
    // A text is itself; any other answer is recorded as its JSON.
    let value = match request.value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let decision = Decision {
        value,
        decided_by: by,
        decided_at: (state.clock)(),
        subject_digest: request.subject_digest,
        comment: request.comment,
    };
    let (value, by) = (decision.value.clone(), decision.decided_by.clone());
    match state.store.decide(&id, decision).await {
        Ok(()) => tracing::info!(human_task.id = %id, "Human task `{id}` decided: `{value}` by {by}"),
        Err(error) => return Err(refused(&state.store, &id, error).await),
    }
    Ok(Json(find(&state.store, &id).await?.into()))
}

async fn refused(store: &SharedStore, id: &str, error: DecideError) -> Problem {
    let text = error.to_string();
    match error {
        DecideError::Decided { .. } => Problem::new(ErrorType::DecidedAlready, text),
        DecideError::Refused(RefusedDecision::Stale { .. }) => Problem::new(ErrorType::StaleDecision, text),
        DecideError::Refused(RefusedDecision::NotAnOption { .. } | RefusedDecision::NotAnAnswer { .. }) => {
            let problem = RequestProblem { pointer: "/value".to_owned(), detail: text.clone() };
            Problem::new(ErrorType::NotAnOption, text).with_errors(vec![problem])
        }
        // There is no such task, or it is not open any more.
        DecideError::Store(StoreError::NotFound { .. }) => match find(store, id).await {
            Ok(_) => Problem::new(ErrorType::HumanTaskClosed, format!("nobody waits for human task `{id}` any more")),
            Err(problem) => problem,
        },
        DecideError::Store(error) => error.into(),
    }
}
