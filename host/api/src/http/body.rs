//! A JSON request body, checked: media type, size, time, form.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::Segment;

use crate::BODY_BYTES_MAX;
use crate::problem::{ErrorType, Problem, RequestProblem};

/// How long a body may take: 1 MiB over the slowest line that anybody works with.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The body of a request as a `T`.
pub(crate) struct JsonBody<T>(pub T);

/// The body of a request as text that is JSON.
pub(crate) struct JsonText(pub String);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let JsonText(text) = JsonText::from_request(request, state).await?;
        parse(&text).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "send the body as JSON, with `Content-Type: application/json`";
            return Err(Problem::new(ErrorType::UnsupportedMediaType, detail));
        }
        let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state));
        let bytes = match read.await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = format!("a request body has at most {BODY_BYTES_MAX} bytes");
                return Err(Problem::new(ErrorType::BodyTooLarge, detail));
            }
            Ok(Err(rejection)) => {
                return Err(Problem::new(ErrorType::MalformedJson, "the request body broke off")
                    .with_operator(rejection.body_text()));
            }
            Err(_) => {
                let detail = format!("the whole body did not come within {} seconds", BODY_TIME.as_secs());
                return Err(Problem::new(ErrorType::SlowRequest, detail));
            }
        };
        let not_text = |_| Problem::new(ErrorType::MalformedJson, "the request body is not UTF-8");
        let text = String::from_utf8(bytes.into()).map_err(not_text)?;
        // `serde_json` says line and column at the end of its message.
        serde_json::from_str::<IgnoredAny>(&text)
            .map_err(|error| Problem::new(ErrorType::MalformedJson, error.to_string()))?;
        Ok(Self(text))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media_type = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// `text` is well-formed JSON: what is wrong with it now is what it says, or how deep.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| invalid(error.inner(), pointer(error.path())))
}

fn invalid(error: &serde_json::Error, pointer: String) -> Problem {
    let place = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
    let problem = RequestProblem { pointer, detail: error.to_string() };
    Problem::new(ErrorType::InvalidRequest, format!("{place}{error}")).with_errors(vec![problem])
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            // The place is below this one, and serde cannot say where.
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}
