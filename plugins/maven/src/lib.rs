//! Checks out, builds, tests and packages Maven projects.
//!
//! One operation a task; each runs command templates of `java-release` and reads
//! Maven's output and Surefire's reports. It never publishes: its world has no
//! secrets.

mod build;
mod output;
mod reports;

use light_workflow_sdk::{Invocation, Planned, ProbeHost, Step, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use step_kit::checkout::{CheckedOut, Checkout, Template};

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    Checkout(Checkout),
    Metadata(build::Metadata),
    Build(build::Build),
    Test(build::Test),
    Package(build::Package),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Output {
    Checkout(CheckedOut),
    Metadata(build::Project),
    Build(build::Built),
    Test(build::Tested),
    Package(build::Packaged),
}

/// The step.
pub struct Maven;

impl<H: ProbeHost> Step<H> for Maven {
    type Input = Operation;
    type Output = Output;

    const NAME: &'static str = "maven";
    const SUMMARY: &'static str = "Checks out, builds, tests and packages Maven projects";
    const IDEMPOTENT: bool = true;

    fn plan(operation: &Operation) -> Result<Vec<Planned>, StepError> {
        let commands: Vec<Invocation> = match operation {
            Operation::Checkout(operation) => vec![operation.command(Template::JavaRelease)],
            Operation::Metadata(operation) => vec![operation.command()],
            Operation::Build(operation) => operation.commands(),
            Operation::Test(operation) => vec![operation.command()],
            Operation::Package(operation) => operation.commands(),
        };
        Ok(commands.iter().map(Invocation::planned).collect())
    }

    fn execute(host: &mut H, operation: Operation) -> Result<Output, StepError> {
        match operation {
            Operation::Checkout(operation) => operation.execute(host, Template::JavaRelease).map(Output::Checkout),
            Operation::Metadata(operation) => operation.execute(host).map(Output::Metadata),
            Operation::Build(operation) => operation.execute(host).map(Output::Build),
            Operation::Test(operation) => operation.execute(host).map(Output::Test),
            Operation::Package(operation) => operation.execute(host).map(Output::Package),
        }
    }
}

light_workflow_sdk::export!(build, Maven);
