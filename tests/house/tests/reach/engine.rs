//! The real plugin host and the real host calls of the worker, with a provider
//! that notes what it was asked to run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command as Process;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use plugin_host::{HostConfig, PluginHost};
use sandbox::{ExecError, ExecOutcome, ExecRequest, Provider, Templates};
use serde_json::Value;
use store::{ArtifactBytes, NewArtifact, NewInstance, SharedStore, SqliteOptions, SqliteStore};
use tokio::sync::mpsc;
use worker::{Act, Attempt, Hands, InstalledPlugin, Journal, JournalEntry, PluginCatalog, Secrets};
use workflow::capability::{EffectivePolicy, Grants, TaskPolicy};
use workflow::command::SandboxMode;
use workflow::event::Event;
use workflow::{
    ArtifactUri, Command, CommandStatus, Digest, Effect, EffectClass, EffectKey, EffectOutcome, InstanceId, PluginName,
    SecretName, TaskPath, TemplateName, Timestamp,
};

use crate::report::{root, target};

const PROBES: [&str; 8] = ["log", "artifacts_read", "artifacts_write", "sandbox", "secrets", "http", "mcp", "model"];

/// What came of one attempt.
#[derive(Debug)]
pub struct Ran {
    pub outcome: EffectOutcome,
    /// What the sandbox was asked to run.
    pub commands: Vec<Command>,
    /// Names of the events that the attempt recorded.
    pub events: Vec<&'static str>,
    pub history: Vec<Event>,
}

impl Ran {
    /// The call was allowed; that there is no such artifact is an answer too.
    pub fn passed(&self) -> bool {
        let said = |text: &str| matches!(text, "ok" | "not-found");
        matches!(&self.outcome, EffectOutcome::Output { output: Value::String(text) } if said(text))
    }

    /// Policy said no: as data, or before anything was linked.
    pub fn was_denied(&self) -> bool {
        match &self.outcome {
            EffectOutcome::Output { output: Value::String(text) } => text.starts_with("denied "),
            EffectOutcome::Faulted { error } => error.kind.ends_with("/not-granted"),
            EffectOutcome::Output { .. } | EffectOutcome::Command { .. } | EffectOutcome::Unknown { .. } => false,
        }
    }
}

pub struct Engine {
    hands: Hands,
    provider: Arc<Noting>,
    digests: BTreeMap<&'static str, Digest>,
    attempts: Mutex<u32>,
}

impl Engine {
    pub async fn start() -> Self {
        Self::with(|hands| hands).await
    }

    /// A host that differs from the usual one.
    pub async fn with(change: impl FnOnce(Hands) -> Hands) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let components = components(&folder);
        let digests = components.iter().map(|(name, (digest, _))| (*name, digest.clone())).collect();
        let installed = components
            .into_iter()
            .map(|(name, (digest, path))| (plugin_name(name), InstalledPlugin { digest, path }))
            .collect();
        let secrets = ["cargo-registry-token", "git-credential"].map(|name| {
            let file = folder.join(name);
            std::fs::write(&file, format!("value of {name}")).unwrap();
            (SecretName::new(name).unwrap(), file)
        });
        let store: SharedStore =
            Arc::new(SqliteStore::open(&folder.join("data"), SqliteOptions::default()).await.unwrap());
        begin(&store).await;
        let uri = ArtifactUri::new("artifact://probe/t/1/source.bundle").unwrap();
        let new = NewArtifact { uri, instance: instance(), media_type: "application/octet-stream".to_owned() };
        store.put_artifact(new, ArtifactBytes::Memory(b"bundle".to_vec())).await.unwrap();
        let provider = Arc::new(Noting { folder, commands: Mutex::default() });
        let hands = Hands {
            store,
            provider: provider.clone(),
            templates: Arc::new(Templates::load(&root().join("sandbox-templates")).unwrap()),
            plugin_host: Arc::new(PluginHost::new(HostConfig::default()).unwrap()),
            plugins: Arc::new(PluginCatalog::new(installed)),
            secrets: Arc::new(Secrets::from_files(secrets.into())),
            client: Arc::new(calls::Client::new(calls::Rules::default(), None, calls::Limits::default()).unwrap()),
            services: Arc::default(),
            images: Arc::default(),
            running: Arc::default(),
        };
        Self { hands: change(hands), provider, digests, attempts: Mutex::default() }
    }

    /// Runs a probe with the policy of a task, as the worker runs the task's own plugin.
    pub async fn attempt(&self, policy: &TaskPolicy, probe: &'static str, fields: &[String]) -> Ran {
        let grants = policy.plugin.as_ref().unwrap().grants.clone();
        let effect = self.effect(grants, policy.template.clone(), policy.mode, probe, fields);
        self.act(self.next(), effect, Vec::new()).await
    }

    /// Runs a probe with these grants, in an attempt of its own.
    pub async fn granted(&self, grants: &Grants, probe: &'static str, fields: &[&str]) -> Ran {
        self.again(self.next(), grants, probe, fields, Vec::new()).await
    }

    /// As [`Self::granted`], for an attempt whose journal has `calls` already.
    pub async fn again(
        &self,
        attempt: u32,
        grants: &Grants,
        probe: &'static str,
        fields: &[&str],
        calls: Vec<Event>,
    ) -> Ran {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        let template = "rust-release".parse().unwrap();
        let effect = self.effect(grants.clone(), template, SandboxMode::PerTask, probe, &fields);
        self.act(attempt, effect, calls).await
    }

    pub fn next(&self) -> u32 {
        let mut attempts = self.attempts.lock().unwrap();
        *attempts += 1;
        *attempts
    }

    fn effect(
        &self,
        grants: Grants,
        template: TemplateName,
        mode: SandboxMode,
        probe: &'static str,
        fields: &[String],
    ) -> Effect {
        Effect::Plugin {
            plugin: plugin_name(probe),
            digest: self.digests[probe].clone(),
            input: Value::from(fields.join("\n")),
            grants: Box::new(grants),
            template,
            mode,
            class: EffectClass::Pure,
            approved: None,
        }
    }

    async fn act(&self, attempt: u32, effect: Effect, calls: Vec<Event>) -> Ran {
        let attempt = Attempt {
            key: key(attempt),
            effect,
            started_at: Timestamp::UNIX_EPOCH,
            calls,
            approved_calls: Default::default(),
            templates: self.hands.templates.digests(),
        };
        let (sender, mut entries) = mpsc::channel::<JournalEntry>(8);
        let committing = tokio::spawn(async move {
            let mut history = Vec::new();
            while let Some(entry) = entries.recv().await {
                history.push(entry.event);
                let _ = entry.committed.send(());
            }
            history
        });
        let outcome = self.hands.act(attempt, Journal::new(sender)).await.expect("the host does not stop");
        let history = committing.await.unwrap();
        let events = history.iter().map(Event::name).collect();
        Ran { outcome, events, history, commands: std::mem::take(&mut self.provider.commands.lock().unwrap()) }
    }
}

