//! Says which version of a tool the sandbox has, and refuses one that is too old.

use light_workflow_sdk::prelude::*;

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// The tool's name as it answers `--version`: `cargo`.
    tool: String,
    /// The lowest version that is good enough, in numbers: `1.80`.
    at_least: Option<String>,
}

/// What the task's output is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    tool: String,
    version: String,
}

pub struct ToolVersion;

impl<H: ProbeHost> Step<H> for ToolVersion {
    type Input = Input;
    type Output = Output;

    const NAME: &'static str = "tool-version";
    const SUMMARY: &'static str = "Says which version of a tool the sandbox has";
    const IDEMPOTENT: bool = true;

    fn plan(_: &Input) -> Result<Vec<Planned>, StepError> {
        Ok(vec![versions().planned()])
    }

    fn execute(host: &mut H, input: Input) -> Result<Output, StepError> {
        let result = versions().run(host)?;
        // A command that fails is an answer; here it ends the step, and the release goes to its diagnosis.
        result.expect_success("ask the tools for their versions")?;
        let Some(version) = version_of(&result.stdout_excerpt, &input.tool) else {
            return Err(StepError::NeedsHuman(format!("the sandbox has no `{}`", input.tool)));
        };
        if let Some(lowest) = input.at_least.filter(|lowest| numbers(&version) < numbers(lowest)) {
            return Err(StepError::NeedsHuman(format!("`{}` is {version}, older than {lowest}", input.tool)));
        }
        host.log(Level::Info, &format!("{} {version}", input.tool));
        Ok(Output { tool: input.tool, version })
    }
}

/// One line for each tool: its name, words, its version.
fn versions() -> Invocation {
    Invocation::new("rust-release/tool-versions", vec![], "the tools say what they are")
}

fn version_of(lines: &str, tool: &str) -> Option<String> {
    let line = lines.lines().find(|line| line.split_whitespace().next() == Some(tool))?;
    let word = line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(word.to_owned())
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

light_workflow_sdk::export!(probe, ToolVersion);

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "cargo 1.95.0 (f2d3ce0bd 2026-03-21)\ngit version 2.39.5\n";

    #[test]
    fn a_tool_says_its_version() {
        let mut script = Script::answering([("rust-release/tool-versions", ended(0, ANSWER, ""))]);
        let output = script.execute::<ToolVersion>(json!({ "tool": "git", "atLeast": "2.30" }));
        assert_eq!(output, Ok(json!({ "tool": "git", "version": "2.39.5" })));
    }

    #[test]
    fn a_tool_that_is_too_old_needs_a_person() {
        let mut script = Script::answering([("rust-release/tool-versions", ended(0, ANSWER, ""))]);
        let error = script.execute::<ToolVersion>(json!({ "tool": "cargo", "atLeast": "1.100" })).unwrap_err();
        assert_eq!(error, StepError::NeedsHuman("`cargo` is 1.95.0, older than 1.100".to_owned()));
    }
}
