//! The reviewer's view: what each plugin and each task can reach, through the
//! command templates, and what stands against it.
//!
//! Everything is handed in as facts: what the bytes import, what was asked,
//! approved and granted, what the templates make of a command, what past runs
//! used. A [`Report`] is made of these alone, so it can be made offline, and
//! its rows are the effective policy that the engine enforces.

mod build;
mod difference;
mod explain;
mod findings;
mod places;
mod render;
mod sarif;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capability::{Date, LockEntry, PluginManifest, World};
use crate::command::SandboxMode;
use crate::definition::Definition;
use crate::ids::{CommandName, Digest, PluginName, SecretName, TemplateName};
use crate::image::TaskImage;

pub use build::report;
pub use difference::{Change, Side, StepDescription, difference};
pub use explain::{Denied, Explanation, KeyState, NoDenial, explain};
pub use places::Places;
pub use usage::{Count, Usage};

/// Names the form of a report's JSON. A field that goes or changes its meaning
/// raises the number; a field more does not.
pub const SCHEMA: &str = "light-workflow/plugin-report/1";

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What the bytes of a component say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentFacts {
    pub digest: Digest,
    pub size_bytes: u64,
    pub class: ComponentClass,
    /// The world with the fewest powers that has all imports; none if no world has them.
    pub smallest_world: Option<World>,
    /// Interface with package and version to the functions imported of it.
    pub functions: BTreeMap<String, BTreeSet<String>>,
    /// Key of a grant (`sandbox`) to the imported functions that need it (`sandbox.exec`).
    pub needs: BTreeMap<String, BTreeSet<String>>,
    /// What stands between these bytes and this host, whatever is granted.
    pub problems: Vec<String>,
}

/// What a component may hold beside our own package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentClass {
    /// Its import list is its capability list.
    ImportPure,
    /// It imports WASI too: clocks and randomness from the journal, streams into the log.
    WasiBaseline,
    /// It imports more than this host links for anyone, so it cannot be called here.
    Other,
}

impl ComponentClass {
    pub fn name(self) -> &'static str {
        match self {
            ComponentClass::ImportPure => "import-pure",
            ComponentClass::WasiBaseline => "wasi-baseline",
            ComponentClass::Other => "other",
        }
    }
}

/// One plugin as this host has it.
#[derive(Debug, Clone)]
pub struct PluginFacts {
    pub name: PluginName,
    /// The component's file.
    pub file: String,
    /// Or why it cannot be read.
    pub component: Result<ComponentFacts, String>,
    pub manifest: Option<(Place, PluginManifest)>,
    pub approval: Option<(Place, LockEntry)>,
}

/// One definition and the policy that this host makes of it.
pub struct DefinitionFacts<'a> {
    pub file: String,
    pub definition: &'a Definition,
    /// Of every task that is not refused.
    pub policy: &'a crate::capability::EffectivePolicy,
    pub problems: &'a [crate::policy::PolicyProblem],
}

/// A file that is no valid definition: nothing of it can run.
#[derive(Debug, Clone)]
pub struct UnreadDefinition {
    pub file: String,
    pub problems: Vec<(usize, String)>,
}

/// What a command template lets a tool reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandReach {
    pub command: CommandName,
    pub summary: String,
    /// Program and arguments; `{name}` is filled with a parameter.
    pub argv: Vec<String>,
    /// Parameter to what it accepts.
    pub parameters: BTreeMap<String, String>,
    pub sandbox: SandboxReach,
    /// None: any mode.
    pub mode: Option<SandboxMode>,
    /// `host:port`, all that the command may reach.
    pub egress: BTreeSet<String>,
    /// Path below the workspace to the artifact parameter that is mounted there.
    pub mounts: BTreeMap<String, String>,
    /// Variable to secret name.
    pub secrets: BTreeMap<String, SecretName>,
    pub capture: Vec<String>,
    pub time_limit_seconds: u64,
}

/// What a sandbox template is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SandboxReach {
    pub template: TemplateName,
    pub template_digest: Digest,
    /// Id of the image; none: it has not been looked up, or there is none.
    pub image: Option<Digest>,
    /// The image as the definition names it; none: the machine's own `/usr`, read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// Tool to the versions it must answer.
    pub tools: BTreeMap<String, String>,
    pub memory_mib: u64,
    pub processes: u64,
    pub output_mib: u64,
    pub workspace_mib: u64,
    /// Every mount beside the image: what a command finds there.
    pub mounts: Vec<String>,
}

impl SandboxReach {
    /// The same sandbox around an image.
    pub(crate) fn with_image(self, image: &TaskImage) -> Self {
        let (id, name) = match &image.pinned {
            Some(pinned) => (Some(pinned.image.id.clone()), &pinned.image.reference),
            None => (None, &image.name),
        };
        Self { image: id, image_name: Some(name.to_string()), tools: BTreeMap::new(), ..self }
    }
}

