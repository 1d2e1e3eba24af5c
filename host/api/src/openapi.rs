//! The OpenAPI document: generated from the endpoints, so that it cannot lag behind.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::problem::ProblemBody;

/// Name of the one way to authenticate.
const SCHEME: &str = "token";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "light-workflow",
        description = "Durable, approved, audited software releases.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "releases", description = "Start, watch and cancel releases"),
        (name = "human tasks", description = "What waits for a person"),
        (name = "events", description = "Events from outside, and those of life cycles"),
        (name = "artifacts", description = "What releases made, by reference"),
        (name = "audit", description = "The hash-linked log of every event"),
        (name = "host", description = "This host itself"),
    )
)]
struct Base;

/// A router whose document says who we are and has no paths yet.
pub(crate) fn base() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Base::openapi())
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_document))
}

/// The document as it is sent: written once.
#[derive(Clone)]
pub(crate) struct Document(Bytes);

impl Document {
    pub(crate) fn new(mut document: OpenApi) -> Self {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The text of the file `api-token` in the host's data folder"))
            .build();
        document.components.get_or_insert_default().add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
        for item in document.paths.paths.values_mut() {
            operations(item).for_each(describe_problems);
        }
        // A path of ours that takes the rest of the URL; OpenAPI has no such thing.
        let paths = std::mem::take(&mut document.paths.paths);
        document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
        let json = document.to_json().expect("an OpenAPI document is plain JSON");
        Self(Bytes::from(json))
    }
}

/// Marks every operation as one that needs a token.
pub(crate) fn demand_token(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Every error of every operation has the same form.
fn describe_problems(operation: &mut Operation) {
    let content = || Content::new(Some(Ref::from_schema_name("Problem")));
    let problem = ResponseBuilder::new()
        .description("Problem details; `type` names the page that says what to do")
        .content("application/problem+json", content())
        .build();
    operation.responses.responses.insert("default".to_owned(), problem.into());
    for (status, response) in &mut operation.responses.responses {
        if let (true, utoipa::openapi::RefOr::T(response)) =
            (status.starts_with('4') || status.starts_with('5'), response)
        {
            response.content.insert("application/problem+json".to_owned(), content().into());
        }
    }
}

/// Describe this API
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "getOpenApi", tag = "host",
    responses((status = 200, description = "This document", content_type = "application/json")))]
async fn get_document(Extension(Document(bytes)): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], bytes)
}
