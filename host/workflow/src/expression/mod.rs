//! Expressions in jq or CEL, compiled once.
//!
//! An expression is part of a definition, which is reviewed; the data it reads
//! is not. So data can never become an expression: only [`Expression::compile`]
//! reads text as jq, and only the parser of definitions calls it, and whoever
//! goes on with an intent that a definition made ([`crate::asyncapi`]).
//!
//! Evaluation depends on its arguments alone: no environment, no clock, no
//! input stream, no time zone of the machine, no output, no exit.

mod cel;
mod jq;
mod meter;
mod regex;
mod value;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effect::{Fault, StandardError};
use crate::ids::Timestamp;
use regex::{Flags, Regex};

/// Why no expression names a secret, and where a text may.
const NO_SECRETS: &str = "`$secrets` is not available here: secrets are never in expressions: \
    `${ $secrets.NAME }` or `${ $secrets[\"NAME\"] }` names one, as the whole value of a variable in `environment` of \
    `run.shell`, `run.script` and `run.container`, or of `username`, `password`, `token`, `secret` and `assertion` in `authentication`";

/// Longest text of one expression.
pub const SOURCE_BYTES_MAX: usize = 64 * 1024;

/// Why a text is not an expression: said at `check`, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{source_text}` is not a {language} expression: {detail}")]
pub struct ExpressionError {
    pub source_text: String,
    pub language: Language,
    pub detail: String,
}

/// `evaluate.language`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Jq,
    Cel,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Jq => "jq",
            Language::Cel => "CEL",
        })
    }
}

/// `evaluate` of a document: in what its expressions are written, and which
/// texts are expressions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dialect {
    pub language: Language,
    /// `mode: loose`: a text without `${ }` is tried as an expression, too, and
    /// stays what it is where that fails.
    pub is_loose: bool,
}

impl Dialect {
    /// `text` is bare or inside `${ }`.
    ///
    /// # Errors
    ///
    /// What the language does not have, and what this host leaves out of it.
    pub fn expression(self, text: &str) -> Result<Expression, ExpressionError> {
        Expression::compile_in(self.language, text)
    }

    /// # Errors
    ///
    /// The first string of the form `${ … }` that is no expression.
    pub fn template(self, source: &Value) -> Result<Template, ExpressionError> {
        Ok(Template { source: source.clone(), node: Arc::new(Node::compile(self, source)?) })
    }

    /// `NAME`, if the whole text is `${ $secrets.NAME }` or `${ $secrets["NAME"] }`, in CEL without the second `$`.
    pub fn secret_named_by(self, text: &str) -> Option<&str> {
        let secrets = match self.language {
            Language::Jq => "$secrets",
            Language::Cel => "secrets",
        };
        let access = unwrap(self.language, text)?.trim().strip_prefix(secrets)?;
        let is_word = |name: &&str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let quoted = access.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]"));
        let quoted = quoted.filter(|name| !name.contains(['"', '\\']));
        access.strip_prefix('.').filter(is_word).or(quoted)
    }

    /// For fields whose text is an expression with or without `${ }` (`input.from`, `output.as`, `export.as`).
    ///
    /// # Errors
    ///
    /// As [`Dialect::template`].
    pub fn template_of_expression(self, source: &Value) -> Result<Template, ExpressionError> {
        match source {
            Value::String(text) => {
                Ok(Template { source: source.clone(), node: Arc::new(Node::Expression(self.expression(text)?)) })
            }
            _ => self.template(source),
        }
    }
}

/// Gives the value of a variable, asked for only when an expression names it.
pub trait Variables {
    /// `name` is without `$`.
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// The moment that `now` means: one that is in the history, so that the
    /// same evaluation gives the same later.
    fn now(&self) -> Option<Timestamp>;
}

/// The variables an expression sees, by name without `$`: `context`, `input`,
/// `output`, `task`, `workflow`, `runtime`, and those of `for` and `catch`.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub variables: BTreeMap<String, Value>,
    /// What `now` gives; without it `now` is an error.
    pub now: Option<Timestamp>,
}

