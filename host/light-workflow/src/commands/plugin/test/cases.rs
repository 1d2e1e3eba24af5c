//! The file of cases: an input, what the world answers, what comes out.

use std::collections::BTreeMap;

use plugin_host::CallError;
use serde::Deserialize;
use serde_json::{Map, Value};
use workflow::{ArtifactUri, CommandName, CommandStatus, SecretName};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    pub case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    pub name: String,
    pub input: Value,
    /// Commands that `plan` must name, in order.
    pub planned: Option<Vec<String>>,
    /// Commands that the step must run, in order, and how each ends.
    #[serde(default)]
    pub command: Vec<CommandCase>,
    /// Stored files before the step runs: reference to text.
    #[serde(default)]
    pub artifacts: BTreeMap<ArtifactUri, String>,
    /// Files that the step must store: name to text.
    #[serde(default)]
    pub written: BTreeMap<String, String>,
    pub output: Option<Value>,
    pub error: Option<ErrorCase>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CommandCase {
    pub command: CommandName,
    /// What it must be given; absent: anything.
    pub parameters: Option<Map<String, Value>>,
    #[serde(default)]
    pub secrets: Vec<SecretName>,
    /// Absent: succeeded for exit code 0, else failed.
    pub status: Option<CommandStatus>,
    #[serde(default)]
    pub exit_code: i32,
    #[serde(default)]
    pub stdout: String,
    #[serde(default)]
    pub stderr: String,
    /// Captured files: name to text.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The host has no answer: instead of all of the above.
    pub refused: Option<Refused>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub kind: RefusedKind,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    Denied,
    Invalid,
    NotFound,
    Quota,
    Unavailable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ErrorCase {
    pub kind: ErrorKind,
    pub contains: Option<String>,
    pub exit_code: Option<i32>,
}

/// The variants of `step-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    InvalidInput,
    Denied,
    Transient,
    Failed,
    NeedsHuman,
}

impl Case {
    /// What is not as this case says of the end.
    pub fn problems(&self, result: &Result<Value, CallError>) -> Vec<String> {
        match (result, &self.output, &self.error) {
            (_, Some(_), Some(_)) => vec!["the case says both `output` and `error`".to_owned()],
            (_, None, None) => vec!["the case says neither `output` nor `error`".to_owned()],
            (Ok(output), Some(expected), None) if output == expected => Vec::new(),
            (Ok(output), Some(expected), None) => vec![format!("the output is {output}, and the case says {expected}")],
            (Ok(output), None, Some(_)) => vec![format!("the output is {output}, and the case says there is an error")],
            (Err(error), Some(_), None) => vec![format!("there is an error, and the case says an output: {error}")],
            (Err(error), None, Some(expected)) => expected.problems(error),
        }
    }

    pub fn problems_of_files(&self, written: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let expected = self.written.iter().filter_map(|(name, text)| match written.get(name) {
            None => Some(format!("it stored no `{name}`")),
            Some(bytes) if bytes == text.as_bytes() => None,
            Some(bytes) => {
                Some(format!("`{name}` holds {:?}, and the case says {text:?}", String::from_utf8_lossy(bytes)))
            }
        });
        expected.collect()
    }
}

impl ErrorCase {
    fn problems(&self, error: &CallError) -> Vec<String> {
        let mut problems = Vec::new();
        let (kind, exit_code) = match error {
            CallError::InvalidInput(_) => (Some(ErrorKind::InvalidInput), None),
            CallError::Denied(_) => (Some(ErrorKind::Denied), None),
            CallError::Transient(_) => (Some(ErrorKind::Transient), None),
            CallError::Failed(failure) => (Some(ErrorKind::Failed), failure.exit_code),
            CallError::NeedsHuman(_) => (Some(ErrorKind::NeedsHuman), None),
            CallError::Refused(_) | CallError::Trapped { .. } | CallError::Limit { .. } | CallError::Interrupted => {
                (None, None)
            }
        };
        if kind != Some(self.kind) {
            problems.push(format!("the case says an error of kind {:?}, and it is: {error}", self.kind));
        }
        if let Some(words) = self.contains.as_ref().filter(|words| !error.to_string().contains(*words)) {
            problems.push(format!("the error does not say `{words}`: {error}"));
        }
        if self.exit_code.is_some() && self.exit_code != exit_code {
            problems.push(format!("the failure's exit code is {exit_code:?}, and the case says {:?}", self.exit_code));
        }
        problems
    }
}
