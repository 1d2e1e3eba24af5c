//! `input.schema`, `output.schema` and `export.schema`: JSON Schema, by the
//! library `jsonschema` without its network and file resolvers.

use serde_json::Value;

use crate::effect::{Fault, StandardError};

/// How many violations an error tells about.
const VIOLATIONS_MAX: usize = 5;

/// # Errors
///
/// `configuration` when the schema itself is none, `validation` when `value`
/// does not conform; `what` begins the detail: `input`, `output`, `export`.
pub(super) fn check(schema: Option<&Value>, value: &Value, what: &str) -> Result<(), Fault> {
    let Some(schema) = schema else { return Ok(()) };
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| StandardError::Configuration.fault(format!("the {what} schema is no JSON Schema: {error}")))?;
    let violations: Vec<String> = validator
        .iter_errors(value)
        .take(VIOLATIONS_MAX)
        .map(|violation| {
            let place = violation.instance_path().to_string();
            format!("{}: {violation}", if place.is_empty() { "/" } else { &place })
        })
        .collect();
    match violations.as_slice() {
        [] => Ok(()),
        found => Err(StandardError::Validation.fault(format!("the {what} does not conform: {}", found.join("; ")))),
    }
}
