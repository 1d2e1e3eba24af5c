//! Which of several runs a release id stands for.

use workflow::InstanceId;

use crate::contract::Store;
use crate::errors::StoreError;
use crate::rows::{InstanceFilter, InstanceRow, Phase};

/// What was found under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Runs {
    pub meant: InstanceRow,
    /// The other runs of the same release, newest first.
    pub others: Vec<InstanceRow>,
}

/// The instance that is meant by its own id, or by a release id; none if there is none.
///
/// Of several runs of a release the one counts that goes on; else the first
/// that completed, so that a rerun, which its checks refuse, does not hide what
/// was released; else the newest. Any other is named by its instance id.
///
/// # Errors
///
/// A store that does not answer.
pub async fn runs_of(store: &dyn Store, name: &str) -> Result<Option<Runs>, StoreError> {
    if let Ok(id) = InstanceId::new(name)
        && let Some(meant) = store.instance(&id).await?
    {
        let others = match &meant.release_id {
            Some(release) => runs(store, release).await?.into_iter().filter(|row| row.id != meant.id).collect(),
            None => Vec::new(),
        };
        return Ok(Some(Runs { meant, others }));
    }
    let mut others = runs(store, name).await?;
    let counts = others
        .iter()
        .position(|row| !row.phase.is_final())
        .or_else(|| others.iter().rposition(|row| row.phase == Phase::Completed))
        .unwrap_or(0);
    if others.is_empty() {
        return Ok(None);
    }
    Ok(Some(Runs { meant: others.remove(counts), others }))
}

/// Newest first.
async fn runs(store: &dyn Store, release: &str) -> Result<Vec<InstanceRow>, StoreError> {
    store.instances(InstanceFilter { release_id: Some(release.to_owned()), ..InstanceFilter::default() }).await
}
