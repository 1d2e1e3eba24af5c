//! Checks out, builds, tests, packages and verifies Cargo workspaces.
//!
//! One operation a task; each runs command templates of `rust-release` and
//! reads their output. It never publishes: its world has no secrets.

mod build;
mod checkout;
mod metadata;
mod output;
mod package;
mod verify;

use serde::Deserialize;
use serde_json::Value;
use step_kit::{About, Host, Invocation, Planned, Step, StepError};

/// What a task passes in `with`.
#[derive(Debug, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
enum Operation {
    Checkout(checkout::Checkout),
    Metadata(metadata::Metadata),
    Build(build::Build),
    Test(build::Test),
    Package(package::Package),
    Verify(verify::Verify),
    VerifyTag(verify::VerifyTag),
}

/// The step.
pub struct Cargo;

impl Step for Cargo {
    fn about() -> About {
        About {
            name: "cargo",
            summary: "Checks out, builds, tests, packages and verifies Cargo workspaces",
            input_schema: include_str!("../schema/input.json"),
            output_schema: include_str!("../schema/output.json"),
            idempotent: true,
        }
    }

    fn plan(input: &str) -> Result<Vec<Planned>, StepError> {
        let commands: Vec<Invocation> = match step_kit::input(input)? {
            Operation::Checkout(operation) => vec![operation.command()],
            Operation::Metadata(operation) => vec![operation.command()],
            Operation::Build(operation) => operation.commands(),
            Operation::Test(operation) => vec![operation.command()],
            Operation::Package(operation) => operation.commands(),
            Operation::Verify(operation) => vec![operation.command()],
            Operation::VerifyTag(operation) => vec![operation.command()],
        };
        Ok(commands.iter().map(Invocation::planned).collect())
    }

    fn execute(host: &mut dyn Host, input: &str) -> Result<Value, StepError> {
        match step_kit::input(input)? {
            Operation::Checkout(operation) => operation.execute(host),
            Operation::Metadata(operation) => operation.execute(host),
            Operation::Build(operation) => operation.execute(host),
            Operation::Test(operation) => operation.execute(host),
            Operation::Package(operation) => operation.execute(host),
            Operation::Verify(operation) => operation.execute(host),
            Operation::VerifyTag(operation) => operation.execute(host),
        }
    }
}

// Native builds are for tests; a linker for them cannot write a component's export names.
#[cfg(target_arch = "wasm32")]
step_kit::export_step!(build, Cargo);
