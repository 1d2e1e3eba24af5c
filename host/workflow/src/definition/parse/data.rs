//! Tasks that touch nothing but data: `set`, `assert`, `emit`.

use super::super::model::{Assert, AssertCheck, At, TaskKind};
use super::tasks::Context;
use super::values;
use crate::expression::{Expression, Pattern};
use crate::located::{Field, NodeValue, Slot};

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
    let [value, equals, contains, matches, exists, message, schema, json] = field.fields_refusing(
        ["value", "equals", "contains", "matches", "exists", "message", "schema", "json"],
        // Rules are a service of the portal.
        &["rule"],
    )?;
    let value = value.required(values::template);
    let checks = comparisons(&equals, &contains, &matches, &exists);
    let schema = schema.optional(|field| values::inline_schema(field).map(AssertCheck::Schema));
    let json = json.or(Vec::new(), |field| {
        let paths = field.each_entry(at_path)?;
        Some(paths.into_values().map(|at| AssertCheck::At(Box::new(at))).collect())
    });
    let message = message.optional(values::prose);
    let mut checks = checks?;
    checks.extend(schema?);
    checks.extend(json?);
    if checks.is_empty() {
        checks.push(AssertCheck::Holds);
    }
    Some(TaskKind::Assert(Assert { value: value?, checks, message: message? }))
}

fn comparisons(equals: &Slot, contains: &Slot, matches: &Slot, exists: &Slot) -> Option<Vec<AssertCheck>> {
    let checks = [
        equals.optional(|field| values::template(field).map(AssertCheck::Equals)),
        contains.optional(|field| values::template(field).map(AssertCheck::Contains)),
        matches.optional(|field| regular_expression(field).map(AssertCheck::Matches)),
        exists.optional(|field| field.boolean().map(AssertCheck::Exists)),
    ];
    Some(checks.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

/// `PATH: VALUE`, or `PATH: {equals, contains, matches, exists, hasLength}`.
fn at_path(path: &str, field: &Field) -> Option<At> {
    const COMPARISONS: [&str; 5] = ["equals", "contains", "matches", "exists", "hasLength"];
    let find = path_expression(field, path);
    let compares = match &field.node.value {
        NodeValue::Map(members) => {
            members.iter().any(|(key, _)| key.text().is_some_and(|key| COMPARISONS.contains(&key)))
        }
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::List(_) => false,
    };
    let path = path.to_owned();
    if !compares {
        let checks = vec![AssertCheck::Equals(values::template(field)?)];
        return Some(At { path, find: find?, checks, length: None });
    }
    let [equals, contains, matches, exists, length] = field.fields(COMPARISONS)?;
    let length = length.optional(|field| {
        let [gt, gte, lt, lte] = field.fields(["gt", "gte", "lt", "lte"])?;
        let bound = |slot: &Slot| slot.optional(|field| field.integer(0, u64::from(u32::MAX)));
        let (gt, gte, lt, lte) = (bound(&gt)?, bound(&gte)?, bound(&lt)?, bound(&lte)?);
        let least = gt.map_or(0, |bound| bound + 1).max(gte.unwrap_or(0));
        // Shorter than 0 is nothing at all.
        let below = lt.map_or(u64::MAX, |bound| bound.saturating_sub(1));
        let least = if lt == Some(0) { u64::MAX } else { least };
        Some((least, below.min(lte.unwrap_or(u64::MAX))))
    });
    let checks = comparisons(&equals, &contains, &matches, &exists);
    Some(At { path, find: find?, checks: checks?, length: length? })
}

/// `$.a.b`, `.a.b` or `a.b[0]`, as jq.
fn path_expression(field: &Field, path: &str) -> Option<Expression> {
    let inner = path.strip_prefix('$').unwrap_or(path);
    let is_path = inner.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '[' | ']' | '"' | '-' | ' '));
    let source = if inner.starts_with(['.', '[']) { inner.to_owned() } else { format!(".{inner}") };
    let source = if source.starts_with('[') { format!(".{source}") } else { source };
    match Expression::compile(&source) {
        Ok(expression) if is_path => Some(expression),
        _ => {
            field.error(
                format!("`{}`: `{path}` is not a path", field.label),
                Some("write `$.name`, `.a.b` or `a.b[0]`"),
            );
            None
        }
    }
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
