//! What expressions see: which variables, where.
//!
//! Source: the table of arguments in the specification (“Runtime expressions”).
//! `$secrets` is never among them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::frame::{Listening, State, TryStep};
use super::instance::Instance;
use crate::definition::{Task, TaskKind};
use crate::expression::Variables;
use crate::ids::{TaskPath, Timestamp};

/// The variables at one place of one instance.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub instance: &'a Instance,
    /// Where the variables of `for` and `catch` are looked up, outwards.
    pub enclosing: Option<&'a TaskPath>,
    pub context: Option<&'a Value>,
    pub input: Option<&'a Value>,
    pub output: Option<&'a Value>,
    pub task: Option<TaskScope<'a>>,
    /// Bound right here: the error of a `catch.when`, the item of a `while`.
    pub bound: Vec<(&'a str, Cow<'a, Value>)>,
}

/// What `$task` is made of.
#[derive(Clone)]
pub(super) struct TaskScope<'a> {
    pub task: &'a Task,
    /// Raw input.
    pub input: &'a Value,
    /// Raw output, once there is one.
    pub output: Option<&'a Value>,
    /// None before it is entered.
    pub started_at: Option<Timestamp>,
    /// As extensions see the task they extend: its own fields beside the
    /// others, so that `$task.with` is what it calls with.
    pub with_definition: bool,
}

impl<'a> Scope<'a> {
    /// Of the whole document: `$workflow` and `$runtime`.
    pub fn of_instance(instance: &'a Instance) -> Self {
        Self { instance, enclosing: None, context: None, input: None, output: None, task: None, bound: Vec::new() }
    }

    pub fn bind(mut self, name: &'a str, value: Cow<'a, Value>) -> Self {
        self.bound.push((name, value));
        self
    }

    fn of_loops_and_catches(&self, name: &str) -> Option<Cow<'a, Value>> {
        let instance = self.instance;
        let mut path = self.enclosing;
        while let Some(here) = path {
            let frame = instance.frames.get(here)?;
            match (frame.task(instance.definition()).map(|task| &task.kind), &frame.state) {
                (Some(TaskKind::For(each)), State::Looping(looping)) => {
                    if each.each == name {
                        return Some(Cow::Borrowed(&looping.item));
                    }
                    if each.at == name {
                        return Some(Cow::Owned(Value::from(looping.index)));
                    }
                }
                (
                    Some(kind @ (TaskKind::Listen(_) | TaskKind::Outbound(_))),
                    State::Listening(Listening { items, iteration: Some(iteration), .. }),
                ) => {
                    if let Some(foreach) = kind.foreach() {
                        if foreach.item == name {
                            return items.get(iteration.index).map(Cow::Borrowed);
                        }
                        if foreach.at == name {
                            return Some(Cow::Owned(Value::from(iteration.index)));
                        }
                    }
                }
                (Some(TaskKind::Try(block)), State::Trying(trying)) if block.bind == name => {
                    match &trying.step {
                        TryStep::Handling { error, .. } => return Some(Cow::Borrowed(error)),
                        // The `if` of the handler's first task.
                        TryStep::Caught(error) => return serde_json::to_value(error).ok().map(Cow::Owned),
                        TryStep::Block(_) | TryStep::Faulted(_) | TryStep::Backoff { .. } => {}
                    }
                }
                _ => {}
            }
            path = frame.parent.as_ref();
        }
        None
    }
}

impl Variables for Scope<'_> {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        if let Some((_, value)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return Some(Cow::Borrowed(value));
        }
        match name {
            "context" => self.context.map(Cow::Borrowed),
            "input" => self.input.map(Cow::Borrowed),
            "output" => self.output.map(Cow::Borrowed),
            "task" => self.task.as_ref().map(|task| Cow::Owned(task_value(task))),
            "workflow" => Some(Cow::Owned(workflow_value(self.instance))),
            "runtime" => Some(Cow::Owned(
                json!({"name": "light-workflow", "version": env!("CARGO_PKG_VERSION"), "metadata": {}}),
            )),
            _ => self.of_loops_and_catches(name),
        }
    }

    /// When the task started; the newest fact of the history where there is no
    /// task yet (`if`) or any more (the document's `output.as`). The document's
    /// `input.from` may be asked for again later, so there it is the start.
    fn now(&self) -> Option<Timestamp> {
        let of_task = self.task.as_ref().and_then(|task| task.started_at);
        let otherwise = match self.context {
            Some(_) => self.instance.newest_at,
            None => self.instance.started_at,
        };
        Some(of_task.unwrap_or(otherwise))
    }
}

fn task_value(scope: &TaskScope<'_>) -> Value {
    let mut value = json!({
        "name": scope.task.name,
        "reference": scope.task.reference,
        "definition": scope.task.source,
        "input": scope.input,
        "output": scope.output,
        "startedAt": scope.started_at.map(time_value),
    });
    if let (true, Value::Object(members), Value::Object(fields)) =
        (scope.with_definition, &mut value, &scope.task.source)
    {
        for (name, field) in fields {
            members.entry(name.clone()).or_insert_with(|| field.clone());
        }
    }
    value
}

fn workflow_value(instance: &Instance) -> Value {
    json!({
        "id": instance.id().as_str(),
        "definition": instance.definition().value.as_ref(),
        "input": instance.input(),
        "startedAt": time_value(instance.started_at()),
    })
}

/// A point in time as the specification describes it.
fn time_value(at: Timestamp) -> Value {
    json!({
        "iso8601": at.to_string(),
        "epoch": {"seconds": at.as_second(), "milliseconds": at.as_millisecond()},
    })
}
