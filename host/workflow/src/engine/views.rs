//! What others see of an instance: open work, runs of tasks, results.

use serde::Serialize;

use crate::command::CommandResult;
use crate::effect::Effect;
use crate::event::{Event, Question};
use crate::ids::{TaskPath, Timestamp};

/// An attempt whose intent is in the history and whose outcome is not.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAttempt<'a> {
    pub path: TaskPath,
    pub attempt: u32,
    pub effect: &'a Effect,
    pub started_at: Timestamp,
    /// `CommandStarted`, `CommandCompleted` and `HostCallCompleted` of this
    /// attempt so far, in the order of the history.
    pub host_calls: &'a [Event],
}

/// A question that nobody has answered yet.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenQuestion<'a> {
    pub path: TaskPath,
    pub question: &'a Question,
    pub asked_at: Timestamp,
}

/// One execution of a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRun {
    pub name: String,
    pub path: TaskPath,
    pub status: TaskStatus,
    /// From 1; counts all attempts at this path, retries of an enclosing `try` included.
    pub attempt: u32,
    pub started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// One line for people: how the command ended, what the error says.
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// The outcome of a command, of a task itself or of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedResult {
    pub path: TaskPath,
    pub attempt: u32,
    /// 0 for the task's own command, else the number of the host call.
    pub sequence: u32,
    /// Without the excerpts of the streams: they are in the history and in the artifacts.
    pub result: CommandResult,
}

impl RecordedResult {
    pub(super) fn new(path: &TaskPath, attempt: u32, sequence: u32, result: &CommandResult) -> Self {
        let mut result = result.clone();
        result.stdout_excerpt = String::new();
        result.stderr_excerpt = String::new();
        Self { path: path.clone(), attempt, sequence, result }
    }
}
