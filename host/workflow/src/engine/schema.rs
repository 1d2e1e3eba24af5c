//! `input.schema`, `output.schema` and `export.schema`: JSON Schema, by the
//! library `jsonschema` without its network and file resolvers.

use serde_json::Value;

use crate::effect::{Fault, StandardError};

/// How many violations an error tells about.
const VIOLATIONS_MAX: usize = 5;

/// Where a value does not conform, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the value; empty is the whole of it.
    pub pointer: String,
    pub message: String,
}

/// # Errors
///
/// `configuration` when the schema itself is none, `validation` when `value`
/// does not conform; `what` begins the detail: `input`, `output`, `export`.
pub(super) fn check(schema: Option<&Value>, value: &Value, what: &str) -> Result<(), Fault> {
    let line = |violation: Violation| {
        let place = if violation.pointer.is_empty() { "/" } else { &violation.pointer };
        format!("{place}: {}", violation.message)
    };
    let violations: Vec<String> = violations(schema, value, what)?.into_iter().map(line).collect();
    match violations.as_slice() {
        [] => Ok(()),
        found => Err(StandardError::Validation.fault(format!("the {what} does not conform: {}", found.join("; ")))),
    }
}

/// The first violations; none of a value that conforms.
///
/// # Errors
///
/// `configuration` when the schema itself is none.
pub(super) fn violations(schema: Option<&Value>, value: &Value, what: &str) -> Result<Vec<Violation>, Fault> {
    let Some(schema) = schema else { return Ok(Vec::new()) };
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| StandardError::Configuration.fault(format!("the {what} schema is no JSON Schema: {error}")))?;
    let violation = |error: jsonschema::ValidationError<'_>| Violation {
        pointer: error.instance_path().to_string(),
        message: error.to_string(),
    };
    Ok(validator.iter_errors(value).take(VIOLATIONS_MAX).map(violation).collect())
}
