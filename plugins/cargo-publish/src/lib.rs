//! Publishes one crate, or pushes one tag, from an approved source.
//!
//! A component of its own, so that no other plugin's import list names secrets.
//! It sends and says what it sent; whether it arrived is for `verify` to
//! find out from the registry.

use light_workflow_sdk::{CommandResult, CommandTemplate, Invocation, Planned, PublishHost, Status, Step, StepError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use step_kit::rust_release;

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    Publish(Publish),
    Tag(Tag),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    #[serde(rename = "crate")]
    name: String,
    version: String,
    /// The bundle that `cargo` `package` made.
    source: String,
    /// Of the `.crate` file that was approved: `sha256:` and 64 hex digits.
    digest: String,
    #[serde(default = "registry_token")]
    secret: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    url: String,
    tag: String,
    commit: String,
    /// The tag's name if absent.
    message: Option<String>,
    source: String,
    #[serde(default = "git_credential")]
    secret: String,
}

fn registry_token() -> String {
    "cargo-registry-token".to_owned()
}

fn git_credential() -> String {
    "git-credential".to_owned()
}

/// How the command template says that the crate it made is not the approved one; nothing was sent then.
const OTHER_DIGEST: i32 = 65;

/// The step.
pub struct CargoPublish;

impl<H: PublishHost> Step<H> for CargoPublish {
    type Input = Operation;
    type Output = Value;

    const NAME: &'static str = "cargo-publish";
    const SUMMARY: &'static str = "Publishes one crate or pushes one tag, from an approved source";

    fn plan(operation: &Operation) -> Result<Vec<Planned>, StepError> {
        let command = match operation {
            Operation::Publish(publish) => publish.command()?,
            Operation::Tag(tag) => tag.command(),
        };
        Ok(vec![command.planned()])
    }

    fn execute(host: &mut H, operation: Operation) -> Result<Value, StepError> {
        match operation {
            Operation::Publish(publish) => publish.execute(host),
            Operation::Tag(tag) => tag.execute(host),
        }
    }

    fn output_schema() -> Value {
        serde_json::from_str(include_str!("../schema/output.json")).expect("the schema beside this source is JSON")
    }
}

impl Publish {
    fn command(&self) -> Result<Invocation, StepError> {
        let hex = self.digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
        let hex = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(hex) = hex else {
            return Err(StepError::InvalidInput(format!(
                "`digest` is `{}`; it must be `sha256:` and 64 hex digits",
                self.digest
            )));
        };
        let publish = rust_release::CargoPublish {
            crate_: self.name.clone(),
            digest: hex.to_owned(),
            source: self.source.clone().into(),
            version: self.version.clone(),
        };
        Ok(publish.invocation("the crate becomes visible to everyone, for good"))
    }

    fn execute(&self, host: &mut impl PublishHost) -> Result<Value, StepError> {
        let result = self.command()?.run_with(host, &[&self.secret])?;
        let Publish { name, version, .. } = self;
        let sent = |state: &str| Ok(json!({ "crate": name, "version": version, "state": state, "verify": true }));
        match result.status {
            Status::Succeeded => sent("sent"),
            Status::Failed if result.exit_code == Some(OTHER_DIGEST) => Err(result.failure(format!(
                "nothing was sent: packaging {name} {version} from its source does not give the approved digest {}",
                self.digest
            ))),
            Status::Failed if says_already_there(&result) => sent("already-there"),
            // What failed is cargo's waiting for the index, and that is for `verify` to do.
            Status::Failed if says_uploaded(&result, name) => sent("sent"),
            Status::Failed if nobody_answered(&result) => {
                Err(outcome_unknown(&result, &format!("publishing {name} {version}")))
            }
            Status::Failed | Status::PolicyViolation => {
                Err(result.failure(format!("failed to publish {name} {version}: {}", result.last_line())))
            }
            Status::TimedOut | Status::Killed => Err(outcome_unknown(&result, &format!("publishing {name} {version}"))),
        }
    }
}

/// The registry refuses a version twice. Whether it holds the approved bytes is
/// for `verify` to say.
fn says_already_there(result: &CommandResult) -> bool {
    let stderr = result.stderr_excerpt.to_lowercase();
    ["already uploaded", "already exists", "already been uploaded"].iter().any(|words| stderr.contains(words))
}

/// Cargo's line after the registry took the file.
fn says_uploaded(result: &CommandResult, name: &str) -> bool {
    let uploaded = |line: &str| line.trim_start().strip_prefix("Uploaded ").is_some_and(|rest| rest.starts_with(name));
    result.stderr_excerpt.lines().any(uploaded)
}

/// The upload was on its way and the registry, or what is before it, gave no
/// answer of its own: `[52] …` is a transfer that broke off, `got 503` a server in trouble.
fn nobody_answered(result: &CommandResult) -> bool {
    let stderr = &result.stderr_excerpt;
    let cause = |line: &str| {
        let line = line.trim_start();
        line.starts_with('[') || line.contains("200 OK response, got 5") || line.contains("unexpected response")
    };
    let failed = |line: &str| line.contains("failed to publish ") && line.contains(" to registry at ");
    stderr.lines().any(failed) && stderr.lines().any(cause)
}

impl Tag {
    fn command(&self) -> Invocation {
        let push = rust_release::GitPushTag {
            commit: self.commit.clone(),
            message: self.message.as_ref().unwrap_or(&self.tag).clone(),
            source: self.source.clone().into(),
            tag: self.tag.clone(),
            url: self.url.clone(),
        };
        push.invocation("the tag tells everyone that the release is out")
    }

