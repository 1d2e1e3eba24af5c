//! Writes the notes of a release from its commits, as a Markdown artifact.
//!
//! It computes from what it is given and stores one file; it runs no command.
//! The same commits give the same bytes.
//!
//! Source: “Release Lifecycle” in the design document (step 11).

mod commit;
mod markdown;

use light_workflow_sdk::{Level, Log, Planned, Step, StepError, WriteArtifacts};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::commit::{Change, Commit, Section};

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    repository: Repository,
    version: String,
    /// The tag that the release gets, for a link.
    tag: Option<String>,
    /// The tag of the release before; none if this is the first.
    previous: Option<String>,
    /// `2026-11-25`
    date: Option<String>,
    /// Newest first, without merges.
    commits: Vec<Commit>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Repository {
    name: String,
    url: Option<String>,
}

/// What the changes call for, as semantic versions have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    Patch,
    Minor,
    Major,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    artifact: String,
    markdown: String,
    changes: usize,
    breaking: usize,
    calls_for: Size,
    /// What a person should look at before the notes are public.
    warnings: Vec<String>,
}

/// The one name that it stores.
const FILE: &str = "release-notes.md";

/// The step.
pub struct ReleaseNotes;

impl<H: Log + WriteArtifacts> Step<H> for ReleaseNotes {
    type Input = Input;
    type Output = Output;

    const NAME: &'static str = "release-notes";
    const SUMMARY: &'static str = "Writes the notes of a release from its commits, as a Markdown artifact";
    const IDEMPOTENT: bool = true;

    fn plan(_: &Input) -> Result<Vec<Planned>, StepError> {
        Ok(Vec::new())
    }

    fn execute(host: &mut H, input: Input) -> Result<Output, StepError> {
        let changes: Vec<_> = input.commits.iter().map(|commit| (commit.commit.clone(), commit.change())).collect();
        let calls_for = calls_for(&changes);
        let warnings: Vec<_> = too_small(&input, calls_for).into_iter().collect();
        for warning in &warnings {
            host.log(Level::Warn, warning);
        }
        let markdown = markdown::notes(&input, &changes);
        let artifact = host.put(FILE, "text/markdown", markdown.as_bytes())?;
        host.log(Level::Info, &format!("notes of {} changes", changes.len()));
        let breaking = changes.iter().filter(|(_, change)| change.breaking.is_some()).count();
        Ok(Output { artifact, markdown, changes: changes.len(), breaking, calls_for, warnings })
    }
}

fn calls_for(changes: &[(String, Change)]) -> Size {
    let of_one = |(_, change): &(String, Change)| match (&change.breaking, change.section) {
        (Some(_), _) => Size::Major,
        (None, Section::Features) => Size::Minor,
        (None, Section::Fixes | Section::Performance | Section::Reverts | Section::Documentation | Section::Other) => {
            Size::Patch
        }
    };
    changes.iter().map(of_one).max().unwrap_or(Size::Patch)
}

/// A version that promises less than the changes do. Before 1.0.0 the second number
/// stands for the first.
fn too_small(input: &Input, calls_for: Size) -> Option<String> {
    let number = |text: &str| Version::parse(text.trim_start_matches('v')).ok();
    let (previous, version) = (number(input.previous.as_deref()?)?, number(&input.version)?);
    let taken = if version.major > previous.major {
        Size::Major
    } else if version.minor > previous.minor {
        if previous.major == 0 { Size::Major } else { Size::Minor }
    } else if previous.major == 0 {
        Size::Minor
    } else {
        Size::Patch
    };
    (taken < calls_for).then(|| {
        format!("version {version} after {previous} is too small a step: the changes call for a {calls_for:?} one")
    })
}

light_workflow_sdk::export!(build, ReleaseNotes);

#[cfg(test)]
mod tests {
    use light_workflow_sdk::Script;
    use serde_json::{Value, json};

    use super::*;

    fn commit(number: u64, message: &str) -> Value {
        json!({ "commit": format!("{number:040x}"), "message": message })
    }

    fn input(previous: &str, commits: Value) -> Value {
        json!({
            "repository": { "name": "demo", "url": "https://github.com/example/demo.git" }, "version": "1.2.0",
            "tag": "v1.2.0", "previous": previous, "date": "2026-11-25", "commits": commits,
        })
    }

    fn run(input: Value) -> (Value, Script) {
        let mut script = Script::new();
        let output = script.execute::<ReleaseNotes>(input).unwrap();
        (output, script)
    }

    #[test]
    fn the_notes_say_each_change_where_a_reader_looks_for_it() {
        let commits = json!([
            commit(0xabcdef12, "fix(parser): read `#`\n\nCloses #12"),
            commit(2, "feat!: one key a line\n\nBREAKING CHANGE: several keys a line are refused"),
            commit(3, "tidy up"),
        ]);
        let (output, script) = run(input("v1.1.0", commits));
        let expected = "\
## demo 1.2.0 (2026-11-25)

Changes since [v1.1.0](https://github.com/example/demo/compare/v1.1.0...v1.2.0).

### Breaking changes

- several keys a line are refused (00000000)

### Features

- one key a line (00000000)

### Fixes

- **parser**: read \\`#\\` (00000000)

### Other changes

- tidy up (00000000)

### Issues addressed

#12
";
        assert_eq!(output["markdown"], expected);
        assert_eq!(script.written["release-notes.md"], expected.as_bytes());
        assert_eq!((&output["breaking"], &output["callsFor"]), (&json!(1), &json!("major")));
        let warning = "version 1.2.0 after 1.1.0 is too small a step: the changes call for a Major one";
        assert_eq!(output["warnings"], json!([warning]));
    }

    #[test]
    fn a_step_is_large_enough_or_it_is_said() {
        for (previous, message, enough) in [
            ("v1.1.0", "feat: x", true),
            ("v1.2.0-rc.1", "feat: x", false),
            ("v0.9.0", "feat!: x", true),
            ("light", "feat!: x", true),
        ] {
            let (output, _) = run(input(previous, json!([commit(1, message)])));
            assert_eq!(output["warnings"].as_array().unwrap().is_empty(), enough, "{previous} {message}");
        }
    }

    #[test]
    fn nothing_of_a_message_becomes_markup_a_link_or_a_mention() {
        let hostile = "feat: [x](javascript:alert) <img src=x> @team *b* | https://evil.test ![i](j)";
        let (output, _) = run(input("v1.1.0", json!([commit(1, hostile)])));
        let notes = output["markdown"].as_str().unwrap();
        let line = notes.lines().find(|line| line.starts_with("- ")).unwrap();
        assert_eq!(
            line,
            "- \\[x\\](javascript:alert) \\<img src=x\\> &#64;team \\*b\\* \\| https&#58;//evil.test \\!\\[i\\](j) (00000000)"
        );
        let mut forged = input("v1.1.0) [x](http://evil.test", json!([]));
        forged["repository"]["name"] = json!("a\n# b");
        let (output, _) = run(forged);
        let notes = output["markdown"].as_str().unwrap();
        assert!(notes.starts_with("## a # b 1.2.0") && !notes.contains("://"), "{notes}");
    }

    #[test]
    fn a_release_without_changes_says_so() {
        let (output, _) = run(input("v1.1.0", json!([])));
        assert!(output["markdown"].as_str().unwrap().ends_with("\nNothing changed.\n"));
    }
}
