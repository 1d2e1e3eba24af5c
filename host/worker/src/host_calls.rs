//! What a plugin's host calls do: each command is journaled before it runs and
//! after it ended, so a call that is run again after a crash gets the recorded
//! results and goes on at the first one that is missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use plugin_host::{
    ArtifactStat, CallSite, Denial, HostCallError, HostCalls, HttpRequest, HttpResponse, LogLevel, ModelAnswer,
    ModelQuestion, Parameter, ToolAnswer,
};
use sandbox::ParameterValue;
use serde_json::{Value, json};
use store::{ArtifactBytes, NewArtifact, StoreError};
use workflow::command::{CommandResult, PlannedCommand, SandboxMode};
use workflow::event::Event;
use workflow::{
    ArtifactUri, Command, CommandName, Digest, EffectKey, EffectOutcome, McpTool, SecretName, TemplateName,
};

use crate::act::{Attempt, Hands, Journal};
use crate::artifacts;

/// Why an attempt ended in the middle: contact with its command was lost, or
/// the replay did not ask what is recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended(Arc<Mutex<Option<EffectOutcome>>>);

impl Ended {
    pub fn outcome(&self) -> Option<EffectOutcome> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set(&self, outcome: EffectOutcome) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(outcome);
    }
}

/// Log lines of one call, in order.
pub(crate) type Logged = Arc<Mutex<Vec<String>>>;

/// The host's side of one plugin attempt.
pub(crate) struct HostSide {
    hands: Hands,
    key: EffectKey,
    mode: SandboxMode,
    templates: BTreeMap<TemplateName, Digest>,
    journal: Journal,
    recorded: BTreeMap<u32, Recorded>,
    /// What may still run; none: every granted command.
    plan: Option<Vec<PlannedCommand>>,
    ended: Ended,
    logged: Logged,
}

/// What the history says about one host call.
#[derive(Debug, Default)]
struct Recorded {
    command: Option<Command>,
    result: Option<CommandResult>,
    denied: bool,
}

impl HostSide {
    pub fn new(hands: Hands, attempt: &Attempt, mode: SandboxMode, journal: Journal, ended: Ended) -> Self {
        let mut recorded: BTreeMap<u32, Recorded> = BTreeMap::new();
        for event in &attempt.calls {
            match event {
                Event::CommandStarted { sequence, command, .. } => {
                    recorded.entry(*sequence).or_default().command = Some((**command).clone());
                }
                Event::CommandCompleted { sequence, result, .. } => {
                    recorded.entry(*sequence).or_default().result = Some((**result).clone());
                }
                Event::HostCallCompleted { sequence, .. } => recorded.entry(*sequence).or_default().denied = true,
                _ => {}
            }
        }
        let templates = attempt.templates.clone();
        let (key, plan, logged) = (attempt.key.clone(), None, Logged::default());
        Self { hands, key, mode, templates, journal, recorded, plan, ended, logged }
    }

    /// Denies every command that is not in `plan`, each of which may run once.
    pub fn held_to(self, plan: Option<Vec<PlannedCommand>>) -> Self {
        Self { plan, ..self }
    }

    /// Takes a command off the plan; the denial if it is not there.
    fn take_planned(&mut self, name: &CommandName, parameters: &[(String, Parameter)]) -> Result<(), Denial> {
        let Some(plan) = &mut self.plan else { return Ok(()) };
        let given: serde_json::Map<String, serde_json::Value> =
            parameters.iter().map(|(name, value)| (name.clone(), parameter_json(value))).collect();
        let given = serde_json::Value::Object(given);
        let same = |planned: &PlannedCommand| planned.command == *name && planned.parameters == given;
        match plan.iter().position(same) {
            Some(at) => {
                plan.remove(at);
                Ok(())
            }
            None => Err(Denial {
                capability: "sandbox".to_owned(),
                subject: name.to_string(),
                reason: "the command with these parameters is not, or no longer, in the plan that was recorded before \
                         the step ran, and `sandbox.planned` of its grants is `strict`"
                    .to_owned(),
            }),
        }
    }

    pub fn logged(&self) -> Logged {
        self.logged.clone()
    }

