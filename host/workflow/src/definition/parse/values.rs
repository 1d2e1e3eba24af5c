//! The values that many fields share: expressions, durations, data flow, names.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::duration::{parse_duration, sum};
use super::super::model::{DataFlow, TimeLimit};
use super::resource;
use crate::event::FlowTarget;
use crate::expression::{Dialect, Expression, ExpressionError, Language, Template};
use crate::located::{Field, Node, NodeValue, among, closest};

/// jq, with or without `${ }`.
pub fn expression(field: &Field) -> Option<Expression> {
    let text = field.text_some()?;
    expression_of(field, text)
}

/// `text` compiled; what is wrong with it is said at `field`.
pub fn expression_of(field: &Field, text: &str) -> Option<Expression> {
    match field.problems.dialect.get().expression(text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            field.error(format!("`{}`: {error}", field.label), None);
            None
        }
    }
}

/// jq, with or without `${ }`, where there could also be a value.
pub fn expression_template(field: &Field) -> Option<Template> {
    field.text_some()?;
    compiled(field, Dialect::template_of_expression)
}

/// Any value whose texts of the form `${ … }` are expressions.
pub fn template(field: &Field) -> Option<Template> {
    refuse_half_expressions(field);
    compiled(field, Dialect::template)
}

/// A text that is literal or of the form `${ … }`.
pub fn text_template(field: &Field) -> Option<Template> {
    field.text()?;
    template(field)
}

/// A program in some other language, in which `${` may have its own meaning;
/// an expression only if the whole text is one.
pub fn code_template(field: &Field) -> Option<Template> {
    field.text_some()?;
    compiled(field, |dialect, value| Dialect { is_loose: false, ..dialect }.template(value))
}

/// A text for people: each `${ … }` in it is an expression, also in the middle.
///
/// The design document's sketch writes prompts so; the specification knows only
/// texts that are an expression as a whole.
pub fn prose(field: &Field) -> Option<Template> {
    let text = field.text_some()?;
    let language = field.problems.dialect.get().language;
    let dialect = Dialect { language, is_loose: false };
    let is_one = || text.match_indices("${").count() == 1 || dialect.expression(text).is_ok();
    if !text.contains("${") || is_expression(text) && is_one() {
        return code_template(field);
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some((expression, after)) = first_expression(language, &rest[start + 2..]) else {
            let message = format!("`{}`: what follows `${{` in `{text}` is not an expression", field.label);
            field.error(message, Some("write `${ .release.version }`"));
            return None;
        };
        parts.extend([Part::Text(&rest[..start]), Part::Expression(expression)]);
        rest = after;
    }
    parts.push(Part::Text(rest));
    match dialect.template(&Value::String(format!("${{ {} }}", joined(language, &parts)))) {
        Ok(template) => Some(template),
        Err(error) => {
            field.error(format!("`{}`: {error}", field.label), None);
            None
        }
    }
}

enum Part<'a> {
    Text(&'a str),
    Expression(&'a str),
}

/// One expression that gives the whole text.
fn joined(language: Language, parts: &[Part]) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    match language {
        Language::Jq => {
            let parts = parts.iter().map(|part| match part {
                Part::Text(text) => {
                    let text = quoted(text);
                    text[1..text.len() - 1].to_owned()
                }
                Part::Expression(expression) => format!("\\({expression})"),
            });
            format!("\"{}\"", parts.collect::<String>())
        }
        Language::Cel => {
            let parts = parts.iter().map(|part| match part {
                Part::Text(text) => quoted(text),
                Part::Expression(expression) => format!("string({expression})"),
            });
            parts.collect::<Vec<_>>().join(" + ")
        }
    }
}

/// The expression that a text begins with, up to its `}`, and what follows that.
fn first_expression(language: Language, text: &str) -> Option<(&str, &str)> {
    /// A `}` inside the expression is tried too, so this bounds the work.
    const ENDS_MAX: usize = 32;
    let dialect = Dialect { language, is_loose: false };
    let ends = text.match_indices('}').map(|(end, _)| end).take(ENDS_MAX);
    ends.map(|end| (&text[..end], &text[end + 1..])).find(|(expression, _)| dialect.expression(expression).is_ok())
}

/// `--version=${ .version }` would be passed on as it is written: nobody means that.
fn refuse_half_expressions(field: &Field) {
    for (node, text) in field.node.texts() {
        let half = text.match_indices("${").any(|(at, _)| text[at + 2..].trim_start().starts_with(['.', '$']));
        if half && !is_expression(text) {
            let message = format!("`{}`: `{text}` is only partly an expression", field.label);
            let help = "make the whole text one, like `${ \"v\\(.release.version)\" }`";
            field.problems.error(node, message, Some(help.to_owned()));
        }
    }
}