    fn execute(&self, host: &mut impl PublishHost) -> Result<Value, StepError> {
        let result = self.command().run_with(host, &[&self.secret])?;
        let Tag { tag, commit, .. } = self;
        match result.status {
            Status::Succeeded => Ok(json!({ "tag": tag, "commit": commit, "state": "sent", "verify": true })),
            // The command looks first, and a tag is never moved: it may simply be run again.
            Status::Failed if result.lost_network() => {
                Err(StepError::Transient(format!("failed to push tag {tag}: {}", result.last_line())))
            }
            Status::Failed | Status::PolicyViolation => {
                Err(result.failure(format!("failed to push tag {tag}: {}", result.last_line())))
            }
            Status::TimedOut | Status::Killed => Err(outcome_unknown(&result, &format!("pushing tag {tag}"))),
        }
    }
}

/// Cut off in the middle is not failed: the world is asked before anything is sent again.
fn outcome_unknown(result: &CommandResult, doing: &str) -> StepError {
    StepError::NeedsHuman(format!(
        "{doing} was cut off ({}): it may or may not have happened; verify before another attempt",
        result.summary
    ))
}

light_workflow_sdk::export!(publish, CargoPublish);

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Parameter, Script, ended, execute};

    use super::*;

    fn publish(ended: CommandResult) -> (Result<Value, StepError>, Script) {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let input = json!({ "operation": "publish", "crate": "demo-core", "version": "0.1.0", "source": "artifact://i/p/1/files/source.bundle", "digest": digest });
        let mut script = Script::answering([("rust-release/cargo-publish", ended)]);
        (execute::<CargoPublish, _>(&mut script, &input.to_string()), script)
    }

    #[test]
    fn a_publish_names_secret_source_and_approved_digest() {
        let (output, script) = publish(ended(0, "", ""));
        assert_eq!(output.unwrap()["state"], "sent");
        let asked = &script.asked[0];
        assert_eq!(asked.secrets, ["cargo-registry-token"]);
        assert_eq!(asked.parameter("digest"), "ab".repeat(32));
        assert_eq!(asked.parameters["source"], Parameter::Artifact("artifact://i/p/1/files/source.bundle".to_owned()));
    }

    #[test]
    fn already_uploaded_needs_verification_and_is_no_success() {
        let (output, _) = publish(ended(101, "", "error: crate version `0.1.0` is already uploaded\n"));
        let output = output.unwrap();
        assert_eq!((&output["state"], &output["verify"]), (&json!("already-there"), &json!(true)));
    }

    #[test]
    fn another_digest_is_a_failure_before_anything_is_sent() {
        let (output, _) = publish(ended(65, "", "digest differs\n"));
        assert!(matches!(output, Err(StepError::Failed(failure)) if failure.summary.starts_with("nothing was sent")));
    }

    #[test]
    fn a_publish_cut_off_in_the_middle_is_unknown() {
        let (output, _) = publish(CommandResult { status: Status::TimedOut, exit_code: None, ..ended(0, "", "") });
        assert!(matches!(output, Err(StepError::NeedsHuman(text)) if text.contains("may or may not have happened")));
    }

    #[test]
    fn a_registry_that_gave_no_answer_may_have_taken_it() {
        let sent = "error: failed to publish demo-core v0.1.0 to registry at http://r/\n\nCaused by:\n  ";
        for cause in [
            "failed to get a 200 OK response, got 503\n  headers:\n",
            "[52] Server returned nothing (no headers, no data) (Empty reply from server)\n",
        ] {
            let (output, _) = publish(ended(101, "", &format!("{sent}{cause}")));
            let said = matches!(&output, Err(StepError::NeedsHuman(text)) if text.contains("may or may not"));
            assert!(said, "{output:?}");
        }
        // It took it, and was away when cargo looked for it in the index.
        let stderr = "    Uploaded demo-core v0.1.0 to registry `demo`\nerror: failed to query replaced source\n";
        assert_eq!(publish(ended(101, "", stderr)).0.unwrap()["state"], "sent");
        // It said no.
        let stderr = format!("{sent}the remote server responded with an error (status 403 Forbidden): no\n");
        assert!(matches!(publish(ended(101, "", &stderr)).0, Err(StepError::Failed(_))));
    }

    #[test]
    fn a_remote_that_is_away_is_asked_for_the_tag_again() {
        let stderr = "fatal: unable to access 'http://g/d.git/': The requested URL returned error: 503\n";
        let mut script = Script::answering([("rust-release/git-push-tag", ended(128, "", stderr))]);
        let input =
            r#"{"operation":"tag","url":"http://g/d.git","tag":"v0.1.0","commit":"aa","source":"artifact://i/x"}"#;
        let error = execute::<CargoPublish, _>(&mut script, input).unwrap_err();
        assert!(matches!(&error, StepError::Transient(text) if text.contains("error: 503")), "{error:?}");
    }

    #[test]
    fn a_digest_in_another_form_is_invalid() {
        let input =
            r#"{"operation":"publish","crate":"a","version":"0.1.0","source":"artifact://i/x","digest":"md5:1"}"#;
        let error = execute::<CargoPublish, _>(&mut Script::answering([]), input).unwrap_err();
        assert!(matches!(error, StepError::InvalidInput(text) if text.contains("`md5:1`")));
    }

    #[test]
    fn a_tag_carries_its_own_name_as_message() {
        let mut script = Script::answering([("rust-release/git-push-tag", ended(0, "", ""))]);
        let input =
            r#"{"operation":"tag","url":"http://g/d.git","tag":"v0.1.0","commit":"aa","source":"artifact://i/x"}"#;
        execute::<CargoPublish, _>(&mut script, input).unwrap();
        assert_eq!(script.asked[0].parameter("message"), "v0.1.0");
        assert_eq!(script.asked[0].secrets, ["git-credential"]);
    }
}
