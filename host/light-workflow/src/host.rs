//! The parts of a host, put together.

#[cfg(debug_assertions)]
mod crash;
mod liveness;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_host::compiler::Compiler;
use plugin_host::{HostConfig, PluginHost};
use sandbox::Templates;
use sandbox::image::ImageStore;
use sandbox::local::{Local, LocalConfig, SANDBOX_ID};
use store::{SharedStore, SqliteStore};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use worker::{
    Clock, Definitions, Hands, ImageRules, Images, InstalledPlugin, McpPlace, PluginCatalog, RegistryRules, Secrets,
    Services, SystemClock, Worker, WorkerOptions,
};
use workflow::capability::{
    Approval, Date, EffectivePolicy, Grants, PluginManifest, PluginPolicy, PluginsLock, effective,
};
use workflow::definition::{Definition, PluginFacts, each_task};
use workflow::distribution::{PublicKey, TrustedKeys, unpack};
use workflow::policy::{PolicyProblem, PolicySources};
use workflow::redaction::Redactor;
use workflow::{Digest, InstanceId, Origin, PluginName, TemplateName, Timestamp};

use self::liveness::Liveness;
use crate::config::services::services;
use crate::config::{Config, Paths, Plugins};
use crate::documents::Fetched;
use crate::library::Library;
use crate::output::{Failure, listed};

/// The sandbox providers of this version, as definitions name them.
const PROVIDERS: [&str; 1] = ["local"];

/// What a host reads at its start and never changes: templates and plugins.
pub struct Parts {
    pub config: Config,
    pub templates: Arc<Templates>,
    pub template_digests: BTreeMap<TemplateName, Digest>,
    pub manifests: BTreeMap<PluginName, PluginManifest>,
    pub lock: PluginsLock,
    /// Whose signatures count.
    pub trusted: Arc<TrustedKeys>,
    /// The way out of the host itself.
    pub client: Arc<calls::Client>,
    pub images: Arc<Images>,
    approved_calls: BTreeSet<Origin>,
    pub fetched: Fetched,
    services: Arc<Services>,
}

impl Parts {
    /// What the components of this host say of themselves; one that is not built says nothing.
    pub fn plugin_facts(&self) -> Result<BTreeMap<PluginName, PluginFacts>, Failure> {
        let mut plugins = BTreeMap::new();
        for (name, manifest) in &self.manifests {
            let path = self.component(name);
            let description = match fs::read(&path) {
                Ok(bytes) => plugin_host::description_of(&bytes)
                    .map_err(|error| Failure::used_wrongly(format!("{}: {error}", path.display())))?,
                Err(_) => None,
            };
            let input_schema = description.map(|description| description.input_schema);
            plugins.insert(name.clone(), PluginFacts { version: manifest.version.to_string(), input_schema });
        }
        Ok(plugins)
    }

    pub fn read(config: Config) -> Result<Self, Failure> {
        let templates = if config.paths.templates.is_dir() {
            Templates::load(&config.paths.templates).map_err(Failure::used_wrongly)?
        } else {
            Templates::default()
        };
        let templates = templates.with_built_in();
        let template_digests = templates.digests();
        let (manifests, lock) = read_plugins(&config.paths)?;
        let trusted = Arc::new(read_keys(&config.plugins)?);
        let rules = calls::Rules {
            allow: config.calls.allow.clone(),
            internal: config.calls.internal.clone(),
            resolve: config.calls.resolve.clone(),
            files: config.calls.files.clone(),
        };
        let approved_calls = rules.approved();
        let client = calls::Client::new(rules, config.calls.ca.clone(), calls::Limits::default())
            .map_err(|error| Failure::used_wrongly(format!("{:#}", anyhow::Error::from(error))))?;
        let services = Arc::new(services(&config, &approved_calls, &templates)?);
        let (templates, client) = (Arc::new(templates), Arc::new(client));
        let fetched = Fetched::default();
        let images = Arc::new(images(&config));
        Ok(Self {
            config,
            templates,
            template_digests,
            manifests,
            lock,
            trusted,
            client,
            images,
            approved_calls,
            fetched,
            services,
        })
    }

