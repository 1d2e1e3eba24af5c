//! `GET /v1/artifacts/…`: one stored file.

use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use workflow::ArtifactUri;

use crate::ApiState;
use crate::http::{Content, Part, PathParam, attachment};
use crate::problem::{ErrorType, Problem};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_artifact))
}

/// Download an artifact
///
/// The path is the reference without `artifact://`. The content never changes; `ETag` is its digest.
#[utoipa::path(get, path = "/v1/artifacts/{*uri}", operation_id = "getArtifact", tag = "artifacts",
    params(
        ("uri" = String, Path, description = "`<instance>/<task>/…`, the reference without `artifact://`"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
    ),
    responses(
        (status = 200, description = "The content", content_type = "application/octet-stream"),
        (status = 206, description = "A range of it", content_type = "application/octet-stream"),
        (status = 404, description = "No such artifact"),
        (status = 416, description = "The range lies outside"),
    ))]
async fn get_artifact(
    State(state): State<ApiState>,
    PathParam(path): PathParam,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let not_found = || Problem::new(ErrorType::ArtifactNotFound, format!("there is no artifact `artifact://{path}`"));
    let uri = ArtifactUri::new(format!("artifact://{path}")).map_err(|_| not_found())?;
    let row = state.store.artifact(&uri).await?.ok_or_else(not_found)?;
    let media_type =
        HeaderValue::try_from(row.media_type.as_str()).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let etag = HeaderValue::try_from(format!("\"{}\"", row.artifact.digest)).expect("a digest is visible ASCII");
    let part = Part { uri, size_bytes: row.artifact.size_bytes };
    let mut response = Content { store: state.store, parts: vec![part], media_type }.respond(&headers)?;
    let name = path.rsplit('/').next().unwrap_or("artifact");
    response.headers_mut().extend([attachment(name), (ETAG, etag)]);
    Ok(response)
}
