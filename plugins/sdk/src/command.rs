//! Commands: parameters in, results out, and what a failed one means.

use serde_json::Value;

use crate::{CallError, Failure, ReadArtifacts, RunCommands, StepError, UseSecrets};

/// A reference of a stored file: `artifact://…`. Naming one gives no right to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactUri(pub String);

impl From<&str> for ArtifactUri {
    fn from(uri: &str) -> Self {
        Self(uri.to_owned())
    }
}

impl From<String> for ArtifactUri {
    fn from(uri: String) -> Self {
        Self(uri)
    }
}

/// A value for one parameter of a command template.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    Text(String),
    Flag(bool),
    Integer(i64),
    /// A stored file, by reference; it is put into the sandbox first.
    Artifact(String),
    Texts(Vec<String>),
}

impl Parameter {
    pub fn text(text: impl Into<String>) -> Self {
        Parameter::Text(text.into())
    }

    pub fn to_json(&self) -> Value {
        match self {
            Parameter::Text(text) | Parameter::Artifact(text) => Value::from(text.as_str()),
            Parameter::Flag(flag) => Value::from(*flag),
            Parameter::Integer(number) => Value::from(*number),
            Parameter::Texts(texts) => Value::from(texts.as_slice()),
        }
    }
}

/// What can fill a parameter; a missing option fills none.
pub trait ToParameter {
    fn to_parameter(&self) -> Option<Parameter>;
}

impl ToParameter for String {
    fn to_parameter(&self) -> Option<Parameter> {
        Some(Parameter::Text(self.clone()))
    }
}

impl ToParameter for bool {
    fn to_parameter(&self) -> Option<Parameter> {
        Some(Parameter::Flag(*self))
    }
}

impl ToParameter for i64 {
    fn to_parameter(&self) -> Option<Parameter> {
        Some(Parameter::Integer(*self))
    }
}

impl ToParameter for ArtifactUri {
    fn to_parameter(&self) -> Option<Parameter> {
        Some(Parameter::Artifact(self.0.clone()))
    }
}

impl ToParameter for Vec<String> {
    fn to_parameter(&self) -> Option<Parameter> {
        Some(Parameter::Texts(self.clone()))
    }
}

impl<T: ToParameter> ToParameter for Option<T> {
    fn to_parameter(&self) -> Option<Parameter> {
        self.as_ref()?.to_parameter()
    }
}

/// Name and value, in the order of the template.
pub type Parameters = Vec<(&'static str, Parameter)>;

/// A command template as a type: `light-workflow template stubs` writes one for each.
pub trait CommandTemplate {
    /// `template/command`.
    const NAME: &'static str;
    /// The secrets that the command holds; it runs with all of them or not at all.
    const SECRETS: &'static [&'static str] = &[];

    fn parameters(&self) -> Parameters;

    /// Ready to run or to show; `why` is for the person who approves the plan.
    fn invocation(&self, why: &'static str) -> Invocation {
        Invocation { command: Self::NAME, parameters: self.parameters(), why }
    }
}

/// A command with its parameters, ready to run or to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// `template/command`.
    pub command: &'static str,
    pub parameters: Parameters,
    pub why: &'static str,
}

impl Invocation {
    pub fn new(command: &'static str, parameters: Parameters, why: &'static str) -> Self {
        Self { command, parameters, why }
    }

    /// Runs the command and waits for it to end.
    pub fn run(&self, host: &mut impl RunCommands) -> Result<CommandResult, CallError> {
        host.exec(self.command, &self.parameters)
    }

    /// The same in a sandbox of its own that holds `secrets`.
    pub fn run_with(&self, host: &mut impl UseSecrets, secrets: &[&str]) -> Result<CommandResult, CallError> {
        host.exec_with_secrets(self.command, &self.parameters, secrets)
    }

    pub fn planned(&self) -> Planned {
        let parameters = self.parameters.iter().map(|(name, value)| ((*name).to_owned(), value.to_json()));
        Planned {
            command: self.command.to_owned(),
            parameters: Value::Object(parameters.collect()),
            why: self.why.to_owned(),
        }
    }
}

/// A command that a step would run.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub command: String,
    pub parameters: Value,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Succeeded,
    /// By itself, with a non-zero exit code or a signal.
    Failed,
    TimedOut,
    /// From outside: a cancel, or a limit on memory or output.
    Killed,
    /// The sandbox refused something it tried.
    PolicyViolation,
}

/// A captured file.
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

/// How a command ended.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandResult {
    pub status: Status,
    /// None if the process did not end by itself.
    pub exit_code: Option<i32>,
    pub duration_ms: u64,
    /// One line: why it ended as it did.
    pub summary: String,
    /// References of the whole streams.
    pub stdout: String,
    pub stderr: String,
    /// The last 64 KiB of each.
    pub stdout_excerpt: String,
    pub stderr_excerpt: String,
    pub artifacts: Vec<Artifact>,
    /// Below the workspace: added, changed or removed.
    pub changed_files: Vec<String>,
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
    pub fn whole_stdout(&self, host: &mut impl ReadArtifacts) -> Result<String, CallError> {
        whole(host, &self.stdout, &self.stdout_excerpt)
    }

    /// All of stderr, up to 4 MiB.
    pub fn whole_stderr(&self, host: &mut impl ReadArtifacts) -> Result<String, CallError> {
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
            Status::Failed if self.lost_network() => {
                Err(StepError::Transient(format!("failed to {doing}: {}", self.last_line())))
            }
            Status::Failed => Err(self.failure(format!("failed to {doing}: {}", self.last_line()))),
        }
    }

    /// Whether stderr says that the network, or the server behind it, was away: it may be back in a minute.
    pub fn lost_network(&self) -> bool {
        is_network_trouble(&self.stderr_excerpt)
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
        "requested url returned error: 5",
        "empty reply from server",
        "spurious network error",
        "connection refused",
    ]
    .iter()
    .any(|words| stderr.contains(words))
}

fn whole(host: &mut impl ReadArtifacts, uri: &str, excerpt: &str) -> Result<String, CallError> {
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
    use crate::{Script, ended};

    #[test]
    fn a_long_stream_is_read_from_its_artifact() {
        let stream = "x".repeat(70 << 10);
        let mut script = Script::new().artifact("artifact://i/t/1/stdout.log", stream.clone());
        let long = CommandResult { stdout_excerpt: "x".repeat(64 << 10), ..ended(0, "", "") };
        assert_eq!(long.whole_stdout(&mut script).unwrap().len(), stream.len());
    }

    #[test]
    fn a_lost_network_is_transient_and_a_compile_error_is_not() {
        let lost = ended(128, "", "fatal: unable to access 'http://x/': Could not resolve host: x\n");
        assert!(
            matches!(lost.expect_success("read"), Err(StepError::Transient(text)) if text.starts_with("failed to read: fatal: unable"))
        );
        let away = ended(128, "", "fatal: unable to access 'http://x/': The requested URL returned error: 503\n");
        assert!(matches!(away.expect_success("read"), Err(StepError::Transient(_))));
        let broken = ended(101, "", "error: no such command: `buidl`\n");
        assert!(
            matches!(broken.expect_success("build"), Err(StepError::Failed(failure)) if failure.summary == "failed to build: error: no such command: `buidl`" && failure.exit_code == Some(101))
        );
    }

    #[test]
    fn an_option_that_is_not_given_fills_no_parameter() {
        assert_eq!(None::<String>.to_parameter(), None);
        assert_eq!(Some(3_i64).to_parameter(), Some(Parameter::Integer(3)));
    }
}
