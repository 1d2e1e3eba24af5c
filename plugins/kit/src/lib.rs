//! What the bundled plugins share.
//!
//! A step is written against [`Host`] with plain types and tested natively
//! against [`scripted::Script`]; the macro [`export_step!`] is its last page and
//! turns it into a component.

pub mod command;
pub mod git;
mod glue;
pub mod index;
pub mod scripted;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use command::{Artifact, CommandResult, Parameter, Status};

/// Why a host call gave no answer; the variants of `types.call-error`.
#[derive(Debug, Clone, PartialEq)]
pub enum CallError {
    Denied(Denial),
    Invalid(String),
    NotFound(String),
    Quota(String),
    Unavailable(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    pub capability: String,
    pub subject: String,
    pub reason: String,
}

/// Why a step has no output; the variants of `types.step-error`.
#[derive(Debug, Clone, PartialEq)]
pub enum StepError {
    InvalidInput(String),
    Denied(Denial),
    Transient(String),
    Failed(Failure),
    NeedsHuman(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// One line.
    pub summary: String,
    pub exit_code: Option<i32>,
    /// References, most telling first.
    pub logs: Vec<String>,
}

/// Where a host call's trouble sends the release.
impl From<CallError> for StepError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Denied(denial) => StepError::Denied(denial),
            CallError::Unavailable(detail) => StepError::Transient(detail),
            CallError::Invalid(detail) => StepError::InvalidInput(detail),
            CallError::NotFound(what) => StepError::failed(format!("not found: {what}")),
            CallError::Quota(detail) => StepError::NeedsHuman(format!("a limit of the task's grants: {detail}")),
        }
    }
}

impl StepError {
    /// A failure without a command behind it.
    pub fn failed(summary: impl Into<String>) -> Self {
        StepError::Failed(Failure { summary: summary.into(), exit_code: None, logs: Vec::new() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
}

/// What a step may ask of the host. A plugin imports only what its world has:
/// the rest of the trait answers with a denial there.
pub trait Host {
    fn exec(&mut self, command: &str, parameters: &[(&str, Parameter)]) -> Result<CommandResult, CallError>;
    /// In a fresh sandbox that holds `secret`.
    fn exec_with_secret(
        &mut self,
        command: &str,
        parameters: &[(&str, Parameter)],
        secret: &str,
    ) -> Result<CommandResult, CallError>;
    /// At most `length` bytes from `offset`; none after the end.
    fn read(&mut self, uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, CallError>;
    fn log(&mut self, level: Level, message: &str);
}

/// What a step says about itself.
pub struct About {
    pub name: &'static str,
    pub summary: &'static str,
    /// JSON schemas.
    pub input_schema: &'static str,
    pub output_schema: &'static str,
    pub idempotent: bool,
}

/// A command that a step would run.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub command: String,
    pub parameters: Value,
    pub why: String,
}

/// A command of `rust-release` with its parameters, ready to run or to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// Without the template: `cargo-build`.
    pub command: &'static str,
    pub parameters: Vec<(&'static str, Parameter)>,
    pub why: &'static str,
}

/// The sandbox template that the bundled plugins speak to.
pub const TEMPLATE: &str = "rust-release";

impl Invocation {
    pub fn new(command: &'static str, parameters: Vec<(&'static str, Parameter)>, why: &'static str) -> Self {
        Self { command, parameters, why }
    }

    pub fn name(&self) -> String {
        format!("{TEMPLATE}/{}", self.command)
    }

    pub fn run(&self, host: &mut dyn Host) -> Result<CommandResult, CallError> {
        host.exec(&self.name(), &self.parameters)
    }

    pub fn run_with(&self, host: &mut dyn Host, secret: &str) -> Result<CommandResult, CallError> {
        host.exec_with_secret(&self.name(), &self.parameters, secret)
    }

    pub fn planned(&self) -> Planned {
        let parameters = self.parameters.iter().map(|(name, value)| ((*name).to_owned(), value.to_json()));
        Planned { command: self.name(), parameters: Value::Object(parameters.collect()), why: self.why.to_owned() }
    }
}

/// A release step.
pub trait Step {
    fn about() -> About;
    /// The commands this input would run, as far as it says.
    fn plan(input: &str) -> Result<Vec<Planned>, StepError>;
    fn execute(host: &mut dyn Host, input: &str) -> Result<Value, StepError>;
}

/// The input as its type; the error names the field.
pub fn input<T: DeserializeOwned>(text: &str) -> Result<T, StepError> {
    serde_json::from_str(text).map_err(|error| StepError::InvalidInput(error.to_string()))
}
