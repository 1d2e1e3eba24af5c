//! Commands: parameters in, results out, and what a failed one means.

use serde_json::Value;

use crate::{CallError, Failure, Host, StepError};

/// A value for one parameter of a command template.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    Text(String),
    /// A stored file, by reference.
    Artifact(String),
}

impl Parameter {
    pub fn text(text: impl Into<String>) -> Self {
        Parameter::Text(text.into())
    }

    pub fn to_json(&self) -> Value {
        match self {
            Parameter::Text(text) | Parameter::Artifact(text) => Value::from(text.as_str()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Succeeded,
    Failed,
    TimedOut,
    Killed,
    PolicyViolation,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    pub uri: String,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    pub size_bytes: u64,
}

impl Artifact {
    /// The last part of the reference: `demo-core-0.1.0.crate`.
    pub fn file_name(&self) -> &str {
        self.uri.rsplit('/').next().unwrap_or(&self.uri)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct CommandResult {
    pub status: Status,
    pub exit_code: Option<i32>,
    pub summary: String,
    pub stdout: String,
    pub stderr: String,
    pub stdout_excerpt: String,
    pub stderr_excerpt: String,
    pub artifacts: Vec<Artifact>,
}

/// An excerpt shorter than this is the whole stream: the host keeps the last
/// 64 KiB and may drop up to three bytes at a character's border.
const WHOLE_EXCERPT_BYTES_MAX: usize = (64 << 10) - 4;

/// How much of a stream is read when the excerpt is not all of it.
const STREAM_BYTES_MAX: u64 = 4 << 20;
const CHUNK_BYTES: u32 = 1 << 20;

impl CommandResult {
    pub fn succeeded(&self) -> bool {
        self.status == Status::Succeeded
    }

    /// All of stdout, up to 4 MiB.
    pub fn whole_stdout(&self, host: &mut dyn Host) -> Result<String, CallError> {
        whole(host, &self.stdout, &self.stdout_excerpt)
    }

    /// All of stderr, up to 4 MiB.
    pub fn whole_stderr(&self, host: &mut dyn Host) -> Result<String, CallError> {
        whole(host, &self.stderr, &self.stderr_excerpt)
    }

    /// This result as the reason why the step has no output.
    pub fn failure(&self, summary: impl Into<String>) -> StepError {
        let logs = vec![self.stderr.clone(), self.stdout.clone()];
        StepError::Failed(Failure { summary: summary.into(), exit_code: self.exit_code, logs })
    }

    /// Passes a success on; `doing` (“build the workspace”) opens the failure's summary.
    ///
    /// A lost network is worth another attempt, anything else is diagnosed.
    pub fn expect_success(&self, doing: &str) -> Result<(), StepError> {
        match self.status {
            Status::Succeeded => Ok(()),
            Status::TimedOut | Status::Killed => Err(self.failure(format!("failed to {doing}: {}", self.summary))),
            Status::PolicyViolation => {
                Err(self.failure(format!("failed to {doing}: the sandbox refused something: {}", self.last_line())))
            }
            Status::Failed if is_network_trouble(&self.stderr_excerpt) => {
                Err(StepError::Transient(format!("failed to {doing}: {}", self.last_line())))
            }
            Status::Failed => Err(self.failure(format!("failed to {doing}: {}", self.last_line()))),
        }
    }

    /// The most telling line of stderr: the last one with words, or why the command ended.
    pub fn last_line(&self) -> &str {
        let lines = || self.stderr_excerpt.lines().map(str::trim).filter(|line| !line.is_empty());
        let telling = lines().rfind(|line| line.starts_with("error") || line.starts_with("fatal"));
        telling.or_else(|| lines().next_back()).unwrap_or(&self.summary)
    }
}

/// Words of git, cargo and curl for a network that may be back in a minute.
fn is_network_trouble(stderr: &str) -> bool {
    let stderr = stderr.to_lowercase();
    [
        "could not resolve host",
        "connection timed out",
        "connection reset",
        "operation timed out",
        "503 service",
        "spurious network error",
        "connection refused",
    ]
    .iter()
    .any(|words| stderr.contains(words))
}

fn whole(host: &mut dyn Host, uri: &str, excerpt: &str) -> Result<String, CallError> {
    if excerpt.len() < WHOLE_EXCERPT_BYTES_MAX {
        return Ok(excerpt.to_owned());
    }
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < STREAM_BYTES_MAX {
        let chunk = host.read(uri, bytes.len() as u64, CHUNK_BYTES)?;
        if chunk.is_empty() {
            break;
        }
        bytes.extend(chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, result};

    #[test]
    fn a_long_stream_is_read_from_its_artifact() {
        let stream = "x".repeat(70 << 10);
        let mut script = Script::new(vec![]).with_artifact("artifact://i/t/1/stdout.log", stream.clone().into_bytes());
        let long = CommandResult { stdout_excerpt: "x".repeat(64 << 10), ..result(0, "", "") };
        assert_eq!(long.whole_stdout(&mut script).unwrap().len(), stream.len());
    }

    #[test]
    fn a_lost_network_is_transient_and_a_compile_error_is_not() {
        let lost = result(128, "", "fatal: unable to access 'http://x/': Could not resolve host: x\n");
        assert!(
            matches!(lost.expect_success("read"), Err(StepError::Transient(text)) if text.starts_with("failed to read: fatal: unable"))
        );
        let broken = result(101, "", "error: no such command: `buidl`\n");
        assert!(
            matches!(broken.expect_success("build"), Err(StepError::Failed(failure)) if failure.summary == "failed to build: error: no such command: `buidl`" && failure.exit_code == Some(101))
        );
    }
}
