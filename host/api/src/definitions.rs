//! Definitions of running and finished instances, read once a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use store::{SharedStore, StoreError};
use workflow::Digest;
use workflow::definition::{self, Definition};

use crate::problem::Problem;

/// A cache in front of the store's definitions: compiling the expressions of
/// one costs more than all the rest of a request.
#[derive(Clone, Default)]
pub(crate) struct Definitions {
    read: Arc<Mutex<HashMap<Digest, Arc<Definition>>>>,
}

impl Definitions {
    pub(crate) async fn get(&self, store: &SharedStore, digest: &Digest) -> Result<Arc<Definition>, Problem> {
        if let Some(found) = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(digest) {
            return Ok(found.clone());
        }
        let missing =
            || StoreError::Corrupt { what: format!("an instance of definition `{digest}`, which is not stored") };
        let source = store.definition(digest).await?.ok_or_else(missing)?;
        let definition = definition::parse(&source, digest.as_str()).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            Problem::internal(format!("this version cannot read definition `{digest}`: {first}"))
        })?;
        let definition = Arc::new(definition);
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone(), definition.clone());
        Ok(definition)
    }
}
