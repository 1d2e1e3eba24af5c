//! Control groups of one sandbox: memory and processes where they may be
//! limited, and a group of version 2 to end everything in it at once.
//!
//! Nothing here is required: what a machine does not give is left out, and the
//! caller sets limits per process instead.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::wire::SpecLimits;

/// All groups of this product are below this one, in each hierarchy.
const PARENT: &str = "light-workflow";

/// Threads of bubblewrap, init and its forwarder are counted with the command's.
const OWN_THREADS: u64 = 64;

/// A hierarchy that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    MemoryV1,
    PidsV1,
    V2,
}

/// The groups of one sandbox; those that could be made.
#[derive(Debug, Default)]
pub struct Groups {
    groups: Vec<(Kind, PathBuf)>,
    limits_memory: bool,
    limits_processes: bool,
}

impl Groups {
    /// Makes what this machine and this user allow.
    pub fn create(name: &str, limits: &SpecLimits) -> Self {
        let mut made = Self::default();
        for mount in mounts() {
            let parent = mount.path.join(PARENT);
            let group = parent.join(name);
            if fs::create_dir_all(&group).is_err() {
                continue;
            }
            match mount.kind {
                Kind::MemoryV1 => {
                    made.limits_memory |= write(&group, "memory.limit_in_bytes", limits.memory_bytes).is_ok();
                }
                Kind::PidsV1 => {
                    made.limits_processes |= write(&group, "pids.max", limits.processes + OWN_THREADS).is_ok();
                }
                Kind::V2 => {
                    // Refused where a hierarchy of version 1 owns the controllers: those limit then.
                    for folder in [&mount.path, &parent] {
                        for controller in ["+memory", "+pids"] {
                            let _ = fs::write(folder.join("cgroup.subtree_control"), controller);
                        }
                    }
                    if write(&group, "memory.max", limits.memory_bytes).is_ok() {
                        made.limits_memory = true;
                        let _ = write(&group, "memory.swap.max", 0);
                    }
                    made.limits_processes |= write(&group, "pids.max", limits.processes + OWN_THREADS).is_ok();
                }
            }
            made.groups.push((mount.kind, group));
        }
        made
    }

    /// Those of that name that an earlier process made.
    pub fn existing(name: &str) -> Self {
        let found = mounts().into_iter().map(|mount| (mount.kind, mount.path.join(PARENT).join(name)));
        Self { groups: found.filter(|(_, group)| group.is_dir()).collect(), ..Self::default() }
    }

    /// Names of all groups that begin with `prefix`.
    pub fn names(prefix: &str) -> BTreeSet<String> {
        let folders = mounts().into_iter().filter_map(|mount| fs::read_dir(mount.path.join(PARENT)).ok());
        let names = folders.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub fn limits_memory(&self) -> bool {
        self.limits_memory
    }

    pub fn limits_processes(&self) -> bool {
        self.limits_processes
    }

    /// Whether everything inside can be ended at once.
    pub fn can_kill(&self) -> bool {
        self.groups.iter().any(|(kind, group)| *kind == Kind::V2 && group.join("cgroup.kill").exists())
    }

    /// Moves a process in; its children follow it.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        self.groups.iter().try_for_each(|(_, group)| fs::write(group.join("cgroup.procs"), pid.to_string()))
    }

    /// KILL to everything inside.
    pub fn kill(&self) {
        for (kind, group) in &self.groups {
            match kind {
                Kind::V2 => {
                    let _ = fs::write(group.join("cgroup.kill"), "1");
                }
                Kind::MemoryV1 | Kind::PidsV1 => {}
            }
        }
    }

    /// How many processes were killed for want of memory.
    pub fn out_of_memory_kills(&self) -> u64 {
        let count = |(kind, group): &(Kind, PathBuf)| {
            let file = match kind {
                Kind::MemoryV1 => "memory.oom_control",
                Kind::V2 => "memory.events",
                Kind::PidsV1 => return 0,
            };
            let text = fs::read_to_string(group.join(file)).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok());
            value.unwrap_or(0)
        };
        self.groups.iter().map(count).sum()
    }

    /// Waits a little for the last process to leave, then removes the groups.
    pub fn remove(self) {
        for (_, group) in self.groups {
            for attempt in 0..60 {
                match fs::remove_dir(&group) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        thread::sleep(Duration::from_millis(if attempt < 10 { 1 } else { 20 }));
                    }
                    _ => break,
                }
            }
        }
    }
}

fn write(group: &Path, file: &str, value: u64) -> io::Result<()> {
    fs::write(group.join(file), value.to_string())
}

fn mounts() -> Vec<Mount> {
    parse_mounts(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
}

fn parse_mounts(text: &str) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let has = |controller| options.split(',').any(|option| option == controller);
        let kind = match kind {
            "cgroup2" => Kind::V2,
            "cgroup" if has("memory") => Kind::MemoryV1,
            "cgroup" if has("pids") => Kind::PidsV1,
            _ => continue,
        };
        mounts.push(Mount { path: PathBuf::from(path), kind });
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found_by_their_controllers() {
        let text = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                    cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                    cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
                    cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
                    cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        let kinds: Vec<_> = parse_mounts(text).into_iter().map(|mount| mount.kind).collect();
        assert_eq!(kinds, [Kind::MemoryV1, Kind::PidsV1, Kind::V2]);
    }
}
