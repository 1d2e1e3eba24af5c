//! Checks out, builds, tests and packages Cargo workspaces.
//!
//! One operation a task; each runs command templates of `rust-release` and
//! reads their output. It never publishes: its world has no secrets.

mod build;
mod changes;
mod metadata;
mod output;
mod package;

use light_workflow_sdk::{Invocation, Planned, ProbeHost, Step, StepError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use step_kit::checkout::{Checkout, Template};

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    Checkout(Checkout),
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
            Operation::Checkout(operation) => vec![operation.command(Template::RustRelease)],
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
            Operation::Checkout(operation) => {
                let checked_out = operation.execute(host, Template::RustRelease)?;
                Ok(
                    json!({ "directory": checked_out.directory, "commit": checked_out.commit, "ref": checked_out.reference }),
                )
            }
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

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, StepError, ended, execute};

    use crate::Cargo;

    #[test]
    fn a_checkout_is_that_of_the_rust_template() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let mut script = Script::answering([("rust-release/git-checkout", ended(0, &format!("{commit}\n"), ""))]);
        let input = r#"{"operation":"checkout","repository":{"name":"demo","url":"http://git/demo.git","ref":"main"}}"#;
        let output = execute::<Cargo, _>(&mut script, input).unwrap();
        assert_eq!(output, serde_json::json!({ "directory": "repos/demo", "commit": commit, "ref": "main" }));
    }

    #[test]
    fn an_unknown_field_or_operation_is_named() {
        for (input, expected) in [
            (r#"{"operation":"publish"}"#, "unknown variant `publish`"),
            (r#"{"operation":"build","directory":"x","profile":"dev"}"#, "unknown field `profile`"),
            (r#"{"operation":"build"}"#, "missing field `directory`"),
        ] {
            let error = execute::<Cargo, _>(&mut Script::answering([]), input).unwrap_err();
            assert!(matches!(&error, StepError::InvalidInput(text) if text.contains(expected)), "{error:?}");
        }
    }
}
