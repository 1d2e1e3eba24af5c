//! `light-workflow.toml`: what the operator decides for this host.

pub mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use workflow::capability::Grants;
use workflow::distribution::Reference;
use workflow::{ModelName, Origin, PluginName, SecretName};

use self::services::ServerName;
use crate::cli::CallOptions;
use crate::output::Failure;

/// The file's name where none is given.
const DEFAULT: &str = "light-workflow.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub egress: Egress,
    pub calls: Calls,
    pub images: Images,
    /// Language models that plugins may be granted, by the names that grants use.
    pub models: BTreeMap<ModelName, services::Model>,
    /// MCP servers whose tools plugins may be granted: the first part of `server/tool`.
    pub mcp: BTreeMap<ServerName, services::McpServer>,
    pub secrets: BTreeMap<SecretName, SecretFile>,
    pub policy: Policy,
    pub plugins: Plugins,
    /// By the host of a reference: `registry.example:5000`.
    pub registries: BTreeMap<String, Registry>,
    pub paths: Paths,
}

/// Whose plugins this host takes, beside what `plugins.lock` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Plugins {
    /// Whether one of `keys` must have signed a plugin before it is approved, used or loaded.
    pub require_signature: bool,
    /// A name for people, and the file of an Ed25519 public key in PEM.
    pub keys: BTreeMap<String, PathBuf>,
}

/// A registry that plugins are pushed to and pulled from, and images are fetched from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Registry {
    /// Secret with `name:password`, or a token.
    pub secret: Option<SecretName>,
    /// Origins that it may send us to: a service that gives tokens, a store of blobs.
    pub also: BTreeSet<Origin>,
    /// Reach it without TLS [default: only on this machine].
    pub plain_http: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// `host:port` as a sandbox names it, to the address the egress proxy connects to.
    pub resolve: BTreeMap<String, SocketAddr>,
}

/// What the host's own calls (`call: http` and kin) may reach; by default nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Origins like `https://api.example.com`. A name must lead to a public address.
    pub allow: BTreeSet<Origin>,
    /// Origins whose names may lead to private and loopback addresses.
    pub internal: BTreeSet<Origin>,
    /// `host:port` to the address that is called instead. It approves that host.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// Folder whose files definitions may name as documents (`file://…`).
    pub files: Option<PathBuf>,
    /// PEM file with authorities to trust beside those of the machine.
    pub ca: Option<PathBuf>,
}

/// Which images `run.container` may run; by default none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// `registry`, `registry/folder` or `registry/folder/name`: all below is approved.
    pub allow: BTreeSet<String>,
    /// Where they are kept [default: `images` in the data folder].
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    pub file: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Policy {
    /// Whether `--yes` may answer approvals of requests that demand no person.
    pub auto_approve: bool,
    /// The most that any plugin may do; absent: what its review approved.
    pub ceiling: Option<Grants>,
}

/// Where this host's parts lie, relative to the working directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    pub definitions: PathBuf,
    pub templates: PathBuf,
    /// Folder with a `plugin.toml` for each plugin.
    pub plugins: PathBuf,
    /// What reviewers approved [default: `plugins.lock` in `plugins`].
    pub lock: Option<PathBuf>,
    /// Folder with the components, `NAME.wasm`.
    pub components: PathBuf,
}

impl Paths {
    /// What a plugin asks for.
    pub fn manifest(&self, name: &PluginName) -> PathBuf {
        self.plugins.join(name.as_str()).join("plugin.toml")
    }

    /// Where reviewers' approvals are kept.
    pub fn lock_file(&self) -> PathBuf {
        self.lock.clone().unwrap_or_else(|| self.plugins.join("plugins.lock"))
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            definitions: "definitions".into(),
            templates: "sandbox-templates".into(),
            plugins: "plugins".into(),
            lock: None,
            components: "target/plugins".into(),
        }
    }
}

impl Config {
    /// Adds what the command line says about outbound calls.
    pub fn with_calls(mut self, calls: &CallOptions) -> Self {
        self.calls.allow.extend(calls.allow.iter().cloned());
        self.images.allow.extend(calls.allow_image.iter().cloned());
        self.calls.resolve.extend(calls.http_resolve.iter().map(|mapped| (mapped.target.clone(), mapped.address)));
        if let Some(ca) = &calls.http_ca {
            self.calls.ca = Some(ca.clone());
        }
        self
    }

    /// Reads `file`, or the default one if it exists. Files of secrets are made
    /// relative to the folder it lies in.
    pub fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let path = match file {
            Some(file) => file,
            None if Path::new(DEFAULT).exists() => Path::new(DEFAULT),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::used_wrongly(format!("failed to read the configuration `{}`: {error}", path.display()))
        })?;
        let mut config: Config = toml::from_str(&text).map_err(|error| {
            let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
            Failure::used_wrongly(format!("{}:{line}:{column}: {}", path.display(), error.message()))
        })?;
        if let Some(target) = config.egress.resolve.keys().find(|target| !is_target(target)) {
            return Err(Failure::used_wrongly(format!(
                "{}: `{target}` in [egress.resolve] is not `host:port`, as templates list it",
                path.display()
            )));
        }
        if let Some(target) = config.calls.resolve.keys().find(|target| !is_callee(target)) {
            return Err(Failure::used_wrongly(format!(
                "{}: `{target}` in [calls.resolve] is not `host:port`",
                path.display()
            )));
        }
        if let Some(rule) = config.images.allow.iter().find(|rule| !is_image_rule(rule)) {
            return Err(Failure::used_wrongly(format!(
                "{}: `{rule}` in [images] is no registry, and no folder or image below one, like `docker.io/library/alpine`",
                path.display()
            )));
        }
        if config.plugins.require_signature && config.plugins.keys.is_empty() {
            return Err(Failure::used_wrongly(format!(
                "{}: `require-signature` in [plugins] needs a key in [plugins.keys]: without one no plugin can be used",
                path.display()
            )));
        }
        let is_registry =
            |host: &str| format!("{host}/x").parse::<Reference>().is_ok_and(|reference| reference.registry == host);
        if let Some(host) = config.registries.keys().find(|host| !is_registry(host)) {
            return Err(Failure::used_wrongly(format!(
                "{}: `{host}` in [registries] is not the host of a reference, like `registry.example:5000`",
                path.display()
            )));
        }
        // Secrets, keys and authorities lie beside the configuration; the parts of the host may be
        // named absolutely or from the current folder.
        let folder = path.parent().unwrap_or(Path::new(""));
        for secret in config.secrets.values_mut() {
            secret.file = folder.join(&secret.file);
        }
        for key in config.plugins.keys.values_mut() {
            *key = folder.join(&key);
        }
        config.calls.files = config.calls.files.map(|files| folder.join(files));
        config.calls.ca = config.calls.ca.map(|ca| folder.join(ca));
        Ok(config)
    }
}

/// Line and column of a byte, in characters from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// `host:port` in the spelling that an origin has.
pub fn is_callee(text: &str) -> bool {
    let origin: Result<Origin, _> = format!("http://{text}").parse();
    origin.is_ok_and(|origin| origin.authority() == text)
}

/// `registry`, or what lies below it, in the spelling that a reference has; without tag and digest.
pub fn is_image_rule(text: &str) -> bool {
    let reference: Result<Reference, _> = format!("{text}/x").parse();
    reference.is_ok_and(|reference| reference.name() == format!("{text}/x"))
}

/// `host:port`, the form of a template's egress.
fn is_target(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