fn is_expression(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("${") && text.ends_with('}')
}

/// A list of such texts.
pub fn text_templates(field: &Field) -> Option<Vec<Template>> {
    field.each(text_template)
}

/// A mapping of names to such texts.
pub fn named_text_templates(field: &Field) -> Option<BTreeMap<String, Template>> {
    field.each_entry(|_, value| text_template(value))
}

/// Whether a text somewhere in this value is an expression.
pub fn has_expression(node: &Node) -> bool {
    node.texts().into_iter().any(|(_, text)| is_expression(text))
}

/// Compiles a value; if that fails, says so at each text that does not compile.
fn compiled(field: &Field, compile: fn(Dialect, &Value) -> Result<Template, ExpressionError>) -> Option<Template> {
    let dialect = field.problems.dialect.get();
    let whole = match compile(dialect, &field.node.to_json()) {
        Ok(template) => return Some(template),
        Err(error) => error,
    };
    let mut said = false;
    for (node, text) in field.node.texts() {
        if let Err(error) = dialect.template(&Value::from(text)) {
            field.problems.error(node, format!("`{}`: {error}", field.label), None);
            said = true;
        }
    }
    if !said {
        field.error(format!("`{}`: {whole}", field.label), None);
    }
    None
}

/// `input`, `output` and `export`; `transform` is the name of the field with the expression.
pub fn data_flow(field: &Field, transform: &'static str) -> Option<DataFlow> {
    let [schema, transform] = field.fields(["schema", transform])?;
    let schema = schema.optional(json_schema);
    let transform = transform.optional(expression_or_mapping);
    Some(DataFlow { transform: transform?, schema: schema? })
}

/// Bare jq, `${ jq }`, or a mapping whose texts of the form `${ … }` are expressions.
fn expression_or_mapping(field: &Field) -> Option<Template> {
    match &field.node.value {
        NodeValue::Text(_) | NodeValue::Map(_) => compiled(field, Dialect::template_of_expression),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::List(_) => {
            let message = format!("`{}` must be an expression or a mapping, not {}", field.label, field.node.kind());
            field.error(message, None);
            None
        }
    }
}

/// `schema`: a JSON schema under `document`, or in an external document.
fn json_schema(field: &Field) -> Option<Value> {
    let [format, document, external] = field.fields(["format", "document", "resource"])?;
    if let Some(format) = format.given() {
        let text = format.text()?;
        if text.split(':').next() != Some("json") {
            return format.unsupported(&format!("schema format `{text}`"));
        }
    }
    match (document.given(), external.given()) {
        (Some(_), Some(external)) => {
            external.error(format!("`{}` has `document` and `resource`", field.label), Some("keep one of the two"));
            None
        }
        (None, Some(external)) => resource::schema(&external),
        (Some(document), None) => schema_of(&document),
        (None, None) => {
            document.required_field()?;
            None
        }
    }
}

/// A value that is a JSON schema.
pub fn schema_of(field: &Field) -> Option<Value> {
    match &field.node.value {
        NodeValue::Map(_) | NodeValue::Bool(_) => {}
        NodeValue::Null | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::List(_) => {
            field.members()?;
            return None;
        }
    }
    let schema = field.node.to_json();
    match jsonschema::validator_for(&schema) {
        Ok(_) => Some(schema),
        Err(error) => {
            field.error(format!("`{}` is no JSON Schema: {error}", field.label), None);
            None
        }
    }
}

/// A JSON schema: as it is, or under `document` or `resource` as the specification has it.
pub fn inline_schema(field: &Field) -> Option<Value> {
    let wraps = |key: &Node| matches!(key.text(), Some("document" | "resource"));
    let schema = match field.members()?.iter().any(|(key, _)| wraps(key)) {
        true => json_schema(field)?,
        false => field.node.to_json(),
    };
    match jsonschema::validator_for(&schema) {
        Ok(_) => Some(schema),
        Err(error) => {
            field.error(format!("`{}` is no JSON schema: {error}", field.label), None);
            None
        }
    }
}