impl Variables for Scope {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.variables.get(name).map(Cow::Borrowed)
    }

    fn now(&self) -> Option<Timestamp> {
        self.now
    }
}

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    /// The text, without `${ }`.
    pub source: String,
    program: Program,
}

#[derive(Clone)]
enum Program {
    Jq(Arc<jq::Program>),
    Cel(Arc<cel::Program>),
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

/// Two expressions are equal when their text is.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Expression {
    /// Strict jq; a definition may have another [`Dialect`].
    ///
    /// # Errors
    ///
    /// What jq does not understand; and what this host leaves out of it: `def`,
    /// modules, `$secrets`, and every filter that reads or writes more than
    /// its input.
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        Self::compile_in(Language::Jq, text)
    }

    fn compile_in(language: Language, text: &str) -> Result<Self, ExpressionError> {
        let source = unwrap(language, text).unwrap_or(text).trim().to_owned();
        let refuse = |detail: String| ExpressionError { source_text: excerpt(text, 200), language, detail };
        if source.len() > SOURCE_BYTES_MAX {
            return Err(refuse(format!("it is longer than {SOURCE_BYTES_MAX} bytes")));
        }
        let program = match language {
            Language::Jq => jq::Program::compile(&source).map(|program| Program::Jq(Arc::new(program))),
            Language::Cel => cel::Program::compile(&source).map(|program| Program::Cel(Arc::new(program))),
        };
        Ok(Self { source, program: program.map_err(refuse)? })
    }

    pub fn language(&self) -> Language {
        match &self.program {
            Program::Jq(_) => Language::Jq,
            Program::Cel(_) => Language::Cel,
        }
    }

    /// Names, without `$`, of the variables that must be given.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let (jq, cel) = match &self.program {
            Program::Jq(program) => (Some(program.variables()), None),
            Program::Cel(program) => (None, Some(program.variables())),
        };
        jq.into_iter().flatten().chain(cel.into_iter().flatten())
    }

    /// The first output; `null` when there is none.
    ///
    /// # Errors
    ///
    /// A fault of type `expression`: the filter failed, a variable is not
    /// there, it took too many steps, or its output is too large.
    pub fn evaluate(&self, input: &Value, variables: &dyn Variables) -> Result<Value, Fault> {
        let result = match &self.program {
            Program::Jq(program) => program.run(input, variables),
            Program::Cel(program) => program.run(input, variables),
        };
        result.map_err(|detail| {
            StandardError::Expression.fault(format!("`{}`: {}", excerpt(&self.source, 200), excerpt(&detail, 400)))
        })
    }

    /// Whether the result is neither `false` nor `null`.
    pub fn holds(&self, input: &Value, variables: &dyn Variables) -> Result<bool, Fault> {
        Ok(is_true(&self.evaluate(input, variables)?))
    }
}

/// A regular expression of a definition, in the dialect of `test`.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub source: String,
    regex: Arc<Regex>,
}

impl Pattern {
    /// # Errors
    ///
    /// Why `source` is none.
    pub fn compile(source: &str) -> Result<Self, String> {
        let regex = meter::bounded(|| Regex::new(source, Flags::default()));
        let regex = regex.map_err(|stopped| stopped.to_string()).flatten()?;
        Ok(Self { source: source.to_owned(), regex: Arc::new(regex) })
    }

    /// Whether it matches somewhere in `text`.
    ///
    /// # Errors
    ///
    /// A fault of type `expression`: it takes too many steps.
    pub fn is_match(&self, text: &str) -> Result<bool, Fault> {
        meter::bounded(|| self.regex.find(text, 0).is_some())
            .map_err(|stopped| StandardError::Expression.fault(format!("`{}`: {stopped}", excerpt(&self.source, 200))))
    }
}

/// Neither `false` nor `null`, as jq has it.
pub fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

