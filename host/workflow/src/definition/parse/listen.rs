//! `listen` with its `foreach`.

use super::super::listen::{Foreach, Listen, ReadAs};
use super::super::model::{DataFlow, TaskKind, TaskList};
use super::tasks::{Context, list};
use super::{schedule, values};
use crate::located::Field;

pub fn listen(task: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    let [to, read] = field.fields(["to", "read"])?;
    let to = to.required(schedule::consumption);
    let read = read.or(ReadAs::Data, |field| {
        field.choice(&[("data", ReadAs::Data), ("envelope", ReadAs::Envelope), ("raw", ReadAs::Raw)])
    });
    let foreach = task.slot("foreach").optional(|field| foreach(field, context, "foreach/do"));
    Some(TaskKind::Listen(Box::new(Listen { to: to?, read: read?, foreach: foreach? })))
}

/// What is done with each item; `key` is where its tasks stand, below `context.path`.
pub fn foreach(field: &Field, context: Context, key: &'static str) -> Option<Foreach> {
    let [item, at, tasks, output, export] = field.fields(["item", "at", "do", "output", "export"])?;
    let item_name = item.or("item".to_owned(), values::variable);
    let at_name = at.or("index".to_owned(), values::variable);
    let tasks = tasks.or(TaskList::default(), |field| list(field, context, key));
    let output = output.or(DataFlow::default(), |field| values::data_flow(field, "as"));
    let export = export.or(DataFlow::default(), |field| values::data_flow(field, "as"));
    let (item_name, at_name) = (item_name?, at_name?);
    if item_name == at_name {
        let message = format!("`foreach.item` and `foreach.at` are both `{at_name}`");
        field.error(message, Some("give them two names"));
        return None;
    }
    Some(Foreach { item: item_name, at: at_name, tasks: tasks?, output: output?, export: export? })
}
