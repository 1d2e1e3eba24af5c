//! What Cargo, rustc and libtest print, read for facts.

use serde::Serialize;

/// A compiler error with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct CompileError {
    /// `E0308`, if it has one.
    pub code: Option<String>,
    pub message: String,
    /// `crates/core/src/lib.rs:12:5`
    pub place: Option<String>,
}

/// Lines that start like an error and only say that there were some.
const SUMMARIES: [&str; 7] = [
    "could not compile",
    "aborting due to",
    "test failed",
    "doctest failed",
    "target failed",
    "targets failed",
    "build failed",
];

/// The first error of rustc in human form, and the crate that did not compile.
pub fn compile_error(stderr: &str) -> Option<(Option<String>, CompileError)> {
    let lines: Vec<&str> = stderr.lines().collect();
    let krate = lines.iter().find_map(|line| quoted_after(line, "error: could not compile "));
    let (at, code, message) = lines.iter().enumerate().find_map(|(at, line)| {
        let rest = line.strip_prefix("error")?;
        let (code, message) = match rest.strip_prefix('[') {
            Some(coded) => coded.split_once("]: ").map(|(code, message)| (Some(code.to_owned()), message))?,
            None => (None, rest.strip_prefix(": ")?),
        };
        let is_summary = SUMMARIES.iter().any(|words| message.contains(words));
        (!is_summary).then(|| (at, code, message.to_owned()))
    })?;
    // The place stands within a few lines of its error, before the next one.
    let place = lines[at + 1..].iter().take(6).find_map(|line| line.trim_start().strip_prefix("--> "));
    let error = CompileError { code, message, place: place.map(str::to_owned) };
    (krate.is_some() || error.place.is_some()).then_some((krate, error))
}

/// Warnings of all targets, as Cargo counts them at the end of each.
pub fn warnings(stderr: &str) -> u64 {
    let counts = stderr.lines().filter_map(|line| {
        let (_, rest) = line.strip_prefix("warning: `")?.split_once(" generated ")?;
        rest.split(' ').next()?.parse::<u64>().ok()
    });
    counts.sum()
}

/// One test binary or the documentation tests of a crate.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TestTarget {
    pub name: String,
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
    /// Test paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

/// The targets of `cargo test`, from libtest's stdout and Cargo's stderr.
///
/// Cargo names the targets on stderr and runs them one after the other, so
/// that the n-th name belongs to the n-th `running … tests`.
pub fn tests(stdout: &str, stderr: &str) -> Vec<TestTarget> {
    let mut names = stderr.lines().filter_map(target_name);
    let mut targets: Vec<TestTarget> = Vec::new();
    let mut in_failures = false;
    for line in stdout.lines() {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            let name = names.next().unwrap_or_else(|| "unnamed target".to_owned());
            targets.push(TestTarget { name, ..TestTarget::default() });
            in_failures = false;
        }
        let Some(target) = targets.last_mut() else { continue };
        if line == "failures:" {
            // Printed twice: before the outputs and before the plain list, which wins.
            in_failures = true;
            target.failures.clear();
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            (target.passed, target.failed, target.ignored) =
                (count(counts, " passed"), count(counts, " failed"), count(counts, " ignored"));
            in_failures = false;
        } else if let Some(name) = line.strip_prefix("    ").filter(|_| in_failures)
            && !name.starts_with(' ')
            && !name.is_empty()
        {
            target.failures.push(name.trim_end().to_owned());
        }
    }
    targets
}

/// `     Running unittests src/lib.rs (target/debug/deps/demo_core-0f1e)` or `   Doc-tests demo_core`.
fn target_name(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(krate) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{} (documentation)", krate.trim()));
    }
    let (what, binary) = line.strip_prefix("Running ")?.rsplit_once(" (")?;
    let file = binary.trim_end_matches(')').rsplit('/').next()?;
    let krate = file.rsplit_once('-').map_or(file, |(krate, _)| krate);
    match what.strip_prefix("unittests ") {
        Some(_) => Some(krate.to_owned()),
        None => Some(format!("{krate} ({what})")),
    }
}

fn count(counts: &str, what: &str) -> u64 {
    let before = counts.split(what).next().unwrap_or_default();
    before.rsplit([' ', ';']).next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn quoted_after(line: &str, words: &str) -> Option<String> {
    let rest = line.strip_prefix(words)?.strip_prefix('`')?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_real_error_is_found_with_code_and_place() {
        let stderr = "\
   Compiling demo-core v0.1.0 (/workspace/repos/demo/crates/core)
error[E0308]: mismatched types
  --> crates/core/src/lib.rs:12:5
   |
12 |     \"x\"
   |     ^^^ expected `u32`, found `&str`

error: aborting due to 1 previous error

error: could not compile `demo-core` (lib) due to 1 previous error
";
        let (krate, error) = compile_error(stderr).unwrap();
        assert_eq!(krate.as_deref(), Some("demo-core"));
        assert_eq!(error.code.as_deref(), Some("E0308"));
        assert_eq!(error.message, "mismatched types");
        assert_eq!(error.place.as_deref(), Some("crates/core/src/lib.rs:12:5"));
    }

    #[test]
    fn a_failed_test_is_not_a_compile_error() {
        assert_eq!(compile_error("error: test failed, to rerun pass `-p demo-core --lib`\n"), None);
        assert_eq!(compile_error("error: 2 targets failed:\n    `-p demo-core --lib`\n"), None);
    }

    #[test]
    fn counts_and_failures_belong_to_their_target() {
        let stderr = "\
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.50s
     Running unittests src/lib.rs (target/debug/deps/demo_core-0f1e2d3c4b5a6978)
error: test failed, to rerun pass `-p demo-core --lib`
     Running tests/cli.rs (target/debug/deps/cli-0f1e2d3c4b5a6978)
   Doc-tests demo_core
error: 1 target failed:
    `-p demo-core --lib`
";
        let stdout = "
running 3 tests
test tests::adds ... FAILED
test tests::slow ... ignored
test tests::subtracts ... ok

failures:

---- tests::adds stdout ----
thread 'tests::adds' panicked at crates/core/src/lib.rs:20:9:
    indented words of the test
assertion `left == right` failed


failures:
    tests::adds

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 1 test
test prints ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let targets = tests(stdout, stderr);
        let text: Vec<_> = targets
            .iter()
            .map(|t| format!("{} {}/{}/{} {:?}", t.name, t.passed, t.failed, t.ignored, t.failures))
            .collect();
        assert_eq!(
            text,
            ["demo_core 1/1/1 [\"tests::adds\"]", "cli (tests/cli.rs) 1/0/0 []", "demo_core (documentation) 0/0/0 []"]
        );
    }

    #[test]
    fn warnings_are_counted_over_targets() {
        let stderr =
            "warning: unused\nwarning: `a` (lib) generated 2 warnings\nwarning: `b` (bin \"b\") generated 1 warning\n";
        assert_eq!(warnings(stderr), 3);
    }
}