/// ISO 8601 or a mapping of units.
pub fn duration(field: &Field) -> Option<Duration> {
    match &field.node.value {
        NodeValue::Text(text) if is_expression(text) => {
            field.unsupported(&format!("an expression in `{}`", field.label))
        }
        NodeValue::Text(text) => match parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                field.error(format!("`{}`: {error}", field.label), None);
                None
            }
        },
        NodeValue::Map(_) => inline_duration(field),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::List(_) => {
            let message = format!("`{}` must be a duration, not {}", field.label, field.node.kind());
            field.error(message, Some("write `PT30S` or `{ seconds: 30 }`"));
            None
        }
    }
}

fn inline_duration(field: &Field) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] = [
        ("days", 86_400_000_000_000),
        ("hours", 3_600_000_000_000),
        ("minutes", 60_000_000_000),
        ("seconds", 1_000_000_000),
        ("milliseconds", 1_000_000),
    ];
    let slots = field.fields(UNITS.map(|(name, _)| name))?;
    if !slots.iter().any(|slot| slot.is_given()) {
        field.error(format!("`{}` has no units", field.label), Some(&format!("give {}", among(UNITS.map(|u| u.0)))));
        return None;
    }
    let parts: Vec<Option<(u64, u64)>> = slots
        .iter()
        .zip(UNITS)
        .map(|(slot, (_, unit))| Some((slot.or(0, |field| field.integer(0, u64::from(u32::MAX)))?, unit)))
        .collect();
    let parts: Option<Vec<(u64, u64)>> = parts.into_iter().collect();
    let total = sum(parts?);
    if total.is_none() {
        field.error(format!("`{}` is longer than 3650 days", field.label), None);
    }
    total
}

/// `timeout`: `{ after }`, or a name from `use.timeouts`.
pub fn timeout(field: &Field, named: &BTreeMap<String, Option<TimeLimit>>) -> Option<TimeLimit> {
    if field.node.text().is_some() {
        return reused(field, named, "use.timeouts");
    }
    let [after] = field.fields(["after"])?;
    after.required(time_limit)
}

/// A duration, or an expression that gives one.
pub fn time_limit(field: &Field) -> Option<TimeLimit> {
    match &field.node.value {
        NodeValue::Text(text) if is_expression(text) => text_template(field).map(TimeLimit::Computed),
        _ => duration(field).map(TimeLimit::Fixed),
    }
}

/// What `use` holds under this name. An entry that could not be read has been reported there.
pub fn reused<T: Clone>(field: &Field, named: &BTreeMap<String, Option<T>>, place: &str) -> Option<T> {
    reused_at(field, field.text()?, named, place)
}

/// Like [`reused`], for a name that is only a part of the field.
pub fn reused_at<T: Clone>(field: &Field, name: &str, named: &BTreeMap<String, Option<T>>, place: &str) -> Option<T> {
    match named.get(name) {
        Some(found) => found.clone(),
        None if field.problems.is_full() => None,
        None => {
            let help = match closest(name, named.keys().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if named.is_empty() => format!("declare it under `{place}`"),
                None => format!("declared there are {}", among(named.keys().take(20))),
            };
            field.error(format!("`{}`: there is no `{name}` in `{place}`", field.label), Some(&help));
            None
        }
    }
}

/// Where the flow goes: a directive, or a task among `siblings`.
pub fn flow_target(field: &Field, siblings: &BTreeSet<&str>) -> Option<FlowTarget> {
    match field.text()? {
        "continue" => Some(FlowTarget::Continue),
        "exit" => Some(FlowTarget::Exit),
        "end" => Some(FlowTarget::End),
        name if siblings.contains(name) => Some(FlowTarget::Task(name.to_owned())),
        _ if field.problems.is_full() => None,
        name => {
            let help = match closest(name, siblings.iter().copied().chain(["continue", "exit", "end"])) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if siblings.is_empty() => {
                    "nothing stands beside this task: write `continue`, `exit` or `end`".to_owned()
                }
                None => format!(
                    "name a task of the same list ({}), or `continue`, `exit`, `end`",
                    among(siblings.iter().take(20))
                ),
            };
            field.error(format!("`{}`: there is no task `{name}` in this list", field.label), Some(&help));
            None
        }
    }
}

/// The name of a variable that expressions will see as `$name`.
pub fn variable(field: &Field) -> Option<String> {
    const TAKEN: [&str; 8] = ["context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime"];
    let name = field.text()?;
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.len() > 64 {
        field.error(
            format!("`{}`: `{name}` cannot name a variable", field.label),
            Some("use at most 64 letters, digits and `_`, not beginning with a digit"),
        );
        return None;
    }
    if TAKEN.contains(&name) {
        field.error(format!("`{}`: `${name}` has a meaning of its own", field.label), Some("choose another name"));
        return None;
    }
    Some(name.to_owned())
}