    /// Origins that the host's own calls may reach.
    pub fn approved_calls(&self) -> &BTreeSet<Origin> {
        &self.approved_calls
    }

    /// What each task of `definition` may do on this host.
    pub fn policy(
        &self,
        definition: &Definition,
        library: &Library,
        allow_auto_approval: bool,
    ) -> Result<EffectivePolicy, Vec<PolicyProblem>> {
        let (policy, problems) = self.examine(definition, library, allow_auto_approval);
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// The policy of each task against which nothing stands, and what stands against the others.
    pub fn examine(
        &self,
        definition: &Definition,
        library: &Library,
        allow_auto_approval: bool,
    ) -> (EffectivePolicy, Vec<PolicyProblem>) {
        let sources = PolicySources {
            templates: &self.template_digests,
            providers: &PROVIDERS,
            plugin: &|name, grants| self.plugin_policy(name, grants),
            workflow: &|name| library.find(name),
            allow_auto_approval,
            approved_calls: &self.approved_calls,
            echo: false,
        };
        let (mut policy, mut problems) = workflow::policy::examine(definition, &sources);
        problems.extend(self.unreachable(definition, &policy));
        self.pin_servers(&mut policy);
        policy.definitions.values_mut().for_each(|child| self.pin_servers(child));
        (policy, problems)
    }

    /// Hosts that a task wants to reach and its template does not have: its sandbox would not start.
    fn unreachable(&self, definition: &Definition, policy: &EffectivePolicy) -> Vec<PolicyProblem> {
        let mut problems = Vec::new();
        each_task(&definition.tasks, &mut |task| {
            let template = policy.tasks.get(&task.reference).and_then(|policy| self.templates.get(&policy.template));
            let Some(template) = template else { return };
            let missing = task.light.egress.iter().filter(|target| !template.egress().contains(*target));
            problems.extend(missing.map(|target| PolicyProblem {
                task: task.name.clone(),
                reference: task.reference.clone(),
                line: task.line,
                message: format!(
                    "wants egress to `{target}`, which is not in the `egress` of its template `{}`; there are {}",
                    template.name(),
                    listed(template.egress())
                ),
            }));
        });
        problems
    }

    /// The templates of the operator's MCP servers that a task is granted are those of the start as well.
    fn pin_servers(&self, policy: &mut EffectivePolicy) {
        let plugins = policy.tasks.values().filter_map(|task| task.plugin.as_ref());
        let tools = plugins.flat_map(|plugin| plugin.grants.mcp.iter().flat_map(|grant| &grant.tools));
        let templates = tools.filter_map(|tool| match &self.services.mcp_servers.get(tool.server())?.place {
            McpPlace::Sandbox { command, .. } => TemplateName::new(command.as_str().split_once('/')?.0).ok(),
            McpPlace::Remote(_) => None,
        });
        let pinned = templates.filter_map(|name| {
            let digest = self.template_digests.get(&name)?.clone();
            Some((name, digest))
        });
        let pinned: Vec<_> = pinned.collect();
        policy.templates.extend(pinned);
    }

    /// Origins that stand in the definition and that the operator did not approve.
    pub fn unapproved_calls(policy: &EffectivePolicy) -> Vec<String> {
        let unapproved = policy.unapproved_calls();
        unapproved
            .map(|(task, origin)| {
                format!(
                    "{task} calls `{origin}`, which is not approved; approve it with `[calls] allow` or --allow-call"
                )
            })
            .collect()
    }

    /// Secrets under `policy` that this host cannot read: found now, and not after half a release.
    pub fn missing_secrets(&self, policy: &EffectivePolicy) -> Vec<String> {
        let secrets = self.secrets();
        policy
            .secrets()
            .into_iter()
            .filter_map(|name| Some(format!("{:#}", anyhow::Error::from(secrets.value(name).err()?))))
            .collect()
    }

    /// Settles which image each task runs, those of children too. Returns why
    /// it could not be for some.
    pub async fn pin_images(&self, policy: &mut EffectivePolicy) -> Vec<String> {
        let mut problems = Vec::new();
        for (task, image) in policy.images_mut() {
            match self.images.pin(image).await {
                Ok(pinned) => image.pinned = Some(pinned),
                Err(error) => problems.push(format!("{task}: {:#}", anyhow::Error::from(error))),
            }
        }
        // A registry may say back what it was told.
        problems.iter().map(|problem| self.without_secrets(problem)).collect()
    }

    /// `text` without any secret of this host; nothing of it if one of them cannot be read.
    fn without_secrets(&self, text: &str) -> String {
        let Ok(secrets) = self.secrets().all_values() else { return "a secret of this host cannot be read".to_owned() };
        let values = secrets.iter().map(|(name, value)| (name.as_str(), value.expose()));
        match Redactor::new(values) {
            Ok(redactor) => redactor.redact(text).into_string(),
            Err(error) => error.to_string(),
        }
    }

    /// As [`Self::pin_images`], for those who only look and cannot wait: by task, why it could not be.
    pub fn look_at_images(&self, policy: &mut EffectivePolicy) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (task, image) in policy.images_mut() {
            let look = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(self.images.look(image)).map_err(anyhow::Error::from)
            };
            // A thread of its own: this one may be part of a runtime.
            let looked = std::thread::scope(|scope| scope.spawn(look).join());
            match looked.unwrap_or_else(|_| Err(anyhow::anyhow!("it could not be looked up"))) {
                Ok(pinned) => image.pinned = Some(pinned),
                Err(error) => problems.push((task.to_owned(), format!("{error:#}"))),
            }
        }
        problems
    }

    pub fn secrets(&self) -> Secrets {
        secrets(&self.config)
    }

    fn plugin_policy(&self, name: &PluginName, grants: &Grants) -> Result<PluginPolicy, Vec<String>> {
        let Some(manifest) = self.manifests.get(name) else {
            return Err(vec![format!("this host has no such plugin; it has {}", listed(self.manifests.keys()))]);
        };
        let path = self.component(name);
        let bytes = fs::read(&path).map_err(|error| {
            vec![format!(
                "failed to read its component `{}`: {error}; build it with `cargo xtask plugins`",
                path.display()
            )]
        })?;
        let digest = Digest::of(&bytes);
        let approval = Approval {
            manifest,
            lock: self.lock.plugins.get(name),
            digest: &digest,
            ceiling: self.config.policy.ceiling.as_ref(),
            today: today(Timestamp::now()),
        };
        let grants = effective(&approval, grants)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        self.vouched(&path, &self.config.paths.manifest(name), &digest).map_err(|problem| vec![problem])?;
        let inspection = plugin_host::inspect(&bytes).map_err(|error| vec![error.to_string()])?;
        let missing = inspection.missing_grants(name.as_str(), &grants);
        if !missing.is_empty() {
            let approved = approval.lock.map(|entry| entry.grants.clone()).unwrap_or_default();
            return Err(missing.iter().map(|missing| missing.text(&approved)).collect());
        }
        Ok(PluginPolicy { name: name.clone(), digest, grants })
    }

    /// Whether somebody whom this host trusts signed the component and the
    /// `plugin.toml` in the file `toml`, if that is demanded.
    ///
    /// # Errors
    ///
    /// Why nobody did, for people.
    pub fn vouched(&self, component: &Path, toml: &Path, digest: &Digest) -> Result<(), String> {
        if !self.config.plugins.require_signature {
            return Ok(());
        }
        let distribution = worker::distribution_of(component).map_err(|error| chain(&error))?;
        self.trusted.verify(distribution.as_ref(), digest).map_err(|error| chain(&error))?;
        let signed = distribution.map(|distribution| unpack(distribution.manifest.as_bytes())).transpose();
        let signed = signed.map_err(|error| chain(&error))?.map(|unpacked| unpacked.plugin_toml);
        match fs::read_to_string(toml) {
            Ok(text) if Some(&text) == signed.as_ref() => Ok(()),
            Ok(_) => Err(format!("`{}` is not the `plugin.toml` that was signed", toml.display())),
            Err(error) => Err(format!("failed to read `{}`: {error}", toml.display())),
        }
    }

    /// Where the component of a plugin lies.
    pub fn component(&self, name: &PluginName) -> PathBuf {
        self.config.paths.components.join(format!("{name}.wasm"))
    }

    /// Components by the digest their review approved; the bytes are checked when they are loaded.
    pub fn catalog(&self) -> PluginCatalog {
        let installed = self.manifests.keys().filter_map(|name| {
            let digest = self.lock.plugins.get(name)?.digest.clone();
            Some((name.clone(), InstalledPlugin { digest, path: self.component(name) }))
        });
        let catalog = PluginCatalog::new(installed.collect());
        if self.config.plugins.require_signature { catalog.requiring(self.trusted.clone()) } else { catalog }
    }
}

