//! The tree that an image becomes. Every path is resolved by the kernel as if
//! the tree were the root of the machine, so no link of an image leads out of
//! it, and the last part of a path is never followed.

use std::cell::Cell;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, fchmod, fchown, futimens, linkat,
    mkdirat, openat2, statat, symlinkat,
};
use rustix::io::Errno;

use crate::capture::{Folder, remove_entry};

/// Of what a link says.
const TARGET_BYTES_MAX: usize = 4095;

/// The bits of a mode that stay: no set-id, no sticky bit.
const MODE_KEPT: u32 = 0o777;

pub struct Tree {
    root: Folder,
    owner: Option<(u32, u32)>,
    /// Folders that were made because something lies in them.
    made_between: Cell<u32>,
}

/// Of those: layers name nearly all of their folders, and each entry could ask for many.
const MADE_BETWEEN_MAX: u32 = 50_000;

impl Tree {
    /// `root` is an empty folder of the host's own; `owner`: to whom all in it will belong.
    pub fn open(root: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let tree = Self { root: Folder::open(root)?, owner, made_between: Cell::new(0) };
        tree.adopt(&tree.root, 0o755)?;
        Ok(tree)
    }

    /// A folder, with those around it. One that is there keeps what is in it.
    pub fn folder(&self, inside: &[Vec<u8>], name: &[u8], mode: u32) -> io::Result<()> {
        let (parent, name) = (self.parent(inside)?, CString::new(name)?);
        if kind(&parent, &name)? != Some(FileType::Directory) {
            remove_entry(&parent, &name)?;
            mkdirat(&parent, &name, Mode::RWXU)?;
        }
        let folder = parent.child(&name)?;
        // The host must be able to go on with it.
        self.adopt(&folder, mode & MODE_KEPT | 0o700)
    }

