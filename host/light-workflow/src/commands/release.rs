//! `release`: start one, and look at them.

use std::path::Path;

use serde_json::json;
use store::{InstanceFilter, InstanceRow, Message, Runs, SharedStore};
use workflow::event::Event;
use workflow::summary::{Summary, TaskStatus};
use workflow::{Actor, ArtifactUri, CommandStatus, InstanceId, located, request};

use super::{Context, actor, print_json, read_input};
use crate::cli::{Format, Output, Release, ReleaseLogs, ReleaseNamed, ReleaseReason, ReleaseStart};
use crate::follow::{Follow, Resting};
use crate::host::{Host, Parts};
use crate::output::{DONE, FAILED, Failure, errln, fault_text, outln, plain, write_out};
use crate::releases;
use crate::stopping::StopSignals;

pub async fn run(context: &Context, release: Release) -> Result<u8, Failure> {
    match release {
        Release::Plan(plan) => super::release_plan::run(context, plan).await,
        Release::Start(start_) => start(context, start_).await,
        Release::List(output) => list(context, output).await,
        Release::Show(named) => show(context, named).await,
        Release::Logs(logs_) => logs(context, logs_).await,
        Release::Cancel(cancel_) => cancel(context, cancel_).await,
        Release::Suspend(reason) => {
            leave(context, reason, "suspended", |by, reason| Message::Suspend { by, reason }).await
        }
        Release::Resume(reason) => leave(context, reason, "resumed", |by, reason| Message::Resume { by, reason }).await,
        Release::Summary(named) => summary(context, named).await,
    }
}

async fn start(context: &Context, start: ReleaseStart) -> Result<u8, Failure> {
    let file = start.request.display().to_string();
    let text = read_input(&start.request, "the release request")?;
    let request = request::parse(&text, &file).map_err(Failure::wrong_input)?;
    let existing = match context.has_data() {
        true => Some(context.host().await?),
        false => None,
    };
    let running = match &existing {
        Some(host) => running(host, &request).await?,
        None => None,
    };
    let (host, instance) = match (existing, running) {
        // It keeps its definition and documents, so neither is read again.
        (Some(host), Some(instance)) => {
            go_on(&host, &instance, &request).await?;
            (host, instance)
        }
        (existing, _) => start_new(context, existing, &start, &request, (&text, &file)).await?,
    };
    if start.detach {
        outln!("{instance}");
        return Ok(DONE);
    }
    let mut signals = StopSignals::listen()?;
    let mut working = host.work().await?;
    let follow = Follow {
        store: host.shared_store(),
        instance: instance.clone(),
        tell: start.output.format == Format::Text,
        yes: start.yes,
        actor: actor(),
        data: host.data.clone(),
    };
    let history = tokio::select! {
        history = follow.to_the_end() => history?,
        ended = working.ended() => return Err(ended),
        _ = signals.next() => {
            working.stop().await?;
            errln!("stopped; release {} goes on when it is started again, or by `light-workflow serve`", request.release_id);
            return Ok(FAILED);
        }
    };
    working.stop().await?;
    worker::keep_summary(host.shared_store().as_ref(), &instance).await?;
    let summary = Summary::of(&history).ok_or_else(no_start)?;
    match start.output.format {
        Format::Json => print_json(&summary)?,
        Format::Text => print_end(&summary, &instance, &context.data)?,
    }
    Ok(if summary.status == "completed" { DONE } else { FAILED })
}

/// Starts a release of which no run goes on; `existing` is the host if there is data already.
async fn start_new(
    context: &Context,
    existing: Option<Host>,
    start: &ReleaseStart,
    request: &request::ReleaseRequest,
    text: (&str, &str),
) -> Result<(Host, workflow::InstanceId), Failure> {
    let (host, new) = match existing {
        Some(host) => {
            let new = checked(&host.parts, start, request, text)?;
            (host, new)
        }
        None => {
            let parts = context.parts()?;
            let new = checked(&parts, start, request, text)?;
            (Host::open(&context.data, parts).await?, new)
        }
    };
    let instance = match releases::start(&host, new).await {
        Ok((instance, _)) => instance,
        // Another process was faster.
        Err(releases::NotStarted::Store(store::StartError::ReleaseRunning { instance, .. })) => {
            go_on(&host, &instance, request).await?;
            instance
        }
        Err(error) => return Err(releases::failure_of(error)),
    };
    Ok((host, instance))
}

