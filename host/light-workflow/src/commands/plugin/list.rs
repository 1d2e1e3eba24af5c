//! `plugin list`: the plugins of this host.

use std::io::ErrorKind;

use workflow::Digest;

use super::as_json;
use crate::cli::{Format, Output};
use crate::commands::print_json;
use crate::host::Parts;
use crate::output::{DONE, Failure, outln};

pub fn run(parts: &Parts, output: Output) -> Result<u8, Failure> {
    match output.format {
        Format::Json => print_json(&parts.manifests.values().map(as_json).collect::<Vec<_>>())?,
        Format::Text => {
            for manifest in parts.manifests.values() {
                // From the bytes, not from what the manifest says of them.
                let bytes = std::fs::read(parts.component(&manifest.name));
                let class = match &bytes {
                    Ok(bytes) => plugin_host::inspect(bytes).map_or("no component", |read| read.class.name()),
                    Err(error) if error.kind() == ErrorKind::NotFound => "not built",
                    Err(_) => "not readable",
                };
                let digest = bytes.ok().map(|bytes| Digest::of(&bytes));
                let approved = match parts.lock.plugins.get(&manifest.name) {
                    None => "not approved".to_owned(),
                    Some(entry) if digest.is_some_and(|digest| digest != entry.digest) => {
                        format!("not these bytes: {} approved others", entry.reviewer)
                    }
                    Some(entry) => format!("approved by {} until {}", entry.reviewer, entry.expires),
                };
                outln!(
                    "{:<16} {:<10} {:<10} {class:<14} {approved}",
                    manifest.name.as_str(),
                    manifest.version.to_string(),
                    manifest.world.name()
                );
            }
        }
    }
    Ok(DONE)
}
