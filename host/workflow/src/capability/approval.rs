//! `plugins.lock`: what reviewers approved, by digest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Date, Grants};
use crate::distribution::Reference;
use crate::ids::{Actor, Digest, PluginName};

/// All approvals of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginsLock {
    pub plugins: BTreeMap<PluginName, LockEntry>,
}

/// A reviewer's approval of exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockEntry {
    pub name: PluginName,
    pub version: semver::Version,
    /// Of the component.
    pub digest: Digest,
    /// Where a host without it can pull it from, pinned by the digest of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Reference>,
    pub reviewer: Actor,
    pub reviewed: Date,
    /// The first day on which it no longer counts.
    pub expires: Date,
    /// The functions that the reviewer saw imported (`sandbox.exec`); absent in an older entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imports: Option<BTreeSet<String>>,
    /// What it may be granted at most.
    pub grants: Grants,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// With line and column, as the TOML reader gives them.
    #[error("{0}")]
    Toml(String),
    #[error("plugin `{0}` is approved twice; keep one entry")]
    Twice(PluginName),
    #[error("format {0} of the lock is unknown; this host reads format 1")]
    Format(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default, rename = "plugin")]
    plugins: Vec<LockEntry>,
}

impl PluginsLock {
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let document: Document = toml::from_str(text).map_err(|error| LockError::Toml(error.to_string()))?;
        if document.format != 1 {
            return Err(LockError::Format(document.format));
        }
        let mut plugins = BTreeMap::new();
        for entry in document.plugins {
            if let Some(first) = plugins.insert(entry.name.clone(), entry) {
                return Err(LockError::Twice(first.name));
            }
        }
        Ok(Self { plugins })
    }

    /// The lock as text that [`PluginsLock::parse`] reads back, in the order of names.
    pub fn to_text(&self) -> String {
        let document = Document { format: 1, plugins: self.plugins.values().cloned().collect() };
        toml::to_string_pretty(&document).expect("a lock has only strings, numbers, lists and tables")
    }
}
