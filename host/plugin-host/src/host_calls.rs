//! The contract with the worker: what a plugin may ask for, and who does it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::{ArtifactUri, CommandName, CommandResult, McpTool, ModelName, SecretName};

use crate::texts::{SUBJECT_BYTES_MAX, one_line};

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

impl Denial {
    /// `subject` is cut and made one line, so that the history holds a bounded text.
    pub fn new(capability: &str, subject: &str, reason: impl Into<String>) -> Self {
        let subject = one_line(subject, SUBJECT_BYTES_MAX);
        Self { capability: capability.to_owned(), subject, reason: reason.into() }
    }
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

/// What a plugin asks a model. Its evidence is covered by `artifacts-read`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelQuestion {
    pub model: ModelName,
    pub prompt: String,
    pub evidence: Vec<ArtifactUri>,
    /// JSON schema (2020-12) that the answer's value must fit.
    pub answer_schema: Value,
    pub answer_tokens_max: u32,
}

/// What a model said, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelAnswer {
    pub value: Value,
    /// Vendor, model and version, for the record.
    pub model: String,
    pub question_tokens: u32,
    pub answer_tokens: u32,
}

/// What an MCP tool answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnswer {
    pub is_error: bool,
    /// The content blocks, in the protocol's form.
    pub content: Vec<Value>,
    pub structured: Option<Value>,
}

/// A method that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Get,
    Head,
}

/// A request to a granted origin. The client follows no redirect and reaches
/// no private address that the operator did not open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    pub method: HttpMethod,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// The most that the body may have; a longer one is a quota.
    pub body_bytes_max: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Base64 in the history.
    #[serde(with = "base64_text")]
    pub body: Vec<u8>,
}

mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Where in its run a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSite {
    /// Of the host call, from 1.
    pub sequence: u32,
    /// Used until then. The same input and answers use the same, so on a replay
    /// it proves that the plugin took the same way.
    pub fuel: u64,
}

/// What an earlier run of the same attempt has on record at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    Nothing,
    /// It was allowed then: its answer comes from the method of the call.
    Allowed,
    Denied(Denial),
}

/// What the worker does for a plugin. Every call has been authorised against
/// the grants before it comes here.
#[async_trait]
pub trait HostCalls: Send {
    /// What was decided about this call when the attempt ran before; asked ahead
    /// of policy, which is not asked again. A host without a journal keeps the
    /// default. [`HostCallError::Interrupted`] if something else is recorded.
    fn recorded(&mut self, site: CallSite, capability: &str, subject: &str) -> Result<Recorded, HostCallError> {
        let _ = (site, capability, subject);
        Ok(Recorded::Nothing)
    }
    async fn exec(
        &mut self,
        site: CallSite,
        command: &CommandName,
        parameters: Vec<(String, Parameter)>,
        secrets: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError>;
    async fn stat_artifact(&mut self, site: CallSite, uri: &ArtifactUri) -> Result<ArtifactStat, HostCallError>;
    /// At most `length` bytes.
    async fn read_artifact(
        &mut self,
        site: CallSite,
        uri: &ArtifactUri,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, HostCallError>;
    async fn put_artifact(
        &mut self,
        site: CallSite,
        name: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<ArtifactUri, HostCallError>;
    /// [`HostCallError::Unavailable`] if no such model is configured.
    async fn ask_model(&mut self, site: CallSite, question: ModelQuestion) -> Result<ModelAnswer, HostCallError>;
    /// `arguments` is an object. [`HostCallError::Unavailable`] if no such server is configured.
    async fn call_tool(
        &mut self,
        site: CallSite,
        tool: &McpTool,
        arguments: Value,
    ) -> Result<ToolAnswer, HostCallError>;
    async fn fetch(&mut self, site: CallSite, request: HttpRequest) -> Result<HttpResponse, HostCallError>;
    /// A bounded log line; carries no number and has no answer.
    async fn log(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>);
    /// A refused call, for the record.
    async fn denied(&mut self, site: CallSite, denial: &Denial);
}
