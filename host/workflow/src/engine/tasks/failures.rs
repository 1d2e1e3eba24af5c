//! `onFailure`: before the error of a task goes on, a plugin is asked about it.
//!
//! What it says is in the history, as the output of a task of its own below the
//! one that failed. It changes nothing: the error goes on as it is, also when
//! the plugin itself fails.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::command::CommandStatus;
use crate::effect::Fault;
use crate::engine::apply::Refusal;
use crate::engine::data_flow::Running;
use crate::engine::decide::next_task;
use crate::engine::frame::{Branch, Sequence, State};
use crate::engine::instance::Instance;
use crate::event::Event;
use crate::ids::TaskPath;

/// `event`, or what comes before it: a task with an `onFailure` is diagnosed before it faults.
pub fn diagnosed_first(instance: &Instance, event: Event) -> Event {
    let Event::TaskFaulted { path, error } = event else { return event };
    let frame = instance.frames.get(&path);
    let asks = frame.is_some_and(|frame| {
        let task = frame.task(instance.definition());
        let has_call = task.is_some_and(|task| !task.light.on_failure.0.is_empty());
        has_call && !matches!(frame.state, State::Diagnosing { .. })
    });
    match asks {
        true => Event::DiagnosisStarted { path, error },
        false => Event::TaskFaulted { path, error },
    }
}

/// The call, and after it the error that it was about.
pub fn next(running: Running<'_>, error: &Fault, list: &Sequence) -> Event {
    let record = list.value.clone().unwrap_or_default();
    next_task(running.instance, running.path, running.frame, &record)
        .unwrap_or_else(|| Event::TaskFaulted { path: running.path.clone(), error: error.clone() })
}

impl Instance {
    /// What still runs inside the task is over; the task itself is until the diagnosis is.
    pub(in crate::engine) fn diagnosis_started(&mut self, path: &TaskPath, error: Fault) -> Result<(), Refusal> {
        self.frame(path)?;
        self.drop_frames(self.frames.inside(path));
        let record = Arc::new(self.failure_record(path, &error));
        let frame = self.frame_mut(path)?;
        if let State::Diagnosing { .. } = frame.state {
            return Err(format!("`{path}` is being diagnosed already"));
        }
        let list = Sequence { branch: Branch::OnFailure, next: 0, value: Some(record) };
        frame.state = State::Diagnosing { error, list };
        Ok(())
    }

    /// What is known of a failure: the error, and of the command that it comes
    /// from, where its output is kept. `failure` is what `plugins/diagnose` reads.
    fn failure_record(&self, path: &TaskPath, error: &Fault) -> Value {
        let command = match self.frames.get(path).map(|frame| &frame.state) {
            Some(State::Attempting(attempting)) => attempting.command(),
            Some(
                State::Entered
                | State::Extending(_)
                | State::Sequence(_)
                | State::Looping(_)
                | State::Trying(_)
                | State::Forking(_)
                | State::Asking(_)
                | State::Timing { .. }
                | State::Listening(_)
                | State::Emitted(_)
                | State::Diagnosing { .. }
                | State::Faulted(_),
            )
            | None => None,
        };
        let mut failure = Map::new();
        let summary = error.detail.as_deref().or(error.title.as_deref()).unwrap_or(&error.kind);
        failure.insert("summary".to_owned(), summary.into());
        failure.insert("logs".to_owned(), json!([]));
        if let Some(result) = command {
            failure.insert("logs".to_owned(), json!([result.stderr_ref, result.stdout_ref]));
            failure.extend(result.exit_code.map(|code| ("exitCode".to_owned(), code.into())));
            if result.status != CommandStatus::Succeeded {
                failure.insert("status".to_owned(), json!(result.status));
            }
        }
        json!({ "task": path.reference(), "attempt": self.last_attempt(path), "error": error, "failure": failure })
    }
}
