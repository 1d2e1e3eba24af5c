//! `plugin push`, `pull` and `sign`: a plugin and those who vouch for it, between hosts.

mod pull;
mod push;
mod sign;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use calls::registry::{Access, Credentials, Registry, RegistryError};
use plugin_host::{HostConfig, Inspection};
use workflow::PluginName;
use workflow::capability::PluginManifest;
use workflow::distribution::{
    Distribution, FoundSignatures, KeptSignatures, Packed, Reference, Signature, SigningKey, WorldItems, pack,
};

use crate::host::Parts;
use crate::output::{Failure, errln, listed, plain};

pub use pull::run as pull;
pub use push::run as push;
pub use sign::run as sign;

/// A payload names a digest and a repository.
const PAYLOAD_BYTES_MAX: u64 = 16 << 10;

/// A component with its `plugin.toml`, on this disk.
struct Local {
    component: PathBuf,
    bytes: Vec<u8>,
    inspection: Inspection,
    manifest: PluginManifest,
    toml: String,
}

impl Local {
    /// A plugin of this host by its name, or a component's file with a `plugin.toml` beside or above it.
    fn find(parts: &Parts, plugin: &str) -> Result<Self, Failure> {
        let known = PluginName::new(plugin).ok().filter(|name| parts.manifests.contains_key(name));
        let (component, toml) = match known {
            Some(name) => (parts.component(&name), parts.config.paths.plugins.join(name.as_str()).join("plugin.toml")),
            None if Path::new(plugin).is_file() => {
                let path = Path::new(plugin).canonicalize()?;
                // `plugin build` leaves it in a folder of its own.
                let places = path.ancestors().skip(1).take(2).map(|folder| folder.join("plugin.toml"));
                let toml = places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
                    Failure::used_wrongly(format!(
                        "there is no `plugin.toml` beside `{plugin}` or in the folder above: nothing says what it asks for"
                    ))
                })?;
                (path, toml)
            }
            None => {
                let known = listed(parts.manifests.keys());
                return Err(Failure::used_wrongly(format!(
                    "`{plugin}` is no plugin of this host and no file; name a component's file, or one of {known}"
                )));
            }
        };
        let bytes = read(&component)?;
        let text = String::from_utf8(read(&toml)?)
            .map_err(|_| Failure::used_wrongly(format!("{}: it is no text", toml.display())))?;
        let manifest = PluginManifest::parse(&text)
            .map_err(|error| Failure::used_wrongly(format!("{}: {error}", toml.display())))?;
        let inspection = inspected(&component.display().to_string(), &bytes)?;
        Ok(Self { component, bytes, inspection, manifest, toml: text })
    }

    fn packed(&self) -> Packed {
        let world = WorldItems {
            imports: self.inspection.imports.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            exports: self.inspection.exports.keys().map(String::as_str).collect(),
        };
        pack(&self.bytes, &world, &self.manifest, &self.toml)
    }

    /// What lies beside the component, if it is about these bytes and this `plugin.toml`.
    fn distribution(&self) -> Result<Option<Distribution>, Failure> {
        let kept = worker::distribution_of(&self.component)?;
        Ok(kept.filter(|kept| {
            workflow::distribution::unpack(kept.manifest.as_bytes())
                .is_ok_and(|about| about.component.digest == self.inspection.digest && about.plugin_toml == self.toml)
        }))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::used_wrongly(format!("failed to read `{}`: {error}", path.display())))
}

/// What a component says, if it is a step that this host could run.
fn inspected(place: &str, bytes: &[u8]) -> Result<Inspection, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::used_wrongly(format!("{place}: {error}"));
    let bytes_max = HostConfig::default().component_bytes_max;
    if bytes.len() > bytes_max {
        return Err(wrong(&format!("it has {} bytes; a host takes at most {bytes_max}", bytes.len())));
    }
    let inspection = plugin_host::inspect(bytes).map_err(|error| wrong(&error))?;
    let problems = inspection.problems();
    if problems.is_empty() {
        return Ok(inspection);
    }
    Err(Failure::wrong_input(problems.iter().map(|problem| format!("{place}: {problem}"))))
}

