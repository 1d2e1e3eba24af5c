//! The interfaces of the WIT package, what this host offers of them, and which
//! grant each one needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use wit_parser::{Resolve, WorldItem, WorldKey};
use workflow::capability::{Grants, World};

use crate::shape::shapes;

/// A capability: an interface with functions that a plugin may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    Log,
    ArtifactsRead,
    ArtifactsWrite,
    Sandbox,
    Secrets,
    SandboxSecret,
    Model,
    Mcp,
    Http,
    /// Not one interface: all that a component of the class wasi-baseline imports of WASI.
    WasiBaseline,
}

impl Interface {
    pub const ALL: [Interface; 10] = [
        Interface::Log,
        Interface::ArtifactsRead,
        Interface::ArtifactsWrite,
        Interface::Sandbox,
        Interface::Secrets,
        Interface::SandboxSecret,
        Interface::Model,
        Interface::Mcp,
        Interface::Http,
        Interface::WasiBaseline,
    ];

    /// As in the WIT package and in a denial.
    pub fn name(self) -> &'static str {
        match self {
            Interface::Log => "log",
            Interface::ArtifactsRead => "artifacts-read",
            Interface::ArtifactsWrite => "artifacts-write",
            Interface::Sandbox => "sandbox",
            Interface::Secrets => "secrets",
            Interface::SandboxSecret => "sandbox-secret",
            Interface::Model => "model",
            Interface::Mcp => "mcp",
            Interface::Http => "http",
            Interface::WasiBaseline => "wasi-baseline",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interface| interface.name() == name)
    }

    /// Whether `grants` holds all that this interface needs.
    pub fn is_granted(self, grants: &Grants) -> bool {
        match self {
            Interface::Log => grants.log.is_some(),
            Interface::ArtifactsRead => grants.artifacts_read.is_some(),
            Interface::ArtifactsWrite => grants.artifacts_write.is_some(),
            Interface::Sandbox => grants.sandbox.is_some(),
            Interface::Secrets => grants.secrets.is_some(),
            Interface::SandboxSecret => grants.sandbox.is_some() && grants.secrets.is_some(),
            Interface::Model => grants.model.is_some(),
            Interface::Mcp => grants.mcp.is_some(),
            Interface::Http => grants.http.is_some(),
            // What it prints goes to the log, and must be bounded there.
            Interface::WasiBaseline => grants.wasi_baseline.is_some() && grants.log.is_some(),
        }
    }

    /// The keys of a grant that this interface needs.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Interface::Log => &["log"],
            Interface::ArtifactsRead => &["artifacts-read"],
            Interface::ArtifactsWrite => &["artifacts-write"],
            Interface::Sandbox => &["sandbox"],
            Interface::Secrets => &["secrets"],
            Interface::SandboxSecret => &["sandbox", "secrets"],
            Interface::Model => &["model"],
            Interface::Mcp => &["mcp"],
            Interface::Http => &["http"],
            Interface::WasiBaseline => &["wasi-baseline", "log"],
        }
    }

    /// What to write into the task's grants: no more than `approved` has, where it has any of it.
    fn example(self, approved: &Grants) -> String {
        match self {
            Interface::Log => {
                let grant = approved.log.as_ref();
                let lines = grant.map_or(1000, |grant| grant.lines_max.min(1000));
                let bytes = grant.map_or(262_144, |grant| grant.bytes_max.min(262_144));
                format!("log: {{ lines-max: {lines}, bytes-max: {bytes} }}")
            }
            Interface::ArtifactsRead => {
                let names = approved.artifacts_read.as_ref().map(|grant| &grant.names);
                format!("artifacts-read: {{ names: [{}] }}", quoted(names, "**"))
            }
            Interface::ArtifactsWrite => {
                let grant = approved.artifacts_write.as_ref();
                let names = listed(grant.map(|grant| &grant.names), "report.json");
                let bytes = grant.map_or(1_048_576, |grant| grant.bytes_max.min(1_048_576));
                format!("artifacts-write: {{ names: [{names}], bytes-max: {bytes} }}")
            }
            Interface::Sandbox => {
                let commands = listed(approved.sandbox.as_ref().map(|grant| &grant.commands), "template/command");
                format!("sandbox: {{ commands: [{commands}], commands-max: 1 }}")
            }
            Interface::Secrets => {
                let names = listed(approved.secrets.as_ref().map(|grant| &grant.names), "secret-name");
                format!("secrets: {{ names: [{names}] }}")
            }
            Interface::SandboxSecret => {
                format!("{} and {}", Interface::Sandbox.example(approved), Interface::Secrets.example(approved))
            }
            Interface::Model => {
                let grant = approved.model.as_ref();
                let models = listed(grant.map(|grant| &grant.models), "default");
                let tokens = grant.map_or(2000, |grant| grant.answer_tokens_max.min(2000));
                format!("model: {{ models: [{models}], questions-max: 1, answer-tokens-max: {tokens} }}")
            }
            Interface::Mcp => {
                let tools = listed(approved.mcp.as_ref().map(|grant| &grant.tools), "server/tool");
                format!("mcp: {{ tools: [{tools}], calls-max: 1 }}")
            }
            Interface::Http => {
                let grant = approved.http.as_ref();
                let origins = quoted(grant.map(|grant| &grant.origins), "https://example.com");
                let bytes = grant.map_or(1_048_576, |grant| grant.bytes_max.min(1_048_576));
                format!("http: {{ origins: [{origins}], requests-max: 1, bytes-max: {bytes} }}")
            }
            Interface::WasiBaseline => format!("wasi-baseline: {{}} and {}", Interface::Log.example(approved)),
        }
    }
}

