//! Tasks that touch nothing but data: `set`, `assert`, `emit`.

use super::super::model::{Assert, AssertCheck, TaskKind};
use super::tasks::Context;
use super::values;
use crate::expression::Pattern;
use crate::located::{Field, NodeValue};

pub fn set(_: &Field, field: &Field, _: Context) -> Option<TaskKind> {
    let fits = match &field.node.value {
        NodeValue::Map(members) => !members.is_empty(),
        NodeValue::Text(_) => values::has_expression(field.node),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::List(_) => false,
    };
    if !fits {
        field.error("`set` must be a mapping with at least one member, or one expression", Some("write `set: ${ … }`"));
        return None;
    }
    values::template(field).map(TaskKind::Set)
}

pub fn assert(_: &Field, field: &Field, _: Context) -> Option<TaskKind> {
    let [value, equals, contains, matches, exists, message] = field.fields_refusing(
        ["value", "equals", "contains", "matches", "exists", "message"],
        &["json", "schema", "rule"],
    )?;
    let value = value.required(values::template);
    let checks = [
        equals.optional(|field| values::template(field).map(AssertCheck::Equals)),
        contains.optional(|field| values::template(field).map(AssertCheck::Contains)),
        matches.optional(|field| regular_expression(field).map(AssertCheck::Matches)),
        exists.optional(|field| field.boolean().map(AssertCheck::Exists)),
    ];
    let message = message.optional(values::prose);
    let mut checks: Vec<AssertCheck> = checks.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
    if checks.is_empty() {
        checks.push(AssertCheck::Holds);
    }
    Some(TaskKind::Assert(Assert { value: value?, checks, message: message? }))
}

fn regular_expression(field: &Field) -> Option<Pattern> {
    let text = field.text()?;
    match Pattern::compile(text) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            field.error(format!("`{}`: `{text}` is not a regular expression: {why}", field.label), None);
            None
        }
    }
}

pub fn emit(_: &Field, field: &Field, _: Context) -> Option<TaskKind> {
    let [event] = field.fields(["event"])?;
    let event = event.required_field()?;
    let [with] = event.fields(["with"])?;
    let with = with.required_field()?;
    for (key, value) in with.entries()? {
        let name = key.text().unwrap_or_default();
        // CloudEvents 1.0, “Naming Conventions”; `data` is the payload beside them.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            with.problems.error(
                key,
                format!("`{name}` cannot name an attribute of an event"),
                Some("use lower-case letters and digits".to_owned()),
            );
        }
        if name != "data" && matches!(value.node.value, NodeValue::List(_) | NodeValue::Map(_) | NodeValue::Null) {
            let message =
                format!("`{}` must be text, a number or true or false, not {}", value.label, value.node.kind());
            value.error(message, Some("put it into `data`"));
        }
    }
    let source = with.slot("source").required(Field::text_some);
    let kind = with.slot("type").required(Field::text_some);
    let template = values::template(&with);
    source.and(kind).and(template).map(TaskKind::Emit)
}
