//! The rows that follow from events: attempts and human tasks.
//!
//! Both stores apply these changes with each append, and `rebuild_check` folds
//! the whole history with them again.

use std::collections::BTreeMap;

use workflow::event::{Decision, Question};
use workflow::{CloudEvent, Effect, EffectOutcome, Event, InstanceId, Recorded, TaskPath, Timestamp};

use crate::rows::{AttemptOutcome, AttemptRow, EffectKind, HumanTask, human_task_id};

/// What events change about attempts. Each attempt occurs once: later events
/// about it are folded into its change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttemptChange {
    /// Insert it, or start it anew.
    Row(AttemptRow),
    /// Close the row that an earlier append made.
    Completed { path: TaskPath, attempt: u32, at: Timestamp, outcome: AttemptOutcome },
}

/// What events change about human tasks, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum HumanTaskChange {
    Asked {
        path: TaskPath,
        question: Box<Question>,
        at: Timestamp,
    },
    Answered {
        path: TaskPath,
        decision: Decision,
        at: Timestamp,
    },
    /// The task at `path` ended; what it or a task inside it asked gets no answer any more.
    Dropped {
        path: TaskPath,
        at: Timestamp,
    },
    /// The instance ended, with the last of these events: nobody is asked any more.
    AllDropped,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Derived {
    pub attempts: Vec<AttemptChange>,
    pub human_tasks: Vec<HumanTaskChange>,
    /// With the revision that sends each.
    pub emitted: Vec<(u64, CloudEvent)>,
}

pub(crate) fn derive(events: &[Recorded]) -> Derived {
    let mut attempts: BTreeMap<(&TaskPath, u32), AttemptChange> = BTreeMap::new();
    let mut human_tasks = Vec::new();
    let mut emitted = Vec::new();
    for Recorded { revision, at, event } in events {
        let at = *at;
        match event {
            Event::AttemptStarted { path, attempt, effect } => {
                attempts.insert((path, *attempt), AttemptChange::Row(open_attempt(path, *attempt, effect, at)));
            }
            Event::AttemptCompleted { path, attempt, outcome } => {
                complete(&mut attempts, path, *attempt, at, outcome_kind(outcome));
            }
            Event::QuestionAsked { path, question } => {
                human_tasks.push(HumanTaskChange::Asked { path: path.clone(), question: question.clone(), at });
            }
            Event::QuestionAnswered { path, decision } => {
                human_tasks.push(HumanTaskChange::Answered { path: path.clone(), decision: decision.clone(), at });
            }
            Event::EventEmitted { event, .. } => emitted.push((*revision, event.clone())),
            Event::DiagnosisStarted { path, .. } | Event::TaskFaulted { path, .. } | Event::TaskCancelled { path } => {
                human_tasks.push(HumanTaskChange::Dropped { path: path.clone(), at });
            }
            Event::InstanceCompleted { .. } | Event::InstanceFaulted { .. } | Event::InstanceCancelled { .. } => {
                human_tasks.push(HumanTaskChange::AllDropped);
            }
            Event::InstanceStarted { .. }
            | Event::DeadlineSet { .. }
            | Event::InstanceSuspended { .. }
            | Event::InstanceResumed { .. }
            | Event::TaskStarted { .. }
            | Event::TaskSkipped { .. }
            | Event::ExtensionStarted { .. }
            | Event::ExtendedTaskEnded { .. }
            | Event::IterationStarted { .. }
            | Event::CommandsPlanned { .. }
            | Event::CommandStarted { .. }
            | Event::CommandCompleted { .. }
            | Event::CallStarted { .. }
            | Event::HostCallCompleted { .. }
            | Event::TimerStarted { .. }
            | Event::TimerFired { .. }
            | Event::ListenStarted { .. }
            | Event::EventConsumed { .. }
            | Event::IterationCompleted { .. }
            | Event::ErrorCaught { .. }
            | Event::RetryScheduled { .. }
            | Event::TaskCompleted { .. } => {}
        }
    }
    Derived { attempts: attempts.into_values().collect(), human_tasks, emitted }
}

/// Applies changes to rows held in memory.
pub(crate) fn apply_attempts(rows: &mut BTreeMap<(TaskPath, u32), AttemptRow>, changes: Vec<AttemptChange>) {
    for change in changes {
        match change {
            AttemptChange::Row(row) => {
                rows.insert((row.path.clone(), row.attempt), row);
            }
            AttemptChange::Completed { path, attempt, at, outcome } => {
                if let Some(row) = rows.get_mut(&(path, attempt)) {
                    row.completed_at = Some(at);
                    row.outcome = Some(outcome);
                }
            }
        }
    }
}

/// Applies changes to rows held in memory, by human task id.
pub(crate) fn apply_human_tasks(
    rows: &mut BTreeMap<String, HumanTask>,
    instance: &InstanceId,
    release_id: Option<&str>,
    last_at: Timestamp,
    changes: Vec<HumanTaskChange>,
) {
    for change in changes {
        match change {
            HumanTaskChange::Asked { path, question, at } => {
                let id = human_task_id(instance, &path);
                let task = HumanTask {
                    id: id.clone(),
                    instance: instance.clone(),
                    release_id: release_id.map(str::to_owned),
                    path,
                    question: *question,
                    asked_at: at,
                    decision: None,
                    closed_at: None,
                };
                rows.insert(id, task);
            }
            HumanTaskChange::Answered { path, decision, at } => {
                if let Some(row) = rows.get_mut(&human_task_id(instance, &path)) {
                    row.decision = Some(decision);
                    row.closed_at = Some(at);
                }
            }
            HumanTaskChange::Dropped { path, at } => {
                for row in rows.values_mut().filter(|row| row.instance == *instance && row.path.is_within(&path)) {
                    row.closed_at.get_or_insert(at);
                }
            }
            HumanTaskChange::AllDropped => {
                for row in rows.values_mut().filter(|row| row.instance == *instance) {
                    row.closed_at.get_or_insert(last_at);
                }
            }
        }
    }
}

fn open_attempt(path: &TaskPath, attempt: u32, effect: &Effect, at: Timestamp) -> AttemptRow {
    let kind = match effect {
        Effect::Command { .. } => EffectKind::Command,
        Effect::Plugin { .. } => EffectKind::Plugin,
        Effect::Plan { .. } => EffectKind::Plan,
        Effect::Workflow { .. } => EffectKind::Workflow,
        Effect::Call { .. } => EffectKind::Call,
        Effect::Echo { .. } => EffectKind::Echo,
    };
    AttemptRow {
        path: path.clone(),
        attempt,
        effect: kind,
        class: effect.class(),
        started_at: at,
        completed_at: None,
        outcome: None,
    }
}

fn complete<'a>(
    attempts: &mut BTreeMap<(&'a TaskPath, u32), AttemptChange>,
    path: &'a TaskPath,
    attempt: u32,
    at: Timestamp,
    outcome: AttemptOutcome,
) {
    let change = attempts.entry((path, attempt)).or_insert_with(|| AttemptChange::Completed {
        path: path.clone(),
        attempt,
        at,
        outcome,
    });
    if let AttemptChange::Row(row) = change {
        row.completed_at = Some(at);
        row.outcome = Some(outcome);
    }
}

fn outcome_kind(outcome: &EffectOutcome) -> AttemptOutcome {
    match outcome {
        EffectOutcome::Command { .. } => AttemptOutcome::Command,
        EffectOutcome::Output { .. } => AttemptOutcome::Output,
        EffectOutcome::Faulted { .. } => AttemptOutcome::Faulted,
        EffectOutcome::Unknown { .. } => AttemptOutcome::Unknown,
    }
}
