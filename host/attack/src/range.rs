//! The shooting range: this host's engine, limits and templates; a store,
//! secrets and sandboxes that are made for the attacks and thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use calls::{Client, Rules};
use plugin_host::{HostConfig, PluginHost};
use sandbox::{Template, Templates};
use serde_json::Value;
use store::{ArtifactBytes, NewArtifact, NewInstance, SharedStore, SqliteOptions, SqliteStore};
use tokio::sync::mpsc;
use worker::{Act, Attempt, Hands, InstalledPlugin, Journal, JournalEntry, PluginCatalog, Secrets};
use workflow::capability::{
    ArtifactsReadGrant, ArtifactsWriteGrant, EffectivePolicy, Grants, HttpGrant, LimitsGrant, LogGrant, McpGrant,
    ModelGrant, SandboxGrant, SecretsGrant,
};
use workflow::command::SandboxMode;
use workflow::effect::EffectClass;
use workflow::event::Event;
use workflow::{
    Actor, ArtifactUri, CommandName, Digest, Effect, EffectKey, EffectOutcome, HttpOrigin, InstanceId, McpTool,
    ModelName, PluginName, SecretName, TaskPath, TemplateName, Timestamp, definition, engine,
};

use crate::decoy::Decoy;

/// What the attacks are aimed at.
pub struct Target {
    /// This host's, but for the store of compiled plugins: that is a temporary one.
    pub config: HostConfig,
    /// The sandbox templates whose commands are swept.
    pub templates: Arc<Templates>,
    /// The operator's.
    pub ceiling: Option<Grants>,
    /// What each hostile step may use; none: what this host gives a step that asks for nothing.
    pub fuel_max: Option<u64>,
}

/// What stands in the secret that the suite may use: no attack may show it.
pub(crate) const SECRET_VALUE: &str = "attack-suite-secret-value-0123456789";

const TEMPLATE: &str = r#"
name = "attack"
version = "1.0.0"
summary = "Commands that hostile steps ask for. The decoy answers them; none runs."
[rootfs]
kind = "host"
[commands.run]
argv = ["true", { option = "note", value = ["{note}"] }, { each = "notes" }, { option = "count", value = ["{count}"] }]
inputs = { "in/file" = "file" }
[commands.run.parameters]
note = { type = "text", pattern = "[a-z]+", length_max = 64, required = false }
notes = { type = "texts", pattern = "[a-z]+", items_max = 4, required = false }
count = { type = "integer", min = 0, max = 9, required = false }
file = { type = "artifact", required = false }
[commands.publish]
argv = ["true"]
mode = "per-task"
secrets = { TOKEN = "attack-token" }
"#;

const DEFINITION: &str = r#"
document: { dsl: "1.0.3", namespace: attack, name: range, version: "0.1.0" }
do:
  - nothing:
      set: { done: true }
"#;

/// The one who attacks, the one who works beside, and one whose files are none of their business.
pub(crate) const HOSTILE: &str = "hostile";
pub(crate) const HONEST: &str = "honest";
/// Works without waiting for anybody.
pub(crate) const BESIDE: &str = "beside";
const OTHER: &str = "other";

pub struct Range {
    pub(crate) target: Target,
    pub(crate) decoy: Arc<Decoy>,
    pub(crate) plugin_host: Arc<PluginHost>,
    store: SharedStore,
    templates: Arc<Templates>,
    secrets: Arc<Secrets>,
    /// Each call is an attempt of its own.
    attempts: AtomicU32,
    folder: tempfile::TempDir,
}

/// What came of one call through the worker.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub outcome: Option<EffectOutcome>,
    /// What was journaled in the middle, in order.
    pub events: Vec<Event>,
    /// `plugin.log.jsonl`; empty if there is none.
    pub log: String,
    pub attempt: u32,
}

