//! The durable summary of an instance: what ran, who approved, what came out.
//!
//! Made of the history alone, so it can be made again at any time. Sources: L13,
//! S8 and “Command Result Contract” in the design document.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::approval::canonical;
use crate::capability::EffectivePolicy;
use crate::command::{Artifact, CommandResult, CommandStatus};
use crate::effect::{EffectOutcome, Fault};
use crate::event::{Decision, Event, FlowTarget, Question, Recorded};
use crate::ids::{Actor, ArtifactUri, Digest, InstanceId, TaskPath, Timestamp};

/// Raised with every change after which an old history gives other bytes: who
/// compares a kept summary must know whether it was made the same way.
pub const FORMAT: u32 = 1;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// [`FORMAT`] of the program that made it.
    pub format: u32,
    /// Of a release: the request's `releaseId`.
    pub release_id: Option<String>,
    pub definition: Digest,
    pub definition_name: String,
    pub status: &'static str,
    pub started_by: Actor,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Digest of the canonical JSON of the effective policy.
    pub policy_digest: Digest,
    pub policy: EffectivePolicy,
    pub tasks: Vec<TaskLine>,
    pub commands: Vec<CommandLine>,
    pub approvals: Vec<ApprovalLine>,
    /// What was said about failures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnoses: Vec<DiagnosisLine>,
    pub artifacts: Vec<Artifact>,
    pub output: Option<Value>,
    pub error: Option<Fault>,
    pub cancelled: Option<Cancellation>,
}

/// Who ended it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cancellation {
    pub by: Actor,
    pub reason: String,
}

/// The release that an instance with this input is; none for any other workflow.
pub fn release_id(input: &Value) -> Option<&str> {
    input.pointer("/release/releaseId").and_then(Value::as_str)
}

/// One execution of a task, in the order they began; a task in a loop has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskLine {
    pub name: String,
    pub path: TaskPath,
    pub status: TaskStatus,
    /// The newest attempt of its effect, which counts all at this path; 0 for a task without one.
    pub attempts: u32,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// One line for people: how the command ended, what was answered, what the error says.
    pub summary: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    Running,
    Completed,
    Faulted,
    /// Its `if` was false.
    Skipped,
    /// Ended from outside: the instance was cancelled, or something around it timed out.
    Cancelled,
}

impl TaskStatus {
    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Faulted => "faulted",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One command that ended, of a task itself or of its plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandLine {
    pub task: TaskPath,
    pub attempt: u32,
    /// 0 for the task's own command, else the number of the plugin's call.
    pub sequence: u32,
    pub command: String,
    pub status: CommandStatus,
    pub exit_code: Option<i32>,
    /// One line for people.
    pub summary: String,
    pub duration_ms: u64,
    pub sandbox_digest: Digest,
    pub stdout_ref: ArtifactUri,
    pub stderr_ref: ArtifactUri,
    pub artifacts: Vec<ArtifactUri>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalLine {
    pub task: TaskPath,
    pub prompt: String,
    pub asked_at: Timestamp,
    pub decision: Option<Decision>,
}

/// What the `onFailure` of a task said when the task failed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosisLine {
    /// The task that failed.
    pub task: TaskPath,
    /// The plugin that was asked.
    pub by: String,
    pub diagnosis: Value,
}

impl TaskLine {
    fn new(path: &TaskPath, status: TaskStatus, at: Timestamp) -> Self {
        Self {
            name: path.task_name().to_owned(),
            path: path.clone(),
            status,
            attempts: 0,
            started_at: at,
            ended_at: None,
            summary: None,
        }
    }
}

impl Summary {
    /// None for a history that does not begin with `InstanceStarted`.
    pub fn of(history: &[Recorded]) -> Option<Self> {
        let first = history.first()?;
        let Event::InstanceStarted { definition, definition_name, input, started_by, policy, parent: _ } = &first.event
        else {
            return None;
        };
        let release_id = release_id(input).map(str::to_owned);
        let policy_json = serde_json::to_value(policy.as_ref()).unwrap_or_default();
        let mut summary = Summary {
            format: FORMAT,
            release_id,
            definition: definition.clone(),
            definition_name: definition_name.clone(),
            status: "running",
            started_by: started_by.clone(),
            started_at: first.at,
            ended_at: None,
            policy_digest: Digest::of(canonical(&policy_json).as_bytes()),
            policy: (**policy).clone(),
            tasks: Vec::new(),
            commands: Vec::new(),
            approvals: Vec::new(),
            diagnoses: Vec::new(),
            artifacts: Vec::new(),
            output: None,
            error: None,
            cancelled: None,
        };
        for recorded in &history[1..] {
            summary.add(recorded);
        }
        Some(summary)
    }

