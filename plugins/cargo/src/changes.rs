//! The commits since the last release: what its notes are written from.

use light_workflow_sdk::{CommandTemplate, Invocation, Level, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use step_kit::rust_release::GitLog;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Changes {
    directory: String,
    /// How the tags of releases begin.
    #[serde(default = "tag_prefix")]
    tag_prefix: String,
}

fn tag_prefix() -> String {
    "v".to_owned()
}

/// As many as the command lists; a release of more is told by its newest.
const COMMITS_MAX: usize = 500;

impl Changes {
    pub fn command(&self) -> Invocation {
        let log = GitLog { directory: self.directory.clone(), prefix: self.tag_prefix.clone() };
        log.invocation("the commits since the last release, for its notes")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<Value, StepError> {
        let result = self.command().run(host)?;
        result.expect_success("list the commits")?;
        let stdout = result.whole_stdout(host)?;
        let Some((previous, log)) = stdout.split_once('\n') else {
            return Err(result.failure("the list of commits does not begin with a tag's line"));
        };
        let commits: Option<Vec<Value>> = log.split('\u{1e}').skip(1).map(commit).collect();
        let Some(commits) = commits else {
            return Err(result.failure("the list of commits is not in the form that the template gives it"));
        };
        host.log(Level::Info, &format!("{} commits since {previous}", commits.len()));
        let previous = Some(previous.trim()).filter(|tag| !tag.is_empty());
        Ok(json!({ "previous": previous, "commits": commits, "complete": commits.len() < COMMITS_MAX }))
    }
}

/// `COMMIT US AUTHOR US DATE US MESSAGE`
fn commit(record: &str) -> Option<Value> {
    let mut fields = record.splitn(4, '\u{1f}');
    let (commit, author, date, message) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(json!({ "commit": commit, "author": author, "date": date, "message": message.trim() }))
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, ended};

    use super::*;
    use crate::Cargo;

    fn changes(stdout: &str) -> Result<Value, StepError> {
        let mut script = Script::answering([("rust-release/git-log", ended(0, stdout, ""))]);
        script.execute::<Cargo>(json!({ "operation": "changes", "directory": "repos/demo" }))
    }

    #[test]
    fn commits_come_with_their_whole_message_since_the_last_tag() {
        let output = changes(
            "v1.1.0\n\u{1e}aa\u{1f}Ada\u{1f}2026-11-25\u{1f}fix: x\n\nCloses #1\n\n\u{1e}bb\u{1f}B\u{1f}d\u{1f}y\n",
        )
        .unwrap();
        assert_eq!(output["previous"], "v1.1.0");
        assert_eq!(output["commits"][0]["message"], "fix: x\n\nCloses #1");
        assert_eq!((&output["commits"][1]["commit"], &output["complete"]), (&json!("bb"), &json!(true)));
    }

    #[test]
    fn a_first_release_has_no_tag_before_it_and_no_commit_is_made_up() {
        assert_eq!(changes("\n"), Ok(json!({ "previous": null, "commits": [], "complete": true })));
        assert!(matches!(changes(""), Err(StepError::Failed(_))));
        assert!(matches!(changes("v1\n\u{1e}aa\u{1f}Ada\n"), Err(StepError::Failed(_))));
    }
}
