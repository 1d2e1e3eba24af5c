//! What others see of an instance: what is open, and what has just ended.

use serde::{Deserialize, Serialize};

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

/// A command that ended: of a task itself, or of its plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedCommand {
    pub path: TaskPath,
    pub attempt: u32,
    /// 0 for the task's own command, else the number of the host call.
    pub sequence: u32,
}
