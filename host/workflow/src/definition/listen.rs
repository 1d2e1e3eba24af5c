//! `listen`: events that a task waits for.

use super::consumption::EventConsumption;
use super::model::{DataFlow, TaskList};

#[derive(Debug, Clone)]
pub struct Listen {
    pub to: EventConsumption,
    pub read: ReadAs,
    pub foreach: Option<Foreach>,
}

/// What of an event the task gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAs {
    /// The payload, decoded.
    Data,
    /// The whole event with its attributes.
    Envelope,
    /// The payload as it came.
    Raw,
}

/// What is done with each event as it is consumed.
#[derive(Debug, Clone)]
pub struct Foreach {
    /// Names the variables that hold the event and its number, from 0.
    pub item: String,
    pub at: String,
    pub tasks: TaskList,
    pub output: DataFlow,
    pub export: DataFlow,
}