/// What is to run, refused with every reason before anything is written. `text` is that of the request, and its file.
fn checked(
    parts: &Parts,
    start: &ReleaseStart,
    request: &request::ReleaseRequest,
    (text, file): (&str, &str),
) -> Result<releases::NewRun, Failure> {
    let path = releases::definition_for(parts, start.definition.as_deref(), request.release_type)?;
    let definition = releases::read_definition(parts, &path)?;
    releases::refuse_unusable(parts, &definition, &path)?;
    let unapproved = releases::unapproved(&definition, &path.display().to_string());
    if !unapproved.is_empty() {
        return Err(Failure::wrong_input(unapproved));
    }
    let new = releases::release_run(definition, request, None, actor())?;
    let violations = releases::violations(&new.definition, &new.input);
    if !violations.is_empty() {
        let name = new.definition.full_name();
        return Err(Failure::wrong_input(violations.into_iter().map(|violation| {
            let message = format!("{name} does not take this request: {}", violation.message);
            located::json::problem_at(text, file, &violation.pointer, message, Some("complete the request"))
        })));
    }
    Ok(new)
}

/// The run of this release that has not come to its end.
async fn running(host: &Host, request: &request::ReleaseRequest) -> Result<Option<workflow::InstanceId>, Failure> {
    let runs = store::runs_of(host.shared_store().as_ref(), &request.release_id).await?;
    let run = runs.map(|runs| runs.meant).filter(|run| run.release_id.as_deref() == Some(&*request.release_id));
    Ok(run.filter(|run| !run.phase.is_final()).map(|run| run.id))
}

async fn go_on(host: &Host, instance: &workflow::InstanceId, request: &request::ReleaseRequest) -> Result<(), Failure> {
    same_request(host, instance, request).await?;
    errln!("release {} is running already as {instance}: going on with it", request.release_id);
    Ok(())
}

/// Going on with a running release is right only if it is the same one.
async fn same_request(
    host: &Host,
    instance: &workflow::InstanceId,
    request: &request::ReleaseRequest,
) -> Result<(), Failure> {
    let history = host.shared_store().history(instance, 0).await?;
    let Some(Event::InstanceStarted { input, .. }) = history.first().map(|recorded| &recorded.event) else {
        return Err(no_start());
    };
    if input.get("release") == Some(&serde_json::to_value(request)?) {
        return Ok(());
    }
    Err(Failure::used_wrongly(format!(
        "release {} is running already as {instance}, with another request; wait for it, or cancel it with \
         `light-workflow release cancel {instance} --reason …`",
        request.release_id
    )))
}

async fn list(context: &Context, output: Output) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let filter = InstanceFilter { releases_only: true, limit: 1000, ..InstanceFilter::default() };
    let rows = host.shared_store().instances(filter).await?;
    match output.format {
        Format::Json => print_json(&rows)?,
        Format::Text if rows.is_empty() => errln!("there is no release in `{}` yet", context.data.display()),
        Format::Text => rows.iter().for_each(print_row),
    }
    Ok(DONE)
}

fn print_row(row: &InstanceRow) {
    outln!(
        "{:<16} {:<10} {}  {}  {}",
        row.release_id.as_deref().unwrap_or("—"),
        phase_name(row),
        row.created_at.strftime("%Y-%m-%d %H:%M:%S"),
        row.id,
        row.definition_name
    );
}

fn phase_name(row: &InstanceRow) -> &'static str {
    if row.suspended && !row.phase.is_final() { "suspended" } else { row.phase.name() }
}

/// A run, what its history says, and the other runs of the same release.
async fn read_summary(host: &Host, name: &str) -> Result<(Runs, Summary), Failure> {
    let store = host.shared_store();
    let runs = releases::find_runs(&store, name).await?;
    let history = store.history(&runs.meant.id, 0).await?;
    let summary = Summary::of(&history).ok_or_else(no_start)?;
    Ok((runs, summary))
}

