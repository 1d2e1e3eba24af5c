//! Asks registries and remotes what the public really sees of a release.
//!
//! What a publish says of itself is no proof: the index of the registry and the
//! tags of the remote are. The world has no secret and stores nothing, so what
//! checks cannot publish.
//!
//! Source: “Release Lifecycle” in the design document (step 12).

mod maven;
mod rust;

use light_workflow_sdk::{Planned, ProbeHost, Step, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Before a send: whether it is there.
    FindCrate(rust::Crate),
    /// After it: that it is there, with all that it needs.
    Crate(rust::Crate),
    Tag(rust::Tag),
    MavenFile(maven::MavenFile),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Output {
    FindCrate(rust::FoundCrate),
    Crate(rust::PublishedCrate),
    Tag(rust::PublishedTag),
    MavenFile(maven::PublishedFile),
}

/// The step.
pub struct Verify;

impl<H: ProbeHost> Step<H> for Verify {
    type Input = Operation;
    type Output = Output;

    const NAME: &'static str = "verify";
    const SUMMARY: &'static str = "Asks registries and remotes what the public really sees of a release";
    const IDEMPOTENT: bool = true;

    fn plan(operation: &Operation) -> Result<Vec<Planned>, StepError> {
        let command = match operation {
            Operation::FindCrate(operation) | Operation::Crate(operation) => operation.command(),
            Operation::Tag(operation) => operation.command(),
            Operation::MavenFile(operation) => operation.command(),
        };
        Ok(vec![command.planned()])
    }

    fn execute(host: &mut H, operation: Operation) -> Result<Output, StepError> {
        match operation {
            Operation::FindCrate(operation) => operation.find(host).map(Output::FindCrate),
            Operation::Crate(operation) => operation.execute(host).map(Output::Crate),
            Operation::Tag(operation) => operation.execute(host).map(Output::Tag),
            Operation::MavenFile(operation) => operation.execute(host).map(Output::MavenFile),
        }
    }
}

light_workflow_sdk::export!(probe, Verify);
