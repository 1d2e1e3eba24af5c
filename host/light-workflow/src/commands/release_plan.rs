//! `release plan`: the commands that a release would run, without running any.

use plugin_host::{HostConfig, PluginHost};
use serde::Serialize;
use serde_json::Value;
use workflow::capability::Planned;
use workflow::command::Command;
use workflow::definition::each_task;
use workflow::forecast::{KnownCall, forecast};
use workflow::{CommandName, Effect, Timestamp, request};

use super::{Context, print_json, read_input};
use crate::cli::{Format, ReleasePlan};
use crate::host::Parts;
use crate::library::Library;
use crate::output::{DONE, FAILED, Failure, listed, outln, plain};
use crate::releases;

/// A plugin task whose input is known, and what it says it would run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannedTask {
    task: String,
    path: workflow::TaskPath,
    plugin: String,
    /// Whether its attempts record the plan, and whether they are held to it.
    planned: Planned,
    commands: Vec<PlannedRun>,
    /// Why it has no plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannedRun {
    command: CommandName,
    parameters: Value,
    why: String,
    granted: bool,
    /// What the template makes of it; none with a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    release_id: String,
    definition: String,
    tasks: Vec<PlannedTask>,
    /// Tasks whose input comes from what runs before them.
    not_known_yet: Vec<String>,
}

pub async fn run(context: &Context, plan: ReleasePlan) -> Result<u8, Failure> {
    let file = plan.request.display().to_string();
    let text = read_input(&plan.request, "the release request")?;
    let request = request::parse(&text, &file).map_err(Failure::wrong_input)?;
    let parts = context.parts()?;
    let path = releases::definition_for(&parts, plan.definition.as_deref(), request.release_type)?;
    let definition = releases::read_definition(&parts, &path)?;
    let policy = parts.policy(&definition, &Library::read(&parts), false).map_err(|problems| {
        Failure::wrong_input(problems.iter().map(|problem| problem.at(&definition, &path.display().to_string())))
    })?;
    let input = serde_json::json!({ "release": serde_json::to_value(&request)? });
    let forecast = forecast(&definition, &input, &policy, Timestamp::now());
    let precompiled = context.data.is_dir().then(|| context.data.join("compiled"));
    let host = PluginHost::new(HostConfig { precompiled, ..HostConfig::default() })?;
    let mut tasks = Vec::new();
    for call in &forecast.known {
        tasks.push(planned(&parts, &host, call).await?);
    }
    let mut not_known_yet = Vec::new();
    each_task(&definition.tasks, &mut |task| {
        if forecast.unknown.contains(&task.reference) {
            not_known_yet.push(task.name.clone());
        }
    });
    let plan_ = Plan { release_id: request.release_id, definition: definition.full_name(), tasks, not_known_yet };
    match plan.output.format {
        Format::Json => print_json(&plan_)?,
        Format::Text => print(&plan_),
    }
    let is_refused = |task: &PlannedTask| task.commands.iter().any(|run| !run.granted || run.problem.is_some());
    Ok(if plan_.tasks.iter().any(is_refused) { FAILED } else { DONE })
}

/// Asks the plugin, whose every host call but `log` is refused meanwhile.
async fn planned(parts: &Parts, host: &PluginHost, call: &KnownCall) -> Result<PlannedTask, Failure> {
    let Effect::Plugin { plugin, digest, input, grants, mode, .. } = &call.effect else {
        unreachable!("a forecast holds calls of plugins only");
    };
    let component = parts.catalog().plugin(host, plugin, digest).await?;
    let sandbox = grants.sandbox.as_ref();
    let (commands, problem) = match host.plan(&component, input).await {
        Ok(commands) => (commands, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let run = |planned: workflow::command::PlannedCommand| {
        let resolved = parts.templates.resolve_planned(&planned.command, &planned.parameters, *mode);
        let (resolved, problem) = match resolved {
            Ok(command) => (Some(command), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let granted = sandbox.is_some_and(|grant| grant.commands.contains(&planned.command));
        PlannedRun {
            command: planned.command,
            parameters: planned.parameters,
            why: planned.why,
            granted,
            resolved,
            problem,
        }
    };
    Ok(PlannedTask {
        task: call.path.task_name().to_owned(),
        path: call.path.clone(),
        plugin: plugin.to_string(),
        planned: sandbox.map(|grant| grant.planned).unwrap_or_default(),
        commands: commands.into_iter().map(run).collect(),
        problem,
    })
}

fn print(plan: &Plan) {
    outln!("release {} by {}", plain(&plan.release_id), plan.definition);
    for task in &plan.tasks {
        let held = match task.planned {
            Planned::Free => "",
            Planned::Recorded => ", the plan is recorded",
            Planned::Strict => ", nothing else may run",
        };
        outln!("\n{}  calls {}{held}  {}", task.task, task.plugin, task.path);
        if let Some(problem) = &task.problem {
            outln!("  no plan: {}", plain(problem));
        }
        task.commands.iter().for_each(print_run);
    }
    if !plan.not_known_yet.is_empty() {
        outln!("\nnot known before something ran: {}", listed(&plan.not_known_yet));
    }
}

fn print_run(run: &PlannedRun) {
    outln!("  {}  {}", run.command, plain(&run.why));
    if !run.granted {
        outln!("    REFUSED    the task does not grant it");
    }
    if let Some(problem) = &run.problem {
        outln!("    REFUSED    {}", plain(problem));
    }
    outln!("    parameters {}", plain(&run.parameters.to_string()));
    let Some(command) = &run.resolved else { return };
    let one_line = command.line().replace('\n', " ");
    let short: String = one_line.chars().take(200).collect();
    let more = if short.len() < one_line.len() { "…" } else { "" };
    outln!("    argv       {}{more}", plain(&short));
    outln!("    sandbox    {}, {}, in /{}", command.template, command.mode.name(), plain(&command.working_directory));
    outln!("    egress     {}", listed(&command.egress));
    outln!("    secrets    {}", listed(command.secrets.values()));
}
