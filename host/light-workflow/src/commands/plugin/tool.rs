//! The author's own tools: the one place outside of `sandbox` and `xtask` that
//! starts programs (decision 21).
//!
//! Nothing of a release comes here: `plugin build` is what an author types on
//! the author's machine, and it runs what the author could type just as well.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::output::Failure;

/// A program with its arguments, run in the project's folder.
pub struct Tool<'a> {
    pub program: &'a OsStr,
    pub arguments: Vec<&'a OsStr>,
    pub folder: &'a Path,
    pub environment: Vec<(&'a str, String)>,
    /// Variables that would change what comes out.
    pub without: &'a [&'a str],
    /// How to get the program, or what it needs.
    pub help: &'a str,
}

impl Tool<'_> {
    /// Waits for it to end well; what it prints goes to standard error.
    #[allow(clippy::disallowed_methods, reason = "decision 21: an author's command, on an author's machine")]
    pub fn run(self) -> Result<(), Failure> {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).current_dir(self.folder).envs(self.environment);
        self.without.iter().for_each(|name| {
            command.env_remove(name);
        });
        // Standard output is ours: `--format json` must stay JSON.
        command.stdout(std::io::stderr());
        let shown = self.program.to_string_lossy();
        let status = command
            .status()
            .map_err(|error| Failure::used_wrongly(format!("failed to run `{shown}`: {error}; {}", self.help)))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::failed(format!("`{shown}` ended with {status}; if it lacks something: {}", self.help)))
    }
}
