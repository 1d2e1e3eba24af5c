//! The manifest of a plugin, and that of its signatures.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::signature::Signature;
use crate::capability::PluginManifest;
use crate::ids::Digest;

/// What registries and clients call an OCI manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The layout of <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>.
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT_TYPE: &str = "application/wasm";
/// Where a manifest keeps the text of `plugin.toml`: a second layer would keep
/// other clients from pulling the component.
const PLUGIN_TOML: &str = "net.lightapi.plugin.toml";

/// The layout of cosign.
const SIGNATURE_CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A manifest with a `plugin.toml` has some kilobytes; many times that is no plugin.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 10;
/// More people than ever vouch for one plugin.
pub const SIGNATURES_MAX: usize = 32;

/// Bytes elsewhere, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        Self { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new() }
    }
}

/// An OCI manifest, as far as plugins need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// Why a manifest is not that of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("it is no OCI manifest: {0}")]
    Malformed(String),
    /// An index of several images, for example.
    #[error("it is of another kind: `{0}`; a plugin is one manifest (`{MANIFEST_TYPE}`)")]
    OtherKind(String),
    #[error("its config is `{0}`, so it is no WebAssembly component (`{CONFIG_TYPE}`)")]
    OtherConfig(String),
    #[error("it has {0} layers of `{COMPONENT_TYPE}` and others; a plugin has one")]
    Layers(usize),
    #[error(
        "it has no annotation `{PLUGIN_TOML}`: the component was not pushed by `light-workflow plugin push`, and nothing says what it asks for"
    )]
    NoPluginToml,
}

/// A plugin, ready for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub config: Vec<u8>,
    /// The same for the same component and `plugin.toml`, wherever and whenever it is made.
    pub manifest: String,
}

/// Interfaces with version, as a component's world has them.
pub struct WorldItems<'a> {
    pub imports: BTreeSet<&'a str>,
    pub exports: BTreeSet<&'a str>,
}

/// Makes the manifest of a plugin.
pub fn pack(component: &[u8], world: &WorldItems<'_>, plugin: &PluginManifest, plugin_toml: &str) -> Packed {
    let layer = Descriptor::of(COMPONENT_TYPE, component);
    let config = json!({
        // A time would make other bytes of the same plugin.
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": { "exports": world.exports, "imports": world.imports, "target": null },
    });
    let config = config.to_string().into_bytes();
    let annotations = [
        ("org.opencontainers.image.title", plugin.name.to_string()),
        ("org.opencontainers.image.version", plugin.version.to_string()),
        ("org.opencontainers.image.description", plugin.summary.clone()),
        (PLUGIN_TOML, plugin_toml.to_owned()),
    ];
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        config: Descriptor::of(CONFIG_TYPE, &config),
        layers: vec![layer],
        annotations: annotations.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    Packed { config, manifest: text(&manifest) }
}

/// What a manifest says of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    pub component: Descriptor,
    pub plugin_toml: String,
}

/// Reads the manifest of a plugin.
///
/// # Errors
///
/// It is the manifest of something else.
pub fn unpack(manifest: &[u8]) -> Result<Unpacked, ManifestError> {
    let mut manifest = read(manifest)?;
    if manifest.config.media_type != CONFIG_TYPE {
        return Err(ManifestError::OtherConfig(manifest.config.media_type));
    }
    let component = match &mut manifest.layers[..] {
        [layer] if layer.media_type == COMPONENT_TYPE => layer.clone(),
        layers => return Err(ManifestError::Layers(layers.len())),
    };
    let plugin_toml = manifest.annotations.remove(PLUGIN_TOML).ok_or(ManifestError::NoPluginToml)?;
    Ok(Unpacked { component, plugin_toml })
}