    fn add(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.event {
            Event::TaskStarted { path, .. } => self.tasks.push(TaskLine::new(path, TaskStatus::Running, at)),
            Event::TaskSkipped { path } => {
                self.tasks.push(TaskLine { ended_at: Some(at), ..TaskLine::new(path, TaskStatus::Skipped, at) });
            }
            Event::TaskCompleted { path, then: FlowTarget::End, .. } => self.flow_to_end(path, at),
            Event::TaskCompleted { path, output, .. } => {
                self.end_task(path, at, TaskStatus::Completed);
                if let Some(task) = path.diagnosed() {
                    let by = path.task_name().to_owned();
                    self.diagnoses.push(DiagnosisLine { task, by, diagnosis: output.clone() });
                }
            }
            Event::TaskFaulted { path, error } => {
                let detail = error.detail.as_ref().or(error.title.as_ref()).unwrap_or(&error.kind);
                self.summarise(path, detail.clone());
                self.end_task(path, at, TaskStatus::Faulted);
            }
            Event::TaskCancelled { path } => self.end_task(path, at, TaskStatus::Cancelled),
            Event::AttemptStarted { path, attempt, .. } => {
                if let Some(task) = self.task(path) {
                    task.attempts = *attempt;
                }
            }
            Event::CommandCompleted { sequence, result, .. } => self.command(*sequence, result),
            Event::AttemptCompleted { path, outcome, .. } => match outcome.as_ref() {
                EffectOutcome::Command { result } => {
                    self.summarise(path, result.summary.clone());
                    self.command(0, result);
                }
                EffectOutcome::Output { .. } | EffectOutcome::Faulted { .. } | EffectOutcome::Unknown { .. } => {}
            },
            Event::QuestionAsked { path, question } => self.asked(path, question, at),
            Event::QuestionAnswered { path, decision } => {
                self.summarise(path, format!("{} by {}", decision.value, decision.decided_by));
                if let Some(asked) = self.approvals.iter_mut().rev().find(|asked| asked.task == *path) {
                    asked.decision = Some(decision.clone());
                }
                self.status = "running";
            }
            Event::InstanceCompleted { output } => {
                self.output = Some(output.clone());
                self.end("completed", at);
            }
            Event::InstanceFaulted { error } => {
                self.error = Some(error.clone());
                self.end("faulted", at);
            }
            Event::InstanceCancelled { by, reason } => {
                self.cancelled = Some(Cancellation { by: by.clone(), reason: reason.clone() });
                self.end("cancelled", at);
            }
            Event::InstanceSuspended { .. } => self.status = "suspended",
            Event::InstanceResumed { .. } => self.status = "running",
            Event::InstanceStarted { .. }
            | Event::DeadlineSet { .. }
            | Event::ExtensionStarted { .. }
            | Event::ExtendedTaskEnded { .. }
            | Event::IterationStarted { .. }
            | Event::CommandsPlanned { .. }
            | Event::CommandStarted { .. }
            | Event::CallStarted { .. }
            | Event::HostCallCompleted { .. }
            | Event::TimerStarted { .. }
            | Event::TimerFired { .. }
            | Event::ListenStarted { .. }
            | Event::EventConsumed { .. }
            | Event::IterationCompleted { .. }
            | Event::EventEmitted { .. }
            | Event::ErrorCaught { .. }
            | Event::DiagnosisStarted { .. }
            | Event::RetryScheduled { .. } => {}
        }
    }