fn secrets(config: &Config) -> Secrets {
    let files = config.secrets.iter().map(|(name, secret)| (name.clone(), secret.file.clone()));
    Secrets::from_files(files.collect())
}

fn images(config: &Config) -> Images {
    let registries = config.registries.iter().map(|(host, said)| {
        let said = said.clone();
        let rules = RegistryRules { secret: said.secret, also: said.also, plain_http: said.plain_http };
        (host.clone(), rules)
    });
    let rules = ImageRules {
        allow: config.images.allow.clone(),
        registries: registries.collect(),
        resolve: config.calls.resolve.clone(),
        ca: config.calls.ca.clone(),
    };
    let store = ImageStore::new(images_folder(config), (SANDBOX_ID, SANDBOX_ID));
    Images::new(store, rules, Arc::new(secrets(config)))
}

fn images_folder(config: &Config) -> PathBuf {
    config.images.folder.clone().unwrap_or_else(|| PathBuf::from(".light-workflow/images"))
}

fn read_keys(plugins: &Plugins) -> Result<TrustedKeys, Failure> {
    let read = |(name, path): (&String, &PathBuf)| {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::used_wrongly(format!("the key `{name}` of [plugins.keys], `{}`: {error}", path.display()))
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Ok((name.clone(), PublicKey::from_pem(&text).map_err(|error| wrong(&error))?))
    };
    plugins.keys.iter().map(read).collect::<Result<_, Failure>>().map(TrustedKeys)
}

