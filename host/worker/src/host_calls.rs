//! What a plugin's host calls do: each is journaled, a command before it runs
//! and after it ended, so a call that is run again after a crash gets the
//! recorded answers and goes on at the first one that is missing.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use plugin_host::{
    ArtifactStat, CallSite, Denial, HostCallError, HostCalls, HttpRequest, HttpResponse, LogLevel, ModelAnswer,
    ModelQuestion, Parameter, Recorded, ToolAnswer,
};
use sandbox::ParameterValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::{ArtifactBytes, NewArtifact, StoreError};
use workflow::command::{CommandResult, PlannedCommand, SandboxMode};
use workflow::effect::{VALUE_DEPTH_MAX, depth};
use workflow::event::Event;
use workflow::{
    ArtifactUri, Command, CommandName, Digest, EffectKey, EffectOutcome, McpTool, SecretName, TemplateName,
};

use crate::act::{Attempt, Hands, Interrupted, Journal};
use crate::artifacts;
use crate::replay::{Divergence, Replay, Request, answer_value, answered, denied_request, in_flight};

/// How long a step keeps its instance while it waits for a command or another
/// system, when nobody else wants it: most commands of a check end within it.
const PATIENCE: Duration = Duration::from_secs(2);

/// One attempt's side of the host, over all runs of its component.
#[derive(Clone)]
pub(crate) struct Side {
    pub hands: Hands,
    pub key: EffectKey,
    pub mode: SandboxMode,
    pub templates: BTreeMap<TemplateName, Digest>,
    journal: Journal,
    shared: Arc<Mutex<Shared>>,
    /// What may run; none: every granted command.
    plan: Option<Vec<PlannedCommand>>,
}

/// What runs of a component leave for the one who runs it.
struct Shared {
    /// The attempt's host calls, as they are in the history.
    recorded: Vec<Event>,
    /// Of the present run.
    replay: Replay,
    logged: Vec<String>,
    /// Why the attempt ended in the middle: contact with its command was lost,
    /// or the replay did not ask what is recorded.
    ended: Option<EffectOutcome>,
    parked: Option<Parked>,
}

/// A command that runs on, or a call that waits on, while its step holds no
/// instance. Its end is recorded when it is there.
pub(crate) struct Parked(Pending<()>);

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, HostCallError>> + Send>>;

impl Side {
    pub fn new(hands: Hands, attempt: &Attempt, mode: SandboxMode, journal: Journal) -> Self {
        let shared = Shared {
            recorded: attempt.calls.clone(),
            replay: Replay::default(),
            logged: Vec::new(),
            ended: None,
            parked: None,
        };
        let (key, templates) = (attempt.key.clone(), attempt.templates.clone());
        Self { hands, key, mode, templates, journal, shared: Arc::new(Mutex::new(shared)), plan: None }
    }

    /// Denies every command that is not in `plan`, each of which may run once.
    pub fn held_to(self, plan: Option<Vec<PlannedCommand>>) -> Self {
        Self { plan, ..self }
    }

    /// What the component calls when it runs from its start.
    pub fn for_a_run(&self) -> HostSide {
        let mut shared = self.shared();
        shared.replay = Replay::of(&shared.recorded, self.hands.plugin_host.fingerprint());
        shared.logged.clear();
        drop(shared);
        HostSide { side: self.clone(), plan: self.plan.clone() }
    }