    fn task(&mut self, path: &TaskPath) -> Option<&mut TaskLine> {
        self.tasks.iter_mut().rev().find(|task| task.path == *path)
    }

    fn summarise(&mut self, path: &TaskPath, summary: String) {
        if let Some(task) = self.task(path) {
            task.summary = Some(summary);
        }
    }

    fn end_task(&mut self, path: &TaskPath, at: Timestamp, status: TaskStatus) {
        let Some(index) = self.tasks.iter().rposition(|task| task.path == *path) else { return };
        let (task, later) = self.tasks[index..].split_first_mut().expect("a found task is there");
        task.status = status;
        task.ended_at = Some(at);
        // What ran inside it ends with it, and tells nothing of that itself.
        end_open(later.iter_mut().filter(|inner| inner.path.is_within(path)), at, TaskStatus::Cancelled);
    }

    /// What encloses the task is complete, what runs beside it is cancelled.
    fn flow_to_end(&mut self, path: &TaskPath, at: Timestamp) {
        end_open(self.tasks.iter_mut().filter(|task| path.is_within(&task.path)), at, TaskStatus::Completed);
        end_open(self.tasks.iter_mut(), at, TaskStatus::Cancelled);
    }

    fn command(&mut self, sequence: u32, result: &CommandResult) {
        self.artifacts.extend(result.artifacts.iter().cloned());
        self.commands.push(CommandLine {
            task: result.task_path.clone(),
            attempt: result.attempt,
            sequence,
            command: result.command.clone(),
            status: result.status,
            exit_code: result.exit_code,
            summary: result.summary.clone(),
            duration_ms: result.duration_ms,
            sandbox_digest: result.sandbox_digest.clone(),
            stdout_ref: result.stdout_ref.clone(),
            stderr_ref: result.stderr_ref.clone(),
            artifacts: result.artifacts.iter().map(|artifact| artifact.uri.clone()).collect(),
        });
    }

    fn asked(&mut self, path: &TaskPath, question: &Question, at: Timestamp) {
        let prompt = question.prompt.clone();
        self.approvals.push(ApprovalLine { task: path.clone(), prompt, asked_at: at, decision: None });
        self.status = "waiting";
    }

    fn end(&mut self, status: &'static str, at: Timestamp) {
        end_open(self.tasks.iter_mut(), at, TaskStatus::Cancelled);
        self.status = status;
        self.ended_at = Some(at);
    }

    /// What is kept of it: name, media type and bytes of each file.
    pub fn files(&self) -> [(&'static str, &'static str, Vec<u8>); 2] {
        let json = serde_json::to_vec_pretty(self).expect("a summary has texts for keys");
        [
            ("summary.md", "text/markdown; charset=utf-8", self.markdown().into_bytes()),
            ("summary.json", "application/json", json),
        ]
    }

    /// Where a file of the summary of `instance` is kept.
    pub fn uri(instance: &InstanceId, name: &str) -> String {
        format!("artifact://{instance}/summary/1/{name}")
    }

