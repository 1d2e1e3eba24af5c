//! `GET /v1/audit`: the whole log as `light-workflow audit verify` reads it.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use store::{SharedStore, StoreError, audit};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::http::attachment;
use crate::problem::{Problem, chain};

/// Leaves read and sent at a time.
const PAGE: u32 = 200;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(export_audit))
}

/// Export the audit log
///
/// JSON Lines as of the newest signed checkpoint: a header with the checkpoint, then every leaf, oldest first.
#[utoipa::path(get, path = "/v1/audit", operation_id = "exportAudit", tag = "audit",
    responses((status = 200, description = "The export", body = String, content_type = "application/jsonl")))]
async fn export_audit(State(state): State<ApiState>) -> Result<Response, Problem> {
    // The checkpoint first: what is appended from now on is not part of this export.
    let checkpoint = state.store.checkpoint().await?;
    let rest = Rest { store: state.store, next: 0, size: checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size) };
    let header = line(audit::header_line(checkpoint));
    let body = stream::unfold((VecDeque::from([header]), Some(rest)), |(mut ready, mut rest)| async {
        if let Some(lines) = ready.pop_front() {
            return Some((Ok(lines), (ready, rest)));
        }
        match rest.as_mut()?.page().await {
            Ok(page) => page.map(|page| (Ok(page), (ready, rest))),
            Err(error) => {
                // The head is sent already: breaking off is all that is left.
                tracing::error!("An audit export broke off: {}", chain(&error));
                Some((Err(error), (ready, None)))
            }
        }
    });
    let mut response = Body::from_stream(body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    response.headers_mut().extend([attachment("audit.jsonl")]);
    Ok(response)
}

/// The leaves that are still to be sent.
struct Rest {
    store: SharedStore,
    next: u64,
    size: u64,
}

impl Rest {
    async fn page(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.next == self.size {
            return Ok(None);
        }
        let count = u32::try_from(self.size - self.next).unwrap_or(PAGE).min(PAGE);
        let leaves = self.store.audit(self.next, count).await?;
        if leaves.is_empty() {
            return Err(StoreError::Corrupt { what: format!("an audit log without leaf {}", self.next) });
        }
        self.next += leaves.len() as u64;
        Ok(Some(leaves.iter().flat_map(|leaf| line(audit::leaf_line(leaf))).collect()))
    }
}

fn line(mut text: String) -> Bytes {
    text.push('\n');
    Bytes::from(text)
}
