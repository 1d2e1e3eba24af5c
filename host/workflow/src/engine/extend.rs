//! How a task comes through its extensions: `before` of each that applies,
//! outermost first, its own part, then `after` of each, innermost first.

use std::sync::Arc;

use serde_json::Value;

use super::apply::{Refusal, is_done, own_state};
use super::frame::{Branch, Extending, Frame, Sequence, State};
use super::instance::Instance;
use crate::definition::Task;
use crate::event::FlowTarget;
use crate::ids::{TaskPath, Timestamp};

impl Instance {
    pub(super) fn extension_started(
        &mut self,
        path: &TaskPath,
        extension: usize,
        applies: bool,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let frame = self.frame_mut(path)?;
        let task = frame.task(&definition).ok_or("the document itself has no extensions")?;
        if frame.state != State::Extending(Extending::Undecided(extension)) {
            return Err(format!("extension {extension} of `{path}` is not next"));
        }
        if applies {
            frame.applied.push(extension);
        }
        let has_before = task.extensions.get(extension).is_some_and(|extension| !extension.before.0.is_empty());
        frame.state = match applies && has_before {
            true => {
                let list = Sequence::new(Branch::Before(extension));
                State::Extending(Extending::Before { extension, list })
            }
            false => before_next(task, extension + 1, at),
        };
        Ok(())
    }

    pub(super) fn extended_task_ended(
        &mut self,
        path: &TaskPath,
        output: Value,
        then: FlowTarget,
    ) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let frame = self.frame_mut(path)?;
        let task = frame.task(&definition).ok_or("the document itself has no extensions")?;
        if matches!(frame.state, State::Extending(_)) || !is_done(frame, &definition) {
            return Err(format!("`{path}` is not done"));
        }
        self.note_approval(path)?;
        let frame = self.frame_mut(path)?;
        frame.state = after_next(frame, task, usize::MAX, Arc::new(output), then);
        Ok(())
    }

    /// A task of an extension's list ended: with the list the extension moves on.
    pub(super) fn extension_walked(&mut self, path: &TaskPath, at: Timestamp) -> Result<(), Refusal> {
        let definition = self.definition().clone();
        let frame = self.frame_mut(path)?;
        let Some(task) = frame.task(&definition) else { return Ok(()) };
        let is_at_end =
            |list: &Sequence| frame.list(&definition, list.branch).is_none_or(|tasks| list.next >= tasks.0.len());
        let next = match &frame.state {
            State::Extending(Extending::Before { extension, list }) if is_at_end(list) => {
                before_next(task, extension + 1, at)
            }
            State::Extending(Extending::After { extension, list, output, then }) if is_at_end(list) => {
                after_next(frame, task, *extension, output.clone(), then.clone())
            }
            _ => return Ok(()),
        };
        frame.state = next;
        Ok(())
    }
}

/// The next extension, or the task's own part.
fn before_next(task: &Task, extension: usize, at: Timestamp) -> State {
    match extension < task.extensions.len() {
        true => State::Extending(Extending::Undecided(extension)),
        false => own_state(&task.kind, at),
    }
}

/// The `after` of the extensions that apply, from the one before `extension` outwards.
fn after_next(frame: &Frame, task: &Task, extension: usize, output: Arc<Value>, then: FlowTarget) -> State {
    let has_after = |extension: &usize| !task.extensions[*extension].after.0.is_empty();
    let mut outwards = frame.applied.iter().rev().copied().skip_while(|applied| *applied >= extension);
    State::Extending(match outwards.find(has_after) {
        Some(extension) => {
            let list = Sequence { branch: Branch::After(extension), next: 0, value: Some(output.clone()) };
            Extending::After { extension, list, output, then }
        }
        None => Extending::Done { output, then },
    })
}
