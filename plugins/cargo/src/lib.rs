//! Checks out, builds, tests and packages Cargo workspaces.
//!
//! One operation a task; each runs command templates of `rust-release` and
//! reads their output. It never publishes: its world has no secrets.

mod build;
mod changes;
mod checkout;
mod metadata;
mod output;
mod package;

use light_workflow_sdk::{Invocation, Planned, ProbeHost, Step, StepError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    Checkout(checkout::Checkout),
    Metadata(metadata::Metadata),
    Build(build::Build),
    Test(build::Test),
    Package(package::Package),
    Changes(changes::Changes),
}

/// The step.
pub struct Cargo;

impl<H: ProbeHost> Step<H> for Cargo {
    type Input = Operation;
    type Output = Value;

    const NAME: &'static str = "cargo";
    const SUMMARY: &'static str = "Checks out, builds, tests and packages Cargo workspaces";
    const IDEMPOTENT: bool = true;

    fn plan(operation: &Operation) -> Result<Vec<Planned>, StepError> {
        let commands: Vec<Invocation> = match operation {
            Operation::Checkout(operation) => vec![operation.command()],
            Operation::Metadata(operation) => vec![operation.command()],
            Operation::Build(operation) => operation.commands(),
            Operation::Test(operation) => vec![operation.command()],
            Operation::Package(operation) => operation.commands(),
            Operation::Changes(operation) => vec![operation.command()],
        };
        Ok(commands.iter().map(Invocation::planned).collect())
    }

    fn execute(host: &mut H, operation: Operation) -> Result<Value, StepError> {
        match operation {
            Operation::Checkout(operation) => operation.execute(host),
            Operation::Metadata(operation) => operation.execute(host),
            Operation::Build(operation) => operation.execute(host),
            Operation::Test(operation) => operation.execute(host),
            Operation::Package(operation) => operation.execute(host),
            Operation::Changes(operation) => operation.execute(host),
        }
    }

    fn output_schema() -> Value {
        serde_json::from_str(include_str!("../schema/output.json")).expect("the schema beside this source is JSON")
    }
}

light_workflow_sdk::export!(build, Cargo);