/// The registry of a reference, as the operator says it is reached.
fn registry(parts: &Parts, reference: &Reference) -> Result<Registry, Failure> {
    let empty = crate::config::Registry::default();
    let said = parts.config.registries.get(&reference.registry).unwrap_or(&empty);
    let credentials = match &said.secret {
        Some(name) => {
            let value = parts.secrets().value(name);
            let value = value.map_err(|error| Failure::used_wrongly(format!("{:#}", anyhow::Error::from(error))))?;
            Some(Credentials::of_secret(value.expose()))
        }
        None => None,
    };
    let access = Access {
        plain_http: said.plain_http,
        also: said.also.clone(),
        resolve: parts.config.calls.resolve.clone(),
        ca: parts.config.calls.ca.clone(),
        credentials,
    };
    Ok(Registry::new(reference, access, HostConfig::default().component_bytes_max)?)
}

/// Where cosign keeps the signatures of a manifest: a tag beside it.
fn signatures_tag(distribution: &Distribution) -> String {
    format!("sha256-{}.sig", distribution.digest().hex())
}

/// What a registry has under the tag of a plugin's signatures.
struct Signed {
    kept: KeptSignatures,
    signatures: Vec<Signature>,
    /// What is there and is no signature that can be read: one text for each.
    left_out: Vec<String>,
}

impl Signed {
    /// Reads a manifest of signatures. One that cannot be read is left out, the others count.
    async fn read(registry: &mut Registry, manifest: &[u8]) -> Result<Self, Failure> {
        let kept = KeptSignatures::read(manifest).map_err(Failure::failed)?;
        let FoundSignatures { payloads, mut left_out } = kept.found();
        let mut signatures = Vec::new();
        for (payload, signature) in payloads {
            match registry.blob(&payload, PAYLOAD_BYTES_MAX).await {
                Ok(bytes) => match String::from_utf8(bytes) {
                    Ok(payload) => signatures.push(Signature { payload, signature }),
                    Err(_) => left_out.push(format!("`{}`: it is no text", payload.digest)),
                },
                // Of this one payload. Whether the others are there, the registry did say.
                Err(
                    error @ (RegistryError::NotFound { .. }
                    | RegistryError::TooLarge { .. }
                    | RegistryError::Digest { .. }
                    | RegistryError::Malformed { .. }),
                ) => left_out.push(error.to_string()),
                Err(
                    error @ (RegistryError::Transport { .. }
                    | RegistryError::NoCredentials { .. }
                    | RegistryError::Unauthorized { .. }
                    | RegistryError::Elsewhere { .. }
                    | RegistryError::Status { .. }
                    | RegistryError::NotTaken { .. }),
                ) => return Err(error.into()),
            }
        }
        Ok(Self { kept, signatures, left_out })
    }

    fn tell(&self) {
        for what in &self.left_out {
            errln!("warning: beside the signatures is one that does not count: {}", plain(what));
        }
    }
}

/// The signatures that the registry has of a manifest; what is none is told.
async fn signatures(registry: &mut Registry, distribution: &Distribution) -> Result<Vec<Signature>, Failure> {
    let tag = signatures_tag(distribution);
    let Some(manifest) = registry.find_manifest(&tag).await? else { return Ok(Vec::new()) };
    if let Err(error) = KeptSignatures::read(&manifest) {
        errln!("warning: what the registry has as `{tag}` holds no signatures: {error}");
        return Ok(Vec::new());
    }
    let signed = Signed::read(registry, &manifest).await?;
    signed.tell();
    Ok(signed.signatures)
}

/// A private key that only its owner can read.
fn signing_key(path: &Path) -> Result<SigningKey, Failure> {
    use std::os::unix::fs::PermissionsExt as _;

    let wrong = |error: &dyn std::fmt::Display| Failure::used_wrongly(format!("the key `{}`: {error}", path.display()));
    let mode = fs::metadata(path).map_err(|error| wrong(&error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(wrong(&format!("it has mode {mode:o}, so that others can sign with it; set mode 0600")));
    }
    SigningKey::from_pem(&fs::read_to_string(path).map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))
}

/// Replaces a file as a whole.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| Failure::from(anyhow::anyhow!("failed to write `{}`: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut aside = path.as_os_str().to_owned();
    // Two of us at once write two files, and the last one to rename stays.
    aside.push(format!(".{}.new", std::process::id()));
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path)).map_err(wrong)
}

fn keep(component: &Path, distribution: &Distribution) -> Result<PathBuf, Failure> {
    let path = component.with_extension(Distribution::EXTENSION);
    write(&path, serde_json::to_string_pretty(distribution)?.as_bytes())?;
    Ok(path)
}