/// The templates of a host, as a report asks for them.
pub type Commands<'a> = dyn Fn(&CommandName) -> Option<CommandReach> + 'a;
/// The sandbox of a `run` task.
pub type Sandboxes<'a> = dyn Fn(&TemplateName) -> Option<SandboxReach> + 'a;

/// All that a report is made of.
pub struct Facts<'a> {
    pub today: Date,
    pub plugins: &'a [PluginFacts],
    pub definitions: &'a [DefinitionFacts<'a>],
    pub unread: &'a [UnreadDefinition],
    pub commands: &'a Commands<'a>,
    pub sandboxes: &'a Sandboxes<'a>,
    /// Of past runs; none if there is no store to look into.
    pub usage: Option<&'a Usage>,
}

/// How a finding is meant. Each is explained in `docs/plugins-review.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Verdict {
    /// The engine does not start it.
    Refused,
    /// Bytes, version or asks are not those that were reviewed.
    Drift,
    /// The review counts no longer.
    Expired,
    /// Written down as a bound, and this host does not hold it.
    Unenforced,
    /// Granted, and not needed.
    OverGrant,
}

impl Verdict {
    pub const ALL: [Verdict; 5] =
        [Verdict::Refused, Verdict::Drift, Verdict::Expired, Verdict::Unenforced, Verdict::OverGrant];

    pub fn name(self) -> &'static str {
        match self {
            Verdict::Refused => "REFUSED",
            Verdict::Drift => "DRIFT",
            Verdict::Expired => "EXPIRED",
            Verdict::Unenforced => "UNENFORCED",
            Verdict::OverGrant => "OVER-GRANT",
        }
    }

    /// One sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Verdict::Refused => "The engine does not start it.",
            Verdict::Drift => "Bytes, version or asks are not those that were reviewed.",
            Verdict::Expired => "The review counts no longer.",
            Verdict::Unenforced => "It is written down as a bound, and this host does not hold it.",
            Verdict::OverGrant => "It is granted, and nothing needs it.",
        }
    }

    /// Whether a release that meets it does not start.
    pub fn is_error(self) -> bool {
        match self {
            Verdict::Refused | Verdict::Drift | Verdict::Expired | Verdict::Unenforced => true,
            Verdict::OverGrant => false,
        }
    }
}

/// Something a reviewer should act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    pub message: String,
    pub place: Place,
}

/// What plugins and tasks can reach on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub schema: String,
    pub today: Date,
    pub plugins: Vec<PluginRow>,
    pub tasks: Vec<TaskRow>,
    pub findings: Vec<Finding>,
    /// How many past runs were looked at; none if there is no store.
    pub runs: Option<u64>,
}

/// A plugin with its keys: what it asks, what was approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginRow {
    pub name: PluginName,
    pub version: Option<semver::Version>,
    pub summary: Option<String>,
    pub file: String,
    /// The world it asks for.
    pub world: Option<World>,
    pub component: Option<ComponentFacts>,
    pub asks: Vec<Ask>,
    pub approval: Option<ApprovalRow>,
    /// What is not as it was when it was reviewed, a line each.
    pub changes: Vec<String>,
}

/// One key of a plugin's asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    pub capability: String,
    pub reason: String,
    /// Imported functions that need it.
    pub functions: BTreeSet<String>,
    pub asked: Vec<String>,
    pub approved: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRow {
    pub digest: Digest,
    pub reviewer: String,
    pub reviewed: Date,
    pub expires: Date,
    pub place: Place,
}

/// A task that acts, and everything it can reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRow {
    /// `namespace/name:version`.
    pub definition: String,
    pub task: String,
    /// JSON pointer in the definition.
    pub reference: String,
    pub place: Place,
    /// None: the definition's own command (`run`).
    pub plugin: Option<PluginName>,
    pub digest: Option<Digest>,
    /// None: refused, so it reaches nothing.
    pub template: Option<TemplateName>,
    pub mode: Option<SandboxMode>,
    pub refused: bool,
    pub reaches: Vec<Reach>,
}

/// One thing that a task can reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// Key of the grant: `sandbox`; `run` for a definition's own command.
    pub capability: String,
    /// `rust-release/cargo-build`, `report.json`, `cargo-registry-token`.
    pub subject: String,
    /// How much of it: `at most 3 commands an attempt`.
    pub bound: Option<String>,
    /// Where it is granted.
    pub place: Place,
    /// What a command reaches through its template.
    pub through: Option<Box<CommandReach>>,
    /// In past runs; none: no store, or calls of this kind are not recorded.
    pub used: Option<Count>,
}

impl Report {
    /// The part of it that is about one plugin.
    pub fn about(mut self, plugin: &PluginName) -> Self {
        self.plugins.retain(|row| row.name == *plugin);
        self.tasks.retain(|row| row.plugin.as_ref() == Some(plugin));
        self.findings.retain(|finding| finding.plugin.as_ref() == Some(plugin));
        self
    }

    /// Whether something here does not start.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict.is_error())
    }
}
