//! Lifecycle events of the specification as a projection of the history:
//! nothing of them is stored, so they cannot say anything else.
//!
//! `status-changed`, which the specification leaves to runtimes, comes after
//! the events that say why, and tells beside them what waits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::cloud_event::{CloudEvent, EVENT_BYTES_MAX};
use crate::event::{Event, Recorded};
use crate::ids::{InstanceId, TaskPath, Timestamp};

/// Prefix of the types of workflows and tasks.
const TYPES: &str = "io.serverlessworkflow.";

/// The lifecycle events of a whole history, each with its revision; an event
/// of the history makes none, one or several.
///
/// Empty for a history that does not begin with `InstanceStarted`.
pub fn lifecycle(instance: &InstanceId, history: &[Recorded]) -> Vec<(u64, CloudEvent)> {
    let Some(Event::InstanceStarted { definition_name, .. }) = history.first().map(|first| &first.event) else {
        return Vec::new();
    };
    let mut projection = Projection::new(instance, definition_name);
    history.iter().for_each(|recorded| projection.add(recorded));
    projection.events
}

struct Projection<'a> {
    instance: &'a InstanceId,
    /// `{name}-{id}.{namespace}`.
    workflow: String,
    definition: Value,
    source: String,
    /// Tasks that run.
    open: BTreeMap<TaskPath, ()>,
    /// Those of them that wait for a person, for time or for an event.
    waiting: BTreeSet<TaskPath>,
    is_suspended: bool,
    /// How the workflow ended.
    end: Option<&'static str>,
    /// What was told last of the workflow, and of each task that runs.
    status: &'static str,
    statuses: BTreeMap<TaskPath, &'static str>,
    /// Tasks that ended with this event of the history, and how.
    ended: Vec<(TaskPath, &'static str)>,
    events: Vec<(u64, CloudEvent)>,
}

impl<'a> Projection<'a> {
    /// `definition_name` is `namespace/name:version`.
    fn new(instance: &'a InstanceId, definition_name: &str) -> Self {
        let (namespace, rest) = definition_name.split_once('/').unwrap_or(("", definition_name));
        let (name, version) = rest.rsplit_once(':').unwrap_or((rest, ""));
        Self {
            instance,
            workflow: format!("{name}-{instance}.{namespace}"),
            definition: json!({ "name": name, "namespace": namespace, "version": version }),
            source: format!("/v1/releases/{instance}"),
            open: BTreeMap::new(),
            waiting: BTreeSet::new(),
            is_suspended: false,
            end: None,
            status: "",
            statuses: BTreeMap::new(),
            ended: Vec::new(),
            events: Vec::new(),
        }
    }

    fn add(&mut self, recorded: &Recorded) {
        self.add_own(recorded);
        self.waiting.retain(|path| self.open.contains_key(path));
        self.add_status_changes(recorded.revision, recorded.at);
    }

    /// The phases that are others than before, of tasks and then of the workflow.
    fn add_status_changes(&mut self, revision: u64, at: Timestamp) {
        for (path, status) in std::mem::take(&mut self.ended) {
            self.statuses.remove(&path);
            self.task_status(revision, at, &path, status);
        }
        let is_other = |path: &&TaskPath| self.statuses.get(*path) != Some(&self.phase_of(path));
        let changed: Vec<TaskPath> = self.open.keys().filter(is_other).cloned().collect();
        for path in changed {
            let status = self.phase_of(&path);
            self.task_status(revision, at, &path, status);
            self.statuses.insert(path, status);
        }
        let status = match self.end {
            Some(end) => end,
            None if self.is_suspended => "suspended",
            None if self.is_waiting() => "waiting",
            None => "running",
        };
        if self.status != status {
            self.status = status;
            self.workflow(revision, at, "status-changed", "updatedAt", json!({ "status": status }));
        }
    }

