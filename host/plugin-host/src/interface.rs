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

    /// What to write into the task's grants.
    fn example(self) -> &'static str {
        match self {
            Interface::Log => "log: { lines-max: 1000, bytes-max: 262144 }",
            Interface::ArtifactsRead => "artifacts-read: { names: [\"**\"] }",
            Interface::ArtifactsWrite => "artifacts-write: { names: [report.json], bytes-max: 1048576 }",
            Interface::Sandbox => "sandbox: { commands: [template/command], commands-max: 1 }",
            Interface::Secrets => "secrets: { names: [secret-name] }",
            Interface::SandboxSecret => {
                "sandbox: { commands: [template/command], commands-max: 1 } and secrets: { names: [secret-name] }"
            }
            Interface::Model => "model: { models: [default], questions-max: 1, answer-tokens-max: 2000 }",
            Interface::Mcp => "mcp: { tools: [server/tool], calls-max: 1 }",
            Interface::Http => "http: { origins: [\"https://example.com\"], requests-max: 1, bytes-max: 1048576 }",
            Interface::WasiBaseline => "wasi-baseline: {} and log: { lines-max: 1000, bytes-max: 262144 }",
        }
    }
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

impl fmt::Display for MissingGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions: Vec<_> = self.functions.iter().map(String::as_str).collect();
        if self.interface == Interface::WasiBaseline {
            return write!(
                f,
                "plugin `{}` was built for an operating system (it imports {}), which the task does not grant; add `{}` to the task's grants, or build it for `wasm32-unknown-unknown`",
                self.plugin,
                functions.join(", "),
                self.interface.example()
            );
        }
        write!(
            f,
            "plugin `{}` imports `lightapi:release/{}` ({}), which the task does not grant; add `{}` to the task's grants",
            self.plugin,
            self.interface,
            functions.join(", "),
            self.interface.example()
        )
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
