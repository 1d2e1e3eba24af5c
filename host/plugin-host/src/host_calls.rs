//! The contract with the worker: what a plugin may ask for, and who does it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use workflow::{ArtifactUri, CommandName, CommandResult, SecretName};

/// A typed parameter of a command template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Parameter {
    Text(String),
    Flag(bool),
    Integer(i64),
    Artifact(ArtifactUri),
    Texts(Vec<String>),
}

/// Policy said no. Data for the plugin, never a trap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// Interface of the WIT package: `sandbox`.
    pub capability: String,
    /// What was asked for: a command name, a secret name, an artifact.
    pub subject: String,
    /// What is missing and where it could be granted.
    pub reason: String,
}

/// Why a host call gave no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HostCallError {
    #[error("{0}")]
    Invalid(String),
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0}")]
    Quota(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("denied: {}: {}", .0.subject, .0.reason)]
    Denied(Denial),
    /// The host is stopping or lost its lease: the whole call ends without an outcome.
    #[error("the host stops")]
    Interrupted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// An artifact as a plugin sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactStat {
    pub size_bytes: u64,
    pub digest: String,
    pub media_type: String,
}

/// What the worker does for a plugin. Every call has been authorised against
/// the grants before it comes here; `sequence` numbers them from 1.
#[async_trait]
pub trait HostCalls: Send {
    async fn exec(
        &mut self,
        sequence: u32,
        command: &CommandName,
        parameters: Vec<(String, Parameter)>,
        secrets: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError>;
    async fn stat_artifact(&mut self, sequence: u32, uri: &ArtifactUri) -> Result<ArtifactStat, HostCallError>;
    /// At most `length` bytes.
    async fn read_artifact(
        &mut self,
        sequence: u32,
        uri: &ArtifactUri,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, HostCallError>;
    async fn put_artifact(
        &mut self,
        sequence: u32,
        name: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<ArtifactUri, HostCallError>;
    /// A bounded log line; carries no sequence and has no answer.
    async fn log(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>);
    /// A refused call, for the record.
    async fn denied(&mut self, sequence: u32, denial: &Denial);
}
