//! A host for native tests: answers in the order that a test wrote down.

use std::collections::{BTreeMap, VecDeque};

use crate::{Artifact, CallError, CommandResult, Host, Level, Parameter, Status};

/// Answers each command with the next line of the script and panics on any other command.
pub struct Script {
    answers: VecDeque<(String, CommandResult)>,
    artifacts: BTreeMap<String, Vec<u8>>,
    /// What was asked: command, parameters by name, secret.
    pub asked: Vec<Asked>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub command: String,
    pub parameters: BTreeMap<String, Parameter>,
    pub secret: Option<String>,
}

impl Asked {
    /// The text of a parameter, whatever its kind.
    pub fn text(&self, name: &str) -> &str {
        match &self.parameters[name] {
            Parameter::Text(text) | Parameter::Artifact(text) => text,
        }
    }
}

impl Script {
    pub fn new(answers: Vec<(&str, CommandResult)>) -> Self {
        let answers = answers.into_iter().map(|(command, result)| (command.to_owned(), result)).collect();
        Self { answers, artifacts: BTreeMap::new(), asked: Vec::new() }
    }

    pub fn with_artifact(mut self, uri: &str, bytes: Vec<u8>) -> Self {
        self.artifacts.insert(uri.to_owned(), bytes);
        self
    }

    fn answer(&mut self, asked: Asked) -> CommandResult {
        let (command, result) = self.answers.pop_front().unwrap_or_else(|| panic!("the script ends before {asked:?}"));
        assert_eq!(command, asked.command, "the script has another command here");
        self.asked.push(asked);
        result
    }
}

impl Host for Script {
    fn exec(&mut self, command: &str, parameters: &[(&str, Parameter)]) -> Result<CommandResult, CallError> {
        Ok(self.answer(asked(command, parameters, None)))
    }

    fn exec_with_secret(
        &mut self,
        command: &str,
        parameters: &[(&str, Parameter)],
        secret: &str,
    ) -> Result<CommandResult, CallError> {
        Ok(self.answer(asked(command, parameters, Some(secret.to_owned()))))
    }

    fn read(&mut self, uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, CallError> {
        let bytes = self.artifacts.get(uri).ok_or_else(|| CallError::NotFound(uri.to_owned()))?;
        let rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(rest[..rest.len().min(length as usize)].to_vec())
    }

    fn log(&mut self, _level: Level, _message: &str) {}
}

fn asked(command: &str, parameters: &[(&str, Parameter)], secret: Option<String>) -> Asked {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Asked { command: command.to_owned(), parameters, secret }
}

/// A command that ended by itself with this code and these streams.
pub fn result(exit_code: i32, stdout: &str, stderr: &str) -> CommandResult {
    CommandResult {
        status: if exit_code == 0 { Status::Succeeded } else { Status::Failed },
        exit_code: Some(exit_code),
        summary: format!("exit code {exit_code}"),
        stdout: "artifact://i/t/1/stdout.log".to_owned(),
        stderr: "artifact://i/t/1/stderr.log".to_owned(),
        stdout_excerpt: stdout.to_owned(),
        stderr_excerpt: stderr.to_owned(),
        artifacts: Vec::new(),
    }
}

/// The same with captured files, by name.
pub fn with_files(mut result: CommandResult, files: &[&str]) -> CommandResult {
    let artifact = |name: &&str| Artifact {
        uri: format!("artifact://i/t/1/files/{name}"),
        digest: format!("sha256:{:0>64}", name.len()),
        size_bytes: name.len() as u64,
    };
    result.artifacts = files.iter().map(artifact).collect();
    result
}
