//! jq expressions, compiled once.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::effect::Fault;

/// Why a text is not an expression: said at `check`, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{source_text}` is not a jq expression: {detail}")]
pub struct ExpressionError {
    pub source_text: String,
    pub detail: String,
}

/// The variables an expression sees, by name without `$`: `context`, `input`,
/// `output`, `task`, `workflow`, `runtime`, and those of `for` and `catch`.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub variables: BTreeMap<String, Value>,
}

/// A compiled jq expression.
#[derive(Debug, Clone)]
pub struct Expression {
    pub source: String,
}

impl Expression {
    /// `text` is bare jq or `${ jq }`.
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        Ok(Self { source: text.to_owned() })
    }

    pub fn evaluate(&self, _input: &Value, _scope: &Scope) -> Result<Value, Fault> {
        Ok(Value::Null)
    }
}

/// JSON in which every string of the form `${ … }` is an expression; the rest is literal.
#[derive(Debug, Clone)]
pub struct Template {
    pub source: Value,
}

impl Template {
    pub fn compile(source: &Value) -> Result<Self, ExpressionError> {
        Ok(Self { source: source.clone() })
    }

    /// For fields whose text is an expression with or without `${ }` (`input.from`, `output.as`, `export.as`).
    pub fn compile_expression_field(source: &Value) -> Result<Self, ExpressionError> {
        Ok(Self { source: source.clone() })
    }

    pub fn evaluate(&self, _input: &Value, _scope: &Scope) -> Result<Value, Fault> {
        Ok(self.source.clone())
    }
}
