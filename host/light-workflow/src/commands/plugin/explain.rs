//! `plugin explain`: the line that would allow what was denied.

use store::{SharedStore, SqliteStore};
use workflow::event::Event;
use workflow::review::{Denied, Explanation, Place, explain as explanations};

use super::facts::Gathered;
use crate::cli::{Format, PluginExplain};
use crate::commands::check::definitions_in;
use crate::commands::{Context, print_json};
use crate::host::Parts;
use crate::output::{DONE, Failure, outln, plain};

pub async fn run(context: &Context, explain: PluginExplain) -> Result<u8, Failure> {
    let parts = context.parts()?;
    let denied = match (&explain.denial, &explain.release) {
        (Some(text), None) => vec![Denied::parse(text).map_err(Failure::used_wrongly)?],
        (None, Some(release)) => of_release(context, release).await?,
        (Some(_), Some(_)) | (None, None) => {
            return Err(Failure::used_wrongly("name a denial, or the release that met it with --release"));
        }
    };
    let folder = explain.definitions.as_ref().unwrap_or(&parts.config.paths.definitions);
    let gathered = Gathered::read(&parts, &definitions_in(folder)?)?;
    let mut found: Vec<Explanation> = Vec::new();
    for denied in &denied {
        let some = of(&parts, context, &gathered, denied);
        if some.is_empty() {
            let task = denied.task.as_deref().unwrap_or("any");
            return Err(Failure::used_wrongly(format!(
                "no definition in `{}` has a task `{task}` that calls a plugin of this host",
                folder.display()
            )));
        }
        found.extend(some);
    }
    match explain.output.format {
        Format::Json => print_json(&found)?,
        Format::Text => found.iter().for_each(|one| outln!("{}", plain(&one.text()))),
    }
    Ok(DONE)
}

fn of(parts: &Parts, context: &Context, gathered: &Gathered, denied: &Denied) -> Vec<Explanation> {
    let file = context.config.clone().unwrap_or_else(|| "light-workflow.toml".into());
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let line = text.lines().position(|line| line.trim_start().starts_with("[policy.ceiling")).map_or(1, |at| at + 1);
    let place = Place { file: file.display().to_string(), line };
    let ceiling = parts.config.policy.ceiling.as_ref().map(|grants| (&place, grants));
    gathered.with_facts(parts, |facts| explanations(facts, ceiling, denied))
}

/// Everything that a release was denied, from its history.
async fn of_release(context: &Context, release: &str) -> Result<Vec<Denied>, Failure> {
    if !context.data.join("light-workflow.db").is_file() {
        let data = context.data.display();
        return Err(Failure::used_wrongly(format!("there is no light-workflow data in `{data}`")));
    }
    let store: SharedStore = std::sync::Arc::new(SqliteStore::open(&context.data, Default::default()).await?);
    let row = crate::releases::find_in(&store, release).await?;
    let mut denied: Vec<Denied> = Vec::new();
    for recorded in store.history(&row.id, 0).await? {
        let Event::HostCallCompleted { path, request, answer, .. } = &recorded.event else { continue };
        if answer.get("denied").is_none() {
            continue;
        }
        let text = |name: &str| request.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let capability = text("capability").replace("sandbox-secret", "sandbox");
        let one = Denied { task: Some(path.task_name().to_owned()), capability, subject: text("subject") };
        if !denied.contains(&one) {
            denied.push(one);
        }
    }
    match denied.is_empty() {
        true => Err(Failure::used_wrongly(format!("release `{release}` was denied nothing"))),
        false => Ok(denied),
    }
}