/// An error and what caused it, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The day by which approvals expire: everywhere the same.
pub fn today(now: Timestamp) -> Date {
    jiff::tz::Offset::UTC.to_datetime(now).date()
}

/// A host with its store open.
pub struct Host {
    pub parts: Parts,
    pub data: PathBuf,
    pub definitions: Arc<Definitions>,
    store: SharedStore,
    liveness: Liveness,
}

impl Host {
    pub async fn open(data: &Path, parts: Parts) -> Result<Self, Failure> {
        // Histories and logs are their owner's business.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .map_err(|error| Failure::from(anyhow::anyhow!("failed to create `{}`: {error}", data.display())))?;
        let data = data.canonicalize()?;
        let store: SharedStore =
            Self::open_store(Arc::new(SqliteStore::open(&data, store::SqliteOptions::default()).await?));
        let liveness = Liveness::declare(&data)?;
        for dead in liveness.dead()? {
            // A host that was killed cannot give its leases back itself.
            store.release_shards(&dead).await?;
            liveness.bury(&dead)?;
        }
        Ok(Self { parts, data, definitions: Arc::default(), store, liveness })
    }

    pub fn shared_store(&self) -> SharedStore {
        self.store.clone()
    }

    /// Appends of the crash sweep go through its crash point.
    fn open_store(store: SharedStore) -> SharedStore {
        #[cfg(debug_assertions)]
        let store = crash::with_crash_point(store);
        store
    }

    pub fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    pub fn new_instance_id(&self) -> InstanceId {
        InstanceId::new(uuid::Uuid::now_v7().to_string()).expect("a UUID is a label")
    }

