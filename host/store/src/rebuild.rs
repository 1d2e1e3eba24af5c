//! Proves that the cached rows say what the history says.

use std::collections::BTreeMap;

use workflow::{Event, InstanceId, Recorded};

use crate::contract::Store;
use crate::derive::{apply_attempts, apply_human_tasks, derive};
use crate::errors::StoreError;
use crate::rows::{HumanTask, InstanceFilter, InstanceRow, Message, Phase, Projection, shard_of};

/// The first row that does not follow from the events.
#[derive(Debug, thiserror::Error)]
pub enum RebuildProblem {
    #[error("instance `{instance}`: {what} is {stored}, and its history says {told}")]
    Differs { instance: InstanceId, what: &'static str, stored: String, told: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The fold that tells a history's phase and earliest timer.
pub type Project<'a> = &'a (dyn Fn(&[Recorded]) -> Projection + Sync);

/// Compares every instance, attempt and human task with the history, and gives
/// the number of instances. Nothing else may write meanwhile.
///
/// `project` is the fold that knows running from waiting and the earliest
/// timer; without it the phase is compared as far as events alone tell it.
pub async fn rebuild_check(store: &dyn Store, project: Option<Project<'_>>) -> Result<usize, RebuildProblem> {
    let rows = store.instances(InstanceFilter::default()).await?;
    for row in &rows {
        let history = store.history(&row.id, 0).await?;
        check_instance(row, &history, project)?;
        check_attempts(store, row, &history).await?;
        check_human_tasks(store, row, &history).await?;
    }
    Ok(rows.len())
}

fn check_instance(row: &InstanceRow, history: &[Recorded], project: Option<Project<'_>>) -> Result<(), RebuildProblem> {
    let numbers: Vec<u64> = history.iter().map(|recorded| recorded.revision).collect();
    same(row, "the list of revisions", &(1..=row.revision).collect::<Vec<_>>(), &numbers)?;
    same(row, "shard", &row.shard, &shard_of(&row.id))?;
    same(row, "created_at", &Some(row.created_at), &history.first().map(|recorded| recorded.at))?;
    same(row, "updated_at", &Some(row.updated_at), &history.last().map(|recorded| recorded.at))?;
    if let Some(Recorded { event: Event::InstanceStarted { definition, definition_name, parent, .. }, .. }) =
        history.first()
    {
        same(row, "parent", &row.parent, &parent.as_ref().map(|parent| parent.instance.clone()))?;
        same(row, "definition", &row.definition, definition)?;
        same(row, "definition_name", &row.definition_name, definition_name)?;
    }
    let end = history.iter().find_map(|recorded| final_phase(&recorded.event));
    same(row, "final phase", &Some(row.phase).filter(|phase| phase.is_final()), &end)?;
    if let Some(project) = project {
        let stored = Projection { phase: row.phase, wake_at: row.wake_at, suspended: row.suspended };
        same(row, "projection", &stored, &project(history))?;
    }
    Ok(())
}

async fn check_attempts(store: &dyn Store, row: &InstanceRow, history: &[Recorded]) -> Result<(), RebuildProblem> {
    let mut told = BTreeMap::new();
    apply_attempts(&mut told, derive(history).attempts);
    let told: Vec<_> = told.into_values().collect();
    same(row, "the list of attempts", &store.attempts(&row.id).await?, &told)
}

async fn check_human_tasks(store: &dyn Store, row: &InstanceRow, history: &[Recorded]) -> Result<(), RebuildProblem> {
    let mut told = BTreeMap::new();
    let last_at = history.last().map_or(row.updated_at, |recorded| recorded.at);
    apply_human_tasks(&mut told, &row.id, row.release_id.as_deref(), last_at, derive(history).human_tasks);
    // A decision that its owner has not taken up is in the inbox, not in the history.
    let inbox = store.inbox(&row.id).await?;
    let is_waiting = |task: &HumanTask| {
        inbox.iter().any(|item| match &item.message {
            Message::Decided { path, decision } => *path == task.path && Some(decision) == task.decision.as_ref(),
            Message::Cancel { .. }
            | Message::Suspend { .. }
            | Message::Resume { .. }
            | Message::Event { .. }
            | Message::ChildEnded { .. } => false,
        })
    };
    let stored = store.human_tasks(Some(&row.id), false).await?;
    for task in stored.iter().filter(|task| is_waiting(task)) {
        if let Some(told) = told.get_mut(&task.id).filter(|told| told.is_open()) {
            told.decision.clone_from(&task.decision);
        }
    }
    let mut told: Vec<HumanTask> = told.into_values().collect();
    told.sort_by(|a, b| (a.asked_at, &a.id).cmp(&(b.asked_at, &b.id)));
    same(row, "the list of human tasks", &stored, &told)
}

fn final_phase(event: &Event) -> Option<Phase> {
    match event {
        Event::InstanceCompleted { .. } => Some(Phase::Completed),
        Event::InstanceFaulted { .. } => Some(Phase::Faulted),
        Event::InstanceCancelled { .. } => Some(Phase::Cancelled),
        Event::InstanceStarted { .. }
        | Event::InstanceSuspended { .. }
        | Event::InstanceResumed { .. }
        | Event::TaskStarted { .. }
        | Event::TaskSkipped { .. }
        | Event::ExtensionStarted { .. }
        | Event::ExtendedTaskEnded { .. }
        | Event::IterationStarted { .. }
        | Event::AttemptStarted { .. }
        | Event::CommandsPlanned { .. }
        | Event::CommandStarted { .. }
        | Event::CommandCompleted { .. }
        | Event::CallStarted { .. }
        | Event::HostCallCompleted { .. }
        | Event::AttemptCompleted { .. }
        | Event::QuestionAsked { .. }
        | Event::QuestionAnswered { .. }
        | Event::TimerStarted { .. }
        | Event::TimerFired { .. }
        | Event::ListenStarted { .. }
        | Event::EventConsumed { .. }
        | Event::IterationCompleted { .. }
        | Event::EventEmitted { .. }
        | Event::ErrorCaught { .. }
        | Event::RetryScheduled { .. }
        | Event::TaskCompleted { .. }
        | Event::TaskFaulted { .. }
        | Event::TaskCancelled { .. } => None,
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    row: &InstanceRow,
    what: &'static str,
    stored: &T,
    told: &T,
) -> Result<(), RebuildProblem> {
    if stored == told {
        return Ok(());
    }
    let (stored, told) = (format!("{stored:?}"), format!("{told:?}"));
    Err(RebuildProblem::Differs { instance: row.id.clone(), what, stored, told })
}
