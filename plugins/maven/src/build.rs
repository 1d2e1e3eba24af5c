//! What Maven does with a checkout: read, compile, test, package.

use light_workflow_sdk::{
    Artifact, CommandResult, CommandTemplate, Failure, Invocation, Level, ProbeHost, Status, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::{self, Module, ModuleResult};
use crate::reports::{self, Suite};
use step_kit::java_release::{MavenCompile, MavenFetch, MavenPackage, MavenTest, MavenValidate};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    directory: String,
    /// What the release request says; every module must have it.
    version: Option<String>,
}

/// The modules of a project, in the order in which they are built.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Project {
    modules: Vec<Module>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    directory: String,
    /// Download what the build needs first, with the one command that may reach a repository.
    #[serde(default)]
    fetch: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Built {
    summary: String,
    modules: Vec<ModuleResult>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    directory: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Tested {
    summary: String,
    passed: u64,
    failed: u64,
    skipped: u64,
    suites: Vec<Suite>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    directory: String,
    /// What the release request says; every module must have it.
    version: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Packaged {
    files: Vec<PackagedFile>,
}

/// The main file of a module.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PackagedFile {
    group: String,
    artifact: String,
    version: String,
    packaging: String,
    /// Reference of the stored file.
    file: String,
    /// `sha256:` and 64 hex digits.
    digest: String,
    size_bytes: u64,
}

impl Metadata {
    pub fn command(&self) -> Invocation {
        validate(&self.directory)
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Project, StepError> {
        Ok(Project { modules: modules(host, &self.directory, self.version.as_deref())? })
    }
}

fn validate(directory: &str) -> Invocation {
    MavenValidate { directory: directory.to_owned() }.invocation("the modules, their versions and their order")
}

fn modules(host: &mut impl ProbeHost, directory: &str, version: Option<&str>) -> Result<Vec<Module>, StepError> {
    let result = validate(directory).run(host)?;
    let stdout = result.whole_stdout(host)?;
    if !result.succeeded() {
        return Err(failure(&result, &stdout, "read the project"));
    }
    let modules = output::modules(&stdout);
    if modules.is_empty() {
        return Err(result.failure("Maven names no module of the project"));
    }
    let Some(version) = version else { return Ok(modules) };
    let others = modules.iter().filter(|module| module.version != version);
    let others: Vec<_> = others.map(|module| format!("{} has {}", module.artifact, module.version)).collect();
    match others.is_empty() {
        true => Ok(modules),
        false => Err(result.failure(format!("the request says version {version}, but {}", others.join(", ")))),
    }
}

impl Build {
    pub fn commands(&self) -> Vec<Invocation> {
        let fetch = MavenFetch { directory: self.directory.clone() };
        let compile = MavenCompile { directory: self.directory.clone() };
        let compile = compile.invocation("all modules and their tests compile, without network");
        match self.fetch {
            true => vec![fetch.invocation("what the build needs, before the network ends"), compile],
            false => vec![compile],
        }
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Built, StepError> {
        let commands = self.commands();
        let (compile, before) = commands.split_last().expect("there is always the build itself");
        for command in before {
            let result = command.run(host)?;
            let stdout = result.whole_stdout(host)?;
            if result.status == Status::Failed && output::is_network_trouble(&stdout) {
                let why = output::why(&stdout).unwrap_or_default();
                return Err(StepError::Transient(format!("failed to fetch the dependencies: {why}")));
            }
            if !result.succeeded() {
                return Err(failure(&result, &stdout, "fetch the dependencies"));
            }
        }
        let result = compile.run(host)?;
        let stdout = result.whole_stdout(host)?;
        if !result.succeeded() {
            return Err(failure(&result, &stdout, "build the project"));
        }
        let modules = output::reactor_summary(&stdout);
        let summary = match modules.len() {
            0 => "built".to_owned(),
            count => format!("built {count} modules"),
        };
        host.log(Level::Info, &summary);
        Ok(Built { summary, modules })
    }
}

impl Test {
    pub fn command(&self) -> Invocation {
        MavenTest { directory: self.directory.clone() }.invocation("nothing is released that fails its own tests")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Tested, StepError> {
        let result = self.command().run(host)?;
        let suites = reports::read(host, &result.artifacts)?;
        if !result.succeeded() {
            if let Some(summary) = test_failure(&suites) {
                return Err(failed(&result, summary));
            }
            let stdout = result.whole_stdout(host)?;
            return Err(failure(&result, &stdout, "run the tests"));
        }
        let sum = |of: fn(&Suite) -> u64| suites.iter().map(of).fold(0_u64, u64::saturating_add);
        let (passed, failed, skipped) = (sum(|s| s.passed), sum(|s| s.failed), sum(|s| s.skipped));
        let summary = format!("{passed} tests passed, {skipped} skipped, in {} suites", suites.len());
        host.log(Level::Info, &summary);
        if result.artifacts.len() > reports::REPORTS_MAX {
            host.log(Level::Warn, &format!("only the first {} reports were read", reports::REPORTS_MAX));
        }
        Ok(Tested { summary, passed, failed, skipped, suites })
    }
}

/// `test failure in demo.SumTest: adds and 2 more`; none if no test failed.
fn test_failure(suites: &[Suite]) -> Option<String> {
    let failed: Vec<_> = suites.iter().filter(|suite| suite.failed > 0).collect();
    let first = failed.first()?;
    let count = failed.iter().map(|suite| suite.failed).fold(0_u64, u64::saturating_add);
    let name = first.failures.first().map_or("a test", String::as_str);
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    Some(format!("test failure in {}: {name}{more}", first.name))
}

impl Package {
    pub fn commands(&self) -> Vec<Invocation> {
        vec![validate(&self.directory), self.package()]
    }

    fn package(&self) -> Invocation {
        let package = MavenPackage { directory: self.directory.clone() };
        package.invocation("the files that are approved by digest")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Packaged, StepError> {
        let modules = modules(host, &self.directory, self.version.as_deref())?;
        let result = self.package().run(host)?;
        if !result.succeeded() {
            let stdout = result.whole_stdout(host)?;
            return Err(failure(&result, &stdout, "package the project"));
        }
        let (mut files, mut wrong) = (Vec::new(), Vec::new());
        for module in modules.into_iter().filter(|module| module.packaging != "pom") {
            // Every packaging but a web application's is a `.jar`.
            let extension = if module.packaging == "war" { "war" } else { "jar" };
            let name = format!("{}-{}.{extension}", module.artifact, module.version);
            let found: Vec<_> = result.artifacts.iter().filter(|file| file.file_name() == name).collect();
            match found.as_slice() {
                [file] => files.push(packaged(module, file)),
                [] => wrong.push(format!("no {name}")),
                [_, _, ..] => wrong.push(format!("several {name}")),
            }
        }
        if !wrong.is_empty() {
            return Err(result.failure(format!("packaging left {}", wrong.join(", "))));
        }
        host.log(Level::Info, &format!("packaged {} modules", files.len()));
        Ok(Packaged { files })
    }
}

fn packaged(module: Module, file: &Artifact) -> PackagedFile {
    let Module { group, artifact, version, packaging } = module;
    let (digest, size_bytes) = (file.digest.clone(), file.size_bytes);
    PackagedFile { group, artifact, version, packaging, file: file.uri.clone(), digest, size_bytes }
}

/// Why a command failed: Maven says it on its standard output.
fn failure(result: &CommandResult, stdout: &str, doing: &str) -> StepError {
    match result.status {
        Status::Failed => {
            let why = output::why(stdout).unwrap_or_else(|| result.last_line().to_owned());
            failed(result, if why.starts_with("compile error") { why } else { format!("failed to {doing}: {why}") })
        }
        Status::Succeeded | Status::TimedOut | Status::Killed | Status::PolicyViolation => {
            match result.expect_success(doing) {
                Err(error) => error,
                Ok(()) => result.failure(format!("failed to {doing}")),
            }
        }
    }
}

fn failed(result: &CommandResult, summary: String) -> StepError {
    let logs = vec![result.stdout.clone(), result.stderr.clone()];
    StepError::Failed(Failure { summary, exit_code: result.exit_code, logs })
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, captured, ended};
    use serde_json::{Value, json};

    use super::*;
    use crate::Maven;
    use crate::output::recorded;

    fn run(script: &mut Script, operation: &str) -> Result<Value, StepError> {
        script.execute::<Maven>(json!({ "operation": operation, "directory": "repos/demo" }))
    }

    fn summary_of(result: Result<Value, StepError>) -> String {
        match result {
            Err(StepError::Failed(failure)) => failure.summary,
            other => panic!("not a failure: {other:?}"),
        }
    }

    const VALIDATE: &str = "java-release/maven-validate";
    const PACKAGE: &str = "java-release/maven-package";

    #[test]
    fn a_build_says_how_each_module_ended() {
        let mut script = Script::answering([("java-release/maven-compile", ended(0, recorded::BUILD, ""))]);
        let output = run(&mut script, "build").unwrap();
        assert_eq!(
            (&output["summary"], &output["modules"][2]["name"]),
            (&json!("built 3 modules"), &json!("demo app"))
        );
    }

    #[test]
    fn a_compile_error_is_one_line_and_its_log_is_the_standard_output() {
        let mut script = Script::answering([("java-release/maven-compile", ended(1, recorded::BROKEN, ""))]);
        let Err(StepError::Failed(failure)) = run(&mut script, "build") else { panic!("it builds") };
        assert!(
            failure.summary.starts_with("compile error: cannot find symbol (repos/demo/core/"),
            "{}",
            failure.summary
        );
        assert!(failure.logs[0].ends_with("stdout.log"));
    }

    #[test]
    fn a_fetch_that_lost_the_network_is_tried_again_and_any_other_is_diagnosed() {
        let fetch = |stdout: &str| {
            let mut script = Script::answering([("java-release/maven-fetch", ended(1, stdout, ""))]);
            script.execute::<Maven>(json!({ "operation": "build", "directory": "d", "fetch": true }))
        };
        let lost =
            fetch("[ERROR] Failed to execute goal x: Could not transfer artifact: Connection timed out -> [Help 1]\n");
        assert!(matches!(lost, Err(StepError::Transient(text)) if text.ends_with("Connection timed out")));
        let absent = summary_of(fetch("[ERROR] Failed to execute goal x: Could not find artifact a:b -> [Help 1]\n"));
        assert_eq!(absent, "failed to fetch the dependencies: Failed to execute goal x: Could not find artifact a:b");
    }

    fn reports(exit_code: i32, reports: &[&str]) -> Script {
        let names: Vec<_> = (0..reports.len()).map(|at| format!("TEST-{at}.xml")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let result = captured(ended(exit_code, "", ""), &names);
        let script = Script::answering([("java-release/maven-test", result)]);
        let with = |script: Script, (at, report): (usize, &&str)| {
            script.artifact(&format!("artifact://i/t/1/files/TEST-{at}.xml"), *report)
        };
        reports.iter().enumerate().fold(script, with)
    }

    const GOOD: &str = r#"<testsuite name="demo.A" tests="3" errors="0" skipped="1" failures="0"></testsuite>"#;
    const BAD: &str = r#"<testsuite name="demo.B" tests="2" errors="1" skipped="0" failures="1"><testcase name="adds"><failure/></testcase></testsuite>"#;

    #[test]
    fn tests_are_counted_by_their_reports_and_a_failed_one_is_named() {
        let output = run(&mut reports(0, &[GOOD]), "test").unwrap();
        assert_eq!((&output["passed"], &output["skipped"]), (&json!(2), &json!(1)));
        assert_eq!(output["suites"][0]["name"], "demo.A");
        assert_eq!(summary_of(run(&mut reports(1, &[GOOD, BAD]), "test")), "test failure in demo.B: adds and 1 more");
    }

    #[test]
    fn each_module_but_a_parent_leaves_one_file_with_its_digest() {
        let files = ["demo-core-1.2.0.jar", "demo-app-1.2.0.jar", "demo-app-1.2.0-sources.jar"];
        let mut script = Script::answering([
            (VALIDATE, ended(0, recorded::BUILD, "")),
            (PACKAGE, captured(ended(0, "", ""), &files)),
        ]);
        let output = run(&mut script, "package").unwrap();
        let artifacts: Vec<_> =
            output["files"].as_array().unwrap().iter().map(|f| f["artifact"].as_str().unwrap()).collect();
        assert_eq!(artifacts, ["demo-core", "demo-app"]);
        assert_eq!(output["files"][0]["file"], "artifact://i/t/1/files/demo-core-1.2.0.jar");
    }

    #[test]
    fn a_missing_file_or_another_version_is_a_failure() {
        let mut script = Script::answering([
            (VALIDATE, ended(0, recorded::BUILD, "")),
            (PACKAGE, captured(ended(0, "", ""), &["demo-core-1.2.0.jar"])),
        ]);
        assert_eq!(summary_of(run(&mut script, "package")), "packaging left no demo-app-1.2.0.jar");
        let mut script = Script::answering([(VALIDATE, ended(0, recorded::BUILD, ""))]);
        let other = script.execute::<Maven>(json!({ "operation": "metadata", "directory": "d", "version": "1.3.0" }));
        assert!(summary_of(other).starts_with("the request says version 1.3.0, but demo has 1.2.0, demo-core has"));
    }
}
