//! Checked definitions by digest: parsed once a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use store::{Store, StoreError};
use workflow::Digest;
use workflow::definition::{self, Definition};

#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store has no definition `{digest}`")]
    Missing { digest: Digest },
    /// A newer or older host accepted it; this one does not.
    #[error("definition `{digest}` cannot be read by this version: {problem}")]
    Unreadable { digest: Digest, problem: String },
}

/// A cache in front of the store's definitions; clones are the same cache.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    parsed: Arc<Mutex<HashMap<Digest, Arc<Definition>>>>,
}

impl Definitions {
    pub fn insert(&self, definition: Arc<Definition>) {
        self.lock().insert(definition.digest.clone(), definition);
    }

    pub async fn get(&self, store: &dyn Store, digest: &Digest) -> Result<Arc<Definition>, DefinitionError> {
        if let Some(found) = self.lock().get(digest) {
            return Ok(found.clone());
        }
        let source =
            store.definition(digest).await?.ok_or_else(|| DefinitionError::Missing { digest: digest.clone() })?;
        let definition =
            definition::parse(&source, digest.as_str()).map_err(|problems| DefinitionError::Unreadable {
                digest: digest.clone(),
                problem: problems.first().map(ToString::to_string).unwrap_or_default(),
            })?;
        let definition = Arc::new(definition);
        self.insert(definition.clone());
        Ok(definition)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<Definition>>> {
        self.parsed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
