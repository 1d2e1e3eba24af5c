//! Where a release stands, for clients.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Pending,
    Running,
    /// Only a timer or a person can move it.
    Waiting,
    Completed,
    Faulted,
    Cancelled,
}

impl From<store::Phase> for Phase {
    fn from(phase: store::Phase) -> Self {
        match phase {
            store::Phase::Pending => Phase::Pending,
            store::Phase::Running => Phase::Running,
            store::Phase::Waiting => Phase::Waiting,
            store::Phase::Completed => Phase::Completed,
            store::Phase::Faulted => Phase::Faulted,
            store::Phase::Cancelled => Phase::Cancelled,
        }
    }
}

impl From<Phase> for store::Phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => store::Phase::Pending,
            Phase::Running => store::Phase::Running,
            Phase::Waiting => store::Phase::Waiting,
            Phase::Completed => store::Phase::Completed,
            Phase::Faulted => store::Phase::Faulted,
            Phase::Cancelled => store::Phase::Cancelled,
        }
    }
}
