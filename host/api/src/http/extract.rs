//! Checked parts of a request's head.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use workflow::Actor;

use crate::problem::{ErrorType, Problem};

/// Who asks: set where the token was checked.
pub(crate) struct Caller(pub Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let actor = parts.extensions.get::<Actor>().cloned();
        actor.map(Self).ok_or_else(|| Problem::internal("an endpoint that needs a caller is not behind a token"))
    }
}

/// The one parameter in the path, decoded.
pub(crate) struct PathParam(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathParam {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(ErrorType::InvalidPath, rejection.body_text()))?;
        Ok(Self(text))
    }
}

/// The query as a `T`; parameters that `T` does not know are refused if it says so.
pub(crate) struct QueryParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<T>::try_from_uri(&parts.uri)
            .map_err(|rejection| Problem::new(ErrorType::InvalidQuery, rejection.body_text()))?;
        Ok(Self(query))
    }
}

/// The value of a header that may come once, as visible ASCII text of at most `length_max`.
pub(crate) fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    length_max: usize,
) -> Result<Option<&'a str>, Problem> {
    let refused = |what: &str| Problem::new(ErrorType::InvalidHeader, format!("the header `{name}` {what}"));
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("comes more than once"));
    }
    let text = value.to_str().map_err(|_| refused("has characters that are not visible ASCII"))?;
    if text.is_empty() || text.len() > length_max {
        return Err(refused(&format!("must have 1 to {length_max} characters")));
    }
    Ok(Some(text))
}

/// Whether the client asks for server-sent events by name.
pub(crate) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("text/event-stream"))
}
