//! What starts a release: handed in, because it needs definitions, policy and
//! templates, which this crate must not reach.

use async_trait::async_trait;
use store::StoreError;
use workflow::request::ReleaseRequest;
use workflow::{Actor, InstanceId};

use crate::problem::RequestProblem;

/// Commits the first events of a release; the worker does the rest.
#[async_trait]
pub trait Starter: Send + Sync + 'static {
    /// The same `idempotency_key` with the same request answers with the
    /// instance it started first.
    async fn start_release(
        &self,
        request: ReleaseRequest,
        idempotency_key: Option<String>,
        by: Actor,
    ) -> Result<StartedRelease, StartReleaseError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedRelease {
    pub instance: InstanceId,
    pub release_id: String,
    /// The idempotency key had started it before.
    pub existing: bool,
}

/// Why no release was started.
#[derive(Debug, thiserror::Error)]
pub enum StartReleaseError {
    /// The one who asks can put it right.
    #[error("the release request is not valid")]
    Invalid { problems: Vec<RequestProblem> },
    /// It is a release request, and lacks what this host's definition wants.
    #[error("{definition} does not take this request")]
    NotTaken { definition: String, problems: Vec<RequestProblem> },
    #[error("release `{release}` is already running as instance `{instance}`")]
    AlreadyRunning { release: String, instance: InstanceId },
    #[error("idempotency key `{key}` was used for another request")]
    KeyReused { key: String },
    /// Only the operator can put it right; `detail` goes to the log, not to the client.
    #[error("this host cannot run such a release: {detail}")]
    Unavailable { detail: String },
    /// A failed write may have been committed: ask again with the same key.
    #[error(transparent)]
    Store(#[from] StoreError),
}
