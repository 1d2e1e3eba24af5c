//! `serve` as the one who follows schedules, with a clock that scenarios set.
//!
//! The clock is that of the machine behind `libfaketime`: the program under test
//! knows nothing of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::people::lines_of;
use crate::vocabulary::execution::{Execution, Scheduled};

/// How long something that is due may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A worker that runs until it is dropped.
pub struct Serving(Child);

impl Serving {
    /// Returns when it follows the schedule of its one definition.
    #[allow(clippy::disallowed_methods, reason = "the runtime is a program")]
    pub fn start(mut serve: Command) -> Result<Self, String> {
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = serve.spawn().unwrap();
        let lines = lines_of(child.stderr.take().unwrap());
        let serving = Self(child);
        let (started, mut said) = (Instant::now(), String::new());
        while let Ok(line) = lines.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            if line.contains("Following the schedule of") {
                return Ok(serving);
            }
            said += &format!("{line}\n");
        }
        Err(format!("it follows no schedule: {said}"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A clock in a file.
pub struct Clock(PathBuf);

impl Clock {
    pub fn new(folder: &Path) -> Self {
        Self(folder.join("clock"))
    }

    /// `at` is like `2026-03-01T12:00:00Z`.
    #[allow(clippy::disallowed_methods, reason = "the clock that is set is this far from the machine's")]
    pub fn set(&self, at: &str) -> Result<(), String> {
        let at: workflow::Timestamp = at.parse().map_err(|_| format!("`{at}` is no time"))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let offset = at.as_millisecond() as f64 / 1000.0 - now;
        // Whoever reads it sees all of it.
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{offset:+.3}")).and_then(|()| fs::rename(&new, &self.0)).map_err(|e| e.to_string())
    }

    /// Lets a program live by this clock, if it was ever set.
    pub fn give(&self, command: &mut Command) {
        if !self.0.exists() {
            return;
        }
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            // A toolchain of the user's is found by its path: its allocator and this library wait for each other.
            .env("PATH", "/usr/bin:/bin");
    }
}

/// Debian puts it below the name of the machine's kind.
fn library() -> PathBuf {
    let kinds = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut libraries = kinds.map(|kind| kind.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|path| path.exists()).expect("libfaketime is there: `cargo xtask setup` installs it")
}

/// What schedules started, from an export of the audit log.
pub fn scheduled(export: &str) -> Vec<Scheduled> {
    let leaves = export.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut all: Vec<(Value, Scheduled)> = Vec::new();
    for (place, leaf) in leaves.enumerate() {
        let event = &leaf["event"];
        let (status, output, error) = match event["type"].as_str().unwrap_or_default() {
            "InstanceStarted" => {
                all.push((leaf["instance"].clone(), Scheduled { execution: None, start: place, end: usize::MAX }));
                continue;
            }
            "InstanceCompleted" => ("completed", event["output"].clone(), Value::Null),
            "InstanceFaulted" => ("faulted", Value::Null, event["error"].clone()),
            "InstanceCancelled" => ("cancelled", Value::Null, Value::Null),
            _ => continue,
        };
        let (_, one) = all.iter_mut().find(|(id, _)| *id == leaf["instance"]).expect("what ends has started");
        one.end = place;
        let status = status.to_owned();
        one.execution = Some(Execution { status, output, error, tasks: Vec::new(), questions: Vec::new() });
    }
    all.into_iter().map(|(_, scheduled)| scheduled).collect()
}
