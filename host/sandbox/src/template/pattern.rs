//! Texts with `{placeholders}`, and the items of an argument pattern.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;

use super::parameter::ParameterValue;

pub type Values<'a> = BTreeMap<&'a str, &'a ParameterValue>;

/// A text with placeholders: `repos/{name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Parameter(String),
}

impl Text {
    pub fn parse(text: &str) -> Result<Self, String> {
        let stray = || {
            format!("a brace that begins or ends no `{{parameter}}`; double it: `{{{{`, `}}}}`, in `{}`", head(text))
        };
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let from = &rest[at..];
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.push_str(&from[..1]);
                rest = after;
                continue;
            }
            let (name, after) = from.strip_prefix('{').and_then(|from| from.split_once('}')).ok_or_else(stray)?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
                return Err(stray());
            }
            if !plain.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut plain)));
            }
            parts.push(Part::Parameter(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Literal(plain));
        }
        Ok(Self(parts))
    }

    pub fn literal(text: impl Into<String>) -> Self {
        Self(vec![Part::Literal(text.into())])
    }

    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Parameter(name) => Some(name.as_str()),
        })
    }

    /// `each` is the current item of a repeated parameter. Loading has made
    /// sure that every placeholder names a text or a number that is given.
    fn fill(&self, values: &Values<'_>, each: Option<(&str, &str)>) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => filled.push_str(text),
                Part::Parameter(name) => match (each, values.get(name.as_str())) {
                    (Some((repeated, item)), _) if repeated == name => filled.push_str(item),
                    (_, Some(ParameterValue::Text(text))) => filled.push_str(text),
                    (_, Some(ParameterValue::Integer(number))) => filled.push_str(&number.to_string()),
                    (_, other) => unreachable!("placeholder `{name}` was checked at load, found {other:?}"),
                },
            }
        }
        filled
    }

    pub fn filled(&self, values: &Values<'_>) -> String {
        self.fill(values, None)
    }
}

/// With its placeholders in braces.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Parameter(name) => write!(f, "{{{name}}}"),
        })
    }
}

/// One item of an argument pattern.
#[derive(Debug, Clone)]
pub enum Item {
    One(Text),
    /// Given if the flag is true.
    Flag {
        parameter: String,
        value: Vec<String>,
    },
    /// Given if the parameter is.
    Option {
        parameter: String,
        value: Vec<Text>,
    },
    /// Given once for each text of the parameter.
    Each {
        parameter: String,
        value: Vec<Text>,
    },
}

impl Item {
    pub fn parse(value: &Value) -> Result<Self, String> {
        let table = match value {
            Value::String(text) => return Text::parse(text).map(Item::One),
            Value::Table(table) => table,
            other => return Err(format!("an argument is a string or a table, not {}", other.type_str())),
        };
        if let Some(Value::String(literal)) = table.get("literal").filter(|_| table.len() == 1) {
            return Ok(Item::One(Text::literal(literal)));
        }
        let named = |key: &str| match table.get(key) {
            Some(Value::String(name)) => Some(name.clone()),
            Some(_) | None => None,
        };
        let known = |key: &str| table.keys().all(|other| other == key || other == "value");
        let value = table.get("value").map(strings).transpose()?;
        let texts = |value: &[String]| value.iter().map(|text| Text::parse(text)).collect::<Result<Vec<_>, _>>();
        if let Some(parameter) = named("flag").filter(|_| known("flag")) {
            let value = value.ok_or("a `flag` argument needs a `value`")?;
            return Ok(Item::Flag { parameter, value });
        }
        if let Some(parameter) = named("option").filter(|_| known("option")) {
            let value = texts(&value.ok_or("an `option` argument needs a `value`")?)?;
            return Ok(Item::Option { parameter, value });
        }
        if let Some(parameter) = named("each").filter(|_| known("each")) {
            let value = texts(&value.unwrap_or_else(|| vec![format!("{{{parameter}}}")]))?;
            return Ok(Item::Each { parameter, value });
        }
        let keys: Vec<_> = table.keys().map(String::as_str).collect();
        Err(format!(
            "an argument has one of `literal`, `flag`, `option`, `each`, with `value`; found {}",
            keys.join(", ")
        ))
    }

    pub fn append(&self, values: &Values<'_>, argv: &mut Vec<String>) {
        match self {
            Item::One(text) => argv.push(text.filled(values)),
            Item::Flag { parameter, value } => {
                if let Some(ParameterValue::Flag(true)) = values.get(parameter.as_str()) {
                    argv.extend(value.iter().cloned());
                }
            }
            Item::Option { parameter, value } => {
                if values.contains_key(parameter.as_str()) {
                    argv.extend(value.iter().map(|text| text.filled(values)));
                }
            }
            Item::Each { parameter, value } => {
                if let Some(ParameterValue::Texts(texts)) = values.get(parameter.as_str()) {
                    for item in texts {
                        argv.extend(value.iter().map(|text| text.fill(values, Some((parameter, item)))));
                    }
                }
            }
        }
    }
}

/// The beginning of a text, on one line.
fn head(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(60).collect()
}

fn strings(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| "`value` holds strings only".to_owned()))
            .collect(),
        other => Err(format!("`value` is a string or an array of strings, not {}", other.type_str())),
    }
}
