//! One attempt of a plugin's task on a real worker: components, host calls and
//! store are the real ones; the machine and the history are the test's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use plugin_host::{HostConfig, PluginHost};
use sandbox::Templates;
use serde_json::{Value, json};
use store::{Alongside, MemoryStore, NewInstance, SharedStore, SqliteOptions, SqliteStore};
use tempfile::TempDir;
use tokio::sync::mpsc;
use worker::{
    Act, Attempt, Hands, InstalledPlugin, Journal, JournalEntry, PluginCatalog, Running, Secrets, projection,
};
use workflow::capability::{EffectivePolicy, Grants, PluginManifest};
use workflow::command::SandboxMode;
use workflow::engine;
use workflow::event::Event;
use workflow::{
    Actor, Digest, Effect, EffectClass, EffectKey, EffectOutcome, InstanceId, PluginName, SecretName, TaskPath,
    TemplateName, Timestamp,
};

use crate::machine::{Death, Machine};

pub const BUNDLED: [&str; 8] =
    ["cargo", "cargo-publish", "config-profile", "diagnose", "maven", "preflight", "release-notes", "verify"];

const DEFINITION: &str = r#"
document: { dsl: "1.0.3", namespace: test, name: step, version: "0.1.0" }
do:
  - step: { call: echo, with: {} }
"#;

pub struct World {
    /// The store's and the secrets'; removed with the world.
    _folder: TempDir,
    pub machine: Arc<Machine>,
    pub hands: Hands,
}

impl World {
    pub async fn new(machine: Machine) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("data"), SqliteOptions::default()).await;
        Self::over(folder, Arc::new(store.expect("the store opens")), machine)
    }

    /// Nothing of it is on disk: for very many steps.
    pub fn in_memory(machine: Machine) -> Self {
        Self::over(tempfile::tempdir().expect("a folder"), Arc::new(MemoryStore::new()), machine)
    }

    fn over(folder: TempDir, store: SharedStore, machine: Machine) -> Self {
        let machine = Arc::new(machine);
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "a-secret-value-of-a-test").expect("the folder takes files");
        let secrets =
            ["cargo-registry-token", "git-credential"].map(|name| (name.parse().expect("a name"), secret.clone()));
        let hands = Hands {
            store,
            provider: machine.clone(),
            templates: Arc::new(Templates::load(&root().join("sandbox-templates")).expect("the templates load")),
            plugin_host: host(),
            plugins: Arc::new(PluginCatalog::new(installed().clone())),
            secrets: Arc::new(Secrets::from_files(BTreeMap::<SecretName, PathBuf>::from(secrets))),
            running: Arc::new(Running::default()),
            client: Arc::new(calls::Client::new(calls::Rules::default(), None, calls::Limits::default()).unwrap()),
            services: Arc::default(),
            images: Arc::default(),
        };
        Self { _folder: folder, machine, hands }
    }

    /// An instance that artifacts can belong to.
    pub async fn start(&self, instance: &str) {
        let definition = Arc::new(workflow::definition::parse(DEFINITION, "step.yaml").expect("it is valid"));
        let (id, by) = (InstanceId::new(instance).expect("an id"), Actor::new("test").expect("an actor"));
        let policy = EffectivePolicy { echo: true, ..EffectivePolicy::default() };
        let (started, events) = engine::start(&definition, id.clone(), json!({}), by, policy, Timestamp::UNIX_EPOCH);
        let new = NewInstance {
            request_digest: Digest::of(id.as_str().as_bytes()),
            id,
            idempotency_key: None,
            release_id: None,
            parent: None,
            definition: definition.digest.clone(),
            definition_name: definition.full_name(),
            definition_source: definition.source.clone(),
            events,
            definitions: Vec::new(),
            projection: projection(&started),
            listeners: started.listeners(),
            also: Alongside::default(),
        };
        self.hands.store.start_instance(new).await.expect("an instance starts");
    }

    pub fn attempt(&self, plugin: &str, instance: &str, input: Value) -> Attempt {
        let template = if plugin == "maven" { "java-release" } else { "rust-release" };
        let template = TemplateName::new(template).expect("a name");
        let digest = self.hands.templates.get(&template).expect("the template is there").digest().clone();
        let plugin = PluginName::new(plugin).expect("a name");
        let effect = Effect::Plugin {
            digest: installed()[&plugin].digest.clone(),
            input,
            grants: Box::new(asks(plugin.as_str())),
            template: template.clone(),
            mode: if plugin.as_str() == "cargo-publish" { SandboxMode::PerTask } else { SandboxMode::WorkflowSession },
            class: EffectClass::Idempotent,
            approved: None,
            plugin,
        };
        Attempt {
            key: EffectKey {
                instance: InstanceId::new(instance).expect("an id"),
                path: TaskPath::root().child("do", 0, "step"),
                attempt: 1,
                sequence: 0,
            },
            effect,
            started_at: Timestamp::UNIX_EPOCH,
            calls: Vec::new(),
            templates: [(template, digest)].into(),
            approved_calls: BTreeSet::new(),
        }
    }

    /// One host's life: until the attempt ends, or death. What was committed is in `history`.
    pub async fn live(
        &self,
        attempt: &Attempt,
        death: Arc<Death>,
        history: &Mutex<Vec<Event>>,
    ) -> Option<EffectOutcome> {
        self.machine.dies(death.clone());
        let (sender, mut entries) = mpsc::channel::<JournalEntry>(8);
        let commits = async {
            while let Some(entry) = entries.recv().await {
                death.moment().await;
                history.lock().expect("no test panics with it").push(entry.event);
                death.moment().await;
                let _ = entry.committed.send(());
            }
            std::future::pending().await
        };
        let mut attempt = attempt.clone();
        attempt.calls = history.lock().expect("no test panics with it").clone();
        tokio::select! {
            outcome = self.hands.act(attempt, Journal::new(sender)) => outcome,
            () = death.strikes() => None,
            () = commits => None,
        }
    }

    pub fn digest(&self, plugin: &str) -> Digest {
        installed()[&PluginName::new(plugin).expect("a name")].digest.clone()
    }
}

