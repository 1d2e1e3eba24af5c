//! A value with holes against a JSON schema.
//!
//! A hole is an expression: nothing is known of its value, so it fits
//! everything. What stands there literally must fit in any case: keys, what is
//! required, the types of the literal parts.

use serde_json::{Map, Value};

use crate::expression::is_expression;
use crate::located::{among, closest};

/// Schemas and values nest; a schema may also refer to itself.
const DEPTH_MAX: usize = 64;

/// Where a value cannot fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wrong {
    /// JSON pointer from the value's root.
    pub pointer: String,
    pub message: String,
    pub help: Option<String>,
    /// What the text would have to be, for this branch of a choice.
    expected: Option<Value>,
}

/// All that keeps `value` from fitting `schema`, whatever its expressions give.
pub(super) fn wrongs(schema: &Value, value: &Value) -> Vec<Wrong> {
    let found = Checker { root: schema }.check(schema, value, "", 0);
    if !found.is_empty() || has_hole(value) {
        return found;
    }
    // Nothing is unknown: keywords that the walk does not read count too.
    let Ok(validator) = jsonschema::validator_for(schema) else { return found };
    let violations = validator.iter_errors(value).take(10);
    violations.map(|violation| wrong(&violation.instance_path().to_string(), violation.to_string())).collect()
}

fn wrong(pointer: &str, message: String) -> Wrong {
    Wrong { pointer: pointer.to_owned(), message, help: None, expected: None }
}

fn is_hole(value: &Value) -> bool {
    value.as_str().is_some_and(is_expression)
}

fn has_hole(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_hole),
        Value::Object(members) => members.values().any(has_hole),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => is_hole(value),
    }
}

struct Checker<'s> {
    root: &'s Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, pointer: &str, depth: usize) -> Vec<Wrong> {
        if is_hole(value) || depth == DEPTH_MAX {
            return Vec::new();
        }
        let schema = match schema {
            Value::Bool(false) => return vec![wrong(pointer, "is not allowed here".to_owned())],
            Value::Object(schema) => schema,
            Value::Null | Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Vec::new();
            }
        };
        let mut wrongs = Vec::new();
        if let Some(target) = self.target(schema) {
            wrongs.extend(self.check(target, value, pointer, depth + 1));
        }
        for part in list(schema, "allOf") {
            wrongs.extend(self.check(part, value, pointer, depth + 1));
        }
        for choice in ["oneOf", "anyOf"] {
            let branches = list(schema, choice);
            if !branches.is_empty() {
                let each = branches.iter().map(|branch| self.check(branch, value, pointer, depth + 1));
                wrongs.extend(nearest(each.collect()));
            }
        }
        wrongs.extend(plainly(schema, value, pointer));
        if wrongs.is_empty() {
            match value {
                Value::Object(members) => wrongs.extend(self.members(schema, members, pointer, depth)),
                Value::Array(items) => wrongs.extend(self.items(schema, items, pointer, depth)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    wrongs.extend(leaf(schema, value, pointer));
                }
            }
        }
        wrongs
    }

    /// What `$ref` leads to inside of the same document.
    fn target(&self, schema: &Map<String, Value>) -> Option<&Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    fn members(
        &self,
        schema: &Map<String, Value>,
        members: &Map<String, Value>,
        pointer: &str,
        depth: usize,
    ) -> Vec<Wrong> {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required = list(schema, "required").iter().filter_map(Value::as_str);
        let mut wrongs: Vec<Wrong> = required
            .filter(|name| !members.contains_key(*name))
            .map(|name| Wrong { help: Some(format!("add `{name}`")), ..wrong(pointer, format!("lacks `{name}`")) })
            .collect();
        for (name, member) in members {
            let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            match (properties.get(name), schema.get("additionalProperties")) {
                (Some(property), _) => wrongs.extend(self.check(property, member, &inner, depth + 1)),
                (None, Some(Value::Bool(false))) if !schema.contains_key("patternProperties") => {
                    let help = match closest(name, properties.keys().map(String::as_str)) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None if properties.is_empty() => "remove it".to_owned(),
                        None => format!("remove it; there are {}", among(properties.keys())),
                    };
                    wrongs.push(Wrong { help: Some(help), ..wrong(&inner, "is not known".to_owned()) });
                }
                (None, Some(other)) if !schema.contains_key("patternProperties") => {
                    wrongs.extend(self.check(other, member, &inner, depth + 1));
                }
                (None, Some(_) | None) => {}
            }
        }
        wrongs
    }

    fn items(&self, schema: &Map<String, Value>, items: &[Value], pointer: &str, depth: usize) -> Vec<Wrong> {
        let first = list(schema, "prefixItems");
        let mut wrongs = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(rule) = first.get(index).or_else(|| schema.get("items")) {
                wrongs.extend(self.check(rule, item, &format!("{pointer}/{index}"), depth + 1));
            }
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let count = items.len() as u64;
        if let Some(min) = bound("minItems").filter(|min| count < *min) {
            wrongs.push(wrong(pointer, format!("has {count} items; at least {min} are needed")));
        }
        if let Some(max) = bound("maxItems").filter(|max| count > *max) {
            wrongs.push(wrong(pointer, format!("has {count} items; at most {max} are allowed")));
        }
        wrongs
    }
}

