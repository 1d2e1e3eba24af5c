//! `plugin inspect`: one plugin, from its bytes, and every task that calls it.

use std::path::Path;

use workflow::PluginName;
use workflow::review::{PluginFacts, Report};

use super::facts::{Gathered, component_file};
use crate::cli::PluginInspect;
use crate::commands::Context;
use crate::commands::check::definitions_in;
use crate::host::Parts;
use crate::output::{DONE, FAILED, Failure, listed};

pub async fn run(context: &Context, inspect: PluginInspect) -> Result<u8, Failure> {
    let parts = context.parts()?;
    let folder = &parts.config.paths.definitions;
    let definitions = if folder.is_dir() { definitions_in(folder)? } else { Vec::new() };
    let mut gathered = Gathered::read(&parts, &definitions)?.with_usage(&context.data).await?;
    let facts = named(&parts, &gathered, &inspect.plugin)?;
    let (name, has_manifest) = (facts.name.clone(), facts.manifest.is_some());
    if let Err(problem) = &facts.component {
        return Err(Failure::used_wrongly(format!("{}: {problem}", facts.file)));
    }
    gathered.plugins = vec![facts];
    let report: Report = gathered.report(&parts).about(&name);
    super::report::print(&report, inspect.format)?;
    Ok(if report.has_errors() && has_manifest { FAILED } else { DONE })
}

/// A plugin by its name on this host, or a component by its file.
pub fn named(parts: &Parts, gathered: &Gathered, name: &str) -> Result<PluginFacts, Failure> {
    let known = gathered.plugins.iter().find(|plugin| plugin.name.as_str() == name);
    if let Some(known) = known {
        return Ok(known.clone());
    }
    let path = Path::new(name);
    if path.is_file() {
        return component_file(parts, path);
    }
    let is_name = PluginName::new(name).is_ok() && !name.ends_with(".wasm");
    let what = if is_name { "no plugin of this host and no file" } else { "no file" };
    let known = listed(parts.manifests.keys());
    Err(Failure::used_wrongly(format!("`{name}` is {what}; name a component's file, or one of {known}")))
}
