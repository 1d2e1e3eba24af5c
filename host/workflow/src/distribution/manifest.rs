//! The manifest of a plugin, and that of its signatures.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    #[error(
        "it has {there} signatures already, and no more than {SIGNATURES_MAX} are read; push the plugin under another repository, or have those that nobody needs removed"
    )]
    TooManySignatures { there: usize },
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

/// Signatures in a registry as somebody left them, perhaps with another tool:
/// all of it is kept, understood or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSignatures {
    manifest: Value,
    layers: Vec<Value>,
}

/// What the manifest of signatures holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundSignatures {
    /// The payloads to fetch, each with its signature in base64.
    pub payloads: Vec<(Descriptor, String)>,
    /// Why a layer is left out, one text for each.
    pub left_out: Vec<String>,
}

impl KeptSignatures {
    /// # Errors
    ///
    /// It is no manifest with layers.
    pub fn read(manifest: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = parsed(manifest)?;
        let Some(Value::Array(layers)) = manifest.get_mut("layers").map(Value::take) else {
            return Err(ManifestError::Malformed("it has no `layers`".to_owned()));
        };
        Ok(Self { manifest, layers })
    }

    /// Those that can be read; the first [`SIGNATURES_MAX`] of them.
    pub fn found(&self) -> FoundSignatures {
        let mut found = FoundSignatures::default();
        for (at, layer) in self.layers.iter().enumerate() {
            match payload(layer) {
                Ok(_) if found.payloads.len() == SIGNATURES_MAX => {
                    let more = self.layers.len() - at;
                    found.left_out.push(format!(
                        "layers {at} to {}: no more than {SIGNATURES_MAX} signatures are read",
                        at + more - 1
                    ));
                    break;
                }
                Ok(payload) => found.payloads.push(payload),
                Err(why) => found.left_out.push(format!("layer {at}: {why}")),
            }
        }
        found
    }

    /// The digest of its config, if it is one in JSON that lists the layers: it
    /// is fetched before something is added.
    pub fn config(&self) -> Option<Descriptor> {
        let config: Descriptor = serde_json::from_value(self.manifest.get("config")?.clone()).ok()?;
        (config.media_type == SIGNATURE_CONFIG_TYPE).then_some(config)
    }

    /// The same with more signatures after what is there. `config` is what
    /// [`Self::config`] names; without it the config stays as it is.
    ///
    /// # Errors
    ///
    /// It would be more than [`SIGNATURES_MAX`]: nobody would read the last ones.
    pub fn with(&self, more: &[Signature], config: Option<&[u8]>) -> Result<Packed, ManifestError> {
        let there = self.layers.iter().filter(|layer| payload(layer).is_ok()).count();
        if there + more.len() > SIGNATURES_MAX {
            return Err(ManifestError::TooManySignatures { there });
        }
        let new: Vec<Descriptor> = more.iter().map(layer).collect();
        let mut manifest = self.manifest.clone();
        let mut config: Vec<u8> = config.unwrap_or_default().to_vec();
        let mut read: Value = serde_json::from_slice(&config).unwrap_or_default();
        if let Some(list) = read.pointer_mut("/rootfs/diff_ids").and_then(Value::as_array_mut) {
            list.extend(new.iter().map(|layer| json!(layer.digest)));
            config = read.to_string().into_bytes();
            // Its annotations and whatever else is said of it stay.
            manifest["config"]["digest"] = json!(Digest::of(&config));
            manifest["config"]["size"] = json!(config.len());
        }
        let layers = self.layers.iter().cloned().chain(new.iter().map(|layer| json!(layer)));
        manifest["layers"] = layers.collect();
        Ok(Packed { config, manifest: manifest.to_string() })
    }
}

fn layer(signature: &Signature) -> Descriptor {
    Descriptor {
        annotations: [(SIGNATURE.to_owned(), signature.signature.clone())].into(),
        ..Descriptor::of(PAYLOAD_TYPE, signature.payload.as_bytes())
    }
}

/// A layer as a payload with its signature, or why it is none.
fn payload(layer: &Value) -> Result<(Descriptor, String), String> {
    let mut layer: Descriptor = serde_json::from_value(layer.clone()).map_err(|error| error.to_string())?;
    if layer.media_type != PAYLOAD_TYPE {
        return Err(format!("it is a `{}` and no payload", layer.media_type));
    }
    let signature = layer.annotations.remove(SIGNATURE);
    signature.map(|signature| (layer, signature)).ok_or_else(|| format!("it has no annotation `{SIGNATURE}`"))
}