impl Range {
    /// Makes the range in a temporary folder.
    pub async fn new(target: Target) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(said)?;
        let path = |name: &str| folder.path().join(name);
        let config = HostConfig { precompiled: Some(path("compiled")), ..target.config.clone() };
        let plugin_host = Arc::new(PluginHost::new(config).map_err(said)?);
        let template = path("attack");
        std::fs::create_dir(&template).map_err(said)?;
        std::fs::write(template.join("template.toml"), TEMPLATE).map_err(said)?;
        let template = Template::load(&template).map_err(said)?;
        for (name, text) in [("token", SECRET_VALUE), ("stdout", "answered by the decoy\n"), ("stderr", "")] {
            std::fs::write(path(name), text).map_err(said)?;
        }
        let secrets = Secrets::from_files(BTreeMap::from([(secret("attack-token"), path("token"))]));
        let store: SharedStore =
            Arc::new(SqliteStore::open(&path("data"), SqliteOptions::default()).await.map_err(said)?);
        let range = Self {
            target,
            decoy: Arc::new(Decoy::new(path("stdout"), path("stderr"))),
            plugin_host,
            store,
            templates: Arc::new(Templates::from_iter([template])),
            secrets: Arc::new(secrets),
            attempts: AtomicU32::new(1),
            folder,
        };
        for (instance, task) in
            [(HOSTILE, "step"), (HOSTILE, "other-step"), (HONEST, "step"), (BESIDE, "step"), (OTHER, "step")]
        {
            range.start(instance).await?;
            range.put(&format!("artifact://{instance}/{task}/0/note.txt"), b"a stored note").await?;
        }
        Ok(range)
    }

    async fn start(&self, id: &str) -> Result<(), String> {
        let id = instance(id);
        if self.store.instance(&id).await.map_err(said)?.is_some() {
            return Ok(());
        }
        let definition = definition::parse(DEFINITION, "attack.yaml");
        let definition = Arc::new(definition.expect("the range's definition is valid"));
        let by = Actor::new("attack").expect("a name");
        let now = Timestamp::UNIX_EPOCH;
        let (started, events) =
            engine::start(&definition, id.clone(), Value::Null, by, EffectivePolicy::default(), now);
        let new = NewInstance {
            idempotency_key: None,
            request_digest: Digest::of(id.as_str().as_bytes()),
            id,
            release_id: None,
            definition: definition.digest.clone(),
            definition_name: definition.full_name(),
            definition_source: definition.source.clone(),
            events,
            projection: worker::projection(&started),
            parent: None,
            definitions: Vec::new(),
            also: store::Alongside::default(),
            listeners: Vec::new(),
        };
        self.store.start_instance(new).await.map_err(said)?;
        Ok(())
    }

    async fn put(&self, uri: &str, bytes: &[u8]) -> Result<(), String> {
        let uri = ArtifactUri::new(uri).map_err(said)?;
        let owner = uri.as_str().trim_start_matches("artifact://").split('/').next().unwrap_or_default();
        let new = NewArtifact { instance: instance(owner), uri: uri.clone(), media_type: "text/plain".to_owned() };
        self.store.put_artifact(new, ArtifactBytes::Memory(bytes.to_vec())).await.map_err(said)?;
        Ok(())
    }

    /// A file of its own for each component.
    pub(crate) fn write(&self, component: &[u8]) -> Result<PathBuf, String> {
        let path = self.folder.path().join(format!("{}.wasm", Digest::of(component).hex()));
        if !path.exists() {
            std::fs::write(&path, component).map_err(said)?;
        }
        Ok(path)
    }

    /// The fuel of the target, and what the operator's ceiling says of the rest.
    fn limits(&self) -> LimitsGrant {
        let ceiling = self.target.ceiling.as_ref().map(|ceiling| ceiling.limits).unwrap_or_default();
        let fuel_max = [self.target.fuel_max, ceiling.fuel_max].into_iter().flatten().min();
        LimitsGrant { fuel_max, ..ceiling }
    }

    /// Where the suite may leave files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `execute` of a component as a task of `owner`, from its file to its recorded outcome.
    pub(crate) async fn execute(
        &self,
        owner: &str,
        component: &[u8],
        grants: Grants,
        input: Value,
    ) -> Result<Ran, String> {
        let path = self.write(component)?;
        self.execute_file(owner, &path, &Digest::of(component), grants, input, Vec::new()).await
    }

    /// As [`Range::execute`], for a file that is said to have `digest`, going on from `history`.
    pub(crate) async fn execute_file(
        &self,
        owner: &str,
        path: &Path,
        digest: &Digest,
        grants: Grants,
        input: Value,
        history: Vec<Event>,
    ) -> Result<Ran, String> {
        self.execute_attempt(owner, path, digest, grants, input, history, self.next_attempt()).await
    }

    /// The number of an attempt that nobody made yet.
    pub(crate) fn next_attempt(&self) -> u32 {
        self.attempts.fetch_add(1, Ordering::Relaxed)
    }

    /// As [`Range::execute_file`], as this attempt.
    // What a call consists of, said once.
    #[allow(clippy::too_many_arguments)]
    pub(crate) async fn execute_attempt(
        &self,
        owner: &str,
        path: &Path,
        digest: &Digest,
        mut grants: Grants,
        input: Value,
        history: Vec<Event>,
        attempt: u32,
    ) -> Result<Ran, String> {
        grants.limits = self.limits();
        let name = PluginName::new(owner).expect("a label");
        let installed = InstalledPlugin { digest: digest.clone(), path: path.to_owned() };
        let hands = Hands {
            store: self.store.clone(),
            provider: self.decoy.clone(),
            templates: self.templates.clone(),
            plugin_host: self.plugin_host.clone(),
            plugins: Arc::new(PluginCatalog::new(BTreeMap::from([(name.clone(), installed)]))),
            secrets: self.secrets.clone(),
            running: Arc::default(),
            client: Arc::new(Client::new(rules(), None, calls::Limits::default()).map_err(said)?),
            services: Arc::default(),
            images: Arc::default(),
        };
        let key = EffectKey { instance: instance(owner), path: task(), attempt, sequence: 0 };
        let template = TemplateName::new("attack").expect("a label");
        let effect = Effect::Plugin {
            plugin: name,
            digest: digest.clone(),
            input,
            grants: Box::new(grants),
            template: template.clone(),
            mode: SandboxMode::PerTask,
            class: EffectClass::Pure,
            approved: None,
        };
        let templates = self.templates.digests();
        let (sender, receiver) = mpsc::channel(8);
        let journal = tokio::spawn(keep(receiver));
        let attempt_of = Attempt {
            key: key.clone(),
            started_at: Timestamp::UNIX_EPOCH,
            effect,
            calls: history,
            templates,
            approved_calls: BTreeSet::new(),
        };
        let outcome = hands.act(attempt_of, Journal::new(sender)).await;
        let events = journal.await.map_err(said)?;
        let log = ArtifactUri::new(format!("artifact://{owner}/step/{attempt}/plugin.log.jsonl")).map_err(said)?;
        let log = self.store.read_artifact(&log, 0, u64::MAX).await.unwrap_or_default();
        Ok(Ran { outcome, events, log: String::from_utf8_lossy(&log).into_owned(), attempt })
    }
}

