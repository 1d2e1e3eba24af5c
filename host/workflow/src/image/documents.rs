//! What a registry keeps of an image: an index, manifests, configurations.
//!
//! Source: the OCI image specification, 1.1, and the forms of Docker before it.

use serde::Deserialize;
use serde_json::Value;

use crate::distribution::Descriptor;
use crate::ids::Digest;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What this host can read, for a registry that has several forms.
pub const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// As many as other programs take.
const LAYERS_MAX: usize = 127;

/// Of the arguments and variables that a configuration holds: what a kernel lets a program have.
const WORDS_BYTES_MAX: usize = 128 << 10;

/// Why a document is not that of an image this host can run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("its {document} cannot be read: {detail}")]
    Malformed { document: &'static str, detail: String },
    #[error("it is no image but `{0}`")]
    OtherKind(String),
    #[error("it is made for {found}, and this machine is {wanted}")]
    OtherPlatform { wanted: String, found: String },
    #[error("its layers are packed as `{0}`; this host reads tar and tar with gzip")]
    OtherPacking(String),
    #[error("it has {0} layers, and {LAYERS_MAX} are the most")]
    Layers(usize),
    #[error("its configuration names {diff_ids} layers, and its manifest {layers}")]
    OtherLayers { diff_ids: usize, layers: usize },
}

/// The kind of machine that an image is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// As registries write it: `amd64`, `arm64`.
    pub architecture: String,
}

impl Platform {
    /// Of a machine as Rust names it: `x86_64` is `amd64`.
    pub fn of(arch: &str) -> Self {
        let architecture = match arch {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        Self { architecture: architecture.to_owned() }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "linux/{}", self.architecture)
    }
}

/// What lies behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Image(ImageManifest),
    /// The manifest for this machine, out of several.
    Elsewhere(Descriptor),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    pub config: Descriptor,
    /// The lowest first.
    pub layers: Vec<Layer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub blob: Descriptor,
    pub packing: Packing,
}

/// What stands around the tar of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// Digest of the tar of each layer, the lowest first.
    pub diff_ids: Vec<Digest>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    /// Name and value, in the image's order.
    pub environment: Vec<(String, String)>,
    /// Absolute, or empty.
    pub working_directory: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<IndexEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexEntry {
    #[serde(flatten)]
    descriptor: Descriptor,
    #[serde(default)]
    platform: Option<EntryPlatform>,
}

#[derive(Deserialize)]
struct EntryPlatform {
    architecture: String,
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

impl std::fmt::Display for EntryPlatform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Reads a manifest, or the index of several: of these, the one for `platform`.
pub fn read_manifest(bytes: &[u8], platform: &Platform) -> Result<Found, DocumentError> {
    let malformed =
        |error: serde_json::Error| DocumentError::Malformed { document: "manifest", detail: error.to_string() };
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    let kind = match value.get("mediaType").and_then(Value::as_str) {
        Some(kind) => kind,
        // The type may be left out, and then only the fields tell.
        None if value.get("manifests").is_some() => OCI_INDEX,
        None => OCI_MANIFEST,
    };
    match kind {
        OCI_INDEX | DOCKER_LIST => {
            let index: Index = serde_json::from_slice(bytes).map_err(malformed)?;
            choose(index, platform).map(Found::Elsewhere)
        }
        OCI_MANIFEST | DOCKER_MANIFEST => {
            let manifest: Manifest = serde_json::from_slice(bytes).map_err(malformed)?;
            if manifest.layers.len() > LAYERS_MAX {
                return Err(DocumentError::Layers(manifest.layers.len()));
            }
            let layers = manifest.layers.into_iter().map(layer).collect::<Result<_, _>>()?;
            Ok(Found::Image(ImageManifest { config: manifest.config, layers }))
        }
        other => Err(DocumentError::OtherKind(other.chars().take(100).collect())),
    }
}

fn choose(index: Index, platform: &Platform) -> Result<Descriptor, DocumentError> {
    let fits = |entry: &&IndexEntry| {
        let of_machine = |found: &EntryPlatform| found.os == "linux" && found.architecture == platform.architecture;
        entry.platform.as_ref().is_some_and(of_machine)
    };
    if let Some(entry) = index.manifests.iter().find(fits) {
        return Ok(entry.descriptor.clone());
    }
    let platforms = index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
    let found: Vec<_> = platforms.take(20).map(ToString::to_string).collect();
    let found = if found.is_empty() { "no platform that it names".to_owned() } else { found.join(", ") };
    Err(DocumentError::OtherPlatform { wanted: platform.to_string(), found })
}

fn layer(blob: Descriptor) -> Result<Layer, DocumentError> {
    let packing = match blob.media_type.as_str() {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => Packing::Plain,
        "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Packing::Gzip
        }
        other => return Err(DocumentError::OtherPacking(other.chars().take(100).collect())),
    };
    Ok(Layer { blob, packing })
}