fn list<'s>(schema: &'s Map<String, Value>, name: &str) -> &'s [Value] {
    schema.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Of a choice in which no branch fits: the wrongs of the branch that was most likely meant.
fn nearest(branches: Vec<Vec<Wrong>>) -> Vec<Wrong> {
    if branches.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let is_meant = |branch: &&Vec<Wrong>| branch.iter().all(|wrong| wrong.expected.is_none());
    if let Some(meant) = branches.iter().filter(is_meant).min_by_key(|branch| branch.len()) {
        return meant.clone();
    }
    // Every branch wants another word: one of them has to be said.
    let words: Vec<&Wrong> =
        branches.iter().filter_map(|branch| branch.iter().find(|wrong| wrong.expected.is_some())).collect();
    let expected: Vec<Value> = words.iter().filter_map(|wrong| wrong.expected.clone()).collect();
    vec![Wrong { expected: None, ..one_of(&words[0].pointer, &words[0].message, &expected) }]
}

/// `message` names the value; `expected` is what it could be.
fn one_of(pointer: &str, message: &str, expected: &[Value]) -> Wrong {
    let words: Vec<String> = expected.iter().map(plain).collect();
    Wrong { help: Some(format!("it can be {}", among(words.iter()))), ..wrong(pointer, message.to_owned()) }
}

/// Type, `const` and `enum`.
fn plainly(schema: &Map<String, Value>, value: &Value, pointer: &str) -> Option<Wrong> {
    if let Some(expected) = schema.get("type").filter(|expected| !is_of_type(expected, value)) {
        let message = format!("is {}, not {}", kind(value), expected_kinds(expected));
        return Some(wrong(pointer, message));
    }
    if has_hole(value) {
        return None;
    }
    if let Some(expected) = schema.get("const").filter(|expected| *expected != value) {
        let expected = expected.clone();
        let message = format!("cannot be `{}`", plain(value));
        let found = one_of(pointer, &message, std::slice::from_ref(&expected));
        return Some(Wrong { expected: Some(expected), ..found });
    }
    let allowed = list(schema, "enum");
    if allowed.is_empty() || allowed.contains(value) {
        return None;
    }
    Some(one_of(pointer, &format!("cannot be `{}`", plain(value)), allowed))
}

/// Lengths, bounds and patterns of one literal, by the library.
fn leaf(schema: &Map<String, Value>, value: &Value, pointer: &str) -> Option<Wrong> {
    const RULES: [&str; 8] = [
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ];
    let rules: Map<String, Value> =
        RULES.into_iter().filter_map(|rule| Some((rule.to_owned(), schema.get(rule)?.clone()))).collect();
    if rules.is_empty() {
        return None;
    }
    let validator = jsonschema::validator_for(&Value::Object(rules)).ok()?;
    let violation = validator.iter_errors(value).next()?;
    Some(wrong(pointer, format!("does not fit: {violation}")))
}

