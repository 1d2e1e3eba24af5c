//! The release request: explicit enough to reproduce the run.
//!
//! [`parse()`] is for requests that people send: it finds everything that is
//! wrong at once. Stored requests have been through it and are read by serde.
//!
//! Source: “Release Request” in the design document (Q1, Q2).

mod parse;

use serde::{Deserialize, Serialize};

pub use parse::{REPAIR_ATTEMPTS_MAX, parse};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRequest {
    pub release_id: String,
    pub release_type: ReleaseType,
    pub runtime_families: Vec<RuntimeFamily>,
    pub repos: Vec<Repository>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_profile_manifest: Option<ConfigProfileManifest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub portal_targets: Vec<PortalTarget>,
    pub publish_policy: PublishPolicy,
    /// Where crates are published; an addition of ours to the design document's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cargo_registry: Option<CargoRegistry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseType {
    JavaTrain,
    RustProducts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeFamily {
    Java,
    Rust,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repository {
    pub name: String,
    pub url: String,
    #[serde(rename = "ref")]
    pub reference: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigProfileManifest {
    pub repo: String,
    #[serde(rename = "ref")]
    pub reference: String,
    pub paths: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortalTarget {
    pub name: String,
    pub host_id: String,
    pub dry_run_required: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishPolicy {
    pub require_human_approval: bool,
    pub allow_ai_patch: bool,
    pub max_repair_attempts: u32,
}

/// A Cargo registry by the name that `cargo --registry` uses and its index URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CargoRegistry {
    pub name: String,
    /// `sparse+http(s)://…/`
    pub index: String,
}
