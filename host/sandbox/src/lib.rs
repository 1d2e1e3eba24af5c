//! Templates, sessions, commands, egress and capture: the only place that
//! starts programs.

pub mod bench;
pub mod capture;
pub mod egress;
pub mod image;
pub mod launcher;
pub mod local;
pub mod template;

pub use local::{Local, LocalConfig, OpenError};
pub use template::{Limits, ParameterValue, ResolveError, Rootfs, Template, TemplateError, Templates};
pub use workflow::command::EgressDecision;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use workflow::{Command, CommandStatus, Digest, EffectKey, InstanceId, SecretName, TemplateName, Timestamp};

/// A secret's value. It is never printed, stored or compared outside the sandbox.
#[derive(Clone)]
pub struct SecretValue(Arc<str>);

impl SecretValue {
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// One command to run under its effect key.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// The same key is never run twice: a second call re-attaches or gives the recorded outcome.
    pub key: EffectKey,
    pub command: Command,
    /// Values of `command.secrets`; empty unless the mode is per-task.
    pub secrets: BTreeMap<SecretName, SecretValue>,
    /// Host files of `command.inputs`: path below the workspace to the file to copy from.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Redacted from output beside `secrets`.
    pub also_redact: Vec<SecretValue>,
}

/// What came of a command, with its files still in the provider's spool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExecOutcome {
    pub status: CommandStatus,
    pub exit_code: Option<i32>,
    /// One line for people: `exit code 101`, `killed by signal 9: out of memory`.
    pub summary: String,
    pub started_at: Timestamp,
    pub completed_at: Timestamp,
    /// Whole streams, redacted before they reached the disk.
    pub stdout: PathBuf,
    pub stderr: PathBuf,
    /// Last part of each, at most 64 KiB, cut at a character border.
    pub stdout_excerpt: String,
    pub stderr_excerpt: String,
    pub captured: Vec<Captured>,
    pub changed_files: Vec<String>,
    /// Image digest, or the digest of the host's package list.
    pub sandbox_digest: Digest,
    pub egress: Vec<EgressDecision>,
}

/// A file kept from the workspace: copied to the spool, so that the sandbox cannot change it any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Captured {
    /// Below the workspace.
    pub path: String,
    pub file: PathBuf,
    pub size_bytes: u64,
    pub digest: Digest,
}

/// Why the host has no outcome for a command.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// Nothing ran: what was asked cannot be had on this machine.
    #[error("{what}; {remedy}")]
    Unsupported { what: String, remedy: String },
    /// Nothing ran.
    #[error("failed to start a sandbox from template `{template}`: {detail}")]
    Start { template: TemplateName, detail: String },
    /// The command was running: its effect may have happened.
    #[error("lost contact with the command: {detail}")]
    OutcomeUnknown { detail: String },
}

/// Runs commands in sandboxes.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Runs a command to its end, or re-attaches to what an earlier host
    /// process started under the same key. A non-zero exit is `Ok`.
    ///
    /// Dropping the future does not stop the command; [`Provider::kill`] does.
    async fn exec(&self, request: ExecRequest) -> Result<ExecOutcome, ExecError>;

    /// Whether a command was started under this key, by this host or an earlier one.
    async fn knows(&self, key: &EffectKey) -> bool;

    /// Ends a running command: TERM, 5 s, then KILL.
    async fn kill(&self, key: &EffectKey);

    /// Forgets the spool of a command whose outcome is recorded.
    async fn discard(&self, key: &EffectKey);

    /// Removes what an instance kept: its session's directories and processes.
    async fn close_session(&self, instance: &InstanceId);

    /// Removes sessions, spools and processes of instances that are not in `keep`.
    /// Returns what was removed, for the log.
    async fn sweep(&self, keep: &[InstanceId]) -> Vec<String>;
}