    fn phase_of(&self, path: &TaskPath) -> &'static str {
        match (self.is_suspended, self.waiting.contains(path)) {
            (true, _) => "suspended",
            (false, true) => "waiting",
            (false, false) => "running",
        }
    }

    /// Whether something waits, and nothing else goes on: of tasks in tasks the innermost count.
    fn is_waiting(&self) -> bool {
        let mut paths = self.open.keys().peekable();
        let mut waits = false;
        while let Some(path) = paths.next() {
            // In the order of the paths, what is inside follows.
            let is_innermost = paths.peek().is_none_or(|next| !next.is_within(path));
            if is_innermost && !self.waiting.contains(path) {
                return false;
            }
            waits |= is_innermost;
        }
        waits
    }

    fn task_status(&mut self, revision: u64, at: Timestamp, path: &TaskPath, status: &'static str) {
        self.task(revision, at, path, "status-changed", "updatedAt", json!({ "status": status }));
    }

    fn add_own(&mut self, recorded: &Recorded) {
        let revision = recorded.revision;
        let at = recorded.at;
        match &recorded.event {
            Event::InstanceStarted { .. } => {
                let definition = self.definition.clone();
                self.workflow(revision, at, "started", "startedAt", json!({ "definition": definition }));
            }
            Event::InstanceSuspended { .. } => {
                self.is_suspended = true;
                self.workflow(revision, at, "suspended", "suspendedAt", json!({}));
                self.each_open(|_| true, revision, at, "suspended", "suspendedAt");
            }
            Event::InstanceResumed { .. } => {
                self.is_suspended = false;
                self.workflow(revision, at, "resumed", "resumedAt", json!({}));
                self.each_open(|_| true, revision, at, "resumed", "resumedAt");
            }
            Event::InstanceCompleted { output } => {
                self.end = Some("completed");
                self.workflow(revision, at, "completed", "completedAt", json!({ "output": output }));
            }
            Event::InstanceFaulted { error } => {
                self.end = Some("faulted");
                self.cancel_open(|_| true, revision, at);
                self.workflow(revision, at, "faulted", "faultedAt", json!({ "error": error }));
            }
            Event::InstanceCancelled { .. } => {
                self.end = Some("cancelled");
                self.cancel_open(|_| true, revision, at);
                self.workflow(revision, at, "cancelled", "cancelledAt", json!({}));
            }
            Event::TaskStarted { path, .. } => {
                self.open.insert(path.clone(), ());
                self.task(revision, at, path, "created", "createdAt", json!({}));
                self.task(revision, at, path, "started", "startedAt", json!({}));
            }
            Event::TaskCompleted { path, output, then, .. } => {
                self.close(path, revision, at);
                self.task(revision, at, path, "completed", "completedAt", json!({ "output": output }));
                if *then == crate::event::FlowTarget::End {
                    // What encloses it has come to its end with it.
                    let around: Vec<TaskPath> = self.open.keys().filter(|open| path.is_within(open)).cloned().collect();
                    for open in around.into_iter().rev() {
                        self.open.remove(&open);
                        self.task(revision, at, &open, "completed", "completedAt", json!({ "output": output }));
                    }
                    self.cancel_open(|_| true, revision, at);
                }
            }
            Event::TaskFaulted { path, error } => {
                self.close(path, revision, at);
                self.task(revision, at, path, "faulted", "faultedAt", json!({ "error": error }));
            }
            Event::TaskCancelled { path } => {
                self.close(path, revision, at);
                self.task(revision, at, path, "cancelled", "cancelledAt", json!({}));
            }
            Event::RetryScheduled { path, .. } => {
                self.waiting.insert(path.clone());
                self.task(revision, at, path, "retried", "retriedAt", json!({}));
            }
            Event::ListenStarted { path } => {
                self.waiting.insert(path.clone());
                self.workflow(revision, at, "correlation-started", "startedAt", json!({}));
            }
            Event::EventConsumed { path, fit, .. } if fit.done => {
                self.waiting.remove(path);
                let keys = json!({ "correlationKeys": fit.correlated });
                self.workflow(revision, at, "correlation-completed", "completedAt", keys);
            }
            Event::QuestionAsked { path, .. } | Event::TimerStarted { path, .. } => {
                self.waiting.insert(path.clone());
            }
            Event::QuestionAnswered { path, .. } | Event::TimerFired { path } => {
                self.waiting.remove(path);
            }
            Event::EventConsumed { .. }
            | Event::DeadlineSet { .. }
            | Event::TaskSkipped { .. }
            | Event::ExtensionStarted { .. }
            | Event::ExtendedTaskEnded { .. }
            | Event::IterationStarted { .. }
            | Event::IterationCompleted { .. }
            | Event::EventEmitted { .. }
            | Event::AttemptStarted { .. }
            | Event::CommandsPlanned { .. }
            | Event::CallStarted { .. }
            | Event::CommandStarted { .. }
            | Event::CommandCompleted { .. }
            | Event::HostCallCompleted { .. }
            | Event::AttemptCompleted { .. }
            | Event::ErrorCaught { .. }
            | Event::DiagnosisStarted { .. } => {}
        }
    }

    /// A task ends; what still runs inside it is cancelled.
    fn close(&mut self, path: &TaskPath, revision: u64, at: Timestamp) {
        self.open.remove(path);
        self.cancel_open(|open| open.is_within(path), revision, at);
    }

    fn cancel_open(&mut self, which: impl Fn(&TaskPath) -> bool, revision: u64, at: Timestamp) {
        self.each_open(&which, revision, at, "cancelled", "cancelledAt");
        self.open.retain(|path, ()| !which(path));
    }

    fn each_open(
        &mut self,
        which: impl Fn(&TaskPath) -> bool,
        revision: u64,
        at: Timestamp,
        what: &str,
        when: &'static str,
    ) {
        // The innermost first.
        let paths: Vec<TaskPath> = self.open.keys().rev().filter(|path| which(path)).cloned().collect();
        for path in paths {
            self.task(revision, at, &path, what, when, json!({}));
        }
    }

    fn workflow(&mut self, revision: u64, at: Timestamp, what: &str, when: &'static str, more: Value) {
        let data = json!({ "name": self.workflow, when: at.to_string() });
        self.push(revision, at, &format!("{TYPES}workflow.{what}.v1"), data, more);
    }

    fn task(&mut self, revision: u64, at: Timestamp, path: &TaskPath, what: &str, when: &'static str, more: Value) {
        let ended = ["completed", "faulted", "cancelled"].into_iter().find(|end| *end == what);
        self.ended.extend(ended.map(|end| (path.clone(), end)));
        let data = json!({ "workflow": self.workflow, "task": path.reference(), when: at.to_string() });
        self.push(revision, at, &format!("{TYPES}task.{what}.v1"), data, more);
    }

    fn push(&mut self, revision: u64, at: Timestamp, kind: &str, data: Value, more: Value) {
        let number = self.events.iter().rev().take_while(|(of, _)| *of == revision).count();
        let mut event = Map::new();
        event.insert("specversion".to_owned(), "1.0".into());
        event.insert("id".to_owned(), format!("{}.{revision}.{number}", self.instance).into());
        event.insert("source".to_owned(), self.source.clone().into());
        event.insert("type".to_owned(), kind.into());
        event.insert("time".to_owned(), at.to_string().into());
        event.insert("datacontenttype".to_owned(), "application/json".into());
        event.insert("data".to_owned(), joined(data.clone(), more.clone()));
        let event = match CloudEvent::new(Value::Object(event.clone())) {
            Ok(event) => event,
            // Larger than an event may be: the reader fetches it.
            Err(_) => {
                event.insert("data".to_owned(), joined(data, by_reference(more, &self.source)));
                CloudEvent::new(Value::Object(event)).expect("without its payload it is small")
            }
        };
        self.events.push((revision, event));
    }
}

/// `output` by its place: `outputUri`. An error is cut.
fn by_reference(more: Value, source: &str) -> Value {
    match more.get("error") {
        Some(error) => {
            let short = |name: &str| error.get(name).and_then(Value::as_str).map(|text| clipped(text).to_owned());
            json!({ "error": {
                "type": short("type"), "status": error["status"], "title": short("title"),
                "detail": short("detail"), "instance": short("instance"),
            } })
        }
        None => json!({ "outputUri": source }),
    }
}

fn clipped(text: &str) -> &str {
    const MAX: usize = EVENT_BYTES_MAX / 32;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

fn joined(mut data: Value, more: Value) -> Value {
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    data
}