/// The bytes of a bundled plugin.
pub fn component(plugin: &str) -> Vec<u8> {
    std::fs::read(&installed()[&PluginName::new(plugin).expect("a name")].path).expect("it was just built")
}

pub fn host() -> Arc<PluginHost> {
    static HOST: OnceLock<Arc<PluginHost>> = OnceLock::new();
    HOST.get_or_init(|| {
        // Tests are many processes: the code is compiled once for all of them.
        let config = HostConfig { precompiled: Some(target().join("tests/precompiled")), ..HostConfig::default() };
        Arc::new(PluginHost::new(config).expect("the engine starts"))
    })
    .clone()
}

fn asks(plugin: &str) -> Grants {
    let path = root().join("plugins").join(plugin).join("plugin.toml");
    PluginManifest::parse(&std::fs::read_to_string(path).expect("a manifest")).expect("it parses").asks
}

/// Built from the sources beside this test.
fn installed() -> &'static BTreeMap<PluginName, InstalledPlugin> {
    static INSTALLED: OnceLock<BTreeMap<PluginName, InstalledPlugin>> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        build();
        let folder = target().join("tests/components");
        std::fs::create_dir_all(&folder).expect("the target folder takes folders");
        let install = |name: &str| {
            let module = format!("wasm32-unknown-unknown/plugin/{}_plugin.wasm", name.replace('-', "_"));
            let module = std::fs::read(target().join(module)).expect("cargo has just built the module");
            let bytes = plugin_host::encode(&module).expect("the module becomes a component");
            let digest = Digest::of(&bytes);
            let path = folder.join(format!("{name}-{}.wasm", &digest.hex()[..16]));
            // Several test processes write the same bytes: none reads half of them.
            let aside = folder.join(format!("{name}.{}", std::process::id()));
            std::fs::write(&aside, bytes).and_then(|()| std::fs::rename(&aside, &path)).expect("it is written");
            (PluginName::new(name).expect("a name"), InstalledPlugin { digest, path })
        };
        BUNDLED.into_iter().map(install).collect()
    })
}

// Tests build their own fixtures; nothing of a release runs here.
#[allow(clippy::disallowed_methods)]
fn build() {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-unknown-unknown", "--lib"]);
    command.args(BUNDLED.iter().flat_map(|name| ["-p".to_owned(), format!("{name}-plugin")]));
    command.current_dir(root()).arg("--target-dir").arg(target());
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // The flags of `cargo xtask plugins`, so that neither build undoes the other.
    let flags = plugin_host::reproducible_rustflags(&root(), &cargo_home);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
    assert!(command.status().expect("cargo runs").success(), "the plugins build");
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's root")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
