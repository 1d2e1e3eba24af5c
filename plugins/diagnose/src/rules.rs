//! What tools say when they fail, and which kind of failure it is.
//!
//! A rule looks at one line and has a weight; the heaviest that matches decides,
//! and of two as heavy the one that came last. Nothing is added up: a log
//! cannot make a kind likelier by saying it often.

use crate::Category;
use crate::Category::{
    CompileFailure, DependencyResolution, PermissionOrSecret, PolicyViolation, ReleaseMetadata, TestFailure,
    TransientInfrastructure, Uncertain,
};
use crate::logs::Line;

/// A line of this weight decides by itself, and a weight is a confidence in percent.
type Weight = u32;

/// All words of a rule must be in one line.
type Rule = (Category, Weight, &'static [&'static str]);

/// How much less a warning weighs.
const WARNING_LESS: Weight = 12;

/// A match: which line, and how telling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    pub category: Category,
    pub weight: Weight,
    /// Index into the rules.
    pub rule: usize,
    /// Index into the lines.
    pub line: usize,
}

/// The best match of each line that has one, in the order of the lines.
pub fn matches(lines: &[Line<'_>]) -> Vec<Match> {
    matches_by(lines, &|_| true)
}

/// The same by some of the rules, named by their index.
pub fn matches_by(lines: &[Line<'_>], allowed: &dyn Fn(usize) -> bool) -> Vec<Match> {
    let of_maven = says_maven(lines);
    let telling = lines.iter().enumerate().filter(|(_, line)| !of_maven || is_telling_in_maven(&line.plain));
    telling
        .filter_map(|(at, line)| {
            let (rule, category, weight) = best(&line.plain, allowed)?;
            Some(Match { category, weight, rule, line: at })
        })
        .collect()
}

/// The heaviest rule that a line fulfils; the first of equals.
fn best(line: &str, allowed: &dyn Fn(usize) -> bool) -> Option<(usize, Category, Weight)> {
    let seen = Seen::of(line);
    let fits = |rule: &&Rule| rule.2.iter().all(|words| seen.may_hold(words) && line.contains(words));
    let fitting = RULES.iter().enumerate().filter(|(at, rule)| fits(rule) && allowed(*at));
    let fitting = fitting.map(|(at, (category, weight, _))| (at, *category, *weight));
    let (rule, category, weight) = fitting.reduce(|best, next| if next.2 > best.2 { next } else { best })?;
    // What a tool only warns of is rarely why it failed.
    let is_warning = line.starts_with("warning");
    Some((rule, category, if is_warning { weight - WARNING_LESS } else { weight }))
}

/// Which three letters follow each other somewhere in a line, roughly: most rules
/// are ruled out by it, so that a line costs its length and not its length times
/// the rules.
struct Seen([u64; 64]);

impl Seen {
    fn of(line: &str) -> Self {
        let mut bits = [0; 64];
        for three in line.as_bytes().windows(3) {
            let (word, bit) = Self::place(three);
            bits[word] |= bit;
        }
        Self(bits)
    }

    fn may_hold(&self, words: &str) -> bool {
        words.as_bytes().windows(3).all(|three| {
            let (word, bit) = Self::place(three);
            self.0[word] & bit != 0
        })
    }

    fn place(three: &[u8]) -> (usize, u64) {
        let number = three.iter().fold(0_usize, |number, byte| number * 31 + usize::from(*byte));
        (number / 64 % 64, 1 << (number % 64))
    }
}

/// Maven marks its own lines; between them are those of the programs it ran, and
/// tests write errors that are none.
fn says_maven(lines: &[Line<'_>]) -> bool {
    lines.iter().filter(|line| line.plain.starts_with("[info]") || line.plain.starts_with("[error]")).take(3).count()
        == 3
}

fn is_telling_in_maven(line: &str) -> bool {
    ["[error]", "error:", "[warning] rule ", "gpg:", "error "].iter().any(|begin| line.starts_with(begin))
        || ["failed with message", "there is no pom in this directory"].iter().any(|words| line.contains(words))
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    // ------------------------------------------------------------------ the surroundings, not the release
    (Uncertain, 97, &["could not find a valid docker environment"]),
    (Uncertain, 96, &[".git directory is not found"]),
    (Uncertain, 96, &["one of setgitdir or setworktree must be called"]),
    (Uncertain, 96, &["there is no pom in this directory"]),
    (Uncertain, 96, &["could not find the selected project in the reactor"]),
    (Uncertain, 96, &["unknown lifecycle phase"]),
    (Uncertain, 96, &["no plugin found for prefix"]),
    (Uncertain, 96, &["invalid threads core multiplier"]),
    (Uncertain, 96, &["buildernotfoundexception"]),
    (Uncertain, 95, &["the operation was canceled"]),
    (Uncertain, 95, &["has exceeded the maximum execution time"]),
    (Uncertain, 80, &["unable to find any artifacts"]),
    (Uncertain, 80, &["artifact not found for name"]),

    // ------------------------------------------------------------------ policy
    (PolicyViolation, 97, &["x-egress-policy"]),
    (PolicyViolation, 96, &["maven-default-http-blocker"]),
    (PolicyViolation, 96, &["blocked mirror for repositories"]),
    (PolicyViolation, 96, &["gh006"]),
    (PolicyViolation, 95, &["gh013"]),
    (PolicyViolation, 95, &["protected branch"]),
    (PolicyViolation, 95, &["required status check"]),
    (PolicyViolation, 95, &["the sandbox refused"]),
    (PolicyViolation, 95, &["is not in `sandbox.commands`"]),
    (PolicyViolation, 95, &["unapproved license"]),
    (PolicyViolation, 95, &["expected license header"]),
    (PolicyViolation, 94, &["failed to execute goal", "apache-rat-plugin"]),
    (PolicyViolation, 94, &["failed to execute goal", "license-maven-plugin", ":check"]),
    (PolicyViolation, 93, &["failed to execute goal", "checkstyle", ":check"]),
    (PolicyViolation, 93, &["failed to execute goal", "spotless", ":check"]),
    (PolicyViolation, 93, &["failed to execute goal", "maven-pmd-plugin", "check"]),
    (PolicyViolation, 93, &["failed to execute goal", "spotbugs", ":check"]),
    (PolicyViolation, 96, &["failed with message", "enforcebytecodeversion"]),
    (PolicyViolation, 96, &["failed with message", "requirejavaversion"]),
    (PolicyViolation, 96, &["failed with message", "requiremavenversion"]),
    (PolicyViolation, 96, &["failed with message", "requireos"]),
    (PolicyViolation, 96, &["failed with message", "banneddependencies"]),
    (PolicyViolation, 96, &["failed with message", "bannedplugins"]),
    (PolicyViolation, 96, &["is not in the allowed range"]),
    (PolicyViolation, 92, &["bans failed"]),
    (PolicyViolation, 92, &["licenses failed"]),
    (PolicyViolation, 92, &["advisories failed"]),
    (PolicyViolation, 92, &["sources failed"]),
    (PolicyViolation, 85, &["lint failed"]),
    (PolicyViolation, 82, &["lintrunner", "error"]),

    // ------------------------------------------------------------------ permission or secret
    (PermissionOrSecret, 95, &["gpg: signing failed"]),
    (PermissionOrSecret, 95, &["no default secret key"]),
    (PermissionOrSecret, 94, &["don't seem to be an owner"]),
    (PermissionOrSecret, 94, &["no token found"]),
    (PermissionOrSecret, 94, &["run `cargo login"]),
    (PermissionOrSecret, 94, &["token rejected"]),
    (PermissionOrSecret, 94, &["authenticated registries require"]),
    (PermissionOrSecret, 93, &["must be logged in"]),
    (PermissionOrSecret, 94, &["403 forbidden"]),
    (PermissionOrSecret, 94, &["forbidden (403)"]),
    (PermissionOrSecret, 94, &["403 - forbidden"]),
    (PermissionOrSecret, 94, &["status code: 403"]),
    (PermissionOrSecret, 94, &["status: 403"]),
    (PermissionOrSecret, 94, &["got 403"]),
    (PermissionOrSecret, 94, &["return code is: 403"]),
    (PermissionOrSecret, 94, &["401 unauthorized"]),
    (PermissionOrSecret, 94, &["unauthorized (401)"]),
    (PermissionOrSecret, 94, &["status code: 401"]),
    (PermissionOrSecret, 94, &["status: 401"]),
    (PermissionOrSecret, 94, &["got 401"]),
    (PermissionOrSecret, 94, &["return code is: 401"]),
    (PermissionOrSecret, 93, &["permission_denied"]),
    (PermissionOrSecret, 93, &["accessdenied"]),
    (PermissionOrSecret, 92, &["authentication failed"]),
    (PermissionOrSecret, 92, &["authentication required"]),
    (PermissionOrSecret, 92, &["bad credentials"]),
    (PermissionOrSecret, 92, &["not authorized"]),
    (PermissionOrSecret, 92, &["permission denied (publickey"]),
    (PermissionOrSecret, 92, &["could not read username"]),
    (PermissionOrSecret, 92, &["could not load credentials"]),
    (PermissionOrSecret, 92, &["unable to locate credentials"]),
    (PermissionOrSecret, 92, &["credential provider"]),
    (PermissionOrSecret, 92, &["credential process"]),
    (PermissionOrSecret, 92, &["please provide a non-empty token"]),
    (PermissionOrSecret, 92, &["token", "invalid"]),
    (PermissionOrSecret, 92, &["token", "expired"]),
    (PermissionOrSecret, 90, &["access denied"]),
    (PermissionOrSecret, 88, &["unauthorized:"]),
    (PermissionOrSecret, 84, &["denied: "]),

    // ------------------------------------------------------------------ transient infrastructure
    (TransientInfrastructure, 94, &["429 too many requests"]),
    (TransientInfrastructure, 94, &["toomanyrequests"]),
    (TransientInfrastructure, 94, &["rate limit exceeded"]),
    (TransientInfrastructure, 93, &["rate limit"]),
    (TransientInfrastructure, 94, &["500 internal server"]),
    (TransientInfrastructure, 94, &["502 bad gateway"]),
    (TransientInfrastructure, 94, &["bad gateway (502)"]),
    (TransientInfrastructure, 94, &["503 service"]),
    (TransientInfrastructure, 94, &["service unavailable (503)"]),
    (TransientInfrastructure, 94, &["504 gateway"]),
    (TransientInfrastructure, 94, &["gateway timeout (504)"]),
    (TransientInfrastructure, 94, &["got 429"]),
    (TransientInfrastructure, 93, &["status code: 429"]),
    (TransientInfrastructure, 93, &["you have published too many"]),
    (TransientInfrastructure, 93, &["got 500"]),
    (TransientInfrastructure, 93, &["got 502"]),
    (TransientInfrastructure, 93, &["got 503"]),
    (TransientInfrastructure, 93, &["got 504"]),
    (TransientInfrastructure, 93, &["status: 50"]),
    (TransientInfrastructure, 93, &["status code: 50"]),
    (TransientInfrastructure, 93, &["return code is: 50"]),
    (TransientInfrastructure, 93, &["timeout was reached"]),
    (TransientInfrastructure, 93, &["received a shutdown signal"]),
    (TransientInfrastructure, 93, &["lost communication with the server"]),
    (TransientInfrastructure, 92, &["temporary failure in name resolution"]),
    (TransientInfrastructure, 90, &["unknown host"]),
    (TransientInfrastructure, 90, &["name or service not known"]),
    (TransientInfrastructure, 90, &["could not resolve host"]),
    (TransientInfrastructure, 90, &["failed to lookup address"]),
    (TransientInfrastructure, 90, &["dns error"]),
    (TransientInfrastructure, 90, &["spurious network error"]),
    (TransientInfrastructure, 90, &["connection timed out"]),
    (TransientInfrastructure, 90, &["connect timed out"]),
    (TransientInfrastructure, 90, &["read timed out"]),
    (TransientInfrastructure, 90, &["operation timed out"]),
    (TransientInfrastructure, 90, &["tls handshake timeout"]),
    (TransientInfrastructure, 90, &["i/o timeout"]),
    (TransientInfrastructure, 89, &["connection reset"]),
    (TransientInfrastructure, 88, &["connection refused"]),
    (TransientInfrastructure, 88, &["network is unreachable"]),
    (TransientInfrastructure, 88, &["hung up unexpectedly"]),
    (TransientInfrastructure, 88, &["timed out waiting for", "available"]),
    (TransientInfrastructure, 88, &["waiting for", "publish", "timeout"]),
    (TransientInfrastructure, 88, &["failed to download archive"]),
    (TransientInfrastructure, 88, &["failed to download action"]),
    (TransientInfrastructure, 88, &["pod", "is unhealthy"]),
    (TransientInfrastructure, 82, &["failed to download from"]),
    (TransientInfrastructure, 86, &["no space left on device"]),
    (TransientInfrastructure, 75, &["exit code 137"]),

    // ------------------------------------------------------------------ release metadata
    (ReleaseMetadata, 95, &["already uploaded"]),
    (ReleaseMetadata, 95, &["already exists on"]),
    (ReleaseMetadata, 95, &["tag_name"]),
    (ReleaseMetadata, 95, &["tag", "already exists"]),
    (ReleaseMetadata, 95, &["not yet committed into git"]),
    (ReleaseMetadata, 95, &["dirty files found"]),
    (ReleaseMetadata, 95, &["cannot be published"]),
    (ReleaseMetadata, 94, &["lock file", "needs to be updated"]),
    (ReleaseMetadata, 94, &["failed to parse manifest"]),
    (ReleaseMetadata, 94, &["failed to verify manifest"]),
    (ReleaseMetadata, 94, &["failed to parse lock file"]),
    (ReleaseMetadata, 94, &["dependencies must have a version"]),
    (ReleaseMetadata, 94, &["does not appear to exist"]),
    (ReleaseMetadata, 94, &["doesn't appear to"]),
    (ReleaseMetadata, 94, &["cannot be packaged"]),
    (ReleaseMetadata, 94, &["cannot package a filename"]),
    (ReleaseMetadata, 94, &["invalid inclusion of reserved file"]),
    (ReleaseMetadata, 94, &["package.publish"]),
    (ReleaseMetadata, 94, &["--registry is required"]),
    (ReleaseMetadata, 94, &["source directory was modified by build"]),
    (ReleaseMetadata, 94, &["missing dependency", "version field"]),
    (ReleaseMetadata, 94, &["is not a valid semver"]),
    (ReleaseMetadata, 93, &["invalid version"]),
    (ReleaseMetadata, 94, &["missing signature"]),
    (ReleaseMetadata, 94, &["project description", "missing"]),
    (ReleaseMetadata, 94, &["no sources jar found"]),
    (ReleaseMetadata, 94, &["circular dependency detected while publishing"]),
    (ReleaseMetadata, 93, &["changed between lock files"]),
    (ReleaseMetadata, 92, &["max upload size"]),
    (ReleaseMetadata, 94, &["invalid pom"]),
    (ReleaseMetadata, 94, &["non-parseable pom"]),
    (ReleaseMetadata, 94, &["malformed pom"]),
    (ReleaseMetadata, 92, &["does not allow updating"]),
    (ReleaseMetadata, 92, &["409 conflict"]),
    (ReleaseMetadata, 90, &["checkout is dirty"]),
    (ReleaseMetadata, 90, &["checkout dirty"]),
    (ReleaseMetadata, 70, &["the remote server responded with an error"]),
    (ReleaseMetadata, 80, &["changelog", "missing"]),
    (ReleaseMetadata, 80, &["the build could not read"]),
    (ReleaseMetadata, 78, &["error:", "manifest"]),

    // ------------------------------------------------------------------ dependency resolution
    (DependencyResolution, 96, &["failed with message", "requireupperbounddeps"]),
    (DependencyResolution, 96, &["failed with message", "dependencyconvergence"]),
    (DependencyResolution, 96, &["require upper bound dependencies error"]),
    (DependencyResolution, 96, &["dependency convergence error"]),
    (DependencyResolution, 95, &["validate-hpi"]),
    (DependencyResolution, 95, &["no matching package"]),
    (DependencyResolution, 94, &["failed to select a version"]),
    (DependencyResolution, 94, &["links to the native library"]),
    (DependencyResolution, 94, &["link to native library"]),
    (DependencyResolution, 94, &["cyclic package dependency"]),
    (DependencyResolution, 93, &["is not supported by the following package"]),
    (DependencyResolution, 93, &["failed to verify the checksum"]),
    (DependencyResolution, 93, &["the listed checksum of"]),
    (DependencyResolution, 92, &["eresolve"]),
    (DependencyResolution, 92, &["no matching version found"]),
    (DependencyResolution, 92, &["could not find a version that satisfies"]),
    (DependencyResolution, 92, &["resolutionimpossible"]),
    (DependencyResolution, 88, &["could not find artifact"]),
    (DependencyResolution, 88, &["manifest unknown"]),
    (DependencyResolution, 86, &["could not resolve dependencies"]),
    (DependencyResolution, 86, &["non-resolvable"]),
    (DependencyResolution, 84, &["could not be resolved"]),
    (DependencyResolution, 84, &["could not resolve all"]),
    (DependencyResolution, 80, &["failed to get `", "as a dependency"]),
    (DependencyResolution, 78, &["failed to load source for dependency"]),
    (DependencyResolution, 76, &["unable to update registry"]),
    (DependencyResolution, 76, &["failed to execute goal", "maven-enforcer-plugin"]),

    // ------------------------------------------------------------------ compile
    (CompileFailure, 95, &["failed to execute goal", "compilation failure"]),
    (CompileFailure, 94, &["compilation error"]),
    (CompileFailure, 94, &["failed to execute goal", "maven-compiler-plugin"]),
    (CompileFailure, 93, &["failed to execute goal", "kotlin-maven-plugin"]),
    (CompileFailure, 93, &["failed to execute goal", "scala-maven-plugin", "ompile"]),
    (CompileFailure, 94, &["error[e0"]),
    (CompileFailure, 93, &["could not compile"]),
    (CompileFailure, 93, &["error: aborting due to"]),
    (CompileFailure, 93, &["invalid output in build script"]),
    (CompileFailure, 93, &["build script logged errors"]),
    (CompileFailure, 92, &["flags are allowed in build script"]),
    (CompileFailure, 92, &["syntax for build script output"]),
    (CompileFailure, 92, &["failed to run custom build command"]),
    (CompileFailure, 90, &["cannot find symbol"]),
    (CompileFailure, 90, &["undefined reference to"]),
    (CompileFailure, 90, &["kotlin failed"]),
    (CompileFailure, 90, &["compilejava failed"]),
    (CompileFailure, 88, &["ninja: build stopped"]),
    (CompileFailure, 88, &["): error c"]),
    (CompileFailure, 88, &["): fatal error c"]),
    (CompileFailure, 86, &[": fatal error:"]),
    (CompileFailure, 84, &["failed building wheel"]),
    (CompileFailure, 84, &["failed to build wheel"]),
    (CompileFailure, 76, &[": error: "]),

    // ------------------------------------------------------------------ test
    (TestFailure, 95, &["there are test failures"]),
    (TestFailure, 94, &["failed to execute goal", "maven-surefire-plugin"]),
    (TestFailure, 94, &["failed to execute goal", "maven-failsafe-plugin"]),
    (TestFailure, 94, &["test failed, to rerun"]),
    (TestFailure, 94, &["bench failed, to rerun"]),
    (TestFailure, 94, &["test result: failed"]),
    (TestFailure, 92, &["failed consistently"]),
    (TestFailure, 90, &["short test summary info"]),
    (TestFailure, 90, &["<<< failure!"]),
    (TestFailure, 90, &["<<< error!"]),
    (TestFailure, 88, &["--- fail: "]),
    (TestFailure, 88, &["= failures ="]),
    (TestFailure, 86, &["tests failed"]),
    (TestFailure, 85, &["failures:"]),
    (TestFailure, 80, &["assertion", "failed"]),
    (TestFailure, 80, &["assertionerror"]),
    (TestFailure, 70, &["panicked at"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_written_as_lines_are_seen() {
        for (category, weight, words) in RULES {
            assert!(!words.is_empty() && *weight <= 99, "{category:?} {words:?}");
            assert!(words.iter().all(|w| *w == w.to_lowercase() && !w.is_empty()), "{words:?}");
        }
    }

    #[test]
    fn a_rule_is_ruled_out_only_where_it_does_not_fit() {
        for (category, weight, words) in RULES {
            let line = format!("x {} y", words.join(" and "));
            let (_, _, found) = best(&line, &|_| true).unwrap_or_else(|| panic!("{category:?} {words:?}"));
            assert!(found >= *weight, "{words:?}");
        }
    }

    #[test]
    fn every_category_has_a_rule() {
        for category in Category::ALL {
            assert!(RULES.iter().any(|rule| rule.0 == category), "{category:?}");
        }
    }
}