    /// Of the last run.
    pub fn logged(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().logged)
    }

    pub fn ended(&self) -> Option<EffectOutcome> {
        self.shared().ended.clone()
    }

    /// That for which the component gave up its instance.
    pub fn parked(&self) -> Option<Parked> {
        self.shared().parked.take()
    }

    /// Waits until it has ended and that is recorded. `Err` is the outcome of the
    /// attempt; none if the host stops.
    pub async fn wait_for(&self, parked: Parked) -> Result<(), Option<EffectOutcome>> {
        match parked.0.await {
            Err(HostCallError::Interrupted) => Err(self.ended()),
            // Recorded like any answer: the component gets it when it asks again.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Ends the commands that still run, and tells what was begun and has no recorded end.
    pub async fn stop(&self) -> Vec<String> {
        let open = in_flight(&self.shared().recorded);
        for sequence in open.keys() {
            let key = EffectKey { sequence: *sequence, ..self.key.clone() };
            self.hands.provider.kill(&key).await;
            self.hands.provider.discard(&key).await;
        }
        open.into_values().collect()
    }

    /// The component came to its end: it must have asked for all that is recorded.
    pub fn came_to_its_end(&self) {
        let mut shared = self.shared();
        if let (None, Err(divergence)) = (&shared.ended, shared.replay.ended()) {
            shared.ended = Some(diverged(&divergence));
        }
    }

    /// Ends the attempt in the middle, with this outcome.
    pub fn end(&self, outcome: EffectOutcome) -> HostCallError {
        self.shared().ended = Some(outcome);
        HostCallError::Interrupted
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of an answer; none if there is none, since the host stops.
    fn answer_event<T: Serialize>(
        &self,
        key: &EffectKey,
        site: CallSite,
        request: &Request,
        answer: &Result<T, HostCallError>,
    ) -> Option<Event> {
        let engine = self.hands.plugin_host.fingerprint();
        match answer {
            Err(HostCallError::Interrupted) => None,
            Err(HostCallError::Denied(denial)) => Some(denied(key, site, denial, engine)),
            Ok(_) | Err(_) => {
                let asked =
                    json!({ "call": request.call, "subject": request.subject, "parameters": request.parameters });
                Some(answered(key, asked, answer_value(answer), request.fingerprint(site, engine)))
            }
        }
    }

    /// Gives an answer to the plugin when it is in the history.
    async fn answer<T>(&self, event: Option<Event>, answer: Result<T, HostCallError>) -> Result<T, HostCallError> {
        let event = event.ok_or(HostCallError::Interrupted)?;
        self.record(event).await.map_err(|Interrupted| HostCallError::Interrupted)?;
        answer
    }

    /// Returns when the event is in the history.
    pub async fn record(&self, event: Event) -> Result<(), Interrupted> {
        self.journal.record(event.clone()).await?;
        self.shared().recorded.push(event);
        Ok(())
    }

    async fn completed(&self, key: &EffectKey, result: &CommandResult) -> Result<(), Interrupted> {
        let completed = Event::CommandCompleted {
            path: key.path.clone(),
            attempt: key.attempt,
            sequence: key.sequence,
            result: Box::new(result.clone()),
        };
        self.record(completed).await?;
        self.hands.provider.discard(key).await;
        Ok(())
    }
}

/// The host's side of one run of a plugin.
pub(crate) struct HostSide {
    side: Side,
    /// What of the plan has not run in this run.
    plan: Option<Vec<PlannedCommand>>,
}

impl HostSide {
    fn key_of(&self, site: CallSite) -> EffectKey {
        EffectKey { sequence: site.sequence, ..self.side.key.clone() }
    }

    /// Takes a command off the plan; the denial if it is not there.
    fn take_planned(&mut self, name: &CommandName, parameters: &[(String, Parameter)]) -> Result<(), Denial> {
        let Some(plan) = &mut self.plan else { return Ok(()) };
        let given: serde_json::Map<String, Value> =
            parameters.iter().map(|(name, value)| (name.clone(), parameter_json(value))).collect();
        let given = Value::Object(given);
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

    fn diverged(&self, divergence: Divergence) -> HostCallError {
        self.side.end(diverged(&divergence))
    }

    /// The recorded answer; or what `act` answers, in the history before the
    /// plugin has it.
    async fn journaled<T, F>(&mut self, site: CallSite, request: Request, act: F) -> Result<T, HostCallError>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, HostCallError>>,
    {
        let recorded = self.side.shared().replay.answer(site, &request);
        if let Some(answer) = recorded.map_err(|divergence| self.diverged(divergence))? {
            return answer;
        }
        let answer = act.await.and_then(readable);
        let event = self.side.answer_event(&self.key_of(site), site, &request, &answer);
        self.side.answer(event, answer).await
    }

    /// As [`Self::journaled`], for what may take long: the step gives up its
    /// instance meanwhile, as for a command.
    async fn awaited<T, F>(&mut self, site: CallSite, request: Request, act: F) -> Result<T, HostCallError>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Future<Output = Result<T, HostCallError>> + Send + 'static,
    {
        let recorded = self.side.shared().replay.answer(site, &request);
        if let Some(answer) = recorded.map_err(|divergence| self.diverged(divergence))? {
            return answer;
        }
        let (side, key) = (self.side.clone(), self.key_of(site));
        self.patiently(Box::pin(async move {
            let answer = act.await.and_then(readable);
            let event = side.answer_event(&key, site, &request, &answer);
            side.answer(event, answer).await
        }))
        .await
    }

    /// Waits a while for what records its own end; then, or as soon as another
    /// step wants the instance, gives it up and leaves the rest to who runs the component.
    async fn patiently<T: Send + 'static>(&self, mut pending: Pending<T>) -> Result<T, HostCallError> {
        let wanted = async {
            tokio::select! {
                () = self.side.hands.plugin_host.instance_wanted() => {}
                () = tokio::time::sleep(PATIENCE) => {}
            }
        };
        tokio::select! {
            biased;
            ended = &mut pending => ended,
            () = wanted => {
                let rest = async move { pending.await.map(drop) };
                self.side.shared().parked = Some(Parked(Box::pin(rest)));
                Err(HostCallError::Interrupted)
            }
        }
    }

    /// Reads what cannot change: only that there was nothing is journaled, since
    /// another task may store it meanwhile.
    async fn read<T, F>(&mut self, site: CallSite, request: Request, act: F) -> Result<T, HostCallError>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, HostCallError>>,
    {
        let was_recorded = self.side.shared().replay.was_allowed(site.sequence);
        if !was_recorded {
            let answer = act.await;
            if answer.is_ok() {
                return answer;
            }
            return self.journaled(site, request, async { answer }).await;
        }
        self.journaled(site, request, act).await
    }

    /// Runs a command whose start is recorded.
    async fn run(&self, key: EffectKey, command: Command) -> Result<CommandResult, HostCallError> {
        let side = self.side.clone();
        self.patiently(Box::pin(async move {
            let result = side.hands.exec(&key, &command, &side.templates).await;
            let result = result.map_err(|outcome| side.end(outcome))?;
            side.completed(&key, &result).await.map_err(|Interrupted| HostCallError::Interrupted)?;
            Ok(result)
        }))
        .await
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
            .side
            .hands
            .templates
            .resolve(name, &values, self.side.mode)
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
        match artifacts::name_within(&self.side.key.instance, uri) {
            Some(_) => Ok(()),
            None => Err(HostCallError::NotFound(format!("artifact `{uri}` in this instance"))),
        }
    }
}

#[async_trait]
impl HostCalls for HostSide {
    fn recorded(&mut self, site: CallSite, capability: &str, subject: &str) -> Result<Recorded, HostCallError> {
        let mut shared = self.side.shared();
        let denial = shared.replay.denial(site, capability, subject);
        let was_allowed = shared.replay.was_allowed(site.sequence);
        drop(shared);
        Ok(match denial.map_err(|divergence| self.diverged(divergence))? {
            Some(denial) => Recorded::Denied(denial),
            None if was_allowed => Recorded::Allowed,
            None => Recorded::Nothing,
        })
    }

    async fn exec(
        &mut self,
        site: CallSite,
        name: &CommandName,
        parameters: Vec<(String, Parameter)>,
        secrets: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError> {
        let key = self.key_of(site);
        let request = Request {
            call: "exec",
            subject: name.to_string(),
            parameters: json!({ "parameters": parameters, "secrets": secrets }),
        };
        if let Err(denial) = self.take_planned(name, &parameters) {
            self.denied(site, &denial).await;
            return Err(HostCallError::Denied(denial));
        }
        let recorded = self.side.shared().replay.command(site, &request);
        let command = match recorded.map_err(|divergence| self.diverged(divergence))? {
            Some(recorded) => {
                if let Some(result) = recorded.result {
                    // The host may have died between recording it and forgetting its spool.
                    self.side.hands.provider.discard(&key).await;
                    return Ok(result);
                }
                recorded.command
            }
            None => {
                let command = self.resolve(name, parameters, &secrets)?;
                let started = Event::CommandStarted {
                    path: key.path.clone(),
                    attempt: key.attempt,
                    sequence: key.sequence,
                    command: Box::new(command.clone()),
                    fingerprint: Some(request.fingerprint(site, self.side.hands.plugin_host.fingerprint())),
                };
                self.side.record(started).await.map_err(|_| HostCallError::Interrupted)?;
                command
            }
        };
        self.run(key, command).await
    }

    async fn stat_artifact(&mut self, site: CallSite, uri: &ArtifactUri) -> Result<ArtifactStat, HostCallError> {
        self.own(uri)?;
        let store = self.side.hands.store.clone();
        let act = async move {
            let row = store.artifact(uri).await.map_err(unavailable)?;
            let row = row.ok_or_else(|| HostCallError::NotFound(format!("artifact `{uri}`")))?;
            Ok(ArtifactStat {
                size_bytes: row.artifact.size_bytes,
                digest: row.artifact.digest.to_string(),
                media_type: row.media_type,
            })
        };
        let request = Request { call: "stat-artifact", subject: uri.to_string(), parameters: Value::Null };
        self.read(site, request, act).await
    }

    async fn read_artifact(
        &mut self,
        site: CallSite,
        uri: &ArtifactUri,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, HostCallError> {
        self.own(uri)?;
        let store = self.side.hands.store.clone();
        let act = async move {
            match store.read_artifact(uri, offset, u64::from(length)).await {
                Ok(bytes) => Ok(bytes),
                Err(StoreError::NotFound { what }) => Err(HostCallError::NotFound(what)),
                Err(error) => Err(unavailable(error)),
            }
        };
        let parameters = json!({ "offset": offset, "length": length });
        self.read(site, Request { call: "read-artifact", subject: uri.to_string(), parameters }, act).await
    }

    async fn put_artifact(
        &mut self,
        site: CallSite,
        name: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<ArtifactUri, HostCallError> {
        let key = self.key_of(site);
        let parameters = json!({ "mediaType": media_type, "digest": Digest::of(&bytes), "sizeBytes": bytes.len() });
        let request = Request { call: "put-artifact", subject: name.to_owned(), parameters };
        let side = self.side.clone();
        let act = async move {
            let uri = artifacts::uri(&key, name).map_err(|error| HostCallError::Invalid(error.to_string()))?;
            let bytes = side.hands.redacted_bytes(bytes).map_err(|outcome| {
                side.shared().ended = Some(outcome);
                HostCallError::Interrupted
            })?;
            let new = NewArtifact { uri: uri.clone(), instance: key.instance, media_type: media_type.to_owned() };
            side.hands.store.put_artifact(new, ArtifactBytes::Memory(bytes)).await.map_err(unavailable)?;
            Ok(uri)
        };
        self.journaled(site, request, act).await
    }

    async fn ask_model(&mut self, site: CallSite, question: ModelQuestion) -> Result<ModelAnswer, HostCallError> {
        for uri in &question.evidence {
            self.own(uri)?;
        }
        let request = Request { call: "ask-model", subject: question.model.to_string(), parameters: json!(question) };
        let (side, key) = (self.side.clone(), self.key_of(site));
        self.awaited(site, request, async move { side.ask_model(&key, question).await }).await
    }

    async fn call_tool(
        &mut self,
        site: CallSite,
        tool: &McpTool,
        arguments: Value,
    ) -> Result<ToolAnswer, HostCallError> {
        let request = Request { call: "call-tool", subject: tool.to_string(), parameters: arguments.clone() };
        let (side, key, tool) = (self.side.clone(), self.key_of(site), tool.clone());
        let started = side.shared().replay.started(site, &request).map_err(|divergence| self.diverged(divergence))?;
        let fingerprint = request.fingerprint(site, side.hands.plugin_host.fingerprint());
        let spool = self.key_of(site);
        let act = async move { side.call_tool(&key, &tool, arguments, started, fingerprint).await };
        let answer = self.awaited(site, request, act).await;
        if !matches!(answer, Err(HostCallError::Interrupted)) {
            // Its answer is recorded, now or by a host that died before it came to this.
            self.side.hands.provider.discard(&spool).await;
        }
        answer
    }

    async fn fetch(&mut self, site: CallSite, asked: HttpRequest) -> Result<HttpResponse, HostCallError> {
        let request = Request { call: "fetch", subject: asked.url.clone(), parameters: json!(asked) };
        let side = self.side.clone();
        self.awaited(site, request, async move { side.fetch(asked).await }).await
    }

    async fn log(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>) {
        let fields: serde_json::Map<_, _> = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
        let line = json!({ "level": level, "message": message, "fields": fields }).to_string();
        self.side.shared().logged.push(line);
    }

    async fn denied(&mut self, site: CallSite, denial: &Denial) {
        let event = denied(&self.key_of(site), site, denial, self.side.hands.plugin_host.fingerprint());
        // When the history cannot be written the next host call ends the attempt.
        let _ = self.side.record(event).await;
    }
}

/// What is recorded must be read again; others decide what they answer.
fn readable<T: Serialize>(answer: T) -> Result<T, HostCallError> {
    if depth(&json!(answer)) > VALUE_DEPTH_MAX {
        return Err(HostCallError::Unavailable(format!("the answer is nested deeper than {VALUE_DEPTH_MAX} levels")));
    }
    Ok(answer)
}

fn denied(key: &EffectKey, site: CallSite, denial: &Denial, engine: &str) -> Event {
    let request = denied_request(&denial.capability, &denial.subject);
    let asked = json!({ "capability": denial.capability, "subject": denial.subject });
    answered(key, asked, json!({ "denied": denial.reason }), request.fingerprint(site, engine))
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

pub(crate) fn unavailable(error: StoreError) -> HostCallError {
    tracing::error!(error = %error, "A host call failed in the store");
    HostCallError::Unavailable("the host's store did not answer".to_owned())
}

fn diverged(divergence: &Divergence) -> EffectOutcome {
    EffectOutcome::Faulted {
        error: workflow::effect::Fault {
            kind: format!("{}plugin-diverged", workflow::effect::OWN_ERRORS),
            status: 500,
            title: Some("The plugin asked something else after a restart".to_owned()),
            detail: Some(divergence.to_string()),
            instance: None,
        },
    }
}