/// Says on standard error that there are others: whoever meant one of them names it by its instance id.
fn tell_others(runs: &Runs) {
    if runs.others.is_empty() {
        return;
    }
    errln!("this is run {}; other runs of this release, by instance id:", runs.meant.id);
    for row in &runs.others {
        errln!("  {} {}  {}", phase_name(row), row.id, row.definition_name);
    }
}

async fn show(context: &Context, named: ReleaseNamed) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let (runs, summary) = read_summary(&host, &named.release).await?;
    let row = &runs.meant;
    let store = host.shared_store();
    let open = store.human_tasks(Some(&row.id), true).await?;
    let children = store.instances(InstanceFilter { parent: Some(row.id.clone()), ..Default::default() }).await?;
    match named.output.format {
        Format::Json => {
            print_json(&json!({ "instance": row, "summary": summary, "humanTasks": open, "children": children,
                "otherRuns": runs.others }))?
        }
        Format::Text => {
            print_row(row);
            if let Some(error) = &summary.error {
                outln!("  error: {}", plain(&fault_text(error)));
            }
            if let Some(parent) = &row.parent {
                outln!("  a child of {parent}");
            }
            for task in &summary.tasks {
                let attempts = if task.attempts > 1 { format!(" ({} attempts)", task.attempts) } else { String::new() };
                outln!("  {:<10} {}{attempts}", task.status.name(), task.path);
                if let Some(error) = task.summary.as_ref().filter(|_| task.status == TaskStatus::Faulted) {
                    outln!("             {}", plain(error));
                }
            }
            for said in &summary.diagnoses {
                outln!("  {} says of {}: {}", said.by, said.task, plain(&said.diagnosis.to_string()));
            }
            for child in &children {
                outln!("  its child  {} {}  {}", phase_name(child), child.id, child.definition_name);
            }
            for task in &open {
                let (prompt, data) = (plain(&task.question.prompt), context.data.display());
                outln!("  waits for a person: {prompt} — light-workflow task show {} --data {data}", task.id);
            }
            tell_others(&runs);
        }
    }
    Ok(DONE)
}

async fn logs(context: &Context, logs: ReleaseLogs) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let (runs, summary) = read_summary(&host, &logs.release).await?;
    let store = host.shared_store();
    let wanted = |path: &workflow::TaskPath| logs.task.as_deref().is_none_or(|task| path.task_name() == task);
    let commands: Vec<_> = summary.commands.iter().filter(|command| wanted(&command.task)).collect();
    if let Some(task) = logs.task.as_ref().filter(|_| commands.is_empty()) {
        return Err(Failure::used_wrongly(format!(
            "no command of task `{task}` of run {} has ended yet; `light-workflow release show {}` shows its tasks",
            runs.meant.id, logs.release
        )));
    }
    match logs.output.format {
        Format::Text => {
            for command in commands {
                outln!("$ {}", plain(&command.command));
                for uri in [&command.stdout_ref, &command.stderr_ref] {
                    each_block(&store, uri, |block| write_out(format_args!("{}", plain(block)))).await?;
                }
            }
            tell_others(&runs);
        }
        Format::Json => {
            let mut printed = Vec::new();
            for command in commands {
                let (mut stdout, mut stderr) = (String::new(), String::new());
                each_block(&store, &command.stdout_ref, |block| stdout.push_str(block)).await?;
                each_block(&store, &command.stderr_ref, |block| stderr.push_str(block)).await?;
                printed.push(json!({ "task": command.task, "attempt": command.attempt, "command": command.command,
                    "status": command.status, "exitCode": command.exit_code, "stdout": stdout, "stderr": stderr }));
            }
            print_json(&json!({ "instance": runs.meant.id, "commands": printed }))?;
        }
    }
    Ok(DONE)
}

/// A stored stream as text, a part at a time; a character that a border cut stays whole.
async fn each_block(store: &SharedStore, uri: &ArtifactUri, mut act: impl FnMut(&str)) -> Result<(), Failure> {
    let (mut offset, mut rest) = (0, Vec::new());
    loop {
        let bytes = store.read_artifact(uri, offset, 1 << 20).await?;
        let is_end = bytes.is_empty();
        offset += bytes.len() as u64;
        rest.extend(bytes);
        let whole = match std::str::from_utf8(&rest) {
            // Cut in the middle of a character: the next part has the other half.
            Err(error) if error.error_len().is_none() && !is_end => error.valid_up_to(),
            Ok(_) | Err(_) => rest.len(),
        };
        act(&String::from_utf8_lossy(&rest[..whole]));
        rest.drain(..whole);
        if is_end {
            return Ok(());
        }
    }
}

