//! `run`: one instance to its end, no server.

use serde_json::{Value, json};
use store::InstanceFilter;
use workflow::InstanceId;
use workflow::event::Recorded;
use workflow::located;
use workflow::summary::{Summary, TaskEnd, TaskStatus, task_ends};

use super::{Context, actor, print_json, read_input};
use crate::cli::{Format, Run};
use crate::follow::{Follow, Resting};
use crate::host::Host;
use crate::output::{DONE, FAILED, Failure, errln, fault_text, outln, plain};
use crate::releases::{self, NewRun};
use crate::stopping::StopSignals;

pub async fn run(context: &Context, run: Run) -> Result<u8, Failure> {
    let parts = context.parts_with(&run.calls)?;
    let definition = releases::read_definition(&parts, &run.definition)?;
    let input = match &run.input {
        Some(path) => {
            let text = read_input(path, "the input")?;
            located::json::value(&text, &path.display().to_string()).map_err(Failure::wrong_input)?
        }
        None => json!({}),
    };
    // Refused before anything is written.
    releases::refuse_unusable(&parts, &definition, &run.definition)?;
    // A run is alone: other instances of the main store are not its business,
    // and many may run side by side.
    let folder = context.data.join("runs").join(uuid::Uuid::now_v7().to_string());
    let host = Host::open(&folder, parts).await?;
    let new = NewRun {
        definition,
        id: None,
        input,
        release_id: None,
        idempotency_key: None,
        started_by: actor(),
        auto_approval: run.yes,
    };
    let instance = match releases::start(&host, new).await {
        Ok((instance, _)) => instance,
        Err(error) => {
            // Nothing was started, so nothing refers to it.
            drop(host);
            let _ = std::fs::remove_dir_all(&folder);
            return Err(releases::failure_of(error));
        }
    };
    // Listened for before anything can run: a signal must not come before.
    let mut signals = StopSignals::listen()?;
    let mut working = host.work().await?;
    let tell = run.output.format == Format::Text;
    let follow = Follow {
        store: host.shared_store(),
        instance: instance.clone(),
        tell,
        yes: run.yes,
        actor: actor(),
        data: host.data.clone(),
    };
    let history = tokio::select! {
        history = follow_or_cancel(&follow, &mut signals) => history?,
        ended = working.ended() => return Err(ended),
    };
    working.stop().await?;
    let summary = Summary::of(&history).ok_or_else(|| Failure::from(anyhow::anyhow!("the history has no start")))?;
    // Of a run with children somebody may want to see more than fits here.
    let all = host.shared_store().instances(InstanceFilter { limit: 2, ..InstanceFilter::default() }).await?;
    let keeps_files = !summary.commands.is_empty() || all.len() > 1;
    report(&summary, &history, &instance, run.output.format)?;
    let data = host.data.clone();
    drop(host);
    if !keeps_files {
        // Nothing refers to it any more.
        let _ = std::fs::remove_dir_all(data);
    }
    Ok(if summary.status == "completed" { DONE } else { FAILED })
}

/// Nobody can go on with the instance of a `run`, so a signal cancels it and
/// its commands are stopped; a second one leaves at once.
async fn follow_or_cancel(follow: &Follow, signals: &mut StopSignals) -> Result<Vec<Recorded>, Failure> {
    let ended = async {
        let history = follow.to_the_end().await?;
        follow.family_to_the_end(Resting::NotAllowed).await?;
        Ok(history)
    };
    tokio::pin!(ended);
    let reason = tokio::select! {
        history = &mut ended => return history,
        reason = signals.next() => reason,
    };
    errln!("interrupted: cancelling, and stopping what runs (once more leaves at once)");
    follow.cancel_family(reason).await?;
    tokio::select! {
        history = ended => history,
        _ = signals.next() => {
            Err(Failure::failed("left before everything had stopped; a command ends by its own time limit"))
        }
    }
}

fn report(summary: &Summary, history: &[Recorded], instance: &InstanceId, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let tasks: Vec<Value> = summary
                .tasks
                .iter()
                .zip(task_ends(history))
                .map(|(task, end)| {
                    let (output, fault) = match end {
                        Some(TaskEnd::Output(output)) => (Some(output), None),
                        Some(TaskEnd::Fault(fault)) => (None, Some(fault)),
                        None => (None, None),
                    };
                    json!({
                        "name": task.name,
                        "path": task.path,
                        "status": task.status,
                        "attempt": task.attempts.max(1),
                        "startedAt": task.started_at,
                        "endedAt": task.ended_at,
                        "error": task.summary.as_ref().filter(|_| task.status == TaskStatus::Faulted),
                        "output": output,
                        "fault": fault,
                    })
                })
                .collect();
            print_json(&json!({
                "instance": instance,
                "status": summary.status,
                "output": summary.output,
                "error": summary.error,
                "tasks": tasks,
            }))
        }
        Format::Text => {
            if let Some(output) = &summary.output {
                outln!("{}", plain(&serde_json::to_string_pretty(output)?));
            }
            if let Some(error) = &summary.error {
                errln!("error: {}", plain(&fault_text(error)));
            }
            Ok(())
        }
    }
}
