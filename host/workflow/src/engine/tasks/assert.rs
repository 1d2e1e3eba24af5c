//! `assert`: what must hold, or the flow ends here.

use std::sync::Arc;

use serde_json::Value;

use crate::definition::{Assert, AssertCheck, At};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::Running;
use crate::engine::schema;
use crate::engine::scope::Scope;
use crate::event::Event;
use crate::expression::is_true;

/// Longest excerpt of a value in an error.
const SHOWN_BYTES_MAX: usize = 200;

/// Its output is its input.
pub fn check(running: Running<'_>, assert: &Assert) -> Result<Event, Fault> {
    let input = running.input()?;
    let scope = running.scope(&input);
    let value = assert.value.evaluate(&input, &scope)?;
    for check in &assert.checks {
        let Some(found) = violation(check, &value, &input, &scope)? else { continue };
        let detail = match &assert.message {
            Some(message) => match message.evaluate(&input, &scope)? {
                Value::String(message) => message,
                other => other.to_string(),
            },
            None => format!("`{}` does not hold: {found}", running.task.name),
        };
        return Err(StandardError::Validation.fault(detail));
    }
    drop(scope);
    Ok(running.complete(Arc::unwrap_or_clone(input)))
}

/// What is wrong; none when the check holds.
fn violation(check: &AssertCheck, value: &Value, input: &Value, scope: &Scope<'_>) -> Result<Option<String>, Fault> {
    Ok(match check {
        AssertCheck::Holds => (!is_true(value)).then(|| format!("it is {}", shown(value))),
        AssertCheck::Equals(expected) => {
            let expected = expected.evaluate(input, scope)?;
            (expected != *value).then(|| format!("{} is not {}", shown(value), shown(&expected)))
        }
        AssertCheck::Contains(expected) => {
            let expected = expected.evaluate(input, scope)?;
            (!contains(value, &expected)).then(|| format!("{} does not contain {}", shown(value), shown(&expected)))
        }
        AssertCheck::Matches(pattern) => {
            let matches = match value {
                Value::String(text) => pattern.is_match(text)?,
                _ => false,
            };
            (!matches).then(|| format!("{} does not match `{}`", shown(value), pattern.source))
        }
        AssertCheck::Exists(expected) => (value.is_null() == *expected)
            .then(|| if *expected { "it is not there".to_owned() } else { format!("{} is there", shown(value)) }),
        AssertCheck::Schema(document) => {
            schema::check(Some(document), value, "value").err().map(|fault| fault.detail.unwrap_or_default())
        }
        AssertCheck::At(at) => at_path(at, value, input, scope)?,
    })
}

fn at_path(at: &At, value: &Value, input: &Value, scope: &Scope<'_>) -> Result<Option<String>, Fault> {
    let found = at.find.evaluate(value, scope)?;
    for check in &at.checks {
        if let Some(why) = violation(check, &found, input, scope)? {
            return Ok(Some(format!("at `{}` {why}", at.path)));
        }
    }
    let Some((least, most)) = at.length else { return Ok(None) };
    let length = match &found {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            return Ok(Some(format!("at `{}` {} has no length", at.path, shown(&found))));
        }
    } as u64;
    let fits = (least..=most).contains(&length);
    Ok((!fits).then(|| format!("at `{}` {} has length {length}", at.path, shown(&found))))
}

/// A text in a text, an element in an array, members in an object.
fn contains(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Object(members), Value::Object(expected)) => expected.iter().all(|(key, expected)| {
            members.get(key).is_some_and(|member| member == expected || contains(member, expected))
        }),
        (Value::Array(items), expected) => items.contains(expected),
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_BYTES_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
