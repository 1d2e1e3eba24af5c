//! Copies what a command's globs name out of a workspace.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use sha2::{Digest as _, Sha256};
use workflow::Digest;
use workflow::redaction::Redactor;

use super::folder::{Entry, Folder};
use super::glob::Glob;
use crate::Captured;

/// How much is kept of one command.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub files_max: usize,
    pub file_bytes_max: u64,
    pub total_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files_max: 1000, file_bytes_max: 512 << 20, total_bytes_max: 2 << 30 }
    }
}

/// Entries looked at, of all folders: a workspace of more is no honest one.
const ENTRIES_MAX: usize = 2_000_000;
/// Folders inside each other.
const DEPTH_MAX: usize = 64;
/// Remarks about files left out.
const REMARKS_MAX: usize = 50;

/// Copies every file whose path matches one of `globs` to `into` and says what
/// it left out and why. A file that holds a secret is left out.
///
/// # Errors
///
/// The workspace or `into` cannot be used; a single bad file is a remark.
pub fn collect(
    workspace: &Path,
    globs: &[String],
    into: &Path,
    limits: &Limits,
    redactor: &Redactor,
) -> io::Result<(Vec<Captured>, Vec<String>)> {
    if globs.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    std::fs::create_dir_all(into)?;
    let globs = globs.iter().map(|glob| Glob::new(glob)).collect();
    let mut collector = Collector {
        globs,
        into,
        limits,
        redactor,
        captured: Vec::new(),
        remarks: Vec::new(),
        total_bytes: 0,
        entries: 0,
    };
    collector.folder(&Folder::open(workspace)?, &mut Vec::new())?;
    Ok((collector.captured, collector.remarks))
}

struct Collector<'a> {
    globs: Vec<Glob<'a>>,
    into: &'a Path,
    limits: &'a Limits,
    redactor: &'a Redactor,
    captured: Vec<Captured>,
    remarks: Vec<String>,
    total_bytes: u64,
    entries: usize,
}

impl Collector<'_> {
    /// `Err` only for what concerns all files: the spool is full, for one.
    fn folder(&mut self, folder: &Folder, path: &mut Vec<String>) -> io::Result<()> {
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.remark(&path.join("/"), &error.to_string());
                return Ok(());
            }
        };
        for entry in entries {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                self.remark(&path.join("/"), "too many files to look at");
                return Ok(());
            }
            let Ok(name) = entry.name.to_str() else {
                self.note_odd_name(&entry, path);
                continue;
            };
            path.push(name.to_owned());
            self.entry(folder, &entry, path)?;
            path.pop();
        }
        Ok(())
    }

    fn entry(&mut self, folder: &Folder, entry: &Entry, path: &mut Vec<String>) -> io::Result<()> {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let shown = path.join("/");
        let matched = self.globs.iter().any(|glob| glob.matches(&parts));
        match entry.kind() {
            FileType::Directory if self.globs.iter().any(|glob| glob.reaches_below(&parts)) => {
                if path.len() >= DEPTH_MAX {
                    self.remark(&shown, "lies too deep");
                    return Ok(());
                }
                match folder.child(&entry.name) {
                    Ok(child) => self.folder(&child, path)?,
                    Err(error) => self.remark(&shown, &error.to_string()),
                }
            }
            FileType::RegularFile if matched => self.file(folder, entry, &shown)?,
            FileType::Directory | FileType::RegularFile => {}
            _ if matched => self.remark(&shown, "is no regular file"),
            _ => {}
        }
        Ok(())
    }

    fn file(&mut self, folder: &Folder, entry: &Entry, path: &str) -> io::Result<()> {
        if path.chars().any(char::is_control) {
            self.remark(path, "has a control character in its name");
            return Ok(());
        }
        if self.captured.len() >= self.limits.files_max {
            self.remark(path, &format!("only {} files are kept of one command", self.limits.files_max));
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let source = match openat(folder, entry.name.as_c_str(), flags, Mode::empty()) {
            Ok(source) => source,
            Err(error) => {
                self.remark(path, &error.to_string());
                return Ok(());
            }
        };
        // It may have become something else since its folder was read.
        if FileType::from_raw_mode(fstat(&source)?.st_mode) != FileType::RegularFile {
            self.remark(path, "is no regular file");
            return Ok(());
        }
        let allowed = self.limits.file_bytes_max.min(self.limits.total_bytes_max - self.total_bytes);
        let file = self.into.join(format!("{:04}", self.captured.len()));
        match copy(File::from(source), &file, allowed, self.redactor)? {
            Copied::Whole { size_bytes, digest } => {
                self.total_bytes += size_bytes;
                self.captured.push(Captured { path: path.to_owned(), file, size_bytes, digest });
            }
            Copied::TooLong => {
                std::fs::remove_file(&file)?;
                self.remark(path, "is larger than what may be kept");
            }
            Copied::Secret => {
                std::fs::remove_file(&file)?;
                self.remark(path, "holds a secret");
            }
            Copied::Unreadable(error) => {
                std::fs::remove_file(&file)?;
                self.remark(path, &error.to_string());
            }
        }
        Ok(())
    }

    fn note_odd_name(&mut self, entry: &Entry, path: &[String]) {
        let name = entry.name.to_string_lossy();
        let mut parts: Vec<&str> = path.iter().map(String::as_str).collect();
        parts.push(&name);
        if self.globs.iter().any(|glob| glob.matches(&parts)) {
            self.remark(&parts.join("/"), "has a name that is no UTF-8");
        }
    }

    fn remark(&mut self, path: &str, why: &str) {
        if self.remarks.len() < REMARKS_MAX {
            let path: String = path.chars().map(|c| if c.is_control() { '?' } else { c }).take(300).collect();
            self.remarks.push(self.redactor.redact(&format!("`{path}` was left out: {why}")).into_string());
        }
    }
}

enum Copied {
    Whole { size_bytes: u64, digest: Digest },
    TooLong,
    Secret,
    Unreadable(io::Error),
}

/// Copies to a new file; `Err` means that the target cannot be written.
fn copy(mut source: File, target: &Path, bytes_max: u64, redactor: &Redactor) -> io::Result<Copied> {
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(target)?;
    let mut sum = Sha256::new();
    let mut clean_sum = Sha256::new();
    let mut stream = redactor.stream();
    let mut size_bytes = 0;
    let mut buffer = vec![0; 128 * 1024];
    let mut clean = Vec::new();
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Copied::Unreadable(error)),
        };
        size_bytes += count as u64;
        if size_bytes > bytes_max {
            return Ok(Copied::TooLong);
        }
        sum.update(&buffer[..count]);
        stream.push(&buffer[..count], &mut clean);
        clean_sum.update(&clean);
        clean.clear();
        target.write_all(&buffer[..count])?;
    }
    stream.finish(&mut clean);
    clean_sum.update(&clean);
    let sum = sum.finalize();
    if sum != clean_sum.finalize() {
        return Ok(Copied::Secret);
    }
    target.sync_data()?;
    Ok(Copied::Whole { size_bytes, digest: Digest::from_sha256(sum.into()) })
}
