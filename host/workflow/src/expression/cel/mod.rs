//! The Common Expression Language, for documents with `evaluate.language: cel`.
//!
//! A parser and an evaluator of our own, on the values that count: the crate
//! for it brings a generated parser of some thirty thousand lines, and its loops
//! cannot be stopped. Identifiers are the variables that jq has with `$`; what
//! begins with `.` is looked up in the expression's input, as the portal's
//! definitions have it.

mod evaluate;
mod functions;
mod parse;
mod tokens;

use std::collections::BTreeSet;

use serde_json::Value;

use super::Variables;
use super::meter::bounded;
use super::value::Kind;

/// A parsed expression.
#[derive(Debug)]
pub struct Program {
    root: Expr,
    /// What it names and does not bind itself.
    variables: BTreeSet<String>,
}

#[derive(Debug)]
enum Expr {
    Literal(Literal),
    /// `.`: the expression's input.
    Input,
    Variable(String),
    /// `lenient` gives `null` for what is not there: below a leading `.`.
    Member {
        of: Box<Expr>,
        name: String,
        lenient: bool,
    },
    Index {
        of: Box<Expr>,
        index: Box<Expr>,
    },
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary {
        left: Box<Expr>,
        operator: Operator,
        right: Box<Expr>,
    },
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Call {
        function: &'static functions::Function,
        arguments: Vec<Expr>,
    },
    Has {
        of: Box<Expr>,
        name: String,
    },
    Loop(Box<Loop>),
}

/// `list.all(x, …)` and its kin.
#[derive(Debug)]
struct Loop {
    over: Expr,
    variable: String,
    /// `filter` and `map` with three arguments.
    condition: Option<Expr>,
    body: Option<Expr>,
    kind: LoopKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Program {
    /// # Errors
    ///
    /// What is wrong with the text, for the author of the definition.
    pub fn compile(source: &str) -> Result<Self, String> {
        let (root, variables) = parse::parse(source)?;
        if variables.contains("secrets") {
            return Err(super::NO_SECRETS.replace("$secrets", "secrets"));
        }
        Ok(Self { root, variables })
    }

    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// # Errors
    ///
    /// Why there is no result, for whoever runs the definition.
    pub fn run(&self, input: &Value, variables: &dyn Variables) -> Result<Value, String> {
        let mut values = Vec::with_capacity(self.variables.len());
        for name in &self.variables {
            let value = variables.variable(name).ok_or_else(|| format!("variable `{name}` is not known here"))?;
            values.push((name.as_str(), value));
        }
        let outcome = bounded(|| {
            let variables = values.iter().map(|(name, value)| (*name, Kind::given(value))).collect();
            evaluate::Evaluation { input: Kind::given(input), variables }.evaluate(&self.root)?.to_json()
        });
        outcome.unwrap_or_else(|stopped| Err(stopped.to_string()))
    }
}

#[cfg(test)]
mod tests;
