//! `task`: what waits for a person.

use std::path::Path;

use store::{DecideError, HumanTask};
use workflow::event::Decision;
use workflow::{Digest, Timestamp};

use super::{Context, actor, print_json};
use crate::cli::{Format, Task, TaskComplete, TaskList, TaskNamed};
use crate::follow::question_text;
use crate::host::Host;
use crate::output::{DONE, Failure, errln, outln, plain};

pub async fn run(context: &Context, task: Task) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    match task {
        Task::List(list_) => list(&host, list_).await,
        Task::Show(named) => show(&host, &context.data, named).await,
        Task::Complete(complete_) => complete(&host, complete_).await,
    }
}

async fn list(host: &Host, list: TaskList) -> Result<u8, Failure> {
    let tasks = host.shared_store().human_tasks(None, !list.all).await?;
    match list.output.format {
        Format::Json => print_json(&tasks)?,
        Format::Text => {
            if tasks.is_empty() {
                let open = if list.all { "" } else { "open " };
                errln!("there is no {open}human task");
            }
            for task in &tasks {
                let state = task.decision.as_ref().map_or("open", |decision| decision.value.as_str());
                let release = task.release_id.as_deref().unwrap_or("—");
                outln!("{:<10} {:<16} {}  {}", state, release, task.id, plain(&task.question.prompt));
            }
        }
    }
    Ok(DONE)
}

async fn find(host: &Host, id: &str) -> Result<HumanTask, Failure> {
    let task = host.shared_store().human_task(id).await?;
    task.ok_or_else(|| {
        Failure::used_wrongly(format!("there is no human task `{id}`; `light-workflow task list` shows all"))
    })
}

async fn show(host: &Host, data: &Path, named: TaskNamed) -> Result<u8, Failure> {
    let task = find(host, &named.id).await?;
    match named.output.format {
        Format::Json => print_json(&task)?,
        Format::Text => {
            outln!("{}", question_text(&task));
            for option in &task.question.options {
                outln!(
                    "light-workflow task complete {} --decision {} --subject {} --data {}",
                    task.id,
                    option.value,
                    task.question.subject_digest,
                    data.display()
                );
            }
            if let Some(decision) = &task.decision {
                outln!("decided: {} by {} at {}", decision.value, decision.decided_by, decision.decided_at);
            }
        }
    }
    Ok(DONE)
}

async fn complete(host: &Host, complete: TaskComplete) -> Result<u8, Failure> {
    let task = find(host, &complete.id).await?;
    let decision = Decision {
        value: complete.decision,
        decided_by: actor(),
        decided_at: Timestamp::now(),
        subject_digest: Digest::new(complete.subject).map_err(Failure::used_wrongly)?,
        comment: complete.comment,
    };
    match host.shared_store().decide(&task.id, decision).await {
        Ok(()) => Ok(DONE),
        Err(DecideError::Store(error)) => Err(Failure::from(error)),
        Err(refused) => Err(Failure::used_wrongly(refused)),
    }
}
