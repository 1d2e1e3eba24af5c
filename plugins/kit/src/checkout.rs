//! A repository's ref becomes a directory in the session's workspace.

use light_workflow_sdk::{CommandTemplate, Invocation, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{java_release, rust_release};

/// Whose `git-checkout` is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    JavaRelease,
    RustRelease,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    repository: Repository,
    /// `repos/NAME` if absent.
    directory: Option<String>,
}

/// A repository of the release request; the version is not this operation's concern.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Repository {
    name: String,
    url: String,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default, rename = "version")]
    _version: Option<String>,
}

/// The commit that everything after works on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckedOut {
    pub directory: String,
    /// 40 hex digits.
    pub commit: String,
    #[serde(rename = "ref")]
    pub reference: String,
}

impl Checkout {
    pub fn command(&self, template: Template) -> Invocation {
        let (directory, url, ref_) = (self.directory(), self.repository.url.clone(), self.repository.reference.clone());
        let why = "everything after this works on the checkout";
        match template {
            Template::JavaRelease => java_release::GitCheckout { directory, ref_, url }.invocation(why),
            Template::RustRelease => rust_release::GitCheckout { directory, ref_, url }.invocation(why),
        }
    }

    /// # Errors
    ///
    /// `Failed` if the command does not say which commit it checked out.
    pub fn execute(&self, host: &mut impl ProbeHost, template: Template) -> Result<CheckedOut, StepError> {
        let result = self.command(template).run(host)?;
        let Repository { name, reference, .. } = &self.repository;
        result.expect_success(&format!("check out `{reference}` of {name}"))?;
        let commit = result.stdout_excerpt.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(result.failure(format!("the checkout of {name} names no commit: its last line is `{commit}`")));
        }
        Ok(CheckedOut { directory: self.directory(), commit: commit.to_owned(), reference: reference.clone() })
    }

    fn directory(&self) -> String {
        self.directory.clone().unwrap_or_else(|| format!("repos/{}", self.repository.name))
    }
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, ended};
    use serde_json::json;

    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn run(template: Template, stdout: &str) -> (Result<CheckedOut, StepError>, Script) {
        let command = match template {
            Template::JavaRelease => "java-release/git-checkout",
            Template::RustRelease => "rust-release/git-checkout",
        };
        let repository = json!({ "name": "demo", "url": "http://git/demo.git", "ref": "main", "version": "0.1.0" });
        let checkout: Checkout = serde_json::from_value(json!({ "repository": repository })).unwrap();
        let mut script = Script::answering([(command, ended(0, stdout, "Cloning into…"))]);
        (checkout.execute(&mut script, template), script)
    }

    #[test]
    fn a_checkout_answers_with_its_commit() {
        for template in [Template::JavaRelease, Template::RustRelease] {
            let (output, script) = run(template, &format!("{COMMIT}\n"));
            let output = serde_json::to_value(output.unwrap()).unwrap();
            assert_eq!(output, json!({ "directory": "repos/demo", "commit": COMMIT, "ref": "main" }));
            assert_eq!(script.asked[0].parameter("directory"), "repos/demo");
        }
    }

    #[test]
    fn a_checkout_without_a_commit_is_a_failure() {
        let (output, _) = run(Template::RustRelease, "done\n");
        assert!(
            matches!(output, Err(StepError::Failed(failure)) if failure.summary.ends_with("its last line is `done`"))
        );
    }
}