/// Makes the manifest under which a registry keeps signatures; their payloads
/// are its layers.
///
/// # Errors
///
/// There are more than [`SIGNATURES_MAX`].
pub fn pack_signatures(signatures: &[Signature]) -> Result<Packed, ManifestError> {
    let config = json!({
        "architecture": "",
        "os": "",
        "created": "1970-01-01T00:00:00Z",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let config = config.to_string().into_bytes();
    let empty = Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        config: Descriptor::of(SIGNATURE_CONFIG_TYPE, &config),
        layers: Vec::new(),
        annotations: BTreeMap::new(),
    };
    KeptSignatures::read(text(&empty).as_bytes())?.with(signatures, Some(&config))
}

fn read(manifest: &[u8]) -> Result<Manifest, ManifestError> {
    serde_json::from_value(parsed(manifest)?).map_err(malformed)
}

/// As JSON, if it says of itself that it is one manifest.
fn parsed(manifest: &[u8]) -> Result<Value, ManifestError> {
    let manifest: Value = serde_json::from_slice(manifest).map_err(malformed)?;
    match manifest.get("mediaType").and_then(Value::as_str) {
        Some(kind) if kind != MANIFEST_TYPE => Err(ManifestError::OtherKind(kind.to_owned())),
        Some(_) | None => Ok(manifest),
    }
}

fn malformed(error: serde_json::Error) -> ManifestError {
    ManifestError::Malformed(error.to_string())
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

    fn signature(payload: &str) -> Signature {
        Signature { payload: payload.to_owned(), signature: "c2ln".to_owned() }
    }

    #[test]
    fn signatures_are_layers_and_what_is_none_is_told() {
        let packed_signatures = pack_signatures(&[signature("{}")]).unwrap();
        let kept = KeptSignatures::read(packed_signatures.manifest.as_bytes()).unwrap();
        let FoundSignatures { payloads, left_out } = kept.found();
        assert_eq!((&payloads[0].0.digest, payloads[0].1.as_str()), (&Digest::of(b"{}"), "c2ln"));
        assert_eq!((payloads.len(), left_out.len()), (1, 0));
        let config: Value = serde_json::from_slice(&packed_signatures.config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([Digest::of(b"{}")]));
        assert_eq!(kept.config().unwrap().digest, Digest::of(&packed_signatures.config));

        let other = KeptSignatures::read(packed(b"x").manifest.as_bytes()).unwrap();
        let found = other.found();
        assert_eq!((found.payloads.len(), found.left_out.len()), (0, 1));
        assert!(found.left_out[0].contains("`application/wasm` and no payload"), "{found:?}");
    }

    #[test]
    fn what_is_added_stands_after_all_that_was_there_understood_or_not() {
        let there = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "subject": { "digest": "sha512:ab" },
            "annotations": { "made-by": "somebody", "a number": 1 },
            "config": { "mediaType": SIGNATURE_CONFIG_TYPE, "digest": Digest::of(b"old"), "size": 3, "annotations": { "x": "y" } },
            "layers": [
                { "mediaType": PAYLOAD_TYPE, "digest": "sha1:ab", "size": -1 },
                { "mediaType": "application/vnd.dev.sigstore.bundle+json", "digest": Digest::of(b"b"), "size": 1, "data": "Yg==" },
                {
                    "mediaType": PAYLOAD_TYPE, "digest": Digest::of(b"{}"), "size": 2, "urls": [],
                    "annotations": { SIGNATURE: "c2ln", "dev.sigstore.cosign/certificate": "PEM", "dev.sigstore.cosign/bundle": "{}" },
                },
            ],
        });
        let kept = KeptSignatures::read(there.to_string().as_bytes()).unwrap();
        assert_eq!((kept.found().payloads.len(), kept.found().left_out.len()), (1, 2));
        let config = json!({ "rootfs": { "diff_ids": ["sha256:1"] }, "history": [{}] }).to_string();
        let packed = kept.with(&[signature("new")], Some(config.as_bytes())).unwrap();
        let mut now: Value = serde_json::from_str(&packed.manifest).unwrap();
        let added = now["layers"].as_array_mut().unwrap().pop().unwrap();
        assert_eq!(added["digest"], json!(Digest::of(b"new")));
        assert_eq!(
            (&now["config"]["digest"], &now["config"]["annotations"]["x"]),
            (&json!(Digest::of(&packed.config)), &json!("y"))
        );
        assert_eq!(
            serde_json::from_slice::<Value>(&packed.config).unwrap(),
            json!({ "rootfs": { "diff_ids": ["sha256:1", Digest::of(b"new")] }, "history": [{}] })
        );
        now["config"] = there["config"].clone();
        assert_eq!(now, there);
        // A config that cannot be read stays what it is.
        let packed = kept.with(&[signature("new")], None).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&packed.manifest).unwrap()["config"], there["config"]);
    }

    #[test]
    fn no_signature_is_added_that_nobody_would_read() {
        let many = |count: usize| (0..count).map(|at| signature(&at.to_string())).collect::<Vec<_>>();
        let full = pack_signatures(&many(SIGNATURES_MAX)).unwrap();
        let kept = KeptSignatures::read(full.manifest.as_bytes()).unwrap();
        assert_eq!(kept.with(&[], None).unwrap().manifest.len(), full.manifest.len());
        let error = kept.with(&[signature("x")], None).unwrap_err();
        assert_eq!(error, ManifestError::TooManySignatures { there: SIGNATURES_MAX });
        assert_eq!(
            pack_signatures(&many(SIGNATURES_MAX + 1)).unwrap_err(),
            ManifestError::TooManySignatures { there: 0 }
        );
        // Somebody else may have added one all the same: it is told, and the others count.
        let mut manifest: Value = serde_json::from_str(&full.manifest).unwrap();
        let layers = manifest["layers"].as_array_mut().unwrap();
        layers.push(layers[0].clone());
        let found = KeptSignatures::read(manifest.to_string().as_bytes()).unwrap().found();
        assert_eq!((found.payloads.len(), found.left_out.len()), (SIGNATURES_MAX, 1));
        assert!(found.left_out[0].contains("no more than 32"), "{found:?}");
    }
}
