//! What lies in a workspace, so that it can be said what a command changed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rustix::fs::{FileType, Stat};

use super::folder::Folder;

/// Entries remembered; a larger tree is compared up to here.
const ENTRIES_MAX: usize = 500_000;
const DEPTH_MAX: usize = 64;
/// Paths that are reported; then the list ends with `…`.
const CHANGES_MAX: usize = 1000;

/// The entries of a tree.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By path below the tree, folders with a `/` at the end.
    entries: BTreeMap<String, Mark>,
    size_bytes: u64,
    truncated: bool,
}

/// What differs if an entry was changed. The change time cannot be set by a program.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Mark {
    inode: u64,
    size_bytes: u64,
    mode: u32,
    /// Zero for a folder, which changes with what is in it.
    changed_at: (i64, u64),
    /// Only told as a whole: a `.git`, or a cache by its own tag.
    folded: bool,
}

impl Snapshot {
    pub fn take(tree: &Path) -> io::Result<Self> {
        let mut snapshot = Self::default();
        snapshot.folder(&Folder::open(tree)?, "", 0)?;
        Ok(snapshot)
    }

    /// Of all regular files, as `du` counts: what they take on the disk.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn folder(&mut self, folder: &Folder, prefix: &str, depth: usize) -> io::Result<()> {
        for entry in folder.entries()? {
            if self.entries.len() >= ENTRIES_MAX {
                self.truncated = true;
                return Ok(());
            }
            let name = entry.name.to_string_lossy();
            let is_folder = entry.kind() == FileType::Directory;
            let path = format!("{prefix}{name}{}", if is_folder { "/" } else { "" });
            let mut mark = Mark::of(&entry.stat, is_folder);
            self.size_bytes += disk_bytes(&entry.stat);
            if is_folder && depth < DEPTH_MAX {
                // A folder may be closed to its owner: then only its own mark counts.
                if let Ok(child) = folder.child(&entry.name) {
                    mark.folded = name == ".git" || is_cache(&child);
                    self.folder(&child, &path, depth + 1)?;
                }
            }
            self.entries.insert(path, mark);
        }
        Ok(())
    }

    /// Paths that were added, changed or removed since `before`, sorted. A new
    /// or removed folder stands for all in it, and so does a `.git` or a cache
    /// (`CACHEDIR.TAG`) with any change inside. At most 1,000 paths, then `…`.
    pub fn changed_since(&self, before: &Snapshot) -> Vec<String> {
        let added = self.entries.iter().filter(|(path, mark)| before.entries.get(*path) != Some(*mark));
        let removed = before.entries.iter().filter(|(path, _)| !self.entries.contains_key(*path));
        let mut paths: Vec<&str> = added
            .filter(|(path, mark)| !self.only_moved_marks(path, mark, before))
            .chain(removed)
            .map(|(path, _)| self.shown(path, before))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        let mut changed: Vec<String> = paths.iter().take(CHANGES_MAX).map(|path| clean(path)).collect();
        if paths.len() > CHANGES_MAX || self.truncated || before.truncated {
            changed.push("…".to_owned());
        }
        changed
    }

    /// Whether a folder differs only in being folded now.
    fn only_moved_marks(&self, path: &str, mark: &Mark, before: &Snapshot) -> bool {
        before.entries.get(path).is_some_and(|old| Mark { folded: mark.folded, ..*old } == *mark)
    }

    /// The outermost folder that stands for `path`, or `path` itself.
    fn shown<'a>(&self, path: &'a str, before: &Snapshot) -> &'a str {
        let ends = path.match_indices('/').map(|(at, _)| &path[..=at]);
        for folder in ends {
            let (now, then) = (self.entries.get(folder), before.entries.get(folder));
            let folded = now.is_some_and(|mark| mark.folded) || then.is_some_and(|mark| mark.folded);
            // Another inode: the folder was removed and made again.
            if folded || now.map(|mark| mark.inode) != then.map(|mark| mark.inode) {
                return folder;
            }
        }
        path
    }
}

impl Mark {
    fn of(stat: &Stat, is_folder: bool) -> Self {
        let changed_at = if is_folder { (0, 0) } else { (stat.st_ctime, stat.st_ctime_nsec) };
        let size_bytes = if is_folder { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        Self { inode: stat.st_ino, size_bytes, mode: stat.st_mode, changed_at, folded: false }
    }
}

fn disk_bytes(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}

fn is_cache(folder: &Folder) -> bool {
    rustix::fs::statat(folder, c"CACHEDIR.TAG", rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

fn clean(path: &str) -> String {
    path.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What a tree takes on the disk, in bytes. What cannot be read counts as
/// nothing; a tree deeper than any honest one counts as endless.
pub fn tree_size(tree: &Path) -> io::Result<u64> {
    Ok(size(&Folder::open(tree)?, 0))
}

fn size(folder: &Folder, depth: usize) -> u64 {
    if depth > 4 * DEPTH_MAX {
        return u64::MAX;
    }
    let Ok(entries) = folder.entries() else { return 0 };
    entries.iter().fold(0, |total: u64, entry| {
        let below = match entry.kind() {
            FileType::Directory => folder.child(&entry.name).map_or(0, |child| size(&child, depth + 1)),
            _ => 0,
        };
        total.saturating_add(disk_bytes(&entry.stat)).saturating_add(below)
    })
}
