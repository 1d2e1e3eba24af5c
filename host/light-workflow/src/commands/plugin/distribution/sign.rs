//! `plugin sign`: somebody vouches for a component and its `plugin.toml`.

use serde_json::json;
use workflow::distribution::{Distribution, Signature};

use super::{Local, keep, signing_key};
use crate::cli::{Format, PluginSign};
use crate::commands::print_json;
use crate::host::Parts;
use crate::output::{DONE, Failure, outln};

pub fn run(parts: &Parts, sign: &PluginSign) -> Result<u8, Failure> {
    let key = signing_key(&sign.key)?;
    let local = Local::find(parts, &sign.plugin)?;
    let fresh = || Distribution { source: None, manifest: local.packed().manifest, signatures: Vec::new() };
    let mut distribution = local.distribution()?.unwrap_or_else(fresh);
    let signature = Signature::new(&key, distribution.source.as_ref(), &distribution.digest());
    if !distribution.signatures.contains(&signature) {
        distribution.signatures.push(signature);
    }
    let written = keep(&local.component, &distribution)?;
    let (name, component, manifest) = (&local.manifest.name, &local.inspection.digest, distribution.digest());
    match sign.output.format {
        Format::Json => print_json(&json!({
            "plugin": name, "component": component, "manifest": manifest, "key": key.public().to_string(),
            "written": written, "signatures": distribution.signatures.len(),
        }))?,
        Format::Text => {
            outln!("plugin     {name} {}", local.manifest.version);
            outln!("component  {component}");
            outln!("manifest   {manifest}");
            outln!("signed     with the key {}", key.public());
            outln!("written    {}", written.display());
        }
    }
    Ok(DONE)
}
