//! Images of containers: how a definition names one, what a registry says of
//! it, and what an instance is started with.
//!
//! A name with a tag is only a question to a registry. What an instance keeps
//! is the answer: the digest of a manifest, and the id of the image, which is
//! the digest of its configuration and with that of every byte in it.

mod documents;
mod name;

use serde::{Deserialize, Serialize};

use crate::distribution::Reference;
use crate::ids::Digest;

pub use documents::{
    DocumentError, Found, ImageConfig, ImageManifest, Layer, MANIFEST_TYPES, Packing, Platform, read_config,
    read_manifest,
};
pub use name::{DEFAULT_REGISTRY, NameError, check_host_name, read_name};

/// When a registry is asked which image a name means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PullPolicy {
    /// Unless this host was told before and has the image.
    #[default]
    IfNotPresent,
    /// At each start of an instance.
    Always,
    /// Never: the image must be here.
    Never,
}

/// The image of a task, as its instance was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskImage {
    /// As the definition names it.
    pub name: Reference,
    #[serde(default)]
    pub pull: PullPolicy,
    /// What that was when the instance started; none where nobody looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<PinnedImage>,
}

/// Exactly one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedImage {
    pub image: ImageIdentity,
    /// What the image starts.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// What it passes to its entry point, or starts where it has none.
    #[serde(default)]
    pub command: Vec<String>,
}

/// Which image, and where its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIdentity {
    /// By the digest of the manifest for this machine.
    pub reference: Reference,
    /// The image id: the digest of its configuration, which names the digest of each layer.
    pub id: Digest,
}