/// Of the attempt itself; its host calls have sequences from 1.
pub fn key(attempt: u32) -> EffectKey {
    EffectKey { instance: instance(), path: TaskPath::from_text("/do/0/t"), attempt, sequence: 0 }
}

/// The instance whose tasks the probes stand for.
async fn begin(store: &SharedStore) {
    let text = "document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }\ndo:\n- rest: { wait: P1D }\n";
    let definition = Arc::new(workflow::definition::parse(text, "d.yaml").unwrap());
    let by = workflow::Actor::new("test").unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let (first, events) =
        workflow::engine::start(&definition, instance(), Value::Null, by, EffectivePolicy::default(), now);
    let new = NewInstance {
        id: instance(),
        idempotency_key: None,
        request_digest: Digest::of(b"request"),
        release_id: None,
        definition: definition.digest.clone(),
        definition_name: definition.full_name(),
        definition_source: definition.source.clone(),
        definitions: Vec::new(),
        parent: None,
        events,
        projection: worker::projection(&first),
        also: Default::default(),
        listeners: Vec::new(),
    };
    store.start_instance(new).await.unwrap();
}

pub fn instance() -> InstanceId {
    InstanceId::new("probe").unwrap()
}

fn plugin_name(probe: &str) -> PluginName {
    PluginName::new(format!("probe-{}", probe.replace('_', "-"))).unwrap()
}

/// Builds the probes and encodes them, each with the imports it uses.
fn components(folder: &std::path::Path) -> BTreeMap<&'static str, (Digest, PathBuf)> {
    let mut cargo = Process::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-unknown-unknown", "-p", "probe-plugin"]);
    cargo.arg("--examples").current_dir(root()).arg("--target-dir").arg(target());
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    assert!(cargo.status().expect("cargo runs").success(), "the probes build");
    let built = target().join("wasm32-unknown-unknown/plugin/examples");
    let component = |probe: &'static str| {
        let module = std::fs::read(built.join(format!("probe_{probe}.wasm"))).expect("cargo has just built it");
        let component = plugin_host::encode(&module).expect("the module becomes a component");
        let path = folder.join(format!("{probe}.wasm"));
        std::fs::write(&path, &component).unwrap();
        (probe, (Digest::of(&component), path))
    };
    PROBES.into_iter().map(component).collect()
}

/// A sandbox that runs nothing, and notes what it should have run.
struct Noting {
    folder: PathBuf,
    commands: Mutex<Vec<Command>>,
}

#[async_trait]
impl Provider for Noting {
    async fn exec(&self, request: ExecRequest) -> Result<ExecOutcome, ExecError> {
        self.commands.lock().unwrap().push(request.command);
        let empty = self.folder.join("empty");
        std::fs::write(&empty, b"").unwrap();
        Ok(ExecOutcome {
            status: CommandStatus::Succeeded,
            exit_code: Some(0),
            summary: "exit code 0".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            completed_at: Timestamp::UNIX_EPOCH,
            stdout: empty.clone(),
            stderr: empty,
            stdout_excerpt: String::new(),
            stderr_excerpt: String::new(),
            captured: Vec::new(),
            changed_files: Vec::new(),
            sandbox_digest: Digest::of(b"sandbox"),
            egress: Vec::new(),
        })
    }

    async fn knows(&self, _key: &EffectKey) -> bool {
        false
    }

    async fn kill(&self, _key: &EffectKey) {}

    async fn discard(&self, _key: &EffectKey) {}

    async fn close_session(&self, _instance: &InstanceId) {}

    async fn sweep(&self, _keep: &[InstanceId]) -> Vec<String> {
        Vec::new()
    }
}