    /// For people: one page of Markdown.
    pub fn markdown(&self) -> String {
        let mut page = String::new();
        let title = self.release_id.as_deref().unwrap_or(&self.definition_name);
        let ended = self.ended_at.map_or_else(|| "—".to_owned(), |at| at.to_string());
        let _ = write!(
            page,
            "# Release {title}: {}\n\nDefinition `{}` ({}), started by {} at {}, ended at {ended}.\n\
             Effective policy {}.\n",
            self.status, self.definition_name, self.definition, self.started_by, self.started_at, self.policy_digest
        );
        if let Some(error) = &self.error {
            let place = error.instance.as_deref().unwrap_or("—");
            let _ = write!(page, "\n**Error** at `{place}`: {}\n", error.detail.as_deref().unwrap_or(&error.kind));
        }
        if let Some(cancelled) = &self.cancelled {
            let _ = write!(page, "\n**Cancelled** by {}: {}\n", cancelled.by, cancelled.reason);
        }
        page.push_str("\n## Tasks\n\n| task | status | attempts |\n| --- | --- | --- |\n");
        for task in &self.tasks {
            let attempts = if task.attempts == 0 { "—".to_owned() } else { task.attempts.to_string() };
            let _ = writeln!(page, "| {} | {} | {attempts} |", task.path, task.status.name());
        }
        page.push_str("\n## Commands\n\n| task | command | status | ms |\n| --- | --- | --- | --- |\n");
        for command in &self.commands {
            let line = cell(&command.command);
            let _ =
                writeln!(page, "| {} | `{line}` | {} | {} |", command.task, command.status.name(), command.duration_ms);
        }
        page.push_str("\n## Approvals\n\n");
        for approval in &self.approvals {
            let decision = approval.decision.as_ref().map_or_else(
                || "open".to_owned(),
                |decision| format!("{} by {} at {}", decision.value, decision.decided_by, decision.decided_at),
            );
            let _ = writeln!(page, "- {}: {decision}", approval.prompt);
        }
        if !self.diagnoses.is_empty() {
            page.push_str("\n## Diagnoses\n");
        }
        for DiagnosisLine { task, by, diagnosis } in &self.diagnoses {
            let text = serde_json::to_string_pretty(diagnosis).unwrap_or_default();
            let _ = write!(page, "\nOf `{task}`, by `{by}`:\n\n```json\n{text}\n```\n");
        }
        page.push_str("\n## Artifacts\n\n");
        for artifact in &self.artifacts {
            let _ = writeln!(page, "- `{}` {} ({} bytes)", artifact.uri, artifact.digest, artifact.size_bytes);
        }
        if let Some(output) = &self.output {
            let text = serde_json::to_string_pretty(output).unwrap_or_default();
            let _ = write!(page, "\n## Output\n\n```json\n{text}\n```\n");
        }
        page
    }
}

/// A text that stays in its table cell: one line, at most 120 characters.
fn cell(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.replace('|', "\\|").replace('`', "'");
    match line.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Ends those that still run.
fn end_open<'a>(tasks: impl Iterator<Item = &'a mut TaskLine>, at: Timestamp, status: TaskStatus) {
    for task in tasks.filter(|task| task.status == TaskStatus::Running) {
        task.status = status;
        task.ended_at = Some(at);
    }
}

/// With what a task ended, where its end is an event of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TaskEnd<'h> {
    Output(&'h Value),
    Fault(&'h Fault),
}

/// The ends of the tasks of a history, in the order of [`Summary::tasks`], which does not keep them.
pub fn task_ends(history: &[Recorded]) -> Vec<Option<TaskEnd<'_>>> {
    let mut ends: Vec<(&TaskPath, Option<TaskEnd<'_>>)> = Vec::new();
    for Recorded { event, .. } in history {
        if let Event::TaskStarted { path, .. } | Event::TaskSkipped { path } = event {
            ends.push((path, None));
            continue;
        }
        let (path, end) = if let Event::TaskCompleted { path, output, .. } = event {
            (path, TaskEnd::Output(output))
        } else if let Event::TaskFaulted { path, error } = event {
            (path, TaskEnd::Fault(error))
        } else {
            continue;
        };
        if let Some((_, last)) = ends.iter_mut().rfind(|(started, _)| *started == path) {
            *last = Some(end);
        }
    }
    ends.into_iter().map(|(_, end)| end).collect()
}
