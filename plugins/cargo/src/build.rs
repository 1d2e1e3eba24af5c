//! `cargo build` and `cargo test`.

use light_workflow_sdk::{CommandResult, CommandTemplate, Invocation, Level, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use step_kit::rust_release::{CargoBuild, CargoFetch, CargoTest};

use crate::output::{self, CompileError, TestTarget};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    directory: String,
    /// Download the locked dependencies first, with the one command that may reach the registry.
    #[serde(default)]
    fetch: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    directory: String,
}

impl Build {
    pub fn commands(&self) -> Vec<Invocation> {
        let build = CargoBuild { directory: self.directory.clone() };
        let build = build.invocation("all targets compile from the locked dependencies");
        let fetch = CargoFetch { directory: self.directory.clone() };
        match self.fetch {
            true => vec![fetch.invocation("the locked dependencies, before the network ends"), build],
            false => vec![build],
        }
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Value, StepError> {
        let commands = self.commands();
        let (build, before) = commands.split_last().expect("there is always the build itself");
        for command in before {
            command.run(host)?.expect_success("fetch the dependencies")?;
        }
        let result = build.run(host)?;
        let stderr = result.whole_stderr(host)?;
        if !result.succeeded() {
            return Err(compile_failure(&result, &stderr, "build the workspace"));
        }
        let warnings = output::warnings(&stderr);
        let summary = match warnings {
            0 => "built".to_owned(),
            count => format!("built with {count} warnings"),
        };
        host.log(Level::Info, &summary);
        Ok(json!({ "summary": summary, "warnings": warnings }))
    }
}

impl Test {
    pub fn command(&self) -> Invocation {
        let test = CargoTest { directory: self.directory.clone() };
        test.invocation("nothing is released that fails its own tests")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Value, StepError> {
        let result = self.command().run(host)?;
        let (stdout, stderr) = (result.whole_stdout(host)?, result.whole_stderr(host)?);
        let targets = output::tests(&stdout, &stderr);
        if !result.succeeded() {
            return Err(match test_failure(&targets) {
                Some(summary) => result.failure(summary),
                None => compile_failure(&result, &stderr, "run the tests"),
            });
        }
        let sum = |of: fn(&TestTarget) -> u64| targets.iter().map(of).sum::<u64>();
        let (passed, failed, ignored) = (sum(|t| t.passed), sum(|t| t.failed), sum(|t| t.ignored));
        let summary = format!("{passed} tests passed, {ignored} ignored, in {} targets", targets.len());
        host.log(Level::Info, &summary);
        Ok(json!({ "summary": summary, "passed": passed, "failed": failed, "ignored": ignored, "targets": targets }))
    }
}

/// `test failure in demo_core: tests::adds and 2 more`; none if no test failed.
fn test_failure(targets: &[TestTarget]) -> Option<String> {
    let failed: Vec<_> = targets.iter().filter(|target| target.failed > 0).collect();
    let first = failed.first()?;
    let count: u64 = failed.iter().map(|target| target.failed).sum();
    let name = first.failures.first().map_or("a test", String::as_str);
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    Some(format!("test failure in {}: {name}{more}", first.name))
}

fn compile_failure(result: &CommandResult, stderr: &str, doing: &str) -> StepError {
    let Some((krate, CompileError { code, message, place })) = output::compile_error(stderr) else {
        return match result.expect_success(doing) {
            Err(error) => error,
            Ok(()) => unreachable!("the command did not succeed"),
        };
    };
    let within = krate.map_or_else(String::new, |krate| format!(" in {krate}"));
    let code = code.map_or_else(String::new, |code| format!("{code} "));
    let place = place.map_or_else(String::new, |place| format!(" ({place})"));
    result.failure(format!("compile error{within}: {code}{message}{place}"))
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, ended, execute, plan};

    use super::*;
    use crate::Cargo;

    fn failure_of(input: &str, command: &str, ended: CommandResult) -> String {
        match execute::<Cargo, _>(&mut Script::answering([(command, ended)]), input) {
            Err(StepError::Failed(failure)) => failure.summary,
            other => panic!("not a failure: {other:?}"),
        }
    }

    #[test]
    fn a_compile_error_is_one_line_with_its_place() {
        let stderr = "error[E0425]: cannot find value `x` in this scope\n --> src/main.rs:2:5\n\nerror: could not compile `demo` (bin \"demo\") due to 1 previous error\n";
        let line = "compile error in demo: E0425 cannot find value `x` in this scope (src/main.rs:2:5)";
        let build = r#"{"operation":"build","directory":"repos/demo"}"#;
        assert_eq!(failure_of(build, "rust-release/cargo-build", ended(101, "", stderr)), line);
        let test = r#"{"operation":"test","directory":"repos/demo"}"#;
        assert_eq!(failure_of(test, "rust-release/cargo-test", ended(101, "", stderr)), line);
    }

    #[test]
    fn a_failed_test_is_named() {
        let stdout = "running 2 tests\n\nfailures:\n    tests::adds\n    tests::divides\n\ntest result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured\n";
        let stderr = "     Running unittests src/lib.rs (target/debug/deps/demo_core-1f)\nerror: test failed, to rerun pass `--lib`\n";
        let test = r#"{"operation":"test","directory":"repos/demo"}"#;
        assert_eq!(
            failure_of(test, "rust-release/cargo-test", ended(101, stdout, stderr)),
            "test failure in demo_core: tests::adds and 1 more"
        );
    }

    #[test]
    fn a_fetch_comes_before_the_build_only_when_asked() {
        let mut script = Script::answering([
            ("rust-release/cargo-fetch", ended(0, "", "")),
            ("rust-release/cargo-build", ended(0, "", "")),
        ]);
        let output =
            execute::<Cargo, _>(&mut script, r#"{"operation":"build","directory":"repos/demo","fetch":true}"#).unwrap();
        assert_eq!(output, json!({ "summary": "built", "warnings": 0 }));
    }

    #[test]
    fn the_plan_of_a_build_names_its_commands() {
        let planned = plan::<Cargo, Script>(r#"{"operation":"build","directory":"repos/demo","fetch":true}"#).unwrap();
        let names: Vec<_> = planned.iter().map(|planned| planned.command.as_str()).collect();
        assert_eq!(names, ["rust-release/cargo-fetch", "rust-release/cargo-build"]);
        assert_eq!(planned[1].parameters, json!({ "directory": "repos/demo" }));
    }
}
