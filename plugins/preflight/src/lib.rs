//! Checks a release request before any side effect that others could see.
//!
//! Every check runs, so that a person sees all that is wrong at once. P5 to P7
//! belong to portal releases and are not this plugin's.
//!
//! Source: “Preflight Checks” in the design document (P1 to P4, P8, P9).

mod checks;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use step_kit::{About, Host, Invocation, Level, Planned, Step, StepError, git, index};

/// What a task passes in `with`: the release request, and what the definition knows beside it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    release_id: String,
    repos: Vec<Repository>,
    /// Crates known before the checkout; versions must not be in the registry yet.
    #[serde(default)]
    crates: Vec<Crate>,
    registry_index: Option<String>,
    #[serde(default = "tag_prefix")]
    tag_prefix: String,
    /// Tool to the version it must answer, or the first parts of one.
    #[serde(default)]
    tools: BTreeMap<String, String>,
    publish_policy: PublishPolicy,
    /// Tasks of the definition that ask for the approval to publish.
    #[serde(default)]
    approval_tasks: Vec<String>,
}

fn tag_prefix() -> String {
    "v".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repository {
    name: String,
    url: String,
    #[serde(rename = "ref")]
    reference: String,
    version: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Crate {
    name: String,
    version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PublishPolicy {
    require_human_approval: bool,
    #[serde(default, rename = "allowAiPatch")]
    _allow_ai_patch: bool,
    #[serde(default, rename = "maxRepairAttempts")]
    _max_repair_attempts: u32,
}

/// One answered question. `id` is the requirement's.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Check {
    id: &'static str,
    /// A repository, a crate, a tool.
    subject: String,
    ok: bool,
    detail: String,
}

/// The step.
pub struct Preflight;

impl Step for Preflight {
    fn about() -> About {
        About {
            name: "preflight",
            summary: "Checks a release request before any side effect",
            input_schema: include_str!("../schema/input.json"),
            output_schema: include_str!("../schema/output.json"),
            idempotent: true,
        }
    }

    fn plan(input: &str) -> Result<Vec<Planned>, StepError> {
        let input: Input = step_kit::input(input)?;
        Ok(input.commands().iter().map(Invocation::planned).collect())
    }

    fn execute(host: &mut dyn Host, input: &str) -> Result<Value, StepError> {
        let input: Input = step_kit::input(input)?;
        let checks = checks::all(host, &input)?;
        let failed: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
        if failed.is_empty() {
            host.log(Level::Info, &format!("{} checks passed for release {}", checks.len(), input.release_id));
            return Ok(json!({ "checks": checks, "ok": true }));
        }
        for check in &failed {
            host.log(Level::Warn, &format!("{} {}: {}", check.id, check.subject, check.detail));
        }
        let texts: Vec<_> =
            failed.iter().map(|check| format!("{} {}: {}", check.id, check.subject, check.detail)).collect();
        Err(StepError::NeedsHuman(format!("release {} is refused: {}", input.release_id, texts.join("; "))))
    }
}

impl Input {
    fn commands(&self) -> Vec<Invocation> {
        let mut commands: Vec<_> = self.repos.iter().map(|repository| repository.list()).collect();
        if let Some(registry) = &self.registry_index {
            commands.extend(self.crates.iter().map(|krate| index::look_up(registry, &krate.name, checks::WHY_INDEX)));
        }
        if !self.tools.is_empty() {
            commands.push(checks::tool_versions());
        }
        commands
    }

    fn tag(&self, repository: &Repository) -> String {
        format!("{}{}", self.tag_prefix, repository.version)
    }
}

impl Repository {
    fn list(&self) -> Invocation {
        git::ls_remote(&self.url, "the remote answers, has the branch, and has no such tag yet")
    }
}

// Native builds are for tests; a linker for them cannot write a component's export names.
#[cfg(target_arch = "wasm32")]
step_kit::export_step!(build, Preflight);
