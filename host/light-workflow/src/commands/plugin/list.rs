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
                // From the bytes, not from what the manifest says of them.
                let bytes = std::fs::read(parts.component(&manifest.name)).ok();
                let inspection = bytes.and_then(|bytes| plugin_host::inspect(&bytes).ok());
                let class = inspection.map_or("not built", |inspection| inspection.class.name());
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
