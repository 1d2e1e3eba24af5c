//! `plugin list`: the plugins of this host.

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
                let approved = parts.lock.plugins.get(&manifest.name).map_or_else(
                    || "not approved".to_owned(),
                    |entry| format!("approved by {} until {}", entry.reviewer, entry.expires),
                );
                outln!(
                    "{:<16} {:<10} {:<10} {approved}",
                    manifest.name.as_str(),
                    manifest.version.to_string(),
                    manifest.world.name()
                );
            }
        }
    }
    Ok(DONE)
}
