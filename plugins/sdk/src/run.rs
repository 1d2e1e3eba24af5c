//! A step between JSON and JSON, as a component and a test both run it.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Planned, Step, StepError};

/// The input as its type; the error names the field.
pub fn input<T: DeserializeOwned>(text: &str) -> Result<T, StepError> {
    serde_json::from_str(text).map_err(|error| StepError::InvalidInput(error.to_string()))
}

pub fn plan<S: Step<H>, H>(text: &str) -> Result<Vec<Planned>, StepError> {
    S::plan(&input(text)?)
}

pub fn execute<S: Step<H>, H>(host: &mut H, text: &str) -> Result<Value, StepError> {
    let output = S::execute(host, input(text)?)?;
    serde_json::to_value(output).map_err(|error| StepError::failed(format!("the output is not JSON: {error}")))
}
