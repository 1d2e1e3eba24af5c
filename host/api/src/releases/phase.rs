//! Where a release stands, for clients.

use serde::{Deserialize, Serialize};
use store::InstanceFilter;
use utoipa::ToSchema;

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Pending,
    Running,
    /// Only a timer or a person can move it.
    Waiting,
    /// Nothing new starts until somebody resumes it.
    Suspended,
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

impl Phase {
    /// What a list of such releases is filtered by.
    pub(crate) fn filter(self) -> InstanceFilter {
        let of = |phase| InstanceFilter { phase: Some(phase), suspended: Some(false), ..InstanceFilter::default() };
        match self {
            Phase::Pending => of(store::Phase::Pending),
            Phase::Running => of(store::Phase::Running),
            Phase::Waiting => of(store::Phase::Waiting),
            Phase::Suspended => InstanceFilter { suspended: Some(true), ..InstanceFilter::default() },
            Phase::Completed => of(store::Phase::Completed),
            Phase::Faulted => of(store::Phase::Faulted),
            Phase::Cancelled => of(store::Phase::Cancelled),
        }
    }
}
