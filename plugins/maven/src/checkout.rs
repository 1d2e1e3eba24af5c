//! A repository's ref becomes a directory in the session's workspace.

use light_workflow_sdk::{CommandTemplate, Invocation, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use step_kit::java_release::GitCheckout;

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

#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckedOut {
    directory: String,
    /// 40 hex digits.
    commit: String,
    #[serde(rename = "ref")]
    reference: String,
}

impl Checkout {
    pub fn command(&self) -> Invocation {
        let Repository { url, reference, .. } = &self.repository;
        let checkout = GitCheckout { directory: self.directory(), ref_: reference.clone(), url: url.clone() };
        checkout.invocation("everything after this works on the checkout")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<CheckedOut, StepError> {
        let result = self.command().run(host)?;
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