async fn cancel(context: &Context, cancel: ReleaseReason) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let row = releases::find(&host, &cancel.release).await?;
    if row.phase.is_final() {
        return Err(ended_already(&cancel.release, &row));
    }
    let by: Actor = actor();
    host.shared_store().send(&row.id, Message::Cancel { by, reason: cancel.reason }).await?;
    // Without a server nobody else would act on it.
    let mut working = host.work().await?;
    let follow = Follow {
        store: host.shared_store(),
        instance: row.id,
        tell: true,
        yes: false,
        actor: actor(),
        data: host.data.clone(),
    };
    tokio::select! {
        ended = async {
            follow.to_the_end().await?;
            // The children, too: without a server nobody else would tell them.
            follow.family_to_the_end(Resting::Allowed).await
        } => ended?,
        ended = working.ended() => return Err(ended),
    }
    working.stop().await?;
    Ok(DONE)
}

/// Leaves a message for whoever works on the release: it counts from then on.
async fn leave(
    context: &Context,
    asked: ReleaseReason,
    done: &str,
    message: impl FnOnce(Actor, String) -> Message,
) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let row = releases::find(&host, &asked.release).await?;
    if row.phase.is_final() {
        return Err(ended_already(&asked.release, &row));
    }
    host.shared_store().send(&row.id, message(actor(), asked.reason)).await?;
    errln!("{} is {done} as soon as a host takes it up", row.id);
    Ok(DONE)
}

/// Nothing was done, as with a decision on a task that is closed.
fn ended_already(name: &str, row: &InstanceRow) -> Failure {
    Failure::used_wrongly(format!("release `{name}` has ended already: run {} is {}", row.id, row.phase.name()))
}

async fn summary(context: &Context, named: ReleaseNamed) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let (runs, summary) = read_summary(&host, &named.release).await?;
    worker::keep_summary(host.shared_store().as_ref(), &runs.meant.id).await?;
    print_summary(&summary, named.output.format)?;
    tell_others(&runs);
    Ok(DONE)
}

/// The end of a release on a screen; the whole summary is an artifact.
fn print_end(summary: &Summary, instance: &InstanceId, data: &Path) -> Result<(), Failure> {
    let took = summary.ended_at.map_or(0, |ended| ended.duration_since(summary.started_at).as_secs());
    let title = summary.release_id.as_deref().unwrap_or(&summary.definition_name);
    outln!("\nrelease {}: {} after {took} s", plain(title), summary.status);
    let failed = summary.commands.iter().filter(|command| command.status != CommandStatus::Succeeded).count();
    outln!("  {} tasks, {} commands ({failed} failed)", summary.tasks.len(), summary.commands.len());
    for decision in summary.approvals.iter().filter_map(|approval| approval.decision.as_ref()) {
        outln!("  {} by {} at {}", decision.value, decision.decided_by, decision.decided_at.strftime("%H:%M:%S"));
    }
    if let Some(error) = &summary.error {
        outln!("  error: {}", plain(&fault_text(error)));
    }
    for said in &summary.diagnoses {
        outln!("  {} says of {}: {}", said.by, said.task, plain(&said.diagnosis.to_string()));
    }
    if let Some(output) = &summary.output {
        for line in plain(&serde_json::to_string_pretty(output)?).lines() {
            outln!("  {line}");
        }
    }
    outln!("  the whole summary: light-workflow release summary {instance} --data {}", data.display());
    outln!("  kept as artifact://{instance}/summary/1/summary.md");
    Ok(())
}

fn print_summary(summary: &Summary, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => print_json(summary),
        Format::Text => {
            outln!("\n{}", plain(&summary.markdown()));
            Ok(())
        }
    }
}

fn no_start() -> Failure {
    Failure::from(anyhow::anyhow!("the history has no start"))
}
