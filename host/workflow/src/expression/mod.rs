//! jq expressions, compiled once.
//!
//! An expression is part of a definition, which is reviewed; the data it reads
//! is not. So data can never become an expression: only [`Expression::compile`]
//! reads text as jq, and only the parser of definitions calls it.
//!
//! Evaluation depends on its arguments alone: no environment, no clock, no
//! input stream, no time zone of the machine, no output, no exit.

mod jq;
mod meter;
mod regex;
mod value;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::effect::{Fault, StandardError};
use crate::ids::Timestamp;
use jq::Program;
use regex::{Flags, Regex};

/// Longest text of one expression.
pub const SOURCE_BYTES_MAX: usize = 64 * 1024;

/// Why a text is not an expression: said at `check`, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{source_text}` is not a jq expression: {detail}")]
pub struct ExpressionError {
    pub source_text: String,
    pub detail: String,
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

/// A compiled jq expression.
#[derive(Clone)]
pub struct Expression {
    /// The jq text, without `${ }`.
    pub source: String,
    program: Arc<Program>,
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
    /// `text` is bare jq or `${ jq }`.
    ///
    /// # Errors
    ///
    /// What jq does not understand; and what this host leaves out of it: `def`,
    /// modules, `$secrets`, and every filter that reads or writes more than
    /// its input.
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        let source = unwrap(text).unwrap_or(text).trim().to_owned();
        let refuse = |detail: String| ExpressionError { source_text: excerpt(text, 200), detail };
        if source.len() > SOURCE_BYTES_MAX {
            return Err(refuse(format!("it is longer than {SOURCE_BYTES_MAX} bytes")));
        }
        let program = Program::compile(&source).map_err(refuse)?;
        Ok(Self { source, program: Arc::new(program) })
    }

    /// Names, without `$`, of the variables that must be given.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.program.variables()
    }

    /// The first output; `null` when there is none.
    ///
    /// # Errors
    ///
    /// A fault of type `expression`: the filter failed, a variable is not
    /// there, it took too many steps, or its output is too large.
    pub fn evaluate(&self, input: &Value, variables: &dyn Variables) -> Result<Value, Fault> {
        self.program.run(input, variables).map_err(|detail| {
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
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Template {
    /// # Errors
    ///
    /// The first string of the form `${ … }` that is no expression.
    pub fn compile(source: &Value) -> Result<Self, ExpressionError> {
        Ok(Self { source: source.clone(), node: Arc::new(Node::compile(source)?) })
    }

    /// For fields whose text is an expression with or without `${ }` (`input.from`, `output.as`, `export.as`).
    ///
    /// # Errors
    ///
    /// As [`Template::compile`].
    pub fn compile_expression_field(source: &Value) -> Result<Self, ExpressionError> {
        match source {
            Value::String(text) => {
                Ok(Self { source: source.clone(), node: Arc::new(Node::Expression(Expression::compile(text)?)) })
            }
            _ => Self::compile(source),
        }
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
    fn compile(source: &Value) -> Result<Self, ExpressionError> {
        let node = match source {
            Value::String(text) if unwrap(text).is_some() => return Expression::compile(text).map(Node::Expression),
            Value::Array(items) => Node::Array(items.iter().map(Node::compile).collect::<Result<_, _>>()?),
            Value::Object(members) => Node::Object(
                members
                    .iter()
                    .map(|(key, member)| Ok((key.clone(), Node::compile(member)?)))
                    .collect::<Result<_, ExpressionError>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Node::Literal(source.clone()),
        };
        Ok(if node.is_literal() { Node::Literal(source.clone()) } else { node })
    }

    fn is_literal(&self) -> bool {
        let mut literal = true;
        self.visit(&mut |_| literal = false);
        literal
    }

    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Expression)) {
        match self {
            Node::Literal(_) => {}
            Node::Expression(expression) => see(expression),
            Node::Array(items) => items.iter().for_each(|item| item.visit(see)),
            Node::Object(members) => members.iter().for_each(|(_, member)| member.visit(see)),
        }
    }

    fn evaluate(&self, input: &Value, variables: &dyn Variables) -> Result<Value, Fault> {
        match self {
            Node::Literal(value) => Ok(value.clone()),
            Node::Expression(expression) => expression.evaluate(input, variables),
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

/// The jq text inside `${ … }`; none when the whole text does not have that form.
/// Whether a text of a definition is an expression as a whole.
pub fn is_expression(text: &str) -> bool {
    unwrap(text).is_some()
}

fn unwrap(text: &str) -> Option<&str> {
    text.trim().strip_prefix("${")?.strip_suffix('}')
}

/// The first `bytes_max` bytes, cut at a character.
fn excerpt(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
