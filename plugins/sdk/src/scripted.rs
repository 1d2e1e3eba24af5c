//! A host for native tests: answers in the order that a test wrote down.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::{
    Answer, Artifact, ArtifactStat, AskModel, CallError, CommandResult, Level, Log, Parameter, Planned, Question,
    ReadArtifacts, RunCommands, Status, Step, StepError, UseSecrets, WriteArtifacts,
};

/// Answers each command with the next of the script and panics on any other command.
#[derive(Debug, Default)]
pub struct Script {
    answers: VecDeque<(String, Result<CommandResult, CallError>)>,
    /// What the model says, in turn; after that it is unavailable.
    model_answers: VecDeque<Value>,
    artifacts: BTreeMap<String, Vec<u8>>,
    /// What the model was asked.
    pub questions: Vec<Question>,
    /// What was asked: command, parameters by name, secrets.
    pub asked: Vec<Asked>,
    /// What was stored, by name.
    pub written: BTreeMap<String, Vec<u8>>,
    pub logged: Vec<(Level, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub command: String,
    pub parameters: BTreeMap<String, Parameter>,
    pub secrets: Vec<String>,
}

impl Asked {
    /// A parameter as JSON; null if it was not given.
    pub fn parameter(&self, name: &str) -> Value {
        self.parameters.get(name).map_or(Value::Null, Parameter::to_json)
    }
}

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// A script of commands and how they end.
    pub fn answering<'a>(answers: impl IntoIterator<Item = (&'a str, CommandResult)>) -> Self {
        answers.into_iter().fold(Self::new(), |script, (command, result)| script.command(command, result))
    }

    /// The next command is `command`, and it ends so.
    pub fn command(mut self, command: &str, result: CommandResult) -> Self {
        self.answers.push_back((command.to_owned(), Ok(result)));
        self
    }

    /// The next command is `command`, and the host has no answer.
    pub fn refused(mut self, command: &str, error: CallError) -> Self {
        self.answers.push_back((command.to_owned(), Err(error)));
        self
    }

    /// The model's next answer.
    pub fn model_answer(mut self, value: Value) -> Self {
        self.model_answers.push_back(value);
        self
    }

    pub fn artifact(mut self, uri: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.artifacts.insert(uri.to_owned(), bytes.into());
        self
    }

    /// Runs a step as its component would: JSON in, JSON out.
    pub fn execute<S: Step<Script>>(&mut self, input: Value) -> Result<Value, StepError> {
        crate::execute::<S, Script>(self, &input.to_string())
    }

    pub fn plan<S: Step<Script>>(&self, input: Value) -> Result<Vec<Planned>, StepError> {
        crate::plan::<S, Script>(&input.to_string())
    }

    fn answer(&mut self, asked: Asked) -> Result<CommandResult, CallError> {
        let (command, result) = self.answers.pop_front().unwrap_or_else(|| panic!("the script ends before {asked:?}"));
        assert_eq!(command, asked.command, "the script has another command here");
        self.asked.push(asked);
        result
    }

    fn stored(&self, uri: &str) -> Result<&[u8], CallError> {
        self.artifacts.get(uri).map(Vec::as_slice).ok_or_else(|| CallError::NotFound(uri.to_owned()))
    }
}

impl Log for Script {
    fn log_with(&mut self, level: Level, message: &str, _fields: &[(&str, &str)]) {
        self.logged.push((level, message.to_owned()));
    }
}

impl ReadArtifacts for Script {
    fn stat(&mut self, uri: &str) -> Result<ArtifactStat, CallError> {
        let bytes = self.stored(uri)?;
        let digest = format!("sha256:{:0>64}", bytes.len());
        Ok(ArtifactStat { size_bytes: bytes.len() as u64, digest, media_type: "application/octet-stream".to_owned() })
    }

    fn read(&mut self, uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, CallError> {
        let rest = self.stored(uri)?.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(rest[..rest.len().min(length as usize)].to_vec())
    }
}

impl AskModel for Script {
    fn ask(&mut self, question: &Question) -> Result<Answer, CallError> {
        self.questions.push(question.clone());
        let value = self.model_answers.pop_front();
        let value = value.ok_or_else(|| CallError::Unavailable(format!("no model `{}`", question.model)))?;
        Ok(Answer { value, model: "scripted 1".to_owned() })
    }
}

impl RunCommands for Script {
    fn exec(&mut self, command: &str, parameters: &[(&str, Parameter)]) -> Result<CommandResult, CallError> {
        self.answer(asked(command, parameters, &[]))
    }
}

impl WriteArtifacts for Script {
    fn put(&mut self, name: &str, _media_type: &str, bytes: &[u8]) -> Result<String, CallError> {
        self.written.insert(name.to_owned(), bytes.to_vec());
        Ok(format!("artifact://i/t/1/{name}"))
    }
}

impl UseSecrets for Script {
    fn exec_with_secrets(
        &mut self,
        command: &str,
        parameters: &[(&str, Parameter)],
        secrets: &[&str],
    ) -> Result<CommandResult, CallError> {
        self.answer(asked(command, parameters, secrets))
    }
}

fn asked(command: &str, parameters: &[(&str, Parameter)], secrets: &[&str]) -> Asked {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Asked { command: command.to_owned(), parameters, secrets: secrets.iter().map(|name| (*name).to_owned()).collect() }
}

/// A command that ended by itself with this code and these streams.
pub fn ended(exit_code: i32, stdout: &str, stderr: &str) -> CommandResult {
    CommandResult {
        status: if exit_code == 0 { Status::Succeeded } else { Status::Failed },
        exit_code: Some(exit_code),
        duration_ms: 0,
        summary: format!("exit code {exit_code}"),
        stdout: "artifact://i/t/1/stdout.log".to_owned(),
        stderr: "artifact://i/t/1/stderr.log".to_owned(),
        stdout_excerpt: stdout.to_owned(),
        stderr_excerpt: stderr.to_owned(),
        artifacts: Vec::new(),
        changed_files: Vec::new(),
    }
}

/// The same with captured files, by name.
pub fn captured(mut result: CommandResult, files: &[&str]) -> CommandResult {
    let artifact = |name: &&str| Artifact {
        uri: format!("artifact://i/t/1/files/{name}"),
        digest: format!("sha256:{:0>64}", name.len()),
        size_bytes: name.len() as u64,
    };
    result.artifacts = files.iter().map(artifact).collect();
    result
}
