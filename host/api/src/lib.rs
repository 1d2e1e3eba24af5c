//! People and HTTP.
//!
//! Everything below `/v1` needs a bearer token; errors are problem details
//! (RFC 9457) with a page each in `docs/errors/`.
//!
//! > **Invariant:** this crate cannot run anything. It has no path to `sandbox`,
//! > `plugin-host` or `worker`: it records in the store, and the worker acts.

mod artifacts;
mod audit;
mod auth;
mod cloud_events;
mod health;
mod http;
mod human_tasks;
mod openapi;
mod problem;
mod releases;
mod starter;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router, middleware};
use store::SharedStore;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use workflow::Timestamp;

pub use auth::{TOKEN_FILE, TokenError, Tokens};
pub use problem::{ErrorType, RequestProblem};
pub use starter::{StartReleaseError, StartedRelease, Starter};

/// Largest request body: a release of hundreds of repositories has some tens of KiB.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the endpoints work with.
#[derive(Clone)]
pub struct ApiState {
    store: SharedStore,
    starter: Arc<dyn Starter>,
    tokens: Tokens,
    /// Names the time of a decision.
    clock: Clock,
    stop: Arc<watch::Sender<bool>>,
}

impl ApiState {
    pub fn new(store: SharedStore, starter: Arc<dyn Starter>, tokens: Tokens, clock: Clock) -> Self {
        let stop = Arc::new(watch::Sender::new(false));
        Self { store, starter, tokens, clock, stop }
    }

    /// Ends the streams of events that are open, for good: a graceful shutdown
    /// would wait for them.
    pub fn stop_streams(&self) {
        self.stop.send_replace(true);
    }
}

/// The whole HTTP surface.
pub fn router(state: ApiState) -> Router {
    let mut guarded = guarded_routes();
    openapi::demand_token(guarded.get_openapi_mut());
    let guarded = guarded.route_layer(middleware::from_fn_with_state(state.tokens.clone(), auth::require_token));
    let (router, document) =
        openapi::base().merge(guarded).merge(health::routes()).merge(openapi::routes()).split_for_parts();
    let document = openapi::Document::new(document);
    router
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(Extension(document))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(problem::finish))
        .with_state(state)
}

/// Every endpoint that needs a token.
fn guarded_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(releases::routes())
        .merge(human_tasks::routes())
        .merge(artifacts::routes())
        .merge(cloud_events::routes())
        .merge(audit::routes())
}