/// Confirms every event, as a history does that is written at once.
async fn keep(mut receiver: mpsc::Receiver<JournalEntry>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(entry) = receiver.recv().await {
        events.push(entry.event);
        let _ = entry.committed.send(());
    }
    events
}

/// Every capability, each with one subject and a bound.
pub(crate) fn all_grants() -> Grants {
    let command = |name: &str| CommandName::new(name).expect("a command's name");
    Grants {
        log: Some(LogGrant { lines_max: 100, bytes_max: 64 << 10 }),
        artifacts_read: Some(ArtifactsReadGrant { names: BTreeSet::from(["step/**".to_owned()]) }),
        artifacts_write: Some(ArtifactsWriteGrant {
            names: BTreeSet::from(["report.json".to_owned()]),
            bytes_max: 1 << 20,
        }),
        sandbox: Some(SandboxGrant {
            commands: BTreeSet::from([command("attack/run"), command("attack/publish")]),
            commands_max: 10,
            planned: Default::default(),
        }),
        secrets: Some(SecretsGrant { names: BTreeSet::from([secret("attack-token")]) }),
        model: Some(ModelGrant {
            models: BTreeSet::from([ModelName::new("attack-model").expect("a model's name")]),
            questions_max: 2,
            answer_tokens_max: 1_000,
        }),
        mcp: Some(McpGrant {
            tools: BTreeSet::from([McpTool::new("attack-server/look").expect("a tool's name")]),
            calls_max: 2,
        }),
        http: Some(HttpGrant {
            origins: BTreeSet::from([HttpOrigin::new("https://attack.test").expect("an origin")]),
            requests_max: 2,
            bytes_max: 1 << 20,
        }),
        wasi_baseline: None,
        limits: LimitsGrant::default(),
    }
}

fn secret(name: &str) -> SecretName {
    SecretName::new(name).expect("a secret's name")
}

fn instance(name: &str) -> InstanceId {
    InstanceId::new(name).expect("a label")
}

pub(crate) fn task() -> TaskPath {
    TaskPath::root().child("do", 0, "step")
}

fn said(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// The one origin that grants of the suite name is approved, at an address where nobody listens.
fn rules() -> Rules {
    Rules { resolve: [("attack.test:443".to_owned(), ([127, 0, 0, 1], 9).into())].into(), ..Rules::default() }
}