    /// Starts working on the instances of this store, until it is stopped.
    pub async fn work(&self) -> Result<Working, Failure> {
        let launcher = std::env::current_exe()?;
        let local = LocalConfig {
            resolve: self.parts.config.egress.resolve.clone(),
            images: Some(images_folder(&self.parts.config)),
            ..LocalConfig::new(self.data.join("sandbox"), self.parts.templates.clone(), launcher)
        };
        let provider = Arc::new(Local::new(local)?);
        sweep(&self.store, provider.as_ref()).await?;
        let plugin_host = PluginHost::new(HostConfig {
            precompiled: Some(self.data.join("compiled")),
            compiler: Some(Compiler::this_program()),
            ..HostConfig::default()
        })?;
        let hands = Hands {
            store: self.shared_store(),
            provider,
            templates: self.parts.templates.clone(),
            plugin_host: Arc::new(plugin_host),
            plugins: Arc::new(self.parts.catalog()),
            secrets: Arc::new(self.parts.secrets()),
            client: self.parts.client.clone(),
            images: self.parts.images.clone(),
            services: self.parts.services.clone(),
            running: Arc::default(),
        };
        let options = WorkerOptions::new(self.liveness.host().clone());
        #[cfg(debug_assertions)]
        let options = crash::with_snapshots(options);
        let worker =
            Worker::new(self.shared_store(), Arc::new(hands), self.definitions.clone(), Arc::new(SystemClock), options);
        let (stop, stopped) = watch::channel(false);
        Ok(Working { stop, worker: tokio::spawn(worker.run(stopped)) })
    }
}

/// A worker that runs in this process.
pub struct Working {
    stop: watch::Sender<bool>,
    worker: JoinHandle<Result<(), store::StoreError>>,
}

impl Working {
    /// Returns when the work ends before it was told to: always a failure.
    pub async fn ended(&mut self) -> Failure {
        match (&mut self.worker).await {
            Ok(Ok(())) => Failure::from(anyhow::anyhow!("the worker stopped by itself")),
            Ok(Err(error)) => Failure::from(error),
            Err(panic) => Failure::from(panic),
        }
    }

    /// Ends the work in good order: leases go back, running commands go on.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        Ok(self.worker.await??)
    }
}

/// Removes what instances left that are final or gone.
async fn sweep(store: &SharedStore, provider: &dyn sandbox::Provider) -> Result<(), Failure> {
    let mut keep = Vec::new();
    for phase in [store::Phase::Pending, store::Phase::Running, store::Phase::Waiting] {
        let filter = store::InstanceFilter { phase: Some(phase), limit: u32::MAX, ..Default::default() };
        keep.extend(store.instances(filter).await?.into_iter().map(|row| row.id));
    }
    for removed in provider.sweep(&keep).await {
        tracing::info!(removed, "Removed what an earlier host left");
    }
    Ok(())
}

fn read_plugins(paths: &Paths) -> Result<(BTreeMap<PluginName, PluginManifest>, PluginsLock), Failure> {
    let folder = &paths.plugins;
    let mut manifests = BTreeMap::new();
    if !folder.is_dir() {
        return Ok((manifests, PluginsLock::default()));
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path().join("plugin.toml");
        if !path.is_file() {
            continue;
        }
        let manifest = PluginManifest::parse(&fs::read_to_string(&path)?)
            .map_err(|error| Failure::used_wrongly(format!("{}: {error}", path.display())))?;
        manifests.insert(manifest.name.clone(), manifest);
    }
    let path = paths.lock_file();
    let lock = match fs::read_to_string(&path) {
        Ok(text) => {
            PluginsLock::parse(&text).map_err(|error| Failure::used_wrongly(format!("{}: {error}", path.display())))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => PluginsLock::default(),
        Err(error) => return Err(Failure::from(anyhow::anyhow!("failed to read `{}`: {error}", path.display()))),
    };
    Ok((manifests, lock))
}