/// Makes the manifest under which a registry keeps signatures; their payloads
/// are its layers. The first value is its config.
pub fn pack_signatures(signatures: &[Signature]) -> Packed {
    let layers: Vec<Descriptor> = signatures
        .iter()
        .map(|signature| Descriptor {
            annotations: [(SIGNATURE.to_owned(), signature.signature.clone())].into(),
            ..Descriptor::of(PAYLOAD_TYPE, signature.payload.as_bytes())
        })
        .collect();
    let digests: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
    let config = json!({
        "architecture": "",
        "os": "",
        "created": "1970-01-01T00:00:00Z",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let config = config.to_string().into_bytes();
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        config: Descriptor::of(SIGNATURE_CONFIG_TYPE, &config),
        layers,
        annotations: BTreeMap::new(),
    };
    Packed { config, manifest: text(&manifest) }
}

/// The payloads to fetch, each with its signature in base64. What is not a signature is left out.
///
/// # Errors
///
/// It is no manifest. More signatures than [`SIGNATURES_MAX`] are not read.
pub fn unpack_signatures(manifest: &[u8]) -> Result<Vec<(Descriptor, String)>, ManifestError> {
    let signed = read(manifest)?.layers.into_iter().filter(|layer| layer.media_type == PAYLOAD_TYPE);
    let with_signature =
        |mut layer: Descriptor| layer.annotations.remove(SIGNATURE).map(|signature| (layer, signature));
    Ok(signed.filter_map(with_signature).take(SIGNATURES_MAX).collect())
}

fn read(manifest: &[u8]) -> Result<Manifest, ManifestError> {
    let malformed = |error: serde_json::Error| ManifestError::Malformed(error.to_string());
    let kind: serde_json::Value = serde_json::from_slice(manifest).map_err(malformed)?;
    if let Some(kind) = kind.get("mediaType").and_then(serde_json::Value::as_str)
        && kind != MANIFEST_TYPE
    {
        return Err(ManifestError::OtherKind(kind.to_owned()));
    }
    serde_json::from_slice(manifest).map_err(malformed)
}

fn text(manifest: &Manifest) -> String {
    serde_json::to_string(manifest).expect("a manifest has only strings, numbers, lists and objects")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = \"x\"\nversion = \"0.1.0\"\nworld = \"pure\"\nsummary = \"Says x\"\n";

    fn packed(component: &[u8]) -> Packed {
        let world = WorldItems {
            imports: ["lightapi:release/log@0.1.0"].into(),
            exports: ["lightapi:release/step@0.1.0"].into(),
        };
        pack(component, &world, &PluginManifest::parse(TOML).unwrap(), TOML)
    }

    #[test]
    fn a_plugin_has_the_layout_that_other_clients_read() {
        let Packed { config, manifest } = packed(b"component");
        let digest = |bytes: &[u8]| Digest::of(bytes).to_string();
        let read: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(
            read,
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.wasm.config.v0+json",
                    "digest": digest(&config),
                    "size": config.len(),
                },
                "layers": [{ "mediaType": "application/wasm", "digest": digest(b"component"), "size": 9 }],
                "annotations": {
                    "net.lightapi.plugin.toml": TOML,
                    "org.opencontainers.image.description": "Says x",
                    "org.opencontainers.image.title": "x",
                    "org.opencontainers.image.version": "0.1.0",
                },
            })
        );
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(
            config,
            json!({
                "created": "1970-01-01T00:00:00Z",
                "architecture": "wasm",
                "os": "wasip2",
                "layerDigests": [digest(b"component")],
                "component": {
                    "exports": ["lightapi:release/step@0.1.0"],
                    "imports": ["lightapi:release/log@0.1.0"],
                    "target": null,
                },
            })
        );
        let unpacked = unpack(manifest.as_bytes()).unwrap();
        assert_eq!((unpacked.component.digest, unpacked.plugin_toml.as_str()), (Digest::of(b"component"), TOML));
    }

    #[test]
    fn what_is_no_plugin_says_what_it_is() {
        let whole = packed(b"component").manifest;
        for (from, to, expected) in [
            ("{", "[", "no OCI manifest"),
            ("image.manifest.v1", "image.index.v1", "another kind"),
            ("wasm.config.v0", "oci.image.config.v1", "no WebAssembly component"),
            ("application/wasm\"", "application/tar\"", "1 layers"),
            ("net.lightapi.plugin.toml", "other", "no annotation"),
            ("sha256:", "sha1:", "no OCI manifest"),
        ] {
            let error = unpack(whole.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn signatures_are_layers_and_anything_else_is_left_out() {
        let signature = Signature { payload: "{}".to_owned(), signature: "c2ln".to_owned() };
        let manifest = pack_signatures(&vec![signature; SIGNATURES_MAX + 1]).manifest;
        let read = unpack_signatures(manifest.as_bytes()).unwrap();
        assert_eq!(read.len(), SIGNATURES_MAX);
        assert_eq!((&read[0].0.digest, read[0].1.as_str()), (&Digest::of(b"{}"), "c2ln"));
        assert_eq!(unpack_signatures(packed(b"x").manifest.as_bytes()), Ok(Vec::new()));
    }
}
