//! `plugin pull`: a plugin comes from a registry, and lies where a reviewer looks at it. Nothing of it runs.

use std::path::{Path, PathBuf};

use plugin_host::HostConfig;
use serde_json::json;
use workflow::Digest;
use workflow::capability::{LockEntry, PluginManifest};
use workflow::distribution::{Distribution, Reference, unpack};

use super::{inspected, keep, registry, signatures, write};
use crate::cli::{Format, PluginPull};
use crate::commands::print_json;
use crate::host::Parts;
use crate::output::{DONE, Failure, outln, plain};

pub async fn run(parts: &Parts, pull: &PluginPull) -> Result<u8, Failure> {
    match &pull.reference {
        Some(reference) => one(parts, pull, reference, None).await?,
        None => {
            let named: Vec<_> = parts.lock.plugins.values().filter(|entry| entry.source.is_some()).collect();
            if named.is_empty() {
                return Err(Failure::used_wrongly(format!(
                    "`{}` names no plugin with a `source`; name a reference like registry.example/team/plugin:0.1.0",
                    parts.config.paths.lock_file().display()
                )));
            }
            for entry in named {
                let source = entry.source.as_ref().expect("those without one were left out");
                one(parts, pull, source, Some(entry)).await?;
            }
        }
    }
    Ok(DONE)
}

/// A plugin as a registry had it, with digests that are those of its bytes.
struct Pulled {
    toml: String,
    manifest: PluginManifest,
    component: Vec<u8>,
    digest: Digest,
    distribution: Distribution,
}

async fn one(parts: &Parts, pull: &PluginPull, reference: &Reference, of: Option<&LockEntry>) -> Result<(), Failure> {
    let pulled = fetch(parts, reference).await?;
    let name = &pulled.manifest.name;
    if let Some(entry) = of.filter(|entry| entry.name != *name || entry.digest != pulled.digest) {
        return Err(Failure::failed(format!(
            "`{reference}` is plugin `{name}` with component `{}`, and `{}` approves `{}` with `{}`; nothing was written",
            pulled.digest,
            parts.config.paths.lock_file().display(),
            entry.name,
            entry.digest
        )));
    }
    let vouched = parts.trusted.verify(Some(&pulled.distribution), &pulled.digest);
    if parts.config.plugins.require_signature
        && let Err(error) = &vouched
    {
        return Err(Failure::failed(format!("`{reference}` was pulled and not kept: {error}")));
    }
    let place = Place::of(parts, pull, &pulled);
    place.refuse_others(&pulled, pull.replace)?;
    // The host knows a plugin by its `plugin.toml`: that comes last.
    write(&place.component, &pulled.component)?;
    keep(&place.component, &pulled.distribution)?;
    write(&place.toml, pulled.toml.as_bytes())?;

    let pinned = &pulled.distribution.source;
    let approved = parts.lock.plugins.get(name).filter(|entry| entry.digest == pulled.digest);
    match pull.output.format {
        Format::Json => print_json(&json!({
            "plugin": name, "version": pulled.manifest.version, "reference": pinned, "component": pulled.digest,
            "written": place.component, "signatures": pulled.distribution.signatures.len(),
            "signedBy": vouched.as_ref().ok(), "approved": approved.is_some(),
        })),
        Format::Text => {
            outln!("plugin     {name} {}: {}", pulled.manifest.version, plain(&pulled.manifest.summary));
            outln!("reference  {}", pulled.distribution.source.as_ref().map(ToString::to_string).unwrap_or_default());
            outln!("component  {}", pulled.digest);
            match (&vouched, pulled.distribution.signatures.len()) {
                (Ok(key), _) => outln!("signed     by `{key}`"),
                (Err(_), 0) => outln!("signed     no"),
                (Err(error), _) => outln!("signed     not so that it counts here: {error}"),
            }
            outln!("written    {}", place.component.display());
            match approved {
                Some(entry) => outln!("approved   by {} until {}", entry.reviewer, entry.expires),
                None if pull.into.is_some() => {}
                None => outln!(
                    "approved   not these bytes: look at them with `light-workflow plugin inspect {name}`, then `light-workflow plugin approve {name}`"
                ),
            }
            Ok(())
        }
    }
}

async fn fetch(parts: &Parts, reference: &Reference) -> Result<Pulled, Failure> {
    let place = reference.to_string();
    let wrong = |error: &dyn std::fmt::Display| Failure::failed(format!("{place}: {error}"));
    let mut registry = registry(parts, reference)?;
    let text = registry.manifest(reference.wanted()).await?;
    let unpacked = unpack(&text).map_err(|error| wrong(&error))?;
    let text = String::from_utf8(text).map_err(|_| wrong(&"its manifest is no text"))?;
    let manifest = PluginManifest::parse(&unpacked.plugin_toml)
        .map_err(|error| wrong(&format!("its plugin.toml cannot be read: {}", plain(&error.to_string()))))?;
    let bytes_max = HostConfig::default().component_bytes_max as u64;
    let component = registry.blob(&unpacked.component, bytes_max).await?;
    inspected(&place, &component)?;
    let mut distribution = Distribution { source: None, manifest: text, signatures: Vec::new() };
    distribution.source = Some(reference.pinned(distribution.digest()));
    distribution.signatures = signatures(&mut registry, &distribution).await?;
    Ok(Pulled { toml: unpacked.plugin_toml, manifest, component, digest: unpacked.component.digest, distribution })
}

/// Where a plugin is written.
struct Place {
    component: PathBuf,
    toml: PathBuf,
}

impl Place {
    fn of(parts: &Parts, pull: &PluginPull, pulled: &Pulled) -> Self {
        let name = &pulled.manifest.name;
        match &pull.into {
            Some(folder) => Self { component: folder.join(format!("{name}.wasm")), toml: folder.join("plugin.toml") },
            None => Self {
                component: parts.component(name),
                toml: parts.config.paths.plugins.join(name.as_str()).join("plugin.toml"),
            },
        }
    }

    /// What is there already and differs is kept unless it may go.
    fn refuse_others(&self, pulled: &Pulled, replace: bool) -> Result<(), Failure> {
        let differs = |path: &Path, bytes: &[u8]| std::fs::read(path).is_ok_and(|there| there != bytes);
        let pairs = [(&self.component, &pulled.component[..]), (&self.toml, pulled.toml.as_bytes())];
        match pairs.into_iter().find(|(path, bytes)| differs(path, bytes)) {
            Some((path, _)) if !replace => Err(Failure::used_wrongly(format!(
                "`{}` is there and is not what was pulled; compare them with --into and `plugin diff`, then give --replace (releases under way that use the old bytes are refused them afterwards)",
                path.display()
            ))),
            Some(_) | None => Ok(()),
        }
    }
}
