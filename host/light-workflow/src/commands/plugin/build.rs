//! `plugin build`: sources become a component, and its powers are shown.

mod compile;

use std::collections::BTreeSet;
use std::fs;

use plugin_host::{Description, Inspection};
use serde_json::json;

use super::project::Project;
use crate::cli::{Format, PluginBuild};
use crate::commands::print_json;
use crate::output::{DONE, FAILED, Failure, errln, outln};

pub async fn run(build: PluginBuild) -> Result<u8, Failure> {
    let project = Project::open(&build.folder)?;
    fs::create_dir_all(project.build())?;
    let component = compile::component(&project)?;
    let mut problems = problems_of_bytes(&project, &component)?;
    let mut component = component;
    if problems.is_empty() {
        // Its own words go into its bytes, so that a definition can be checked without running it.
        let host = project.host()?;
        let plugin = host.load(&project.manifest.name, &component).await?;
        let (description, described) = host.with_its_description(&plugin, &component).await?;
        problems = problems_of_description(&project, &description);
        component = described;
    }
    if !problems.is_empty() {
        problems.iter().for_each(|problem| errln!("error: {problem}"));
        return Ok(FAILED);
    }
    let path = project.component();
    fs::write(&path, &component)?;
    let inspection = plugin_host::inspect(&component)?;
    let over = inspection.over_grants(project.manifest.name.as_str(), &project.manifest.asks);
    for over in &over {
        errln!(
            "warning: plugin.toml asks for `{}`, and nothing imported needs it; remove `[asks.{}]`",
            over.key,
            over.key
        );
    }
    show(&path.display().to_string(), &inspection, build.output.format)?;
    Ok(DONE)
}

fn show(path: &str, inspection: &Inspection, format: Format) -> Result<(), Failure> {
    let class = inspection.class.name();
    match format {
        Format::Json => print_json(&json!({ "component": path, "class": class, "inspection": inspection })),
        Format::Text => {
            outln!("component  {path}");
            outln!("size       {} bytes", inspection.size_bytes);
            outln!("digest     {}", inspection.digest);
            outln!("class      {class}");
            outln!("imports");
            for (interface, functions) in &inspection.imports {
                outln!("  {interface:<40} {}", functions.iter().cloned().collect::<Vec<_>>().join(" "));
            }
            Ok(())
        }
    }
}

/// What keeps these bytes from being the plugin that `plugin.toml` describes.
fn problems_of_bytes(project: &Project, component: &[u8]) -> Result<Vec<String>, Failure> {
    let inspection = plugin_host::inspect(component)?;
    let manifest = &project.manifest;
    let mut problems: Vec<String> = inspection.problems().iter().map(ToString::to_string).collect();
    if problems.is_empty() && !inspection.fits(manifest.world) {
        let smallest = inspection.smallest_world.map_or("no world", |world| world.name());
        problems.push(format!(
            "plugin.toml says world `{}`, and the component imports what only `{smallest}` has; change one of them",
            manifest.world
        ));
    }
    let missing = inspection.missing_grants(manifest.name.as_str(), &manifest.asks);
    problems.extend(missing.iter().map(|missing| {
        let functions: Vec<_> = missing.functions.iter().map(String::as_str).collect();
        let interface = missing.interface;
        format!(
            "it imports `{interface}` ({}), which plugin.toml does not ask for; ask for it with a reason, or stop using it",
            functions.join(", ")
        )
    }));
    Ok(problems)
}

/// Where the step and `plugin.toml` say different things.
fn problems_of_description(project: &Project, description: &Description) -> Vec<String> {
    let manifest = &project.manifest;
    let version = manifest.version.to_string();
    let said = [
        ("name", manifest.name.as_str(), description.name.as_str()),
        ("version", version.as_str(), description.version.as_str()),
        ("summary", manifest.summary.as_str(), description.summary.as_str()),
    ];
    let differ: BTreeSet<_> = said.into_iter().filter(|(_, manifest, step)| manifest != step).collect();
    differ
        .into_iter()
        .map(|(what, manifest, step)| {
            format!("plugin.toml says {what} `{manifest}`, and the step says `{step}`; make them the same")
        })
        .collect()
}
