//! `fork`: branches that run at the same time.
//!
//! All start with the fork's input and share `$context`: an `export` replaces
//! it for every branch, one after the other, in the order of the history.

use std::sync::Arc;

use serde_json::Value;

use crate::definition::{Fork, TaskKind};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::Running;
use crate::engine::decide::next_task;
use crate::engine::frame::{Branch, BranchState, ForkEnd, Forking};
use crate::event::Event;
use crate::ids::TaskPath;

/// The next branch starts; or, once the end is known, the next that still runs
/// is cancelled; or the fork is done.
pub fn next(running: Running<'_>, forking: &Forking) -> Result<Event, Fault> {
    let TaskKind::Fork(fork) = &running.task.kind else {
        return Err(StandardError::Runtime.fault("only `fork` has branches"));
    };
    if let Some(end) = &forking.end {
        return match (first_running(running, fork, forking), end) {
            (Some(path), _) => Ok(Event::TaskCancelled { path }),
            (None, ForkEnd::Won(winner)) => {
                Ok(running.complete(output_of(forking.branches.get(*winner), &Value::Null)))
            }
            (None, ForkEnd::Faulted(error)) => Err(error.clone()),
        };
    }
    let input = running.input()?;
    if let Some(event) = next_task(running.instance, running.path, running.frame, &input) {
        return Ok(event);
    }
    if fork.compete {
        // Every branch was skipped, so nobody competed.
        return Ok(running.complete(Arc::unwrap_or_clone(input)));
    }
    let outputs = forking.branches.iter().map(|branch| output_of(Some(branch), &input)).collect();
    Ok(running.complete(Value::Array(outputs)))
}

fn first_running(running: Running<'_>, fork: &Fork, forking: &Forking) -> Option<TaskPath> {
    let index = forking.branches.iter().position(|branch| *branch == BranchState::Running)?;
    let branch = fork.branches.0.get(index)?;
    Some(running.path.child(&Branch::Fork.key(), index, &branch.name))
}

/// As in a list, the output of a task that was skipped is its input.
fn output_of(branch: Option<&BranchState>, input: &Value) -> Value {
    match branch {
        Some(BranchState::Gave(output)) => output.as_ref().clone(),
        Some(BranchState::Skipped) => input.clone(),
        Some(BranchState::Running | BranchState::Cancelled) | None => Value::Null,
    }
}
