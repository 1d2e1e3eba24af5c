//! `plugin diff`: what an update can do that its predecessor could not.

use plugin_host::{HostConfig, PluginHost};
use serde_json::json;
use workflow::review::{PluginFacts, Side, StepDescription, difference};

use super::facts::Gathered;
use super::inspect::named;
use crate::cli::{Format, PluginDiff};
use crate::commands::{Context, print_json};
use crate::host::Parts;
use crate::output::{DONE, Failure, outln, plain};

/// As much of one difference as is read on a terminal.
const TEXT_CHARS_MAX: usize = 300;

pub async fn run(context: &Context, diff: PluginDiff) -> Result<u8, Failure> {
    let parts = context.parts()?;
    let gathered = Gathered::read(&parts, &[])?;
    let (old, new) = (pinned(&parts, &gathered, &diff.old)?, pinned(&parts, &gathered, &diff.new)?);
    let precompiled = context.data.is_dir().then(|| context.data.join("compiled"));
    let host = PluginHost::new(HostConfig { precompiled, ..HostConfig::default() })?;
    let changes = difference(&side(&host, &old).await?, &side(&host, &new).await?);
    match diff.output.format {
        Format::Json => print_json(&json!({ "old": old.file, "new": new.file, "changes": changes }))?,
        Format::Text => {
            outln!("old  {}", old.file);
            outln!("new  {}", new.file);
            for change in &changes {
                let sign = if change.widens { "WIDER" } else { "     " };
                // A schema that moved as a whole is for `--format json`.
                let text: String = change.text.chars().take(TEXT_CHARS_MAX).collect();
                let more = if text.len() < change.text.len() { "…" } else { "" };
                outln!("{sign} {:<14} {}{more}", change.what, plain(&text));
            }
            let wider = changes.iter().filter(|change| change.widens).count();
            match (changes.len(), wider) {
                (0, _) => outln!("no difference"),
                (all, 0) => outln!("{all} differences; it can do nothing that the old one could not"),
                (all, wider) => outln!("{all} differences, {wider} of which let it do more"),
            }
        }
    }
    Ok(DONE)
}

/// `NAME`, a file, or `NAME@sha256:…`, which must be the component that is here.
fn pinned(parts: &Parts, gathered: &Gathered, text: &str) -> Result<PluginFacts, Failure> {
    let Some((name, digest)) = text.split_once('@') else { return named(parts, gathered, text) };
    let facts = named(parts, gathered, name)?;
    match &facts.component {
        Ok(component) if component.digest.as_str().starts_with(digest) && digest.len() > "sha256:".len() => Ok(facts),
        Ok(component) => Err(Failure::used_wrongly(format!(
            "`{text}` is not here: plugin `{name}` has digest `{}`; name the other component by its file",
            component.digest
        ))),
        Err(problem) => Err(Failure::used_wrongly(format!("{}: {problem}", facts.file))),
    }
}

async fn side(host: &PluginHost, facts: &PluginFacts) -> Result<Side, Failure> {
    let component =
        facts.component.clone().map_err(|problem| Failure::used_wrongly(format!("{}: {problem}", facts.file)))?;
    let bytes = std::fs::read(&facts.file)?;
    let description = match host.load(&facts.name, &bytes).await {
        Ok(plugin) => host.describe(&plugin).await.ok(),
        Err(_) => None,
    };
    let description = description.map(|says| StepDescription {
        input_schema: says.input_schema,
        output_schema: says.output_schema,
        idempotent: says.idempotent,
    });
    Ok(Side { component, manifest: facts.manifest.clone().map(|(_, manifest)| manifest), description })
}
