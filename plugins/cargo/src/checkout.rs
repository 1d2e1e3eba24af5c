//! A repository's ref becomes a directory in the session's workspace.

use light_workflow_sdk::{CommandTemplate, Invocation, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use step_kit::rust_release::GitCheckout;

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

impl Checkout {
    pub fn command(&self) -> Invocation {
        let Repository { url, reference, .. } = &self.repository;
        let checkout = GitCheckout { directory: self.directory(), ref_: reference.clone(), url: url.clone() };
        checkout.invocation("everything after this works on the checkout")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Value, StepError> {
        let result = self.command().run(host)?;
        let Repository { name, reference, .. } = &self.repository;
        result.expect_success(&format!("check out `{reference}` of {name}"))?;
        let commit = result.stdout_excerpt.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(result.failure(format!("the checkout of {name} names no commit: its last line is `{commit}`")));
        }
        Ok(json!({ "directory": self.directory(), "commit": commit, "ref": reference }))
    }

    fn directory(&self) -> String {
        self.directory.clone().unwrap_or_else(|| format!("repos/{}", self.repository.name))
    }
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, StepError, ended, execute};

    use crate::Cargo;

    const INPUT: &str = r#"{"operation":"checkout","repository":{"name":"demo","url":"http://git/demo.git","ref":"main","version":"0.1.0"}}"#;

    #[test]
    fn a_checkout_answers_with_its_commit() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let mut script =
            Script::answering([("rust-release/git-checkout", ended(0, &format!("{commit}\n"), "Cloning into…"))]);
        let output = execute::<Cargo, _>(&mut script, INPUT).unwrap();
        assert_eq!(output, serde_json::json!({ "directory": "repos/demo", "commit": commit, "ref": "main" }));
        assert_eq!(script.asked[0].parameter("directory"), "repos/demo");
    }

    #[test]
    fn a_checkout_without_a_commit_is_a_failure() {
        let mut script = Script::answering([("rust-release/git-checkout", ended(0, "done\n", ""))]);
        let error = execute::<Cargo, _>(&mut script, INPUT).unwrap_err();
        assert!(matches!(error, StepError::Failed(failure) if failure.summary.ends_with("its last line is `done`")));
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
