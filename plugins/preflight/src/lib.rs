//! Checks a release request before any side effect that others could see.
//!
//! Every check runs, so that a person sees all that is wrong at once. P5 to P7
//! belong to portal releases and are not this plugin's.
//!
//! Source: “Preflight Checks” in the design document (P1 to P4, P8, P9).

mod checks;

use std::collections::BTreeMap;

use light_workflow_sdk::{Invocation, Level, Planned, ProbeHost, Step, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use step_kit::{git, index};

/// What a task passes in `with`: the release request, and what the definition knows beside it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    name: String,
    url: String,
    #[serde(rename = "ref")]
    reference: String,
    version: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crate {
    name: String,
    version: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishPolicy {
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

impl Check {
    /// Whether only another request can put it right; else the remotes or the machine may.
    fn is_of_the_request(&self) -> bool {
        ["P1", "P2", "P8"].contains(&self.id)
    }
}

/// The step.
pub struct Preflight;

impl<H: ProbeHost> Step<H> for Preflight {
    type Input = Input;
    type Output = Value;

    const NAME: &'static str = "preflight";
    const SUMMARY: &'static str = "Checks a release request before any side effect";
    const IDEMPOTENT: bool = true;

    fn plan(input: &Input) -> Result<Vec<Planned>, StepError> {
        Ok(input.commands().iter().map(Invocation::planned).collect())
    }

    fn execute(host: &mut H, input: Input) -> Result<Value, StepError> {
        let checks = checks::all(host, &input)?;
        let failed: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
        if failed.is_empty() {
            host.log(Level::Info, &format!("{} checks passed for release {}", checks.len(), input.release_id));
            return Ok(json!({ "checks": checks, "ok": true }));
        }
        for check in &failed {
            host.log(Level::Warn, &format!("{} {}: {}", check.id, check.subject, check.detail));
        }
        let is_refusal = failed.iter().all(|check| check.is_of_the_request());
        let texts: Vec<_> =
            failed.iter().map(|check| format!("{} {}: {}", check.id, check.subject, check.detail)).collect();
        let text = format!("release {} is refused: {}", input.release_id, texts.join("; "));
        Err(if is_refusal { StepError::InvalidInput(text) } else { StepError::NeedsHuman(text) })
    }

    fn output_schema() -> Value {
        serde_json::from_str(include_str!("../schema/output.json")).expect("the schema beside this source is JSON")
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

light_workflow_sdk::export!(build, Preflight);
