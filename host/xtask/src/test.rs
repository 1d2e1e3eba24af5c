//! All tests, and one plain line at the end.

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::{plugins, say, setup};

pub fn run(shell: &Shell, arguments: &[String]) -> anyhow::Result<()> {
    setup::run(shell)?;
    setup::servers(shell)?;
    setup::languages(shell)?;
    if arguments.iter().any(|argument| argument == "--all") {
        setup::java(shell)?;
    }
    setup::cargo_tool(shell, "cargo-nextest")?;
    plugins::build(shell, &["--workspace", "--all-targets"])?;
    say("building and running the tests");
    let summary = crate::target().join("nextest-summary.txt");
    let _messages = shell.push_env("NEXTEST_HIDE_PROGRESS_BAR", "1");
    // The last lines of nextest hold the counts; they come on standard error.
    let script = format!(
        "set -o pipefail; cargo nextest run --workspace --no-fail-fast \"$@\" 2>&1 | tee '{}'",
        summary.display()
    );
    // Some tests need packages that take minutes to install.
    let arguments = arguments.iter().flat_map(|argument| match argument.as_str() {
        "--all" => vec!["--run-ignored", "all"],
        other => vec![other],
    });
    let passed = cmd!(shell, "bash -c {script} nextest {arguments...}").quiet().run();
    let text = shell.read_file(&summary).context("failed to read what nextest printed")?;
    let (ran, failures) = counts(&text).context("nextest printed no summary: no test ran")?;
    println!("{} passed, {failures} failed", ran - failures);
    if passed.is_err() || failures > 0 {
        bail!("{failures} of {ran} tests failed");
    }
    Ok(())
}

/// Tests run and failed, from nextest's summary line:
/// `Summary [ 1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 0 skipped`.
fn counts(text: &str) -> Option<(usize, usize)> {
    let line = text.lines().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
    let words: Vec<&str> = line.split([' ', ',', '/']).filter(|word| !word.is_empty()).collect();
    let before = |name: &str| -> Option<usize> {
        let at = words.iter().position(|word| *word == name)?;
        words[at.checked_sub(1)?].parse().ok()
    };
    let passed = before("passed").unwrap_or(0);
    let failed = before("failed").unwrap_or(0) + before("timed").unwrap_or(0);
    let ran = passed + failed;
    (ran > 0).then_some((ran, failed))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn the_summary_of_nextest_gives_the_counts() {
        let cases = [
            ("     Summary [   1.203s] 12 tests run: 12 passed, 0 skipped", Some((12, 0))),
            ("     Summary [   1.203s] 12 tests run: 9 passed (1 slow), 3 failed, 4 skipped", Some((12, 3))),
            ("no tests to run", None),
        ];
        for (line, expected) in cases {
            assert_eq!(counts(line), expected, "{line}");
        }
    }
}
