//! What a step may ask of its host: one trait for each capability, one for each world.

use serde_json::Value;

use crate::{CallError, CommandResult, Parameter};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Lines for people who read the release's log.
pub trait Log {
    fn log_with(&mut self, level: Level, message: &str, fields: &[(&str, &str)]);

    fn log(&mut self, level: Level, message: &str) {
        self.log_with(level, message, &[]);
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactStat {
    pub size_bytes: u64,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    pub media_type: String,
}

/// Stored files of the step's own release, as far as the task grants them.
pub trait ReadArtifacts {
    fn stat(&mut self, uri: &str) -> Result<ArtifactStat, CallError>;
    /// At most `length` bytes from `offset`; none after the end.
    fn read(&mut self, uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, CallError>;
}

/// What to ask a language model, and what its answer must look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// A name of the operator's configuration: `default`.
    pub model: String,
    pub prompt: String,
    /// References of stored files that the step may read; the host passes them as data.
    pub evidence: Vec<String>,
    /// JSON schema of the answer's value. What does not fit is not passed on.
    pub answer_schema: Value,
    pub answer_tokens_max: u32,
}

/// What a model said: of unknown truth, in the form that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub value: Value,
    /// Vendor, model and version, for the record.
    pub model: String,
}

/// A language model that the operator configured, as far as the task grants it.
pub trait AskModel {
    /// [`CallError::Unavailable`] if no such model is configured, or it did not answer.
    fn ask(&mut self, question: &Question) -> Result<Answer, CallError>;
}

/// Command templates, in the sandbox that the definition chose.
pub trait RunCommands {
    /// Waits for the command to end. One that fails is an answer, not an error.
    fn exec(&mut self, command: &str, parameters: &[(&str, Parameter)]) -> Result<CommandResult, CallError>;
}

/// Files that the step stores, under names that the task grants.
pub trait WriteArtifacts {
    /// `name` has no folders. The reference of the stored file comes back.
    fn put(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Result<String, CallError>;
}

/// Commands that hold secrets: in a sandbox made for the task alone. No value
/// reaches the step.
pub trait UseSecrets {
    fn exec_with_secrets(
        &mut self,
        command: &str,
        parameters: &[(&str, Parameter)],
        secrets: &[&str],
    ) -> Result<CommandResult, CallError>;
}

/// World `pure`: it computes.
pub trait PureHost: Log {}
/// World `diagnose`: it reads what was stored, may ask a model, and cannot act.
pub trait DiagnoseHost: PureHost + ReadArtifacts + AskModel {}
/// World `probe`: it looks at the world with commands.
pub trait ProbeHost: PureHost + ReadArtifacts + RunCommands {}
/// World `build`: it runs commands and stores files, without a secret.
pub trait BuildHost: ProbeHost + WriteArtifacts {}
/// World `publish`: it may hand secrets to commands.
pub trait PublishHost: BuildHost + UseSecrets {}

impl<T: Log> PureHost for T {}
impl<T: PureHost + ReadArtifacts + AskModel> DiagnoseHost for T {}
impl<T: PureHost + ReadArtifacts + RunCommands> ProbeHost for T {}
impl<T: ProbeHost + WriteArtifacts> BuildHost for T {}
impl<T: BuildHost + UseSecrets> PublishHost for T {}
