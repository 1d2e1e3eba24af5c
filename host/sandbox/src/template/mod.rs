//! Sandbox templates: what a command runs in, and which commands there are.
//!
//! `sandbox-templates/README.md` describes the format. Everything is checked
//! when a template is loaded, so that filling a command can fail only by the
//! values that are given.

mod document;
mod load;
mod parameter;
mod pattern;
mod planned;
mod reach;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use workflow::command::SandboxMode;
use workflow::{Command, CommandName, Digest, SecretName, TemplateName};

pub use parameter::{Parameter, ParameterKind, ParameterValue, TextRule};
pub use pattern::{Item, Text};
pub use resolve::ResolveError;

/// A sandbox template that was loaded and checked.
#[derive(Debug, Clone)]
pub struct Template {
    name: TemplateName,
    version: String,
    summary: String,
    digest: Digest,
    rootfs: Rootfs,
    tools: BTreeMap<String, semver::VersionReq>,
    limits: Limits,
    environment: BTreeMap<String, String>,
    egress: BTreeSet<String>,
    commands: BTreeMap<String, CommandTemplate>,
}

/// What the root file system is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rootfs {
    /// The machine's `/usr`, read-only. Not an image: its digest is of the package list.
    Host,
    /// The image that a `run.container` brings; nothing else runs in it.
    Container,
}

/// The most one command may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Wall clock.
    pub time_limit_seconds: u64,
    pub memory_mib: u64,
    pub processes: u64,
    /// Both output streams together.
    pub output_mib: u64,
    /// One file.
    pub file_size_mib: u64,
    /// Workspace and home together.
    pub workspace_mib: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_limit_seconds: 1800,
            memory_mib: 4096,
            processes: 512,
            output_mib: 64,
            file_size_mib: 2048,
            workspace_mib: 8192,
        }
    }
}

impl Limits {
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(self.time_limit_seconds)
    }

    pub fn memory_bytes(&self) -> u64 {
        self.memory_mib << 20
    }

    pub fn output_bytes(&self) -> u64 {
        self.output_mib << 20
    }

    pub fn file_size_bytes(&self) -> u64 {
        self.file_size_mib << 20
    }

    pub fn workspace_bytes(&self) -> u64 {
        self.workspace_mib << 20
    }
}

/// A command with parameters.
#[derive(Debug, Clone)]
pub struct CommandTemplate {
    pub summary: String,
    pub argv: Vec<Item>,
    /// None: any mode.
    pub mode: Option<SandboxMode>,
    pub parameters: BTreeMap<String, Parameter>,
    pub working_directory: Text,
    /// None: the template's own.
    pub time_limit_seconds: Option<u64>,
    pub environment: BTreeMap<String, Text>,
    pub egress: BTreeSet<String>,
    /// Variable name to secret name.
    pub secrets: BTreeMap<String, SecretName>,
    /// Path below the workspace to the artifact parameter that fills it.
    pub inputs: BTreeMap<String, String>,
    pub capture: Vec<Text>,
}

/// Why a template is not used: a file that cannot be read, or a mistake in it.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// `line` counts from 1.
    #[error("{}:{line}: {message}", path.display())]
    Invalid { path: PathBuf, line: usize, message: String },
}

impl Template {
    /// Reads `folder/template.toml`; the folder has the template's name.
    pub fn load(folder: &Path) -> Result<Self, TemplateError> {
        let path = folder.join("template.toml");
        let source =
            std::fs::read_to_string(&path).map_err(|source| TemplateError::Read { path: path.clone(), source })?;
        // A relative folder may be `.`, which has no name of its own.
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let expected = whole.file_name().and_then(|name| name.to_str());
        load::parse(&source, expected).map_err(|(line, message)| TemplateError::Invalid { path, line, message })
    }

    pub fn name(&self) -> &TemplateName {
        &self.name
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Of the bytes of `template.toml`.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    pub fn rootfs(&self) -> &Rootfs {
        &self.rootfs
    }

    /// Tools that must answer `--version`, with the versions they must answer.
    pub fn tools(&self) -> &BTreeMap<String, semver::VersionReq> {
        &self.tools
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// `host:port`: the most that any command may reach.
    pub fn egress(&self) -> &BTreeSet<String> {
        &self.egress
    }

    pub fn commands(&self) -> &BTreeMap<String, CommandTemplate> {
        &self.commands
    }
}

/// What a `run.container` is bounded by where the definition names no template.
const BUILT_IN: &str = include_str!("container.toml");

/// The templates of a host, by name.
#[derive(Debug, Clone, Default)]
pub struct Templates(BTreeMap<TemplateName, Template>);

impl Templates {
    /// These, and the template of a `run.container` that names none, unless it is among them.
    pub fn with_built_in(mut self) -> Self {
        let built_in = load::parse(BUILT_IN, None).unwrap_or_else(|(line, message)| panic!("line {line}: {message}"));
        self.0.entry(built_in.name.clone()).or_insert(built_in);
        self
    }

    /// Loads every folder of `folder` that has a `template.toml`.
    pub fn load(folder: &Path) -> Result<Self, TemplateError> {
        let unreadable = |source| TemplateError::Read { path: folder.to_owned(), source };
        let mut templates = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.join("template.toml").is_file() {
                let template = Template::load(&path)?;
                templates.insert(template.name.clone(), template);
            }
        }
        Ok(Self(templates))
    }

    pub fn get(&self, name: &TemplateName) -> Option<&Template> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.0.values()
    }

    pub fn digests(&self) -> BTreeMap<TemplateName, Digest> {
        self.0.iter().map(|(name, template)| (name.clone(), template.digest.clone())).collect()
    }

    /// The command that the named template makes of these parameters.
    pub fn resolve(
        &self,
        name: &CommandName,
        parameters: &BTreeMap<String, ParameterValue>,
        mode: SandboxMode,
    ) -> Result<Command, ResolveError> {
        let (template, _) = name.as_str().split_once('/').expect("a command name has two parts");
        let template = TemplateName::new(template).expect("the first part is a label");
        let Some(template) = self.get(&template) else {
            return Err(ResolveError::UnknownTemplate { template, known: self.0.keys().cloned().collect() });
        };
        template.resolve(name, parameters, mode)
    }
}

impl FromIterator<Template> for Templates {
    fn from_iter<I: IntoIterator<Item = Template>>(templates: I) -> Self {
        Self(templates.into_iter().map(|template| (template.name.clone(), template)).collect())
    }
}
