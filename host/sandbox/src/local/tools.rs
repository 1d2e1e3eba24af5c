//! Whether the tools of a template are there, in the versions it asks for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use semver::{Version, VersionReq};
use workflow::TemplateName;

use super::Local;
use crate::ExecError;

impl Local {
    /// Refuses a template whose tools are not on this machine in the versions
    /// it asks for. Asked once for each template and provider.
    pub(super) async fn require_tools(&self, name: &TemplateName) -> Result<(), ExecError> {
        let Some(template) = self.config.templates.get(name) else { return Ok(()) };
        let equipped = || self.equipped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if template.tools().is_empty() || equipped().contains(name) {
            return Ok(());
        }
        let wanted = template.tools().clone();
        let folders = folders(self.rootfs.toolchain.as_deref());
        let asking = tokio::task::spawn_blocking(move || missing(&wanted, &folders));
        let missing = asking.await.unwrap_or_else(|error| vec![error.to_string()]);
        if !missing.is_empty() {
            return Err(ExecError::Unsupported {
                what: format!("template `{name}` needs tools that this machine lacks: {}", missing.join(", ")),
                remedy: "install them for all users, or Rust for the user of the host".to_owned(),
            });
        }
        equipped().insert(name.clone());
        Ok(())
    }
}

/// What is wrong with each tool that does not fit.
fn missing(wanted: &BTreeMap<String, VersionReq>, folders: &[PathBuf]) -> Vec<String> {
    let asked = wanted.iter().map(|(tool, range)| (tool, range, ask(tool, folders)));
    asked
        .filter(|(_, range, answer)| !answer.fits(range))
        .map(|(tool, range, answer)| format!("`{tool}` {range} ({answer})"))
        .collect()
}

/// Folders of a sandbox's `PATH`, as they are called on this machine.
pub fn folders(toolchain: Option<&Path>) -> Vec<PathBuf> {
    let of_rust = toolchain.map(|folder| folder.join("bin"));
    of_rust.into_iter().chain(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from)).collect()
}

/// What a tool answers to `--version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Version(Version),
    Absent,
    /// It is there and says something else.
    Unclear(String),
}

impl Answer {
    /// A pre-release counts as the release that it leads to.
    pub fn fits(&self, wanted: &VersionReq) -> bool {
        match self {
            Answer::Version(found) => wanted.matches(&Version::new(found.major, found.minor, found.patch)),
            Answer::Absent | Answer::Unclear(_) => false,
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Version(version) => version.fmt(f),
            Answer::Absent => f.write_str("not found"),
            Answer::Unclear(line) => write!(f, "answers `{line}`, which names no version"),
        }
    }
}

/// Asks the tool that a sandbox would find first.
pub fn ask(tool: &str, folders: &[PathBuf]) -> Answer {
    let Some(program) = folders.iter().map(|folder| folder.join(tool)).find(|path| path.is_file()) else {
        return Answer::Absent;
    };
    let asked = Command::new(program).arg("--version").env_clear().stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    version(line).map_or_else(|| Answer::Unclear(line.chars().take(100).collect()), Answer::Version)
}

/// The first word of a line that is a version: `git version 2.47.3`, `curl 7.88.1 (x86_64…)`.
fn version(line: &str) -> Option<Version> {
    line.split_whitespace().find_map(|word| {
        let numbers: String = word.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
        let (major, minor) = (parts.next()??, parts.next()??);
        Some(Version::new(major, minor, parts.next().flatten().unwrap_or(0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_tools_print() {
        let cases = [
            ("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", Some(Version::new(1, 95, 0))),
            ("rustc 1.97.0-nightly (abc 2026-05-01)", Some(Version::new(1, 97, 0))),
            ("git version 2.47.3", Some(Version::new(2, 47, 3))),
            ("Python 3.11", Some(Version::new(3, 11, 0))),
            ("curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1", Some(Version::new(7, 88, 1))),
            ("tool of 2026", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(version(line), expected, "{line}");
        }
    }

    #[test]
    fn a_tool_that_is_not_there_fits_nothing() {
        let answer = ask("no-such-tool", &folders(None));
        assert_eq!(answer, Answer::Absent);
        assert!(!answer.fits(&VersionReq::STAR));
        assert!(Answer::Version(Version::new(1, 95, 0)).fits(&VersionReq::parse(">=1.80").unwrap()));
    }
}
