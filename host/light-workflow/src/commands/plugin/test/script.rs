//! A worker that knows nothing but one case.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use plugin_host::{
    ArtifactStat, CallSite, Denial, HostCallError, HostCalls, HttpRequest, HttpResponse, LogLevel, ModelAnswer,
    ModelQuestion, Parameter, ToolAnswer,
};
use serde_json::{Map, Value};

use workflow::command::Artifact;
use workflow::ids::McpTool;
use workflow::{ArtifactUri, CommandName, CommandResult, CommandStatus, Digest, SecretName, TaskPath, Timestamp};

use super::cases::{Case, CommandCase, RefusedKind};

/// As in a release: the last 64 KiB of each stream.
const EXCERPT_BYTES: usize = 64 << 10;

/// What the step did.
#[derive(Debug, Default)]
pub struct Record {
    /// What is not as the case says; the run was stopped at the first.
    pub problems: Vec<String>,
    pub commands_left: usize,
    pub written: BTreeMap<String, Vec<u8>>,
    pub denials: usize,
}

pub struct Script {
    record: Arc<Mutex<Record>>,
    commands: VecDeque<CommandCase>,
    artifacts: BTreeMap<ArtifactUri, Vec<u8>>,
}

impl Script {
    pub fn of(case: &Case) -> (Self, Arc<Mutex<Record>>) {
        let record = Arc::new(Mutex::new(Record { commands_left: case.command.len(), ..Record::default() }));
        let artifacts = case.artifacts.iter().map(|(uri, text)| (uri.clone(), text.clone().into_bytes()));
        let commands = case.command.iter().cloned().collect();
        (Self { record: record.clone(), commands, artifacts: artifacts.collect() }, record)
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The case does not go on this way: the run ends here, and says why.
    fn stop(&self, problem: String) -> HostCallError {
        self.record().problems.push(problem);
        HostCallError::Interrupted
    }

    fn keep(&mut self, sequence: u32, name: &str, bytes: &[u8]) -> ArtifactUri {
        let uri = ArtifactUri::new(format!("artifact://case/step/{sequence}/{name}"));
        let uri = uri.unwrap_or_else(|_| {
            ArtifactUri::new(format!("artifact://case/step/{sequence}/file")).expect("this is a reference")
        });
        self.artifacts.insert(uri.clone(), bytes.to_vec());
        uri
    }

    fn stored(&self, uri: &ArtifactUri) -> Result<&Vec<u8>, HostCallError> {
        self.artifacts.get(uri).ok_or_else(|| HostCallError::NotFound(format!("artifact `{uri}` in the case")))
    }
}

#[async_trait]
impl HostCalls for Script {
    async fn exec(
        &mut self,
        site: CallSite,
        command: &CommandName,
        parameters: Vec<(String, Parameter)>,
        secrets: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError> {
        let given: Map<String, Value> = parameters.into_iter().map(|(name, value)| (name, as_json(&value))).collect();
        let Some(case) = self.commands.pop_front() else {
            return Err(
                self.stop(format!("it runs `{command}` with {}, which the case does not have", Value::from(given)))
            );
        };
        self.record().commands_left -= 1;
        if case.command != *command {
            return Err(self.stop(format!("it runs `{command}`, and the case has `{}` here", case.command)));
        }
        if let Some(expected) = case.parameters.as_ref().filter(|expected| **expected != given) {
            let (given, expected) = (Value::from(given), Value::from(expected.clone()));
            return Err(self.stop(format!("it gives `{command}` {given}, and the case says {expected}")));
        }
        if case.secrets != secrets {
            return Err(self.stop(format!("`{command}` holds {secrets:?}, and the case says {:?}", case.secrets)));
        }
        if let Some(refused) = &case.refused {
            let detail = refused.detail.clone();
            return Err(match refused.kind {
                RefusedKind::Denied => HostCallError::Denied(Denial {
                    capability: "sandbox".to_owned(),
                    subject: command.to_string(),
                    reason: detail,
                }),
                RefusedKind::Invalid => HostCallError::Invalid(detail),
                RefusedKind::NotFound => HostCallError::NotFound(detail),
                RefusedKind::Quota => HostCallError::Quota(detail),
                RefusedKind::Unavailable => HostCallError::Unavailable(detail),
            });
        }
        let status =
            case.status.unwrap_or(if case.exit_code == 0 { CommandStatus::Succeeded } else { CommandStatus::Failed });
        let ended_by_itself = matches!(status, CommandStatus::Succeeded | CommandStatus::Failed);
        let stdout_ref = self.keep(site.sequence, "stdout.log", case.stdout.as_bytes());
        let stderr_ref = self.keep(site.sequence, "stderr.log", case.stderr.as_bytes());
        let artifacts = case.files.iter().map(|(name, text)| Artifact {
            uri: self.keep(site.sequence, &format!("files/{name}"), text.as_bytes()),
            digest: Digest::of(text.as_bytes()),
            size_bytes: text.len() as u64,
        });
        Ok(CommandResult {
            task_name: "case".to_owned(),
            task_path: TaskPath::root().child("do", 0, "case"),
            attempt: 1,
            command: command.to_string(),
            exit_code: ended_by_itself.then_some(case.exit_code),
            status,
            started_at: Timestamp::UNIX_EPOCH,
            completed_at: Timestamp::UNIX_EPOCH,
            duration_ms: 0,
            artifacts: artifacts.collect(),
            stdout_ref,
            stderr_ref,
            summary: if ended_by_itself { format!("exit code {}", case.exit_code) } else { format!("{status:?}") },
            changed_files: Vec::new(),
            egress: Vec::new(),
            sandbox_digest: Digest::of(b"case"),
            stdout_excerpt: excerpt(&case.stdout),
            stderr_excerpt: excerpt(&case.stderr),
        })
    }

    async fn stat_artifact(&mut self, _site: CallSite, uri: &ArtifactUri) -> Result<ArtifactStat, HostCallError> {
        let bytes = self.stored(uri)?;
        let digest = Digest::of(bytes).to_string();
        Ok(ArtifactStat { size_bytes: bytes.len() as u64, digest, media_type: "text/plain".to_owned() })
    }

    async fn read_artifact(
        &mut self,
        _site: CallSite,
        uri: &ArtifactUri,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, HostCallError> {
        let rest = self.stored(uri)?.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(rest[..rest.len().min(length as usize)].to_vec())
    }

    async fn put_artifact(
        &mut self,
        site: CallSite,
        name: &str,
        _media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<ArtifactUri, HostCallError> {
        let uri = self.keep(site.sequence, name, &bytes);
        self.record().written.insert(name.to_owned(), bytes);
        Ok(uri)
    }

    async fn ask_model(&mut self, _site: CallSite, question: ModelQuestion) -> Result<ModelAnswer, HostCallError> {
        Err(self.stop(format!("it asks model `{}`, and a case has no answers of models", question.model)))
    }

    async fn call_tool(
        &mut self,
        _site: CallSite,
        tool: &McpTool,
        _arguments: Value,
    ) -> Result<ToolAnswer, HostCallError> {
        Err(self.stop(format!("it calls tool `{tool}`, and a case has no answers of tools")))
    }

    async fn fetch(&mut self, _site: CallSite, request: HttpRequest) -> Result<HttpResponse, HostCallError> {
        Err(self.stop(format!("it requests `{}`, and a case has no answers to requests", request.url)))
    }

    async fn log(&mut self, _level: LogLevel, _message: String, _fields: Vec<(String, String)>) {}

    async fn denied(&mut self, _site: CallSite, _denial: &Denial) {
        self.record().denials += 1;
    }
}

fn as_json(parameter: &Parameter) -> Value {
    match parameter {
        Parameter::Text(text) => Value::from(text.as_str()),
        Parameter::Flag(flag) => Value::from(*flag),
        Parameter::Integer(number) => Value::from(*number),
        Parameter::Artifact(uri) => Value::from(uri.to_string()),
        Parameter::Texts(texts) => Value::from(texts.as_slice()),
    }
}

fn excerpt(text: &str) -> String {
    let mut start = text.len().saturating_sub(EXCERPT_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}