/// Names as YAML has them, or one that shows the form.
fn listed<T: fmt::Display>(names: Option<&BTreeSet<T>>, form: &str) -> String {
    match names.filter(|names| !names.is_empty()) {
        Some(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        None => form.to_owned(),
    }
}

/// As [`listed`], for names that YAML wants in quotes.
fn quoted<T: fmt::Display>(names: Option<&BTreeSet<T>>, form: &str) -> String {
    let names: BTreeSet<String> = names.into_iter().flatten().map(|name| format!("\"{name}\"")).collect();
    listed(Some(&names), &format!("\"{form}\""))
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An imported interface that is not granted: the plugin is not instantiated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingGrant {
    pub plugin: String,
    pub interface: Interface,
    pub functions: BTreeSet<String>,
}

impl MissingGrant {
    /// For people, with what to write: no more than the review `approved`.
    pub fn text(&self, approved: &Grants) -> String {
        let functions: Vec<_> = self.functions.iter().map(String::as_str).collect();
        let (plugin, functions, example) = (&self.plugin, functions.join(", "), self.interface.example(approved));
        if self.interface == Interface::WasiBaseline {
            return format!(
                "plugin `{plugin}` was built for an operating system (it imports {functions}), which the task does not grant; add `{example}` to the task's grants, or build it for `wasm32-unknown-unknown`"
            );
        }
        format!(
            "plugin `{plugin}` imports `lightapi:release/{}` ({functions}), which the task does not grant; add `{example}` to the task's grants",
            self.interface
        )
    }
}

impl fmt::Display for MissingGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&Grants::default()))
    }
}

/// Every imported interface that is not granted, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingGrants(pub Vec<MissingGrant>);

impl fmt::Display for MissingGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

/// A grant that the plugin cannot use: it imports no function that needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverGrant {
    pub plugin: String,
    /// A key of the grants: `secrets`.
    pub key: String,
}

impl fmt::Display for OverGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin `{}` is granted `{}` and imports nothing that needs it; remove it", self.plugin, self.key)
    }
}

/// What `imports` needs and `grants` lacks.
pub(crate) fn missing_grants(
    plugin: &str,
    imports: &BTreeMap<Interface, BTreeSet<String>>,
    grants: &Grants,
) -> Vec<MissingGrant> {
    let ungranted = imports.iter().filter(|(interface, _)| !interface.is_granted(grants));
    ungranted
        .map(|(interface, functions)| MissingGrant {
            plugin: plugin.to_owned(),
            interface: *interface,
            functions: functions.clone(),
        })
        .collect()
}

/// What `grants` holds and `imports` has no use for.
pub(crate) fn over_grants(
    plugin: &str,
    imports: &BTreeMap<Interface, BTreeSet<String>>,
    grants: &Grants,
) -> Vec<OverGrant> {
    let used: BTreeSet<&str> = imports.keys().flat_map(|interface| interface.keys()).copied().collect();
    let granted = grants.keys().into_iter().filter(|key| !used.contains(key));
    granted.map(|key| OverGrant { plugin: plugin.to_owned(), key: key.to_owned() }).collect()
}

/// The WIT package as this host was built with it.
pub(crate) struct Offer {
    /// `0.1.0`
    pub version: semver::Version,
    /// Interface name (`log`) to its functions, resource methods included.
    pub interfaces: BTreeMap<String, BTreeSet<String>>,
    /// The types of each of these functions.
    pub shapes: BTreeMap<String, BTreeMap<String, String>>,
    worlds: BTreeMap<World, BTreeSet<Interface>>,
}

/// `lightapi:release`
pub(crate) const PACKAGE: &str = "lightapi:release";
/// The export that makes a component a step.
pub(crate) const STEP: &str = "step";

pub(crate) static OFFER: LazyLock<Offer> = LazyLock::new(|| {
    Offer::read(include_str!("../../../wit/release.wit")).expect("the WIT package of this host parses: a test reads it")
});

/// The package and version that this host offers: `lightapi:release@0.1.0`.
pub fn package_offered() -> String {
    format!("{PACKAGE}@{}", OFFER.version)
}

impl Offer {
    fn read(text: &str) -> Result<Self, String> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("release.wit", text).map_err(|error| format!("{error:#}"))?;
        let package = &resolve.packages[package];
        let version = package.name.version.clone().expect("the package has a version");
        let functions = |id: &wit_parser::InterfaceId| resolve.interfaces[*id].functions.keys().cloned().collect();
        let interfaces = package.interfaces.iter().map(|(name, id)| (name.clone(), functions(id))).collect();
        let shapes = package.interfaces.iter().map(|(name, id)| (name.clone(), shapes(&resolve, *id))).collect();
        let mut worlds = BTreeMap::new();
        for world in World::ALL {
            let id = package.worlds.get(world.name()).expect("every world of the policy is in the package");
            let imports = resolve.worlds[*id].imports.iter().filter_map(|(key, item)| match (key, item) {
                (WorldKey::Interface(id), WorldItem::Interface { .. }) => resolve.interfaces[*id].name.as_deref(),
                _ => None,
            });
            worlds.insert(world, imports.filter_map(Interface::of_name).collect());
        }
        Ok(Self { version, interfaces, shapes, worlds })
    }

    /// The capabilities of a world.
    pub fn world(&self, world: World) -> &BTreeSet<Interface> {
        &self.worlds[&world]
    }
}
