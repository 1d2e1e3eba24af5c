//! What a host could leave behind: processes, control groups, mounts, spools.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use workflow::Digest;

use crate::world::Host;

/// How long a supervisor may take to close its door on a machine that is busy.
const CLOSING: Duration = Duration::from_secs(20);

/// Nothing of a host is left, or soon nothing is: a supervisor may still be closing its door.
#[track_caller]
pub fn nothing_is_left_of(host: &Host) {
    // A run without results takes its folder away itself.
    let data = host.data.canonicalize().unwrap_or_else(|_| host.data.clone());
    let deadline = Instant::now() + CLOSING;
    loop {
        let left = [processes(&data), groups(&data), mounts(&data), sandbox_files(&data)].concat();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left of `{}`: {left:#?}", data.display());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Processes with a name below `data` in their command line, working folder, root or open files.
fn processes(data: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if name == std::process::id().to_string() || !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let process = entry.path();
        let line = String::from_utf8_lossy(&fs::read(process.join("cmdline")).unwrap_or_default()).replace('\0', " ");
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten().map(|entry| entry.path());
        let links = descriptors.chain([process.join("cwd"), process.join("root"), process.join("exe")]);
        let uses = links.filter_map(|link| fs::read_link(link).ok()).any(|path| path.starts_with(data));
        if uses || line.contains(data.to_str().unwrap()) {
            found.push(format!("process {name}: {line}"));
        }
    }
    found
}

/// Control groups are named after the folder of the sandboxes.
fn groups(data: &Path) -> Vec<String> {
    let folder = data.join("sandbox");
    let mark = Digest::of(folder.as_os_str().as_encoded_bytes()).hex()[..8].to_owned();
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let parents = hierarchies.chain(["/sys/fs/cgroup".into()]).map(|path| path.join("light-workflow"));
    let groups = parents.filter_map(|parent| fs::read_dir(parent).ok()).flatten().flatten();
    let names = groups.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&mark)).map(|name| format!("control group {name}")).collect()
}

fn mounts(data: &Path) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap();
    let below = text.lines().filter(|line| line.contains(data.to_str().unwrap()));
    below.map(|line| format!("mount {line}")).collect()
}

/// Spools, workspaces and locks of commands and sessions.
fn sandbox_files(data: &Path) -> Vec<String> {
    let folders = ["spool", "sessions", "tasks", "locks"].map(|name| data.join("sandbox").join(name));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    entries.map(|entry| format!("file {}", entry.path().display())).collect()
}