/// JSON in which every string of the form `${ … }` is an expression; the rest is literal.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// As the definition has it.
    pub source: Value,
    node: Arc<Node>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Literal(Value),
    Expression(Expression),
    /// Loose mode: the text itself where it fails.
    Tried(Expression, String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Template {
    /// In strict jq; a definition may have another [`Dialect`].
    ///
    /// # Errors
    ///
    /// The first string of the form `${ … }` that is no expression.
    pub fn compile(source: &Value) -> Result<Self, ExpressionError> {
        Dialect::default().template(source)
    }

    /// A template without expressions.
    pub fn literal(source: Value) -> Self {
        Self { node: Arc::new(Node::Literal(source.clone())), source }
    }

    /// Whether there is no expression in it.
    pub fn is_literal(&self) -> bool {
        matches!(*self.node, Node::Literal(_))
    }

    /// Names, without `$`, of the variables that must be given.
    pub fn variables(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.node.visit(&mut |expression| names.extend(expression.variables()));
        names
    }

    /// # Errors
    ///
    /// The first expression that fails; see [`Expression::evaluate`].
    pub fn evaluate(&self, input: &Value, variables: &dyn Variables) -> Result<Value, Fault> {
        self.node.evaluate(input, variables)
    }
}

impl Node {
    fn compile(dialect: Dialect, source: &Value) -> Result<Self, ExpressionError> {
        let node = match source {
            Value::String(text) if unwrap(dialect.language, text).is_some() => {
                return dialect.expression(text).map(Node::Expression);
            }
            Value::String(text) if dialect.is_loose => match dialect.expression(text) {
                Ok(expression) => Node::Tried(expression, text.clone()),
                Err(_) => Node::Literal(source.clone()),
            },
            Value::Array(items) => {
                Node::Array(items.iter().map(|item| Node::compile(dialect, item)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Node::Object(
                members
                    .iter()
                    .map(|(key, member)| Ok((key.clone(), Node::compile(dialect, member)?)))
                    .collect::<Result<_, ExpressionError>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Node::Literal(source.clone()),
        };
        Ok(if node.is_literal() { Node::Literal(source.clone()) } else { node })
    }

    fn is_literal(&self) -> bool {
        match self {
            Node::Literal(_) => true,
            Node::Expression(_) | Node::Tried(..) => false,
            Node::Array(items) => items.iter().all(Node::is_literal),
            Node::Object(members) => members.iter().all(|(_, member)| member.is_literal()),
        }
    }

    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Expression)) {
        match self {
            // One that names what is not there is a text.
            Node::Literal(_) | Node::Tried(..) => {}
            Node::Expression(expression) => see(expression),
            Node::Array(items) => items.iter().for_each(|item| item.visit(see)),
            Node::Object(members) => members.iter().for_each(|(_, member)| member.visit(see)),
        }
    }

    fn evaluate(&self, input: &Value, variables: &dyn Variables) -> Result<Value, Fault> {
        match self {
            Node::Literal(value) => Ok(value.clone()),
            Node::Expression(expression) => expression.evaluate(input, variables),
            Node::Tried(expression, text) => {
                Ok(expression.evaluate(input, variables).unwrap_or_else(|_| Value::String(text.clone())))
            }
            Node::Array(items) => {
                items.iter().map(|item| item.evaluate(input, variables)).collect::<Result<_, _>>().map(Value::Array)
            }
            Node::Object(members) => members
                .iter()
                .map(|(key, member)| Ok((key.clone(), member.evaluate(input, variables)?)))
                .collect::<Result<_, _>>()
                .map(Value::Object),
        }
    }
}

/// Whether a text of a definition is an expression as a whole, in any language.
pub fn is_expression(text: &str) -> bool {
    unwrap(Language::Jq, text).is_some()
}

/// The text inside `${ … }`; none when the whole text does not have that form.
/// The portal's CEL is also inside `${{ … }}`.
fn unwrap(language: Language, text: &str) -> Option<&str> {
    let text = text.trim();
    let twice = text.strip_prefix("${{").and_then(|text| text.strip_suffix("}}"));
    match (language, twice) {
        (Language::Cel, Some(inner)) => Some(inner),
        (Language::Jq | Language::Cel, _) => text.strip_prefix("${")?.strip_suffix('}'),
    }
}

/// The first `bytes_max` bytes, cut at a character.
pub(crate) fn excerpt(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