    fn key_of(&self, sequence: u32) -> EffectKey {
        EffectKey { sequence, ..self.key.clone() }
    }

    /// The command that a template makes of these parameters.
    fn resolve(
        &self,
        name: &CommandName,
        parameters: Vec<(String, Parameter)>,
        secrets: &[SecretName],
    ) -> Result<Command, HostCallError> {
        let mut values = BTreeMap::new();
        for (parameter, value) in parameters {
            if let Parameter::Artifact(uri) = &value {
                self.own(uri)?;
            }
            if values.insert(parameter.clone(), parameter_value(value)).is_some() {
                return Err(HostCallError::Invalid(format!("parameter `{parameter}` is given twice")));
            }
        }
        let command = self
            .hands
            .templates
            .resolve(name, &values, self.mode)
            .map_err(|error| HostCallError::Invalid(error.to_string()))?;
        if let Some(missing) = command.secrets.values().find(|secret| !secrets.contains(secret)) {
            return Err(HostCallError::Invalid(format!(
                "command `{name}` needs secret `{missing}`, which was not handed over"
            )));
        }
        Ok(command)
    }

    /// An artifact of another instance does not exist for this one.
    fn own(&self, uri: &ArtifactUri) -> Result<(), HostCallError> {
        match artifacts::name_within(&self.key.instance, uri) {
            Some(_) => Ok(()),
            None => Err(HostCallError::NotFound(format!("artifact `{uri}` in this instance"))),
        }
    }

    fn end(&self, outcome: EffectOutcome) -> HostCallError {
        self.ended.set(outcome);
        HostCallError::Interrupted
    }
}

