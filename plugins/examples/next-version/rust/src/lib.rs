//! The version that follows another one.

use light_workflow_sdk::prelude::*;

/// What a task passes in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Three numbers: `1.4.2`.
    version: String,
    change: Change,
}

/// What the release changes for those who use it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Breaking,
    Feature,
    Fix,
}

/// What the task's output is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    version: String,
}

pub struct NextVersion;

impl<H: PureHost> Step<H> for NextVersion {
    type Input = Input;
    type Output = Output;

    const NAME: &'static str = "next-version";
    const SUMMARY: &'static str = "Says which version follows";
    const IDEMPOTENT: bool = true;

    fn plan(_: &Input) -> Result<Vec<Planned>, StepError> {
        Ok(Vec::new())
    }

    fn execute(host: &mut H, input: Input) -> Result<Output, StepError> {
        let numbers: Vec<u64> = input.version.split('.').filter_map(|part| part.parse().ok()).collect();
        let [major, minor, patch] = numbers[..] else {
            return Err(StepError::InvalidInput(format!("`{}` is not three numbers", input.version)));
        };
        let version = match input.change {
            Change::Breaking => format!("{}.0.0", major + 1),
            Change::Feature => format!("{major}.{}.0", minor + 1),
            Change::Fix => format!("{major}.{minor}.{}", patch + 1),
        };
        host.log(Level::Info, &format!("{} is followed by {version}", input.version));
        Ok(Output { version })
    }
}

light_workflow_sdk::export!(pure, NextVersion);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_raises_the_second_number() {
        let output = Script::new().execute::<NextVersion>(json!({ "version": "1.4.2", "change": "feature" }));
        assert_eq!(output, Ok(json!({ "version": "1.5.0" })));
    }
}
