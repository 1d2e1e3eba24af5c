//! `plugin inspect`: what a plugin can do, read from its bytes.

use serde_json::json;
use workflow::PluginName;

use super::as_json;
use crate::cli::{Format, PluginInspect};
use crate::commands::print_json;
use crate::host::Parts;
use crate::output::{DONE, FAILED, Failure, outln};

pub fn run(parts: &Parts, inspect: PluginInspect) -> Result<u8, Failure> {
    let name = PluginName::new(inspect.plugin.as_str()).ok();
    let manifest = name.as_ref().and_then(|name| parts.manifests.get(name));
    let path = match manifest {
        Some(manifest) => parts.component(&manifest.name),
        None => inspect.plugin.clone().into(),
    };
    let bytes = std::fs::read(&path).map_err(|error| {
        let known: Vec<_> = parts.manifests.keys().map(|name| format!("`{name}`")).collect();
        Failure::used_wrongly(format!(
            "failed to read the component `{}`: {error}; name a file, or one of {}",
            path.display(),
            known.join(", ")
        ))
    })?;
    let inspection =
        plugin_host::inspect(&bytes).map_err(|error| Failure::used_wrongly(format!("{}: {error}", path.display())))?;
    let approved = name.as_ref().and_then(|name| parts.lock.plugins.get(name));
    let is_approved = approved.is_some_and(|entry| entry.digest == inspection.digest);
    match inspect.output.format {
        Format::Json => print_json(&json!({
            "file": path,
            "inspection": inspection,
            "problems": inspection.problems().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "manifest": manifest.map(as_json),
            "approval": approved,
            "approved": is_approved,
        }))?,
        Format::Text => {
            outln!("component  {}  {} bytes", path.display(), inspection.size_bytes);
            outln!("digest     {}", inspection.digest);
            let world = inspection.smallest_world.map_or_else(|| "none of ours".to_owned(), |world| world.to_string());
            let purity = if inspection.import_pure { "import-pure: no WASI" } else { "imports more than our package" };
            outln!("world      {world} ({purity})");
            outln!("imports");
            for (interface, functions) in &inspection.imports {
                outln!("  {interface:<40} {}", functions.iter().cloned().collect::<Vec<_>>().join(" "));
            }
            for problem in inspection.problems() {
                outln!("REFUSED    {problem}");
            }
            if let Some(manifest) = manifest {
                outln!("asks");
                for (key, reason) in &manifest.reasons {
                    outln!("  {key:<16} {reason}");
                }
            }
            match (approved, is_approved) {
                (Some(entry), true) => {
                    outln!("approved   by {} on {}, until {}", entry.reviewer, entry.reviewed, entry.expires)
                }
                (Some(entry), false) => outln!("NOT APPROVED: plugins.lock approves {}", entry.digest),
                (None, _) => outln!("NOT APPROVED: plugins.lock does not name it"),
            }
        }
    }
    Ok(if is_approved || manifest.is_none() { DONE } else { FAILED })
}
