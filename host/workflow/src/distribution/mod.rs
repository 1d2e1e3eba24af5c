//! Plugins on their way between hosts: what a registry keeps of one, how it is
//! named there, and who vouches for it.
//!
//! A plugin travels as an OCI artifact in the layout that the Wasm ecosystem
//! agreed on: one layer, the component, and a config that says what it imports.
//! Its `plugin.toml` is an annotation of the manifest, so that the digest of
//! the manifest names both. A signature is over that digest, in the layout of
//! cosign.

mod keys;
mod manifest;
mod reference;
mod signature;

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

pub use keys::{KeyError, PublicKey, SigningKey};
pub use manifest::{
    Descriptor, FoundSignatures, KeptSignatures, MANIFEST_BYTES_MAX, MANIFEST_TYPE, Manifest, ManifestError, Packed,
    SIGNATURES_MAX, Unpacked, WorldItems, pack, pack_signatures, unpack,
};
pub use reference::{Reference, ReferenceError};
pub use signature::{Signature, SignatureError, TrustedKeys};

/// What is kept beside a component, as `NAME.distribution.json`: the manifest
/// it was signed or pulled under, who signed that, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Distribution {
    /// Pinned by digest; absent if it never was in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Reference>,
    /// The text of the manifest, byte by byte: signatures are over its digest.
    pub manifest: String,
    #[serde(default)]
    pub signatures: Vec<Signature>,
}

impl Distribution {
    /// The file's name instead of `.wasm`.
    pub const EXTENSION: &str = "distribution.json";

    pub fn digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }
}
