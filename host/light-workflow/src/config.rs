//! `light-workflow.toml`: what the operator decides for this host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use workflow::SecretName;
use workflow::capability::Grants;

use crate::output::Failure;

/// The file's name where none is given.
const DEFAULT: &str = "light-workflow.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub egress: Egress,
    pub secrets: BTreeMap<SecretName, SecretFile>,
    pub policy: Policy,
    pub paths: Paths,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// `host:port` as a sandbox names it, to the address the egress proxy connects to.
    pub resolve: BTreeMap<String, SocketAddr>,
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
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            Failure::used_wrongly(format!("{}:{line}: {}", path.display(), error.message()))
        })?;
        if let Some(target) = config.egress.resolve.keys().find(|target| !is_target(target)) {
            return Err(Failure::used_wrongly(format!(
                "{}: `{target}` in [egress.resolve] is not `host:port`, as templates list it",
                path.display()
            )));
        }
        // Secrets lie beside the configuration; the parts of the host may be
        // named absolutely or from the current folder.
        let folder = path.parent().unwrap_or(Path::new(""));
        for secret in config.secrets.values_mut() {
            secret.file = folder.join(&secret.file);
        }
        Ok(config)
    }
}

/// `host:port`, the form of a template's egress.
fn is_target(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
