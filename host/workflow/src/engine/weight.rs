//! What an event adds to the history while nothing is waited for.

use serde_json::Value;

use crate::event::Event;

/// About how many bytes the values in `event` take as JSON; nothing for what an effect or a person brings.
pub(super) fn flow_bytes(event: &Event) -> u64 {
    match event {
        Event::TaskStarted { input, .. } => bytes_of(input),
        Event::IterationStarted { item, input, .. } => bytes_of(item) + bytes_of(input),
        Event::ExtendedTaskEnded { output, .. } => bytes_of(output),
        Event::IterationCompleted { output, context, .. } | Event::TaskCompleted { output, context, .. } => {
            bytes_of(output) + context.as_ref().map_or(0, bytes_of)
        }
        Event::InstanceStarted { .. }
        | Event::DeadlineSet { .. }
        | Event::TaskSkipped { .. }
        | Event::ExtensionStarted { .. }
        | Event::AttemptStarted { .. }
        | Event::CommandsPlanned { .. }
        | Event::CommandStarted { .. }
        | Event::CommandCompleted { .. }
        | Event::CallStarted { .. }
        | Event::HostCallCompleted { .. }
        | Event::AttemptCompleted { .. }
        | Event::QuestionAsked { .. }
        | Event::QuestionAnswered { .. }
        | Event::TimerStarted { .. }
        | Event::TimerFired { .. }
        | Event::ListenStarted { .. }
        | Event::EventConsumed { .. }
        | Event::EventEmitted { .. }
        | Event::ErrorCaught { .. }
        | Event::RetryScheduled { .. }
        | Event::DiagnosisStarted { .. }
        | Event::TaskFaulted { .. }
        | Event::TaskCancelled { .. }
        | Event::InstanceCompleted { .. }
        | Event::InstanceFaulted { .. }
        | Event::InstanceCancelled { .. }
        | Event::InstanceSuspended { .. }
        | Event::InstanceResumed { .. } => 0,
    }
}

/// Without escapes, and each number as 8.
fn bytes_of(value: &Value) -> u64 {
    let of_text = |text: &str| text.len() as u64 + 3;
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => of_text(text),
        Value::Array(items) => items.iter().map(|item| bytes_of(item) + 1).sum::<u64>() + 2,
        Value::Object(members) => {
            members.iter().map(|(name, member)| of_text(name) + bytes_of(member) + 1).sum::<u64>() + 2
        }
    }
}
