//! Proves that the cached rows say what the history says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use workflow::{Digest, Event, InstanceId, Recorded};

use crate::contract::Store;
use crate::derive::{apply_attempts, apply_human_tasks, derive};
use crate::errors::StoreError;
use crate::rows::{HumanTask, InstanceFilter, InstanceRow, Message, Phase, Projection, shard_of};

/// Something that does not follow from the events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("instance `{instance}`: {what} is {stored}, and its history says {told}")]
pub struct Difference {
    pub instance: InstanceId,
    /// Which row, and what of it: ``human task `…`: decision``.
    pub what: String,
    pub stored: String,
    pub told: String,
}

/// Why a store is not what its events say.
#[derive(Debug, thiserror::Error)]
pub enum RebuildProblem {
    #[error(transparent)]
    Differs(#[from] Difference),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of comparing.
#[derive(Debug, Default)]
pub struct Rebuilt {
    pub instances: BTreeSet<InstanceId>,
    /// In the order of instances, newest first.
    pub differences: Vec<Difference>,
}

/// The fold that tells a history's phase and earliest timer, or why there is none.
pub type Project<'a> = &'a (dyn Fn(&InstanceId, &[Recorded]) -> Result<Projection, String> + Sync);

/// How often an instance is looked at until what is found counts: somebody may write meanwhile.
const LOOKS: u32 = 3;

/// Between two looks: a commit is over by then.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Compares every instance, attempt, human task and definition with the history,
/// and gives all that differs.
///
/// `project` is the fold that knows running from waiting and the earliest
/// timer; without it the phase is compared as far as events alone tell it.
///
/// # Errors
///
/// A store that does not answer, or whose list of instances cannot be read.
pub async fn rebuild(store: &dyn Store, project: Option<Project<'_>>) -> Result<Rebuilt, StoreError> {
    let mut rebuilt = Rebuilt::default();
    for row in store.instances(InstanceFilter::default()).await? {
        rebuilt.differences.extend(look_at(store, row.clone(), project).await?);
        rebuilt.instances.insert(row.id);
    }
    Ok(rebuilt)
}

/// As [`rebuild`], for tests: the number of instances, or the first difference.
pub async fn rebuild_check(store: &dyn Store, project: Option<Project<'_>>) -> Result<usize, RebuildProblem> {
    let rebuilt = rebuild(store, project).await?;
    match rebuilt.differences.into_iter().next() {
        Some(difference) => Err(difference.into()),
        None => Ok(rebuilt.instances.len()),
    }
}

/// Looks again where something differs: the rows are not read at one moment.
async fn look_at(
    store: &dyn Store,
    mut row: InstanceRow,
    project: Option<Project<'_>>,
) -> Result<Vec<Difference>, StoreError> {
    let mut looks = 1;
    loop {
        let found = match compare(store, &row, project).await {
            Ok(found) => found,
            // That it cannot be read back is a finding, too.
            Err(StoreError::Corrupt { what }) => {
                let mut findings = Findings::of(&row);
                findings.add("what the store holds", &format!("{what} that cannot be read back"), "something else");
                findings.found
            }
            Err(error) => return Err(error),
        };
        if found.is_empty() || looks == LOOKS {
            return Ok(found);
        }
        looks += 1;
        tokio::time::sleep(LOOK_AGAIN).await;
        if let Some(now) = store.instance(&row.id).await? {
            row = now;
        }
    }
}

async fn compare(
    store: &dyn Store,
    row: &InstanceRow,
    project: Option<Project<'_>>,
) -> Result<Vec<Difference>, StoreError> {
    let history = store.history(&row.id, 0).await?;
    let mut findings = Findings::of(row);
    check_instance(&mut findings, row, &history, project);
    check_definition(&mut findings, store, row).await?;
    check_attempts(&mut findings, store, row, &history).await?;
    check_human_tasks(&mut findings, store, row, &history).await?;
    Ok(findings.found)
}

fn check_instance(findings: &mut Findings, row: &InstanceRow, history: &[Recorded], project: Option<Project<'_>>) {
    let numbers: Vec<u64> = history.iter().map(|recorded| recorded.revision).collect();
    if numbers != (1..=row.revision).collect::<Vec<_>>() {
        let missing: Vec<String> =
            (1..=row.revision).filter(|number| !numbers.contains(number)).map(|number| number.to_string()).collect();
        let told = match missing.as_slice() {
            [] => format!("{} events", numbers.len()),
            missing => format!("{} events, without {}", numbers.len(), missing.join(", ")),
        };
        findings.add("its revision", &row.revision.to_string(), &told);
    }
    findings.compare("its shard", &row.shard, &shard_of(&row.id));
    findings.compare("its time of creation", &Some(row.created_at), &history.first().map(|recorded| recorded.at));
    findings.compare("the time of its last change", &Some(row.updated_at), &history.last().map(|recorded| recorded.at));
    if let Some(Recorded { event: Event::InstanceStarted { definition, definition_name, parent, input, .. }, .. }) =
        history.first()
    {
        findings.compare("its parent", &row.parent, &parent.as_ref().map(|parent| parent.instance.clone()));
        findings.compare("its definition", &row.definition, definition);
        findings.compare("the name of its definition", &row.definition_name, definition_name);
        // Whoever is no release may have such an input all the same.
        if let Some(release) = &row.release_id
            && let Some(told) = workflow::summary::release_id(input)
        {
            findings.compare("its release", &release.as_str(), &told);
        }
    }
    let end = history.iter().find_map(|recorded| final_phase(&recorded.event));
    let stored_end = Some(row.phase).filter(|phase| phase.is_final());
    findings.compare("its end", &stored_end, &end);
    if let Some(project) = project
        && stored_end == end
    {
        match project(&row.id, history) {
            Ok(told) => {
                findings.compare("its phase", &row.phase, &told.phase);
                findings.compare("its next timer", &row.wake_at, &told.wake_at);
                findings.compare("whether it is suspended", &row.suspended, &told.suspended);
            }
            Err(why) => findings.add("its phase", row.phase.name(), &why),
        }
    }
}

async fn check_definition(findings: &mut Findings, store: &dyn Store, row: &InstanceRow) -> Result<(), StoreError> {
    let digest = store.definition(&row.definition).await?.map(|source| Digest::of(source.as_bytes()));
    findings.compare("the digest of its definition's source", &digest, &Some(row.definition.clone()));
    Ok(())
}

async fn check_attempts(
    findings: &mut Findings,
    store: &dyn Store,
    row: &InstanceRow,
    history: &[Recorded],
) -> Result<(), StoreError> {
    let mut told = BTreeMap::new();
    apply_attempts(&mut told, derive(history).attempts);
    let name = |path: &dyn std::fmt::Display, attempt: u32| format!("attempt {attempt} of `{path}`");
    let told = told.into_values().map(|row| (name(&row.path, row.attempt), row)).collect();
    let stored = store.attempts(&row.id).await?;
    let stored = stored.into_iter().map(|row| (name(&row.path, row.attempt), row)).collect();
    findings.compare_rows(&stored, &told);
    Ok(())
}

async fn check_human_tasks(
    findings: &mut Findings,
    store: &dyn Store,
    row: &InstanceRow,
    history: &[Recorded],
) -> Result<(), StoreError> {
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
    let name = |id: &str| format!("human task `{id}`");
    let told = told.into_iter().map(|(id, task)| (name(&id), task)).collect();
    let stored = stored.into_iter().map(|task| (name(&task.id), task)).collect();
    findings.compare_rows(&stored, &told);
    Ok(())
}

/// What differs in one instance.
struct Findings {
    instance: InstanceId,
    found: Vec<Difference>,
}

impl Findings {
    fn of(row: &InstanceRow) -> Self {
        Self { instance: row.id.clone(), found: Vec::new() }
    }

    fn add(&mut self, what: &str, stored: &str, told: &str) {
        let (what, stored, told) = (what.to_owned(), stored.to_owned(), told.to_owned());
        self.found.push(Difference { instance: self.instance.clone(), what, stored, told });
    }

    fn compare<T: PartialEq + Serialize>(&mut self, what: &str, stored: &T, told: &T) {
        if stored != told {
            self.add(what, &shown(&json(stored)), &shown(&json(told)));
        }
    }

    /// Rows by their names; what differs is told field by field.
    fn compare_rows<T: PartialEq + Serialize>(&mut self, stored: &BTreeMap<String, T>, told: &BTreeMap<String, T>) {
        let names: BTreeSet<&String> = stored.keys().chain(told.keys()).collect();
        for name in names {
            match (stored.get(name), told.get(name)) {
                (Some(stored), Some(told)) if stored == told => {}
                (Some(stored), Some(told)) => self.compare_fields(name, &json(stored), &json(told)),
                (Some(_), None) => self.add(name, "there", "nothing of it"),
                (None, _) => self.add(name, "not there", "it should be"),
            }
        }
    }

    fn compare_fields(&mut self, name: &str, stored: &Value, told: &Value) {
        let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let (stored, told) = (fields(stored), fields(told));
        let keys: BTreeSet<&String> = stored.keys().chain(told.keys()).collect();
        for key in keys {
            let of = |fields: &serde_json::Map<String, Value>| fields.get(key).cloned().unwrap_or_default();
            let (stored, told) = (of(&stored), of(&told));
            if stored != told {
                self.add(&format!("{name}: `{key}`"), &shown(&stored), &shown(&told));
            }
        }
    }
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// So many characters of a value are shown: enough to know it by.
const SHOWN_CHARACTERS: usize = 200;

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        value => value.to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn final_phase(event: &Event) -> Option<Phase> {
    match event {
        Event::InstanceCompleted { .. } => Some(Phase::Completed),
        Event::InstanceFaulted { .. } => Some(Phase::Faulted),
        Event::InstanceCancelled { .. } => Some(Phase::Cancelled),
        Event::InstanceStarted { .. }
        | Event::DeadlineSet { .. }
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
        | Event::DiagnosisStarted { .. }
        | Event::TaskFaulted { .. }
        | Event::TaskCancelled { .. } => None,
    }
}
