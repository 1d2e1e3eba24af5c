//! A program to run in a sandbox, and its normalised outcome.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calls::McpClient;
use crate::ids::{ArtifactUri, CommandName, Digest, SecretName, TaskPath, TemplateName, Timestamp};
use crate::image::ImageIdentity;

/// How long a sandbox lives and what it shares.
///
/// Source: “Execution Boundary” in the design document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// One per instance: checkout, caches and generated files survive.
    WorkflowSession,
    /// Fresh for one task; the only place where secrets go.
    PerTask,
}

impl SandboxMode {
    /// As definitions and templates write it.
    pub fn name(self) -> &'static str {
        match self {
            SandboxMode::WorkflowSession => "workflow-session",
            SandboxMode::PerTask => "per-task",
        }
    }
}

/// A command that a plugin says it would run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCommand {
    pub command: CommandName,
    /// An object: parameter name to value.
    pub parameters: Value,
    pub why: String,
}

/// A program to run in a sandbox, fully resolved: nothing is left to a shell
/// of ours or to a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// The sandbox description it runs in.
    pub template: TemplateName,
    /// The command template it was made from; none for `run.shell` and `run.script`.
    pub command_name: Option<CommandName>,
    pub mode: SandboxMode,
    /// Program and arguments, as `execve` gets them. For people it is shown
    /// shell-quoted and redacted.
    pub argv: Vec<String>,
    /// Added to the template's own environment; never holds a secret.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub stdin: Option<String>,
    /// Below the workspace; empty is the workspace itself.
    #[serde(default)]
    pub working_directory: String,
    /// `host:port` pairs it may reach through the egress proxy.
    #[serde(default)]
    pub egress: Vec<String>,
    /// Environment variable name to secret name: values are set inside the
    /// sandbox only, and also appear as files below `/run/secrets`.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretName>,
    /// Stored files put into the workspace first: path below it to reference.
    #[serde(default)]
    pub inputs: BTreeMap<String, ArtifactUri>,
    /// Globs below the workspace whose files are kept as artifacts.
    #[serde(default)]
    pub capture: Vec<String>,
    /// Wall-clock time from the start of the process; 0 is the template's own limit.
    pub time_limit_ms: u64,
    /// Set for a server of MCP: in its sandbox a program of the host asks it this
    /// over its standard streams, and writes an [`McpAnswer`] to the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialogue: Option<Box<McpDialogue>>,
    /// The image whose files it finds as `/`; without one, what the template says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<Container>>,
}

/// What `run.container` runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    #[serde(flatten)]
    pub image: ImageIdentity,
    /// What the sandbox calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
}

/// One request to a server of MCP over its standard streams, between the
/// greeting and the goodbye.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpDialogue {
    pub protocol_version: String,
    pub client: McpClient,
    pub method: String,
    pub parameters: Value,
    /// From the start of the server to its answer.
    pub time_limit_ms: u64,
    /// Of all that the server says until its answer is there.
    pub answer_bytes_max: u64,
}

/// What came of an [`McpDialogue`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum McpAnswer {
    Result(Value),
    /// The server answered with an error of the protocol.
    Refused {
        code: i64,
        message: String,
    },
    /// There is no answer. `asked`: the request was on its way already.
    Broken {
        why: McpTrouble,
        detail: String,
        asked: bool,
    },
}

/// What a server of MCP did instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum McpTrouble {
    /// Its program could not be started.
    NotStarted,
    /// It speaks another version of the protocol.
    OtherVersion,
    /// It wrote what is no message of the protocol.
    Garbage,
    /// It wrote more than an answer may have.
    Flood,
    /// It did not answer in time.
    Silent,
    /// It ended.
    Gone,
}

impl Command {
    /// `argv` as one line that a POSIX shell would read back the same way.
    pub fn line(&self) -> String {
        self.argv.iter().map(|argument| quote(argument)).collect::<Vec<_>>().join(" ")
    }
}

fn quote(argument: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,+@%^".contains(&b);
    if !argument.is_empty() && argument.bytes().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandStatus {
    Succeeded,
    /// It ended by itself with a non-zero exit code or a signal.
    Failed,
    /// Its time limit passed and it was killed.
    TimedOut,
    /// Killed from outside: a cancel, or a limit on memory or output.
    Killed,
    /// The sandbox refused something it tried (egress, for one).
    PolicyViolation,
}

impl CommandStatus {
    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Killed => "killed",
            Self::PolicyViolation => "policy-violation",
        }
    }
}

/// A file kept from a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    pub uri: ArtifactUri,
    pub digest: Digest,
    pub size_bytes: u64,
}

/// One answer of the egress proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressDecision {
    /// `host:port` as the command named it.
    pub target: String,
    pub allowed: bool,
    pub reason: String,
}

/// The normalised outcome of a command: branching and diagnosis read this,
/// never the raw console.
///
/// Source: “Command Result Contract” in the design document (K1); `artifacts`
/// holds references there and references with digest and size here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResult {
    pub task_name: String,
    pub task_path: TaskPath,
    pub attempt: u32,
    /// The command line for people: shell-quoted and redacted.
    pub command: String,
    /// None when the process did not end by itself.
    pub exit_code: Option<i32>,
    pub status: CommandStatus,
    pub started_at: Timestamp,
    pub completed_at: Timestamp,
    pub duration_ms: u64,
    pub stdout_ref: ArtifactUri,
    pub stderr_ref: ArtifactUri,
    /// One line for people: why it ended as it did.
    pub summary: String,
    /// Paths below the workspace that this command added, changed or removed.
    pub changed_files: Vec<String>,
    pub artifacts: Vec<Artifact>,
    /// What the egress proxy answered, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<EgressDecision>,
    /// What it really ran in: image digest, or the digest of the host's package list.
    pub sandbox_digest: Digest,
    /// Last part of the redacted streams, at most 64 KiB each.
    pub stdout_excerpt: String,
    pub stderr_excerpt: String,
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_line_can_be_read_back_by_a_shell() {
        assert_eq!(quote("--flag=a/b"), "--flag=a/b");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
