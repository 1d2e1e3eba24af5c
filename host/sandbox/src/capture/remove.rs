//! Removes a tree that hostile programs have made.

use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, chmodat, fchmod, fstat, renameat, unlinkat};
use rustix::io::Errno;

use super::folder::Folder;

/// Folders are opened inside each other up to here; deeper ones are moved up
/// first, so that a tree of any depth needs few descriptors and little stack.
const DEPTH_MAX: usize = 48;

/// Removes `path` and all below it, whatever its modes and its depth, and never
/// through a link. What is not there is removed already.
///
/// The programs that wrote the tree must have ended.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.is_dir() {
        return std::fs::remove_file(path);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = Folder::open(&parent.canonicalize()?)?;
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path with a name"))?;
    remove_folder(&parent, &CString::new(name.as_encoded_bytes())?)
}

/// Like [`remove_tree`], for an entry of an open folder.
pub fn remove_entry(parent: &Folder, name: &CStr) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // Some systems say the one and some the other of a folder.
        Err(Errno::ISDIR | Errno::PERM) => remove_folder(parent, name),
        Err(error) => Err(error.into()),
    }
}

fn remove_folder(parent: &Folder, name: &CStr) -> io::Result<()> {
    let root = open(parent, name)?;
    let mut moved = 0;
    // Each round removes all but what it moved up.
    while empty(&root, &root, 0, &mut moved)? {}
    drop(root);
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Opens a folder and makes it one that its owner can empty.
fn open(parent: &Folder, name: &CStr) -> io::Result<Folder> {
    let folder = match parent.child(name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            parent.child(name)?
        }
        other => other?,
    };
    if fstat(&folder)?.st_mode & 0o700 != 0o700 {
        fchmod(&folder, Mode::RWXU)?;
    }
    Ok(folder)
}

/// Whether something was moved up to `root`, so that another round is needed.
fn empty(root: &Folder, folder: &Folder, depth: usize, moved: &mut u64) -> io::Result<bool> {
    let mut again = false;
    for entry in folder.entries()? {
        if entry.kind() != FileType::Directory {
            unlinkat(folder, entry.name.as_c_str(), AtFlags::empty())?;
            continue;
        }
        if depth >= DEPTH_MAX {
            move_up(root, folder, &entry.name, moved)?;
            again = true;
            continue;
        }
        let child = open(folder, &entry.name)?;
        again |= empty(root, &child, depth + 1, moved)?;
        drop(child);
        unlinkat(folder, entry.name.as_c_str(), AtFlags::REMOVEDIR)?;
    }
    Ok(again)
}

fn move_up(root: &Folder, folder: &Folder, name: &CStr, moved: &mut u64) -> io::Result<()> {
    // Moving a folder changes its `..`: it must be writable.
    drop(open(folder, name)?);
    loop {
        *moved += 1;
        let free = CString::new(format!("moved-up-{moved}"))?;
        match renameat(folder, name, root, free.as_c_str()) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
