//! How an attack ended and what is on record of it, as lines.

use plugin_host::{CallError, LoadError};
use workflow::EffectOutcome;
use workflow::event::Event;

use crate::range::Ran;

/// A longer ending is cut when it is shown.
const SHOWN_BYTES_MAX: usize = 300;

/// `plugin-limit: plugin `hostile` was stopped: …`, `answered "ok"`.
pub(crate) fn ending(ran: &Ran) -> String {
    match &ran.outcome {
        Some(EffectOutcome::Output { output }) => format!("answered {output}"),
        Some(EffectOutcome::Faulted { error }) => {
            let kind = error.kind.rsplit('/').next().unwrap_or(&error.kind);
            format!("{kind}: {}", error.detail.as_deref().unwrap_or_default())
        }
        Some(EffectOutcome::Unknown { detail }) => format!("unknown: {detail}"),
        Some(EffectOutcome::Command { .. }) => "a command's result".to_owned(),
        None => "no outcome".to_owned(),
    }
}

/// Whether anything was compiled before it was refused stands first.
pub(crate) fn refusal(error: &LoadError) -> String {
    let when = match error {
        LoadError::TooLarge { .. } => "refused unread",
        LoadError::Inspect { source, .. } => return format!("refused before compiling: {error}: {source}"),
        LoadError::Problems { .. } | LoadError::TooManyFunctions { .. } => "refused before compiling",
        LoadError::Compile { .. } => "refused while compiling",
        LoadError::Types { .. } => "refused before any call",
    };
    format!("{when}: {error}")
}

/// What `describe` or `plan` came to.
pub(crate) fn answer<T: std::fmt::Debug>(answer: Result<T, CallError>) -> String {
    match answer {
        Ok(value) => format!("answered {value:?}"),
        Err(error @ CallError::Limit { .. }) => format!("plugin-limit: {error}"),
        Err(error @ CallError::Trapped { .. }) => format!("plugin-trapped: {error}"),
        Err(error) => format!("error: {error}"),
    }
}

/// The commands and denials of a history: `1 started attack/run: true abc`,
/// `1 completed`, `2 denied sandbox sh`.
pub(crate) fn lines(events: &[Event]) -> Vec<String> {
    events.iter().filter_map(line).collect()
}

/// Commands that are on record as started.
pub(crate) fn commands(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::CommandStarted { .. })).count()
}

fn line(event: &Event) -> Option<String> {
    match event {
        Event::CommandStarted { sequence, command, .. } => {
            let name = command.command_name.as_ref().map(ToString::to_string).unwrap_or_default();
            Some(format!("{sequence} started {name}: {}", command.line()))
        }
        Event::CommandCompleted { sequence, .. } => Some(format!("{sequence} completed")),
        Event::HostCallCompleted { sequence, request, answer, .. } => {
            answer.get("denied")?;
            let part = |key: &str| request.get(key).and_then(|value| value.as_str()).unwrap_or("?").to_owned();
            Some(format!("{sequence} denied {} {}", part("capability"), part("subject")))
        }
        _ => None,
    }
}

/// The beginning of a text, on one line, for a terminal.
pub(crate) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
    let mut line: String = text[..end].chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if end < text.len() {
        line.push_str(&format!("… ({} bytes more)", text.len() - end));
    }
    line
}
