//! What a step may ask of its host: one trait for each capability, one for each world.

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
/// World `diagnose`: it reads what was stored, and cannot act.
pub trait DiagnoseHost: PureHost + ReadArtifacts {}
/// World `probe`: it looks at the world with commands.
pub trait ProbeHost: DiagnoseHost + RunCommands {}
/// World `build`: it runs commands and stores files, without a secret.
pub trait BuildHost: ProbeHost + WriteArtifacts {}
/// World `publish`: it may hand secrets to commands.
pub trait PublishHost: BuildHost + UseSecrets {}

impl<T: Log> PureHost for T {}
impl<T: PureHost + ReadArtifacts> DiagnoseHost for T {}
impl<T: DiagnoseHost + RunCommands> ProbeHost for T {}
impl<T: ProbeHost + WriteArtifacts> BuildHost for T {}
impl<T: BuildHost + UseSecrets> PublishHost for T {}
