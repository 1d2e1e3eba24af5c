//! The summary of an instance that ended, kept as an artifact.

use store::{ArtifactBytes, NewArtifact, Store, StoreError};
use workflow::summary::Summary;
use workflow::{ArtifactUri, InstanceId};

/// Keeps `artifact://<instance>/summary/1/summary.{md,json}`. Made of the
/// history alone: to do it twice is to do it once.
pub async fn keep_summary(store: &dyn Store, instance: &InstanceId) -> Result<(), StoreError> {
    let history = store.history(instance, 0).await?;
    let Some(summary) = Summary::of(&history).filter(|summary| summary.ended_at.is_some()) else {
        return Ok(());
    };
    for (name, media_type, bytes) in summary.files() {
        let uri = ArtifactUri::new(Summary::uri(instance, name))
            .map_err(|source| StoreError::Database { doing: "name an artifact", source: Box::new(source) })?;
        let new = NewArtifact { uri, instance: instance.clone(), media_type: media_type.to_owned() };
        store.put_artifact(new, ArtifactBytes::Memory(bytes)).await?;
    }
    Ok(())
}