#[derive(Deserialize)]
struct Config {
    architecture: String,
    os: String,
    #[serde(default)]
    config: Option<Runs>,
    rootfs: Rootfs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Runs {
    #[serde(default)]
    entrypoint: Option<Vec<String>>,
    #[serde(default)]
    cmd: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    working_dir: Option<String>,
}

#[derive(Deserialize)]
struct Rootfs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Vec<Digest>,
}

/// Reads the configuration of an image with so many layers.
pub fn read_config(bytes: &[u8], layers: usize, platform: &Platform) -> Result<ImageConfig, DocumentError> {
    let malformed = |detail: String| DocumentError::Malformed { document: "configuration", detail };
    let config: Config = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if config.os != "linux" || config.architecture != platform.architecture {
        let found = format!("{}/{}", config.os, config.architecture);
        return Err(DocumentError::OtherPlatform { wanted: platform.to_string(), found });
    }
    if config.rootfs.kind != "layers" {
        return Err(malformed(format!("`rootfs.type` is `{}` and not `layers`", config.rootfs.kind)));
    }
    if config.rootfs.diff_ids.len() != layers {
        return Err(DocumentError::OtherLayers { diff_ids: config.rootfs.diff_ids.len(), layers });
    }
    let runs = config.config.unwrap_or_default();
    let (entrypoint, command) = (runs.entrypoint.unwrap_or_default(), runs.cmd.unwrap_or_default());
    let variables = runs.env.unwrap_or_default();
    let working_directory = runs.working_dir.unwrap_or_default();
    let words = || entrypoint.iter().chain(&command).chain(&variables).chain([&working_directory]);
    if words().map(String::len).sum::<usize>() > WORDS_BYTES_MAX {
        return Err(malformed(format!("its words and variables have more than {WORDS_BYTES_MAX} bytes")));
    }
    if words().any(|word| word.contains('\0')) {
        return Err(malformed("a word or a variable holds a NUL character".to_owned()));
    }
    let environment = variables
        .iter()
        .map(|variable| match variable.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            Some(_) | None => Err(malformed(format!("`{variable}` is no variable"))),
        })
        .collect::<Result<_, _>>()?;
    if !working_directory.is_empty() && !working_directory.starts_with('/') {
        return Err(malformed(format!("its working directory `{working_directory}` is not absolute")));
    }
    Ok(ImageConfig { diff_ids: config.rootfs.diff_ids, entrypoint, command, environment, working_directory })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn descriptor(kind: &str) -> Value {
        json!({ "mediaType": kind, "digest": Digest::of(kind.as_bytes()), "size": 3 })
    }

    fn machine() -> Platform {
        Platform::of("x86_64")
    }

    fn manifest(value: &Value) -> Result<Found, DocumentError> {
        read_manifest(value.to_string().as_bytes(), &machine())
    }

    fn config(value: &Value) -> Result<ImageConfig, DocumentError> {
        read_config(value.to_string().as_bytes(), 1, &machine())
    }

    #[test]
    fn manifests_of_oci_and_docker_are_read() {
        for (kind, layer, packing) in [
            (Some(OCI_MANIFEST), "application/vnd.oci.image.layer.v1.tar+gzip", Packing::Gzip),
            (None, "application/vnd.oci.image.layer.v1.tar", Packing::Plain),
            (Some(DOCKER_MANIFEST), "application/vnd.docker.image.rootfs.diff.tar.gzip", Packing::Gzip),
        ] {
            let mut value =
                json!({ "schemaVersion": 2, "config": descriptor("config"), "layers": [descriptor(layer)] });
            if let Some(kind) = kind {
                value["mediaType"] = kind.into();
            }
            let Ok(Found::Image(found)) = manifest(&value) else { panic!("{value}") };
            assert_eq!(found.layers[0].packing, packing);
            assert_eq!(found.config.digest, Digest::of(b"config"));
        }
    }

    #[test]
    fn of_several_platforms_this_machine_gets_its_own() {
        let entry = |name: &str, os: &str, architecture: &str| {
            let mut entry = descriptor(name);
            entry["platform"] = json!({ "os": os, "architecture": architecture });
            entry
        };
        let mut index = json!({ "mediaType": DOCKER_LIST, "manifests": [
            entry("arm", "linux", "arm64"), descriptor("none"), entry("windows", "windows", "amd64"), entry("ours", "linux", "amd64"),
        ] });
        let Ok(Found::Elsewhere(chosen)) = manifest(&index) else { panic!("no manifest was chosen") };
        assert_eq!(chosen.digest, Digest::of(b"ours"));
        index["manifests"].as_array_mut().unwrap().pop();
        let error = manifest(&index).unwrap_err().to_string();
        assert_eq!(error, "it is made for linux/arm64, windows/amd64, and this machine is linux/amd64");
    }

    #[test]
    fn what_is_no_image_says_what_it_is() {
        let layers = |layers: Vec<Value>| json!({ "config": descriptor("c"), "layers": layers });
        let zstd = descriptor("application/vnd.oci.image.layer.v1.tar+zstd");
        let foreign = descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let many = vec![descriptor("application/vnd.oci.image.layer.v1.tar"); LAYERS_MAX + 1];
        let mut sha1 = descriptor("c");
        sha1["digest"] = "sha1:00".into();
        for (value, expected) in [
            (json!([]), "its manifest cannot be read"),
            (json!({}), "its manifest cannot be read"),
            (
                json!({ "schemaVersion": 1, "mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws" }),
                "no image but",
            ),
            (json!({ "config": sha1, "layers": [] }), "its manifest cannot be read"),
            (layers(vec![zstd]), "+zstd`; this host reads"),
            (layers(vec![foreign]), "this host reads"),
            (layers(many), "128 layers"),
        ] {
            let error = manifest(&value).unwrap_err().to_string();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }

    #[test]
    fn a_configuration_says_what_runs_and_how() {
        let whole = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [Digest::of(b"a")] },
            "config": { "Entrypoint": ["/run.sh"], "Cmd": ["--help"], "Env": ["A=1=2", "B="], "WorkingDir": "/app", "User": "app" } });
        let read = config(&whole).unwrap();
        assert_eq!((read.entrypoint, read.command), (vec!["/run.sh".to_owned()], vec!["--help".to_owned()]));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read.environment, [pair("A", "1=2"), pair("B", "")]);
        assert_eq!(read.working_directory, "/app");
        let changed = |path: &str, value: Value| {
            let mut changed = whole.clone();
            *changed.pointer_mut(path).unwrap() = value;
            config(&changed).map_err(|error| error.to_string())
        };
        // Docker writes null for what is empty.
        for absent in ["/config", "/config/Entrypoint", "/config/Cmd", "/config/Env", "/config/WorkingDir"] {
            assert!(changed(absent, Value::Null).is_ok(), "{absent}");
        }
        for (path, value, expected) in [
            ("/architecture", json!("arm64"), "made for linux/arm64"),
            ("/os", json!("windows"), "made for windows/amd64"),
            ("/rootfs/diff_ids", json!([]), "names 0 layers, and its manifest 1"),
            ("/rootfs/diff_ids", json!(["md5:1"]), "cannot be read"),
            ("/rootfs/type", json!("files"), "not `layers`"),
            ("/config/Env", json!(["A"]), "`A` is no variable"),
            ("/config/Env", json!(["=1"]), "`=1` is no variable"),
            ("/config/Cmd", json!("sh"), "cannot be read"),
            ("/config/Cmd", json!(["a\0b"]), "NUL"),
            ("/config/Cmd", json!(["a".repeat(WORDS_BYTES_MAX)]), "more than"),
            ("/config/WorkingDir", json!("app"), "not absolute"),
        ] {
            let error = changed(path, value).unwrap_err();
            assert!(error.contains(expected), "{path}: {error}");
        }
    }
}