fn is_of_type(expected: &Value, value: &Value) -> bool {
    match expected {
        Value::Array(any) => any.iter().any(|expected| is_of_type(expected, value)),
        Value::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn expected_kinds(expected: &Value) -> String {
    let word = |name: &str| match name {
        "boolean" => "a boolean",
        "number" => "a number",
        "integer" => "a whole number",
        "string" => "a text",
        "array" => "a list",
        "object" => "a mapping",
        _ => "null",
    };
    match expected {
        Value::Array(any) => any.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or "),
        other => word(other.as_str().unwrap_or_default()).to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(schema: &Value, value: Value) -> Vec<String> {
        let text = |wrong: Wrong| {
            let help = wrong.help.map_or_else(String::new, |help| format!("; {help}"));
            format!("{} {}{help}", wrong.pointer, wrong.message)
        };
        wrongs(schema, &value).into_iter().map(text).collect()
    }

    #[test]
    fn literal_parts_must_fit_and_expressions_may_be_anything() {
        let schema = json!({
            "type": "object",
            "properties": {
                "directory": { "type": "string", "pattern": "^[a-z]+$" },
                "count": { "type": "integer", "minimum": 1 },
                "names": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
                "mode": { "enum": ["fast", "slow"] },
                "inner": { "$ref": "#/$defs/inner" },
            },
            "required": ["directory"],
            "additionalProperties": false,
            "$defs": { "inner": { "type": "object", "properties": { "deep": { "type": ["boolean", "null"] } } } },
        });
        let cases = [
            (json!({ "directory": "${ .x }", "count": "${ 1 }", "inner": "${ {} }" }), vec![]),
            (json!({ "directory": "a", "names": ["${ .a }", "b"], "mode": "fast" }), vec![]),
            (json!({ "directory": 3 }), vec!["/directory is a number, not a text"]),
            (
                json!({ "count": 1.5 }),
                vec![" lacks `directory`; add `directory`", "/count is a number, not a whole number"],
            ),
            (json!({ "directory": "a", "directry": 1 }), vec!["/directry is not known; did you mean `directory`?"]),
            (json!({ "directory": "A" }), vec!["/directory does not fit: \"A\" does not match \"^[a-z]+$\""]),
            (json!({ "directory": "a", "count": 0 }), vec!["/count does not fit: 0 is less than the minimum of 1"]),
            (
                json!({ "directory": "${ . }", "names": ["a", 2, "c"] }),
                vec!["/names/1 is a number, not a text", "/names has 3 items; at most 2 are allowed"],
            ),
            (json!({ "directory": "a", "mode": "fats" }), vec!["/mode cannot be `fats`; it can be `fast`, `slow`"]),
            (
                json!({ "directory": "a", "inner": { "deep": 1 } }),
                vec!["/inner/deep is a number, not a boolean or null"],
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(said(&schema, value.clone()), expected, "{value}");
        }
    }

    #[test]
    fn of_a_choice_the_branch_that_was_meant_is_told() {
        let branch = |word: &str, field: &str| {
            json!({ "type": "object", "properties": { "operation": { "const": word }, field: { "type": "string" } },
                "required": ["operation", field], "additionalProperties": false })
        };
        let schema = json!({ "oneOf": [branch("build", "directory"), branch("tag", "name")] });
        let cases = [
            (json!({ "operation": "tag", "name": "${ .n }" }), vec![]),
            (json!({ "operation": "tag", "name": 1 }), vec!["/name is a number, not a text"]),
            (json!({ "operation": "build" }), vec![" lacks `directory`; add `directory`"]),
            (
                json!({ "operation": "bulid", "directory": "a" }),
                vec!["/operation cannot be `bulid`; it can be `build`, `tag`"],
            ),
            (json!({ "operation": "${ .o }", "name": "a" }), vec![]),
            (
                json!({ "operation": "${ .o }", "other": "a" }),
                vec![" lacks `directory`; add `directory`", "/other is not known; remove it"],
            ),
        ];
        for (value, expected) in cases {
            let found = said(&schema, value.clone());
            assert_eq!(found.len(), expected.len(), "{value}: {found:?}");
            for (found, expected) in found.iter().zip(&expected) {
                assert!(found.starts_with(expected), "{value}: {found}");
            }
        }
    }

    #[test]
    fn keywords_that_the_walk_does_not_read_count_where_nothing_is_unknown() {
        let schema = json!({ "type": "object", "dependentRequired": { "a": ["b"] } });
        assert_eq!(said(&schema, json!({ "a": 1 })).len(), 1);
        assert_eq!(said(&schema, json!({ "a": "${ . }" })), Vec::<String>::new());
        let endless = json!({ "$ref": "#" });
        assert_eq!(Checker { root: &endless }.check(&endless, &json!(1), "", 0), []);
    }
}
