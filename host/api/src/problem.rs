//! Every error as problem details (RFC 9457): one string for the client, one
//! for the operator.

mod error_type;

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;
use workflow::effect::OWN_ERRORS;

pub use error_type::ErrorType;

/// One thing that is wrong with a request body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RequestProblem {
    /// JSON pointer into the request body; empty is the whole body.
    pub pointer: String,
    pub detail: String,
}

/// Why a request was not carried out.
///
/// As a response it is bare; [`finish`] writes the body, since only there the
/// path of the request is known.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: ErrorType,
    /// What the client reads.
    detail: String,
    /// What the operator reads beside it; never sent.
    operator: Option<String>,
    errors: Vec<RequestProblem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Names the kind of error for ever; its page says what to do.
    #[serde(rename = "type")]
    #[schema(example = "https://light-workflow.dev/errors/release-not-found")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// The path of the request.
    instance: String,
    /// Each thing that is wrong with the request body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<RequestProblem>,
}

impl Problem {
    pub(crate) fn new(kind: ErrorType, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), operator: None, errors: Vec::new(), headers: Vec::new() }
    }

    /// A bug of ours; the client learns no more than that.
    pub(crate) fn internal(operator: impl Into<String>) -> Self {
        Self::new(ErrorType::Internal, "the host met an error of its own; its log has the details")
            .with_operator(operator)
    }

    pub(crate) fn with_operator(mut self, text: impl Into<String>) -> Self {
        self.operator = Some(text.into());
        self
    }

    pub(crate) fn with_errors(mut self, errors: Vec<RequestProblem>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn of_status(status: StatusCode) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => ErrorType::UnknownPath,
            StatusCode::METHOD_NOT_ALLOWED => ErrorType::WrongMethod,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorType::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorType::UnsupportedMediaType,
            status if status.is_client_error() => ErrorType::InvalidPath,
            status => return Self::internal(format!("a response with status {status} and no problem")),
        };
        Self::new(kind, kind.title())
    }

    fn log(&self, method: &Method, path: &str) {
        let (error, status) = (self.kind.slug(), self.kind.status().as_u16());
        let operator = self.operator.as_deref().unwrap_or("-");
        if self.kind.status().is_server_error() {
            tracing::error!(http.method = %method, http.path = path, http.status = status, error,
                "{method} {path} failed: {}: {operator}", self.detail);
        } else {
            tracing::info!(http.method = %method, http.path = path, http.status = status, error,
                "{method} {path} was refused: {}", self.detail);
        }
    }

    fn write(self, path: String, response: &mut Response) {
        let status = self.kind.status();
        let body = ProblemBody {
            kind: format!("{OWN_ERRORS}{}", self.kind.slug()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: self.detail,
            instance: path,
            errors: self.errors,
        };
        let json = serde_json::to_vec(&body).expect("a problem is plain strings and numbers");
        *response.status_mut() = status;
        *response.body_mut() = Body::from(json);
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    /// For errors that are nobody's request: what was asked for was looked up before.
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Database { .. } => Self::new(
                ErrorType::StoreUnavailable,
                "the store did not answer; what was asked may have been recorded, so look before asking again",
            )
            .with_operator(chain(&error)),
            StoreError::Corrupt { .. }
            | StoreError::NotFound { .. }
            | StoreError::Exists { .. }
            | StoreError::ArtifactDiffers { .. } => Self::internal(chain(&error)),
        }
    }
}

/// An error and its sources, for the operator.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Answers for paths that do not exist.
pub(crate) async fn unknown_path() -> Problem {
    Problem::new(ErrorType::UnknownPath, "there is nothing at this path; /v1/openapi.json lists what there is")
}

/// Answers for methods that a path does not have.
pub(crate) async fn wrong_method() -> Problem {
    Problem::new(ErrorType::WrongMethod, "this path does not have this method; the `Allow` header lists its methods")
}

/// Makes problem details of every error that comes out of the routes, a panic included.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    // A panic is a bug: this request fails, the host goes on.
    let ran = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = ran.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response());
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        // An answer of the framework's own.
        None if response.status().is_client_error() || response.status().is_server_error() => {
            Problem::of_status(response.status())
        }
        None => return response,
    };
    problem.log(&method, &path);
    problem.write(path, &mut response);
    response
}