    /// A file of exactly `size_bytes`, instead of what is there.
    pub fn file(
        &self,
        inside: &[Vec<u8>],
        name: &[u8],
        mode: u32,
        modified: u64,
        size_bytes: u64,
        mut content: impl Read,
    ) -> io::Result<()> {
        let (parent, name) = (self.parent(inside)?, CString::new(name)?);
        remove_entry(&parent, &name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&parent, &name, flags, Mode::RUSR | Mode::WUSR)?);
        let copied = io::copy(&mut content.by_ref().take(size_bytes), &mut file)?;
        if copied != size_bytes {
            return Err(io::Error::other(format!("it ends after {copied} of {size_bytes} bytes")));
        }
        file.flush()?;
        self.adopt(&file, mode & MODE_KEPT | 0o400)?;
        let time = Timespec { tv_sec: i64::try_from(modified).unwrap_or(0), tv_nsec: 0 };
        Ok(futimens(&file, &Timestamps { last_access: time, last_modification: time })?)
    }

    pub fn symlink(&self, inside: &[Vec<u8>], name: &[u8], target: &[u8]) -> io::Result<()> {
        if target.is_empty() || target.len() > TARGET_BYTES_MAX {
            return Err(io::Error::other(format!("a link of {} bytes leads nowhere", target.len())));
        }
        let (parent, name) = (self.parent(inside)?, CString::new(name)?);
        remove_entry(&parent, &name)?;
        Ok(symlinkat(OsStr::from_bytes(target), &parent, &name)?)
    }

    /// A second name of a file of this tree.
    pub fn hard_link(&self, inside: &[Vec<u8>], name: &[u8], target: &[Vec<u8>]) -> io::Result<()> {
        let (last, around) = target.split_last().ok_or_else(|| io::Error::other("a link leads to no file"))?;
        let from = self.resolve(around)?;
        let (parent, name, last) = (self.parent(inside)?, CString::new(name)?, CString::new(last.as_slice())?);
        match kind(&from, &last)? {
            Some(FileType::RegularFile | FileType::Symlink) => {}
            Some(_) => return Err(io::Error::other("a link leads to what is no file")),
            None => return Err(io::Error::other("a link leads to a file that is not there")),
        }
        remove_entry(&parent, &name)?;
        Ok(linkat(&from, &last, &parent, &name, AtFlags::empty())?)
    }

    /// Removes what is there, if anything is.
    pub fn remove(&self, inside: &[Vec<u8>], name: &[u8]) -> io::Result<()> {
        match self.resolve(inside) {
            Ok(parent) => remove_entry(&parent, &CString::new(name)?),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes all that is in a folder, if it is there.
    pub fn clear(&self, folder: &[Vec<u8>]) -> io::Result<()> {
        match self.resolve(folder) {
            Ok(folder) => folder.entries()?.iter().try_for_each(|entry| remove_entry(&folder, &entry.name)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The content of a regular file of at most so many bytes; none if there is no such one.
    pub fn read(&self, path: &str, bytes_max: u64) -> io::Result<Option<String>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match openat2(&self.root, path, flags, Mode::empty(), INSIDE) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let data = file.metadata()?;
        if !data.is_file() || data.len() > bytes_max {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A folder at a path on which no link lies: something is mounted there.
    /// What is there and is no folder goes, if it is the last part.
    pub fn mount_point(&self, path: &[&str]) -> io::Result<()> {
        let mut around = Vec::new();
        for (number, part) in path.iter().enumerate() {
            let part = part.as_bytes();
            let last = number + 1 == path.len();
            let parent = self.resolve(&around)?;
            match kind(&parent, &CString::new(part)?)? {
                Some(FileType::Directory) => {}
                Some(_) if !last => {
                    let shown = path[..=number].join("/");
                    return Err(io::Error::other(format!("`/{shown}` is no folder, and the sandbox needs it")));
                }
                Some(_) | None => self.folder(&around, part, 0o755)?,
            }
            around.push(part.to_vec());
        }
        Ok(())
    }

    pub fn has_folder(&self, parts: &[Vec<u8>]) -> bool {
        self.resolve(parts).is_ok()
    }

    /// The folder that these parts name. It is there.
    fn resolve(&self, parts: &[Vec<u8>]) -> Result<Folder, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        openat2(&self.root, path_of(parts), flags, Mode::empty(), INSIDE).map(Folder::from)
    }

    /// The folder that these parts name, made where it is missing: a layer may
    /// leave out a folder that it has nothing to say of.
    fn parent(&self, parts: &[Vec<u8>]) -> io::Result<Folder> {
        match self.resolve(parts) {
            Ok(folder) => return Ok(folder),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let mut folder = self.resolve(&[])?;
        for number in 1..=parts.len() {
            folder = match self.resolve(&parts[..number]) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => {
                    let name = CString::new(parts[number - 1].as_slice())?;
                    self.made_between.update(|made| made + 1);
                    if self.made_between.get() > MADE_BETWEEN_MAX {
                        return Err(io::Error::other(format!(
                            "more than {MADE_BETWEEN_MAX} folders are in no layer, and files in them are"
                        )));
                    }
                    mkdirat(&folder, &name, Mode::RWXU).map_err(|error| match error {
                        Errno::EXIST => io::Error::other("a link on its way leads nowhere"),
                        other => other.into(),
                    })?;
                    let made = folder.child(&name)?;
                    self.adopt(&made, 0o755)?;
                    made
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok(folder)
    }

    fn adopt(&self, file: &impl AsFd, mode: u32) -> io::Result<()> {
        if let Some((uid, gid)) = self.owner {
            fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(fchmod(file, Mode::from_raw_mode(mode))?)
    }
}

const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

fn path_of(parts: &[Vec<u8>]) -> PathBuf {
    let mut path = PathBuf::from(".");
    path.extend(parts.iter().map(|part| OsStr::from_bytes(part)));
    path
}

/// What is there, links not followed.
fn kind(folder: &Folder, name: &CString) -> io::Result<Option<FileType>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