#[async_trait]
impl HostCalls for HostSide {
    async fn exec(
        &mut self,
        site: CallSite,
        name: &CommandName,
        parameters: Vec<(String, Parameter)>,
        secrets: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError> {
        let sequence = site.sequence;
        let key = self.key_of(sequence);
        let recorded = self.recorded.remove(&sequence).unwrap_or_default();
        if let Err(denial) = self.take_planned(name, &parameters) {
            if !recorded.denied {
                self.denied(site, &denial).await;
            }
            return Err(HostCallError::Denied(denial));
        }
        let command = match recorded.command {
            Some(command) if command.command_name.as_ref() == Some(name) => command,
            Some(command) => {
                let before = command.command_name.map(|name| name.to_string()).unwrap_or_default();
                return Err(self.end(diverged(sequence, &before, name.as_str())));
            }
            None => {
                let command = self.resolve(name, parameters, &secrets)?;
                let started = Event::CommandStarted {
                    path: key.path.clone(),
                    attempt: key.attempt,
                    sequence,
                    command: Box::new(command.clone()),
                };
                self.journal.record(started).await.map_err(|_| HostCallError::Interrupted)?;
                command
            }
        };
        if let Some(result) = recorded.result {
            // The host may have died between recording it and forgetting its spool.
            self.hands.provider.discard(&key).await;
            return Ok(result);
        }
        let result = self.hands.exec(&key, &command, &self.templates).await.map_err(|outcome| self.end(outcome))?;
        let completed = Event::CommandCompleted {
            path: key.path.clone(),
            attempt: key.attempt,
            sequence,
            result: Box::new(result.clone()),
        };
        self.journal.record(completed).await.map_err(|_| HostCallError::Interrupted)?;
        self.hands.provider.discard(&key).await;
        Ok(result)
    }

    async fn stat_artifact(&mut self, _site: CallSite, uri: &ArtifactUri) -> Result<ArtifactStat, HostCallError> {
        self.own(uri)?;
        let row = self.hands.store.artifact(uri).await.map_err(unavailable)?;
        let row = row.ok_or_else(|| HostCallError::NotFound(format!("artifact `{uri}`")))?;
        Ok(ArtifactStat {
            size_bytes: row.artifact.size_bytes,
            digest: row.artifact.digest.to_string(),
            media_type: row.media_type,
        })
    }

    async fn read_artifact(
        &mut self,
        _site: CallSite,
        uri: &ArtifactUri,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, HostCallError> {
        self.own(uri)?;
        match self.hands.store.read_artifact(uri, offset, u64::from(length)).await {
            Ok(bytes) => Ok(bytes),
            Err(StoreError::NotFound { what }) => Err(HostCallError::NotFound(what)),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn put_artifact(
        &mut self,
        site: CallSite,
        name: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<ArtifactUri, HostCallError> {
        let key = self.key_of(site.sequence);
        let uri = artifacts::uri(&key, name).map_err(|error| HostCallError::Invalid(error.to_string()))?;
        let bytes = self.hands.redacted_bytes(bytes).map_err(|outcome| self.end(outcome))?;
        let new = NewArtifact { uri: uri.clone(), instance: key.instance, media_type: media_type.to_owned() };
        self.hands.store.put_artifact(new, ArtifactBytes::Memory(bytes)).await.map_err(unavailable)?;
        Ok(uri)
    }

    async fn ask_model(&mut self, _site: CallSite, question: ModelQuestion) -> Result<ModelAnswer, HostCallError> {
        for uri in &question.evidence {
            self.own(uri)?;
        }
        Err(HostCallError::Unavailable(format!("this host has no model `{}`: no model is configured", question.model)))
    }

    async fn call_tool(
        &mut self,
        _site: CallSite,
        tool: &McpTool,
        _arguments: Value,
    ) -> Result<ToolAnswer, HostCallError> {
        let server = tool.server();
        Err(HostCallError::Unavailable(format!("this host has no MCP server `{server}`: no MCP server is configured")))
    }

    async fn fetch(&mut self, _site: CallSite, request: HttpRequest) -> Result<HttpResponse, HostCallError> {
        Err(HostCallError::Unavailable(format!("`{}` is not reachable: this host has no HTTP client", request.url)))
    }

    async fn log(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>) {
        let fields: serde_json::Map<_, _> = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
        let line = json!({ "level": level, "message": message, "fields": fields }).to_string();
        self.logged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
    }

    async fn denied(&mut self, site: CallSite, denial: &Denial) {
        let sequence = site.sequence;
        if self.recorded.get(&sequence).is_some_and(|recorded| recorded.denied) {
            return;
        }
        let event = Event::HostCallCompleted {
            path: self.key.path.clone(),
            attempt: self.key.attempt,
            sequence,
            request: json!({ "capability": denial.capability, "subject": denial.subject }),
            answer: json!({ "denied": denial.reason }),
        };
        // When the history cannot be written the next host call ends the attempt.
        let _ = self.journal.record(event).await;
    }
}

/// As a plan writes it.
fn parameter_json(parameter: &Parameter) -> serde_json::Value {
    match parameter {
        Parameter::Text(text) => text.as_str().into(),
        Parameter::Flag(flag) => (*flag).into(),
        Parameter::Integer(number) => (*number).into(),
        Parameter::Artifact(uri) => uri.as_str().into(),
        Parameter::Texts(texts) => texts.clone().into(),
    }
}

fn parameter_value(parameter: Parameter) -> ParameterValue {
    match parameter {
        Parameter::Text(text) => ParameterValue::Text(text),
        Parameter::Flag(flag) => ParameterValue::Flag(flag),
        Parameter::Integer(number) => ParameterValue::Integer(number),
        Parameter::Artifact(uri) => ParameterValue::Artifact(uri),
        Parameter::Texts(texts) => ParameterValue::Texts(texts),
    }
}

fn unavailable(error: StoreError) -> HostCallError {
    tracing::error!(error = %error, "A host call failed in the store");
    HostCallError::Unavailable("the host's store did not answer".to_owned())
}

/// The component did not ask, on its second run, what it asked on its first.
fn diverged(sequence: u32, before: &str, now: &str) -> EffectOutcome {
    EffectOutcome::Faulted {
        error: workflow::effect::Fault {
            kind: format!("{}plugin-diverged", workflow::effect::OWN_ERRORS),
            status: 500,
            title: Some("The plugin asked something else after a restart".to_owned()),
            detail: Some(format!("host call {sequence} was `{before}` and is `{now}` now")),
            instance: None,
        },
    }
}
