//! `POST /v1/releases`: start a release.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use workflow::{located, request};

use super::request_schema::ReleaseRequestSchema;
use crate::ApiState;
use crate::http::{Caller, JsonText, single_header};
use crate::problem::{ErrorType, Problem, RequestProblem};
use crate::starter::StartReleaseError;

/// Longest idempotency key: a UUID has 36 characters, a digest 71.
const KEY_CHARACTERS_MAX: usize = 255;

/// What was started.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartedReleaseView {
    /// Id of the instance.
    id: String,
    release_id: String,
    /// The idempotency key had started it before; nothing was done now.
    existing: bool,
}

/// Start a release
///
/// The same `Idempotency-Key` with the same request answers with the release that it started first,
/// so a request whose answer was lost can be repeated. Without a key that could start a release twice, so
/// there is no way to start one without.
#[utoipa::path(post, path = "/v1/releases", operation_id = "startRelease", tag = "releases",
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible characters, new for each release")),
    request_body = ReleaseRequestSchema,
    responses(
        (status = 201, description = "The release is recorded and will run", body = StartedReleaseView,
            headers(("Location" = String, description = "The release"))),
        (status = 200, description = "The key started it before", body = StartedReleaseView,
            headers(("Location" = String, description = "The release"))),
        (status = 400, description = "No `Idempotency-Key`, or a body that is not JSON"),
        (status = 409, description = "The release is running already, or the key was used for another request"),
        (status = 422, description = "The request is not valid, or the definition does not take it; `errors` lists all that is wrong"),
        (status = 503, description = "This host cannot run such a release"),
    ))]
pub(crate) async fn start_release(
    State(state): State<ApiState>,
    Caller(by): Caller,
    headers: HeaderMap,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    let request =
        request::parse(&text, "request").map_err(|found| invalid(found.into_iter().map(problem).collect()))?;
    let key = single_header(&headers, "idempotency-key", KEY_CHARACTERS_MAX)?.ok_or_else(key_missing)?.to_owned();
    let started = state.starter.start_release(request, Some(key), by.clone()).await.map_err(not_started)?;
    let status = if started.existing { StatusCode::OK } else { StatusCode::CREATED };
    if !started.existing {
        tracing::info!(release.id = %started.release_id, instance.id = %started.instance,
            "Release `{}` started as instance `{}` by {by}", started.release_id, started.instance);
    }
    let location = format!("/v1/releases/{}", started.instance);
    let view =
        StartedReleaseView { id: started.instance.into(), release_id: started.release_id, existing: started.existing };
    Ok((status, [(LOCATION, location)], Json(view)).into_response())
}

fn not_started(error: StartReleaseError) -> Problem {
    let text = error.to_string();
    match error {
        StartReleaseError::Invalid { problems } => invalid(problems),
        StartReleaseError::NotTaken { definition, problems } => Problem::new(
            ErrorType::RequestNotTaken,
            format!("{definition} does not take this request: {}", listed(&problems)),
        )
        .with_errors(problems),
        StartReleaseError::AlreadyRunning { .. } => Problem::new(ErrorType::ReleaseRunning, text),
        StartReleaseError::KeyReused { .. } => Problem::new(ErrorType::IdempotencyKeyReused, text),
        StartReleaseError::Unavailable { detail } => {
            let client = "this host is not set up for such a release; its log says what is missing";
            Problem::new(ErrorType::ReleaseUnavailable, client).with_operator(detail)
        }
        StartReleaseError::Store(error) => error.into(),
    }
}

fn problem(found: located::Problem) -> RequestProblem {
    let place = format!("line {}, column {}", found.line, found.column);
    let help = found.help.map(|help| format!("; {help}")).unwrap_or_default();
    RequestProblem { pointer: found.pointer, detail: format!("{} ({place}){help}", found.message) }
}

fn invalid(problems: Vec<RequestProblem>) -> Problem {
    Problem::new(ErrorType::InvalidRequest, listed(&problems)).with_errors(problems)
}

fn listed(problems: &[RequestProblem]) -> String {
    let line = |problem: &RequestProblem| match problem.pointer.as_str() {
        // Of the whole body there is nothing to point at.
        "" => problem.detail.clone(),
        pointer => format!("{pointer}: {}", problem.detail),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn key_missing() -> Problem {
    let detail = "name the attempt with the header `Idempotency-Key`, 1 to 255 characters and new for each release: \
                  when the answer is lost, the same key again starts nothing twice";
    Problem::new(ErrorType::IdempotencyKeyMissing, detail)
}
