//! `plugin test`: a built component against a scripted host.
//!
//! Each case runs twice: as it is written, and with every capability denied,
//! where the step must end with an error of its own and nothing else.

mod cases;
mod script;

use std::fs;
use std::path::{Path, PathBuf};

use plugin_host::{Call, CallError, Plugin, PluginHost, Surroundings};
use serde::Serialize;
use serde_json::Value;
use workflow::Timestamp;
use workflow::capability::Grants;

use self::cases::{Case, Cases};
use self::script::Script;
use super::project::Project;
use crate::cli::{Format, PluginTest};
use crate::commands::print_json;
use crate::output::{DONE, FAILED, Failure, outln, plain};

/// One run of one case.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    case: String,
    denied: bool,
    /// How it ended, in a few words.
    ended: String,
    /// What is not as the case says; none if the run is good.
    problems: Vec<String>,
}

pub async fn run(test: PluginTest) -> Result<u8, Failure> {
    let project = Project::open(&test.folder)?;
    let cases = read(&project, &test.cases)?;
    let path = project.component();
    let bytes = fs::read(&path).map_err(|error| {
        Failure::used_wrongly(format!(
            "failed to read `{}`: {error}; build it with `light-workflow plugin build {}`",
            path.display(),
            test.folder.display()
        ))
    })?;
    let host = project.host()?;
    let plugin = host.load(&project.manifest.name, &bytes).await?;
    let mut runs = Vec::new();
    for case in &cases {
        runs.push(as_written(&host, &plugin, &project.manifest.asks, case).await);
        runs.push(all_denied(&host, &plugin, &project.manifest.asks, case).await);
    }
    let failed = runs.iter().filter(|run| !run.problems.is_empty()).count();
    match test.output.format {
        Format::Json => print_json(&runs)?,
        Format::Text => {
            runs.iter().for_each(show);
            outln!("{} cases, {} runs, {failed} failed", cases.len(), runs.len());
        }
    }
    Ok(if failed == 0 { DONE } else { FAILED })
}

fn show(run: &Run) {
    let denied = if run.denied { ", everything denied" } else { "" };
    let mark = if run.problems.is_empty() { "ok      " } else { "FAILED  " };
    outln!("{mark}{}{denied}: {}", run.case, plain(&run.ended));
    for problem in &run.problems {
        outln!("        {}", plain(problem));
    }
}

fn read(project: &Project, named: &[PathBuf]) -> Result<Vec<Case>, Failure> {
    let default = [project.folder.join("tests/cases.toml")];
    let files: &[PathBuf] = if named.is_empty() { &default } else { named };
    let mut cases = Vec::new();
    for file in files {
        cases.extend(read_file(file)?.case);
    }
    if cases.is_empty() {
        return Err(Failure::used_wrongly("there is no case: write one as `[[case]]` with `name` and `input`"));
    }
    Ok(cases)
}

fn read_file(file: &Path) -> Result<Cases, Failure> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::used_wrongly(format!("failed to read the cases `{shown}`: {error}")))?;
    let wrong = |error: String| Failure::used_wrongly(format!("{shown}: {}", error.trim_end()));
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
        _ => toml::from_str(&text).map_err(|error| wrong(error.to_string())),
    }
}

async fn as_written(host: &PluginHost, plugin: &Plugin, grants: &Grants, case: &Case) -> Run {
    let mut problems = Vec::new();
    if let Some(expected) = &case.planned {
        match host.plan(plugin, &case.input).await {
            Ok(planned) => {
                let names: Vec<_> = planned.iter().map(|planned| planned.command.to_string()).collect();
                if names != *expected {
                    problems.push(format!("it plans {names:?}, and the case says {expected:?}"));
                }
            }
            Err(error) => problems.push(format!("it has no plan: {error}")),
        }
    }
    let (script, record) = Script::of(case);
    let result = execute(host, plugin, grants.clone(), case, script).await;
    let record = record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // What stopped the run explains it better than how it ended then.
    match (record.problems.is_empty(), &result) {
        (true, result) => problems.extend(case.problems(result)),
        (false, _) => problems.extend(record.problems.iter().cloned()),
    }
    if record.problems.is_empty() && record.commands_left > 0 {
        problems.push(format!("{} commands of the case were never run", record.commands_left));
    }
    problems.extend(case.problems_of_files(&record.written));
    Run { case: case.name.clone(), denied: false, ended: in_words(&result), problems }
}

/// Everything imported is linked, and nothing is granted of it but the log.
async fn all_denied(host: &PluginHost, plugin: &Plugin, asks: &Grants, case: &Case) -> Run {
    let mut grants = asks.clone();
    grants.artifacts_read.iter_mut().for_each(|grant| grant.names.clear());
    grants.artifacts_write.iter_mut().for_each(|grant| grant.names.clear());
    grants.sandbox.iter_mut().for_each(|grant| grant.commands.clear());
    grants.secrets.iter_mut().for_each(|grant| grant.names.clear());
    grants.model.iter_mut().for_each(|grant| grant.models.clear());
    grants.mcp.iter_mut().for_each(|grant| grant.tools.clear());
    grants.http.iter_mut().for_each(|grant| grant.origins.clear());
    let (script, record) = Script::of(case);
    let result = execute(host, plugin, grants, case, script).await;
    let denials = record.lock().unwrap_or_else(std::sync::PoisonError::into_inner).denials;
    let problem = match &result {
        Ok(_) if denials == 0 => None,
        Ok(_) => Some(format!("it has an output although {denials} of its calls were denied")),
        Err(
            CallError::InvalidInput(_)
            | CallError::Denied(_)
            | CallError::Transient(_)
            | CallError::Failed(_)
            | CallError::NeedsHuman(_),
        ) => None,
        Err(
            error @ (CallError::Refused(_)
            | CallError::Trapped { .. }
            | CallError::Limit { .. }
            | CallError::Interrupted),
        ) => Some(format!("a denial is an answer, and the step must end with an error of its own: {error}")),
    };
    Run { case: case.name.clone(), denied: true, ended: in_words(&result), problems: problem.into_iter().collect() }
}

async fn execute(
    host: &PluginHost,
    plugin: &Plugin,
    grants: Grants,
    case: &Case,
    script: Script,
) -> Result<Value, CallError> {
    // The same at each run, so that a case means the same each time.
    let surroundings = Surroundings { started_at: Timestamp::UNIX_EPOCH, seed: [0; 32] };
    let call = Call { grants: &grants, surroundings, input: case.input.clone() };
    host.execute(plugin, call, Box::new(script)).await
}

fn in_words(result: &Result<Value, CallError>) -> String {
    match result {
        Ok(output) => format!("output {output}"),
        Err(error) => error.to_string(),
    }
}
