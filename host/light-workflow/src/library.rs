//! Definitions by name: those in the host's folder, and those that ran here before.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use store::{Store, StoreError};
use workflow::Digest;
use workflow::capability::EffectivePolicy;
use workflow::definition::{self, Definition, WorkflowName, workflows_run};

use crate::documents;
use crate::host::Parts;

/// What `run.workflow` can name, by namespace and name.
#[derive(Debug, Default)]
pub struct Library {
    known: BTreeMap<(String, String), Vec<Arc<Definition>>>,
    /// Files that are no definition, with the first reason: one of them may be what is meant.
    unreadable: Vec<String>,
}

impl Library {
    /// Reads the host's folder of definitions; one that is not there holds none.
    /// Documents may be fetched for it, so this can take long: not for a thread on which others wait.
    pub fn read(parts: &Parts) -> Self {
        let folder = &parts.config.paths.definitions;
        let mut library = Self::default();
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml")) {
            let parsed = std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))
                .and_then(|source| {
                    documents::read(parts, &source, path)
                        .map_err(|problems| problems.first().map(ToString::to_string).unwrap_or_default())
                });
            match parsed {
                Ok(definition) => library.add(Arc::new(definition)),
                Err(problem) => library.unreadable.push(problem),
            }
        }
        library
    }

    /// The folder, and what `definition` and its children name beside that and ran in this store before.
    pub async fn for_definition(parts: &Parts, store: &dyn Store, definition: &Definition) -> Result<Self, StoreError> {
        let mut open = workflows_run(definition);
        if open.is_empty() {
            return Ok(Self::default());
        }
        // Needs the runtime of many threads, which `main` starts.
        let mut library = tokio::task::block_in_place(|| Self::read(parts));
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if library.find(&name).is_err()
                && let Some(source) = store.definition_named(&name.to_string()).await?
                && let Ok(definition) = definition::parse(&source, &name.to_string())
            {
                library.add(Arc::new(definition));
            }
            if let Ok(found) = library.find(&name) {
                open.extend(workflows_run(&found));
            }
        }
        Ok(library)
    }

    fn add(&mut self, definition: Arc<Definition>) {
        let key = (definition.namespace.clone(), definition.name.clone());
        self.known.entry(key).or_default().push(definition);
    }

    /// Every definition, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.known.values().flatten()
    }

    /// Files of the folder that are no definition: place and first reason.
    pub fn unreadable(&self) -> impl Iterator<Item = &String> {
        self.unreadable.iter()
    }

    /// # Errors
    ///
    /// What is there instead, for people.
    pub fn find(&self, name: &WorkflowName) -> Result<Arc<Definition>, String> {
        let known = self.known.get(&(name.namespace.clone(), name.name.clone())).map_or(&[][..], Vec::as_slice);
        let found = match &name.version {
            Some(version) => known.iter().find(|definition| definition.version == *version),
            None => known.iter().max_by_key(|definition| semver::Version::parse(&definition.version).ok()),
        };
        found.cloned().ok_or_else(|| self.missing(known))
    }

    fn missing(&self, others: &[Arc<Definition>]) -> String {
        let mut text = if others.is_empty() {
            "this host has no such definition".to_owned()
        } else {
            let versions: Vec<_> = others.iter().map(|definition| definition.version.as_str()).collect();
            format!("this host has it in {}", versions.join(", "))
        };
        if !self.unreadable.is_empty() {
            text += &format!("; what it cannot read: {}", self.unreadable.join("; "));
        }
        text
    }

    /// Every definition that `policy` of `definition` names, for the store to keep: children, and what they or it
    /// start and do not wait for. That text is made by this version of the program; another might make another.
    pub fn pinned(&self, definition: &Definition, policy: &EffectivePolicy) -> BTreeMap<Digest, Arc<Definition>> {
        let starters = iter::once(definition).chain(self.all().map(Arc::as_ref));
        let detached = starters.flat_map(|starter| starter.detached.values());
        let named = self.all().chain(detached).filter(|known| policy.definitions.contains_key(&known.digest));
        named.map(|known| (known.digest.clone(), known.clone())).collect()
    }
}
