//! `.crate` files with their digests, and the source they can be made from again.

use light_workflow_sdk::{Artifact, CommandTemplate, Invocation, Level, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use step_kit::rust_release::{CargoPackage, GitBundle};

use crate::metadata;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    directory: String,
    /// What the release request says; every packaged crate must have it.
    version: Option<String>,
}

impl Package {
    pub fn commands(&self) -> Vec<Invocation> {
        vec![metadata::command(&self.directory), self.package(), self.bundle()]
    }

    fn package(&self) -> Invocation {
        let package = CargoPackage { directory: self.directory.clone() };
        package.invocation("the files that are approved by digest and published")
    }

    fn bundle(&self) -> Invocation {
        let bundle = GitBundle { directory: self.directory.clone() };
        bundle.invocation("the commit travels to the publish sandbox without the workspace")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Value, StepError> {
        let crates = metadata::crates(host, &self.directory, self.version.as_deref())?;
        let packaged = self.package().run(host)?;
        packaged.expect_success("package the crates")?;
        let mut found = Vec::with_capacity(crates.len());
        let mut missing = Vec::new();
        for krate in &crates {
            let file = format!("{}-{}.crate", krate.name, krate.version);
            match packaged.artifacts.iter().find(|artifact| artifact.file_name() == file) {
                Some(artifact) => found.push(described(&krate.name, &krate.version, artifact)),
                None => missing.push(file),
            }
        }
        if !missing.is_empty() {
            return Err(packaged.failure(format!("packaging left no {}", missing.join(", "))));
        }
        let bundled = self.bundle().run(host)?;
        bundled.expect_success("bundle the commit")?;
        let [source] = bundled.artifacts.as_slice() else {
            let count = bundled.artifacts.len();
            return Err(bundled.failure(format!("the bundle command captured {count} files instead of one")));
        };
        host.log(Level::Info, &format!("packaged {} crates", found.len()));
        let source = json!({ "artifact": source.uri, "digest": source.digest, "sizeBytes": source.size_bytes });
        Ok(json!({ "crates": found, "source": source }))
    }
}

fn described(name: &str, version: &str, artifact: &Artifact) -> Value {
    json!({
        "name": name,
        "version": version,
        "artifact": artifact.uri,
        "digest": artifact.digest,
        "sizeBytes": artifact.size_bytes,
    })
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, captured, ended, execute};

    use super::*;
    use crate::Cargo;

    fn run(files: &[&str], bundles: &[&str]) -> Result<Value, StepError> {
        let package = |name: &str, on: Value| {
            json!({ "name": name, "version": "0.1.0", "publish": null, "dependencies": on,
                    "manifest_path": format!("/w/{name}/Cargo.toml") })
        };
        let on_core = json!([{ "name": "demo-core", "req": "^0.1", "kind": null, "path": "/w/demo-core" }]);
        let metadata = json!({ "workspace_root": "/w", "packages": [package("demo-app", on_core), package("demo-core", json!([]))] });
        let mut script = Script::answering([
            ("rust-release/cargo-metadata", ended(0, &metadata.to_string(), "")),
            ("rust-release/cargo-package", captured(ended(0, "", ""), files)),
            ("rust-release/git-bundle", captured(ended(0, "", ""), bundles)),
        ]);
        execute::<Cargo, _>(&mut script, r#"{"operation":"package","directory":"repos/demo","version":"0.1.0"}"#)
    }

    #[test]
    fn crates_come_in_order_with_artifact_and_digest() {
        let output = run(
            &["repos/demo/target/package/demo-app-0.1.0.crate", "repos/demo/target/package/demo-core-0.1.0.crate"],
            &["source.bundle"],
        )
        .unwrap();
        assert_eq!(output["crates"][0]["name"], "demo-core");
        assert_eq!(
            output["crates"][1]["artifact"],
            "artifact://i/t/1/files/repos/demo/target/package/demo-app-0.1.0.crate"
        );
        assert_eq!(output["source"]["artifact"], "artifact://i/t/1/files/source.bundle");
    }

    #[test]
    fn a_missing_crate_file_is_named() {
        let error = run(&["demo-core-0.1.0.crate"], &["source.bundle"]).unwrap_err();
        assert!(
            matches!(error, StepError::Failed(failure) if failure.summary == "packaging left no demo-app-0.1.0.crate")
        );
        let error = run(&["demo-core-0.1.0.crate", "demo-app-0.1.0.crate"], &[]).unwrap_err();
        assert!(matches!(error, StepError::Failed(failure) if failure.summary.contains("captured 0 files")));
    }
}
