//! Copies stored files into a workspace.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, fchown, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::folder::Folder;
use super::is_plain_path;

/// Copies each host file to its path below `workspace`, replacing what is
/// there. Links in the way are refused or replaced, never followed; the sandbox
/// gets a copy, so the host's file stays as it is. `owner`: user and group of
/// what is made.
pub fn copy_in(inputs: &BTreeMap<String, PathBuf>, workspace: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let root = Folder::open(workspace)?;
    for (path, source) in inputs {
        copy_one(&root, path, source, owner)
            .map_err(|error| io::Error::new(error.kind(), format!("failed to copy to `{path}`: {error}")))?;
    }
    Ok(())
}

fn copy_one(root: &Folder, path: &str, source: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    if !is_plain_path(path) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain path below the workspace"));
    }
    let mut source = File::open(source)?;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut below: Option<Folder> = None;
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        let part = CString::new(part)?;
        let parent = below.as_ref().unwrap_or(root);
        let made = match mkdirat(parent, part.as_c_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let child = parent.child(&part)?;
        if made {
            own(&child, owner)?;
        }
        below = Some(child);
    }
    let parent = below.as_ref().unwrap_or(root);
    let name = CString::new(name)?;
    match unlinkat(parent, name.as_c_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = openat(parent, name.as_c_str(), flags, Mode::from_raw_mode(0o644))?;
    own(&target, owner)?;
    io::copy(&mut source, &mut File::from(target))?;
    Ok(())
}

fn own(file: impl std::os::fd::AsFd, owner: Option<(u32, u32)>) -> io::Result<()> {
    if let Some((user, group)) = owner {
        fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    Ok(())
}
