//! The publishable crates of a workspace, in the order they must be published.

use std::collections::{BTreeMap, BTreeSet};

use light_workflow_sdk::{CommandTemplate, Invocation, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use step_kit::rust_release::CargoMetadata;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    directory: String,
    /// What the release request says; every publishable crate must have it.
    version: Option<String>,
}

/// A crate that can be published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// Below the workspace's root; empty for the root package.
    pub path: String,
    /// Publishable crates of this workspace that must be there first.
    pub dependencies: BTreeSet<String>,
}

impl Metadata {
    pub fn command(&self) -> Invocation {
        command(&self.directory)
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Value, StepError> {
        Ok(json!({ "crates": crates(host, &self.directory, self.version.as_deref())? }))
    }
}

pub fn command(directory: &str) -> Invocation {
    CargoMetadata { directory: directory.to_owned() }.invocation("the crates, their versions and their order")
}

/// The publishable crates in `directory`, dependencies first; `version` is what each must have.
pub fn crates(host: &mut impl ProbeHost, directory: &str, version: Option<&str>) -> Result<Vec<Crate>, StepError> {
    let result = command(directory).run(host)?;
    result.expect_success("read the workspace's manifests")?;
    let stdout = result.whole_stdout(host)?;
    let ordered = parse(&stdout).map_err(|detail| result.failure(detail))?;
    check_versions(&ordered, version)?;
    Ok(ordered)
}

/// The request is wrong, or names the wrong place: no command failed.
fn check_versions(crates: &[Crate], version: Option<&str>) -> Result<(), StepError> {
    let Some(version) = version else { return Ok(()) };
    let others: Vec<_> = crates
        .iter()
        .filter(|found| found.version != version)
        .map(|found| format!("{} has {}", found.name, found.version))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(StepError::InvalidInput(format!(
        "P1: the request says version {version}, but {}; release that version, or another `ref`",
        others.join(", ")
    )))
}

#[derive(Deserialize)]
struct Document {
    packages: Vec<Package>,
    workspace_root: String,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
    /// None: anywhere. Empty: nowhere.
    publish: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    req: String,
    kind: Option<String>,
    path: Option<String>,
}

impl Dependency {
    /// Cargo drops a development dependency without a version when it packages.
    fn is_published(&self) -> bool {
        self.path.is_some() && !(self.kind.as_deref() == Some("dev") && self.req == "*")
    }
}

/// Reads `cargo metadata --no-deps`; the error is one line for people.
fn parse(stdout: &str) -> Result<Vec<Crate>, String> {
    let document: Document =
        serde_json::from_str(stdout).map_err(|error| format!("the workspace's metadata cannot be read: {error}"))?;
    let publishable = |package: &&Package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
    let names: BTreeSet<String> =
        document.packages.iter().filter(publishable).map(|package| package.name.clone()).collect();
    let crates = document.packages.iter().filter(publishable).map(|package| Crate {
        name: package.name.clone(),
        version: package.version.clone(),
        path: folder(&package.manifest_path, &document.workspace_root),
        dependencies: package
            .dependencies
            .iter()
            .filter(|dependency| dependency.is_published() && names.contains(&dependency.name))
            .map(|dependency| dependency.name.clone())
            .collect(),
    });
    let crates: BTreeMap<String, Crate> = crates.map(|found| (found.name.clone(), found)).collect();
    if crates.is_empty() {
        return Err("the workspace has no crate that may be published".to_owned());
    }
    in_order(crates)
}

/// Dependencies first; crates that do not need each other stay in the order of their names.
fn in_order(mut waiting: BTreeMap<String, Crate>) -> Result<Vec<Crate>, String> {
    let mut ordered: Vec<Crate> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |found: &Crate| found.dependencies.iter().all(|name| !waiting.contains_key(name));
        let Some(name) = waiting.values().find(|found| is_ready(found)).map(|found| found.name.clone()) else {
            let names: Vec<_> = waiting.into_keys().collect();
            return Err(format!("these crates depend on each other in a circle: {}", names.join(", ")));
        };
        ordered.extend(waiting.remove(&name));
    }
    Ok(ordered)
}

fn folder(manifest: &str, root: &str) -> String {
    let folder = manifest.strip_suffix("Cargo.toml").unwrap_or(manifest);
    folder.strip_prefix(root).unwrap_or(folder).trim_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use light_workflow_sdk::{Script, ended, execute};

    use crate::Cargo;

    fn package(name: &str, publish: Value, dependencies: Value) -> Value {
        json!({ "name": name, "version": "0.1.0", "publish": publish, "dependencies": dependencies,
                "manifest_path": format!("/workspace/repos/demo/crates/{name}/Cargo.toml") })
    }

    fn on(name: &str, kind: Option<&str>, requirement: &str) -> Value {
        json!({ "name": name, "req": requirement, "kind": kind, "path": format!("/workspace/repos/demo/crates/{name}") })
    }

    fn run(packages: Value, version: &str) -> Result<Value, StepError> {
        let stdout =
            json!({ "packages": packages, "workspace_root": "/workspace/repos/demo", "version": 1 }).to_string();
        let mut script = Script::answering([("rust-release/cargo-metadata", ended(0, &stdout, ""))]);
        let input = json!({ "operation": "metadata", "directory": "repos/demo", "version": version });
        execute::<Cargo, _>(&mut script, &input.to_string())
    }

    fn names(output: &Value) -> Vec<&str> {
        output["crates"].as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_crate_comes_after_what_it_depends_on() {
        let output = run(
            json!([
                package("app", Value::Null, json!([on("zeta", None, "^0.1"), on("serde", None, "^1")])),
                package("zeta", json!(["demo"]), json!([])),
                package("beta", Value::Null, json!([])),
                package("inner", json!([]), json!([])),
            ]),
            "0.1.0",
        )
        .unwrap();
        assert_eq!(names(&output), ["beta", "zeta", "app"]);
        assert_eq!(output["crates"][2]["path"], "crates/app");
        assert_eq!(output["crates"][2]["dependencies"], json!(["zeta"]));
    }

    #[test]
    fn a_development_dependency_counts_only_with_a_version() {
        let circle = |requirement| {
            run(
                json!([
                    package("a", Value::Null, json!([on("b", Some("dev"), requirement)])),
                    package("b", Value::Null, json!([on("a", None, "^0.1")])),
                ]),
                "0.1.0",
            )
        };
        assert_eq!(names(&circle("*").unwrap()), ["a", "b"]);
        let StepError::Failed(failure) = circle("^0.1").unwrap_err() else { panic!("not a failure") };
        assert_eq!(failure.summary, "these crates depend on each other in a circle: a, b");
    }

    #[test]
    fn every_crate_with_another_version_is_named() {
        let two = json!([package("a", Value::Null, json!([])), package("b", Value::Null, json!([]))]);
        assert_eq!(
            run(two, "0.2.0"),
            Err(StepError::InvalidInput(
                "P1: the request says version 0.2.0, but a has 0.1.0, b has 0.1.0; release that version, or another `ref`"
                    .to_owned()
            ))
        );
    }
}
