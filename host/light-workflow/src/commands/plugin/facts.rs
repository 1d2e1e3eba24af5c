//! The facts of this host that a report is made of.

use std::path::{Path, PathBuf};

use store::{InstanceFilter, SharedStore, SqliteStore};
use workflow::capability::{EffectivePolicy, PluginManifest, PluginsLock};
use workflow::definition::Definition;
use workflow::policy::PolicyProblem;
use workflow::review::{DefinitionFacts, Facts, Place, PluginFacts, Report, UnreadDefinition, Usage};
use workflow::{PluginName, Timestamp};

use crate::documents;
use crate::host::{Parts, today};
use crate::library::Library;
use crate::output::Failure;

/// What was read from this host, offline.
pub struct Gathered {
    pub plugins: Vec<PluginFacts>,
    definitions: Vec<ReadDefinition>,
    unread: Vec<UnreadDefinition>,
    usage: Option<Usage>,
}

struct ReadDefinition {
    file: String,
    definition: Definition,
    policy: EffectivePolicy,
    problems: Vec<PolicyProblem>,
}

impl Gathered {
    /// Reads the plugins of the host and these definitions.
    pub fn read(parts: &Parts, files: &[PathBuf]) -> Result<Self, Failure> {
        let plugins = parts.manifests.keys().map(|name| plugin(parts, name)).collect::<Result<_, _>>()?;
        let mut gathered = Self { plugins, definitions: Vec::new(), unread: Vec::new(), usage: None };
        for file in files {
            gathered.definition(parts, file)?;
        }
        Ok(gathered)
    }

    /// Takes up what past runs used, if `data` has any: it is only read.
    pub async fn with_usage(mut self, data: &Path) -> Result<Self, Failure> {
        if data.join("light-workflow.db").is_file() {
            let store = SqliteStore::open(data, store::SqliteOptions::default()).await?;
            self.usage = Some(usage(&(std::sync::Arc::new(store) as SharedStore)).await?);
        }
        Ok(self)
    }

    pub fn report(&self, parts: &Parts) -> Report {
        self.with_facts(parts, workflow::review::report)
    }

    /// Calls `make` with everything as facts.
    pub fn with_facts<T>(&self, parts: &Parts, make: impl FnOnce(&Facts) -> T) -> T {
        let definitions: Vec<_> = self
            .definitions
            .iter()
            .map(|read| DefinitionFacts {
                file: read.file.clone(),
                definition: &read.definition,
                policy: &read.policy,
                problems: &read.problems,
            })
            .collect();
        make(&Facts {
            today: today(Timestamp::now()),
            plugins: &self.plugins,
            definitions: &definitions,
            unread: &self.unread,
            commands: &|name| parts.templates.reach(name),
            sandboxes: &|name| parts.templates.get(name).map(sandbox::Template::sandbox_reach),
            usage: self.usage.as_ref(),
        })
    }

    fn definition(&mut self, parts: &Parts, path: &Path) -> Result<(), Failure> {
        let file = path.display().to_string();
        let source = std::fs::read_to_string(path)
            .map_err(|error| Failure::used_wrongly(format!("failed to read `{file}`: {error}")))?;
        match documents::read(parts, &source, path) {
            Ok(definition) => {
                let library = Library::read(parts);
                let (policy, problems) = parts.examine(&definition, &library, false);
                self.definitions.push(ReadDefinition { file, definition, policy, problems });
            }
            Err(problems) => {
                let problems = problems.iter().map(|problem| (problem.line, problem.message.clone())).collect();
                self.unread.push(UnreadDefinition { file, problems });
            }
        }
        Ok(())
    }
}

/// A plugin that this host knows by name.
fn plugin(parts: &Parts, name: &PluginName) -> Result<PluginFacts, Failure> {
    let manifest = parts.manifests.get(name).map(|manifest| (manifest_place(parts, name), manifest.clone()));
    component(parts, name, &parts.component(name), manifest)
}

/// A component in a file; what it asks for lies beside it or is known by its name.
pub fn component_file(parts: &Parts, path: &Path) -> Result<PluginFacts, Failure> {
    let beside = path.with_file_name("plugin.toml");
    let manifest = match std::fs::read_to_string(&beside) {
        Ok(text) => {
            let manifest = PluginManifest::parse(&text)
                .map_err(|error| Failure::used_wrongly(format!("{}: {error}", beside.display())))?;
            Some((Place { file: beside.display().to_string(), line: 1 }, manifest))
        }
        Err(_) => None,
    };
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("component");
    let named = manifest.as_ref().map(|(_, manifest)| manifest.name.clone());
    let name = named.map_or_else(|| PluginName::new(stem), Ok).map_err(Failure::used_wrongly)?;
    let known = || Some((manifest_place(parts, &name), parts.manifests.get(&name)?.clone()));
    component(parts, &name, path, manifest.or_else(known))
}

fn component(
    parts: &Parts,
    name: &PluginName,
    path: &Path,
    manifest: Option<(Place, PluginManifest)>,
) -> Result<PluginFacts, Failure> {
    let component = std::fs::read(path)
        .map_err(|error| format!("its component `{}` cannot be read: {error}", path.display()))
        .and_then(|bytes| plugin_host::component_facts(&bytes).map_err(|error| error.to_string()))
        .map(|mut facts| {
            let toml = match &manifest {
                Some((place, _)) => PathBuf::from(&place.file),
                None => parts.config.paths.manifest(name),
            };
            facts.problems.extend(parts.vouched(path, &toml, &facts.digest).err());
            facts
        });
    let approval = parts.lock.plugins.get(name).map(|entry| (lock_place(parts, name), entry.clone()));
    Ok(PluginFacts { name: name.clone(), file: path.display().to_string(), component, manifest, approval })
}

fn manifest_place(parts: &Parts, name: &PluginName) -> Place {
    Place { file: parts.config.paths.manifest(name).display().to_string(), line: 1 }
}

fn lock_place(parts: &Parts, name: &PluginName) -> Place {
    let file = parts.config.paths.lock_file();
    let line = std::fs::read_to_string(&file).ok().and_then(|text| PluginsLock::line_of(&text, name)).unwrap_or(1);
    Place { file: file.display().to_string(), line }
}

/// What all instances of a store used.
async fn usage(store: &SharedStore) -> Result<Usage, Failure> {
    let mut usage = Usage::default();
    for row in store.instances(InstanceFilter::default()).await? {
        usage.add(&store.history(&row.id, 0).await?);
    }
    Ok(usage)
}
