//! What a parameter accepts, and what was given for it.

use regex::Regex;
use workflow::ArtifactUri;

use super::document::ParameterDocument;

/// What a caller gives for a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    Text(String),
    Flag(bool),
    Integer(i64),
    Artifact(ArtifactUri),
    Texts(Vec<String>),
}

impl ParameterValue {
    fn kind(&self) -> &'static str {
        match self {
            ParameterValue::Text(_) => "text",
            ParameterValue::Flag(_) => "flag",
            ParameterValue::Integer(_) => "integer",
            ParameterValue::Artifact(_) => "artifact",
            ParameterValue::Texts(_) => "texts",
        }
    }
}

/// A declared parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub required: bool,
    pub kind: ParameterKind,
}

#[derive(Debug, Clone)]
pub enum ParameterKind {
    Text(TextRule),
    Texts { each: TextRule, items_max: usize },
    Flag,
    Integer { min: i64, max: i64 },
    Artifact,
}

/// What one text must be.
#[derive(Debug, Clone)]
pub struct TextRule {
    /// As it was written, for people.
    pattern: String,
    whole: Regex,
    length_max: usize,
    leading_dash: bool,
    path: bool,
}

impl TextRule {
    fn new(pattern: String, length_max: usize, leading_dash: bool, path: bool) -> Result<Self, String> {
        let whole = Regex::new(&format!(r"\A(?:{pattern})\z"))
            .map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))?;
        Ok(Self { pattern, whole, length_max, leading_dash, path })
    }

    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    pub(super) fn length_max(&self) -> usize {
        self.length_max
    }

    pub(super) fn is_path(&self) -> bool {
        self.path
    }

    pub(super) fn allows_dash(&self) -> bool {
        self.leading_dash
    }

    fn check(&self, text: &str) -> Result<(), String> {
        if text.len() > self.length_max {
            return Err(format!("has {} bytes, at most {} are allowed", text.len(), self.length_max));
        }
        if text.contains('\0') {
            return Err("contains a NUL character".to_owned());
        }
        if text.starts_with('-') && !self.leading_dash {
            return Err("begins with `-`, which a tool would read as an option".to_owned());
        }
        if !self.whole.is_match(text) {
            return Err(format!("does not match `{}`", self.pattern));
        }
        if self.path && text.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err("is not a plain relative path".to_owned());
        }
        Ok(())
    }
}

impl Parameter {
    pub(super) fn new(document: ParameterDocument) -> Result<Self, String> {
        Ok(match document {
            ParameterDocument::Text { pattern, length_max, required, leading_dash, path } => {
                let rule = TextRule::new(pattern, length_max, leading_dash, path)?;
                Self { required, kind: ParameterKind::Text(rule) }
            }
            ParameterDocument::Texts { pattern, length_max, items_max, required, leading_dash, path } => {
                let each = TextRule::new(pattern, length_max, leading_dash, path)?;
                Self { required, kind: ParameterKind::Texts { each, items_max } }
            }
            ParameterDocument::Flag {} => Self { required: false, kind: ParameterKind::Flag },
            ParameterDocument::Integer { min, max, required } if min <= max => {
                Self { required, kind: ParameterKind::Integer { min, max } }
            }
            ParameterDocument::Integer { min, max, .. } => return Err(format!("`min` {min} is above `max` {max}")),
            ParameterDocument::Artifact { required } => Self { required, kind: ParameterKind::Artifact },
        })
    }

    /// Refuses a value of another type or outside of what is declared.
    pub(super) fn check(&self, value: &ParameterValue) -> Result<(), String> {
        match (&self.kind, value) {
            (ParameterKind::Text(rule), ParameterValue::Text(text)) => rule.check(text),
            (ParameterKind::Texts { each, items_max }, ParameterValue::Texts(texts)) => {
                if texts.len() > *items_max {
                    return Err(format!("has {} items, at most {items_max} are allowed", texts.len()));
                }
                texts.iter().try_for_each(|text| each.check(text).map_err(|error| format!("item `{text}` {error}")))
            }
            (ParameterKind::Flag, ParameterValue::Flag(_)) | (ParameterKind::Artifact, ParameterValue::Artifact(_)) => {
                Ok(())
            }
            (ParameterKind::Integer { min, max }, ParameterValue::Integer(number)) => {
                if (min..=max).contains(&number) {
                    Ok(())
                } else {
                    Err(format!("is {number}, not {min} to {max}"))
                }
            }
            (kind, value) => Err(format!("is of type {}, not {}", value.kind(), kind.name())),
        }
    }
}

impl ParameterKind {
    pub fn name(&self) -> &'static str {
        match self {
            ParameterKind::Text(_) => "text",
            ParameterKind::Texts { .. } => "texts",
            ParameterKind::Flag => "flag",
            ParameterKind::Integer { .. } => "integer",
            ParameterKind::Artifact => "artifact",
        }
    }
}
