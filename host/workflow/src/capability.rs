//! What a plugin asks, what a reviewer approved, what a task grants, what the
//! operator allows at most; and the effective grants, which are all of them.
//!
//! Deny by default: an absent field grants nothing, and a task can only narrow.

mod algebra;
mod approval;
mod effective;
mod entries;
mod glob;
mod limits;
mod lock_file;
mod manifest;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::SandboxMode;
use crate::ids::{CommandName, Digest, HttpOrigin, McpTool, ModelName, PluginName, SecretName, TaskPath, TemplateName};
use crate::image::TaskImage;
use crate::origin::Origin;

pub use algebra::Excess;
pub use approval::{LockEntry, LockError, PluginsLock};
pub use effective::{Approval, GrantProblem, effective};
pub use entries::GrantEntry;
pub use jiff::civil::Date;
pub use limits::{Limits, LimitsGrant};
pub use manifest::{ManifestError, PluginManifest, World};

/// A set of powers over the interfaces of the WIT package. `None` denies the interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grants {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts_read: Option<ArtifactsReadGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts_write: Option<ArtifactsWriteGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretsGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasi_baseline: Option<WasiBaselineGrant>,
    /// Not a power: how much of the host one call may use.
    #[serde(default, skip_serializing_if = "LimitsGrant::is_default")]
    pub limits: LimitsGrant,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogGrant {
    pub lines_max: u32,
    pub bytes_max: u64,
}

/// Reads artifacts of its own instance whose reference matches one of the globs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ArtifactsReadGrant {
    /// Over `<task>/<name>`: `*` is one part, `**` as a last part is all below.
    pub names: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ArtifactsWriteGrant {
    /// Exact names; no folders.
    pub names: BTreeSet<String>,
    pub bytes_max: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SandboxGrant {
    pub commands: BTreeSet<CommandName>,
    /// How many commands one attempt may run.
    pub commands_max: u32,
    /// Whether they must be in the step's plan.
    #[serde(default, skip_serializing_if = "Planned::is_free")]
    pub planned: Planned,
}

/// What the plan of a step means for an attempt, from the widest to the narrowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Planned {
    /// Nobody asks for it.
    #[default]
    Free,
    /// It is in the history before the step runs.
    Recorded,
    /// And a command that is not in it is denied.
    Strict,
}

impl Planned {
    pub fn name(self) -> &'static str {
        match self {
            Planned::Free => "free",
            Planned::Recorded => "recorded",
            Planned::Strict => "strict",
        }
    }

    pub fn is_free(&self) -> bool {
        *self == Planned::Free
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretsGrant {
    pub names: BTreeSet<SecretName>,
}

/// Asks models that the operator configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelGrant {
    pub models: BTreeSet<ModelName>,
    /// How many questions one attempt may ask.
    pub questions_max: u32,
    /// Of all answers of one attempt.
    pub answer_tokens_max: u64,
}

/// Calls tools of MCP servers that the operator configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct McpGrant {
    /// `server/tool`
    pub tools: BTreeSet<McpTool>,
    /// How many calls one attempt may make.
    pub calls_max: u32,
}

/// Reads over HTTP, from exactly these origins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpGrant {
    /// `https://index.crates.io`
    pub origins: BTreeSet<HttpOrigin>,
    /// How many requests one attempt may make.
    pub requests_max: u32,
    /// Of all bodies that one attempt receives.
    pub bytes_max: u64,
}

/// Runs a component that was built for an operating system (`wasm32-wasip2`,
/// JavaScript, Python): it gets a clock and randomness of the journal, nothing
/// to read and the log to write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WasiBaselineGrant {}

/// What one task of an instance may do: fixed when the instance starts, part of
/// the audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskPolicy {
    pub template: TemplateName,
    pub mode: SandboxMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<SecretName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginPolicy>,
    /// Of `run.container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<TaskImage>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginPolicy {
    pub name: PluginName,
    pub digest: Digest,
    pub grants: Grants,
}

/// What the outbound calls of an instance may reach, fixed when it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallsPolicy {
    /// Origins that the operator approved.
    pub approved: BTreeSet<Origin>,
    /// What each task calls, by task reference.
    pub tasks: BTreeMap<String, CallPolicy>,
}

/// What one task with an outbound call names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallPolicy {
    /// Origins that stand in the definition. One that is computed is compared
    /// with [`CallsPolicy::approved`] when it is called.
    pub origins: BTreeSet<Origin>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<SecretName>,
}

impl CallsPolicy {
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Origins that stand in the definition and that nobody approved, with the task that calls them.
    pub fn unapproved(&self) -> impl Iterator<Item = (&str, &Origin)> {
        let named = self.tasks.iter().flat_map(|(task, call)| call.origins.iter().map(move |origin| (&**task, origin)));
        named.filter(|(_, origin)| !self.approved.contains(origin))
    }
}

/// The effective policy of an instance, by task reference (a JSON pointer).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectivePolicy {
    pub tasks: BTreeMap<String, TaskPolicy>,
    /// Digest of each sandbox template in use, as loaded at the start.
    pub templates: BTreeMap<TemplateName, Digest>,
    /// Whether a terminal's `--yes` may answer approvals.
    pub allow_auto_approval: bool,
    /// `call: echo` is an effect that answers its input: for benchmarks and simulations.
    #[serde(default)]
    pub echo: bool,
    #[serde(default, skip_serializing_if = "CallsPolicy::is_empty")]
    pub calls: CallsPolicy,
    /// The definition that each `run.workflow` runs, by reference of its task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, ChildDefinition>,
    /// What the tasks of these definitions may do, and of all that they run in turn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definitions: BTreeMap<Digest, EffectivePolicy>,
}

/// A definition that a `run.workflow` names, as it was when the first instance started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildDefinition {
    pub definition: Digest,
    /// `namespace/name:version`.
    pub name: String,
}

impl EffectivePolicy {
    pub fn of(&self, path: &TaskPath) -> Option<&TaskPolicy> {
        self.tasks.get(&path.reference())
    }

    /// The policy of a child that runs `definition`; none if this policy does not know it.
    pub fn of_child(&self, definition: &Digest) -> Option<EffectivePolicy> {
        let own = self.definitions.get(definition)?.clone();
        Some(EffectivePolicy { definitions: self.definitions.clone(), ..own })
    }

    /// This policy and those of all definitions that it runs.
    fn with_children(&self) -> impl Iterator<Item = &EffectivePolicy> {
        [self].into_iter().chain(self.definitions.values())
    }

    /// The image of every task that has one, those of children too, each with the task's reference.
    pub fn images_mut(&mut self) -> impl Iterator<Item = (&str, &mut TaskImage)> {
        let own = self.tasks.iter_mut();
        let of_children = self.definitions.values_mut().flat_map(|policy| policy.tasks.iter_mut());
        own.chain(of_children).filter_map(|(reference, task)| Some((reference.as_str(), task.image.as_mut()?)))
    }

    /// Every secret that some task uses, those of children too.
    pub fn secrets(&self) -> BTreeSet<&SecretName> {
        self.with_children()
            .flat_map(|policy| {
                let of_tasks = policy.tasks.values().flat_map(|task| &task.secrets);
                of_tasks.chain(policy.calls.tasks.values().flat_map(|call| &call.secrets))
            })
            .collect()
    }

    /// As [`CallsPolicy::unapproved`], those of children too.
    pub fn unapproved_calls(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.with_children().flat_map(|policy| policy.calls.unapproved())
    }
}
