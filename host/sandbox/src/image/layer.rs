//! One layer: read to its end, compared with its digest, and only then applied
//! to the tree of the layers below.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entries, Entry, EntryType};
use workflow::Digest;
use workflow::image::Packing;

use super::tree::Tree;
use super::{ImageError, ImageLimits, io_error};

/// Of one entry's header, long names and attributes: the tar format itself has no limit.
const HEAD_BYTES_MAX: u64 = 1 << 20;

/// A file of this name removes the one without the prefix from the layers below.
const WHITEOUT: &[u8] = b".wh.";
/// Removes all that the layers below have in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other files that begin so are the business of a file system of old.
const RESERVED: &[u8] = b".wh..wh.";

/// What is left of an image's limits.
#[derive(Debug)]
pub struct Budget {
    limits: ImageLimits,
    tar_bytes: u64,
    file_bytes: u64,
    entries: u64,
    /// Devices and pipes so far.
    pub left_out: u64,
}

impl Budget {
    pub fn of(limits: &ImageLimits) -> Self {
        let bytes = limits.unpacked_bytes;
        Self { limits: *limits, tar_bytes: bytes, file_bytes: bytes, entries: limits.entries, left_out: 0 }
    }
}

/// Applies the layer in `blob` to `tree`. `plain` is where its tar may lie meanwhile.
pub fn apply(
    tree: &Tree,
    blob: &Path,
    packing: Packing,
    diff_id: &Digest,
    plain: &Path,
    budget: &mut Budget,
) -> Result<(), ImageError> {
    let refused = |error: io::Error| ImageError::Refused { layer: diff_id.clone(), reason: error.to_string() };
    let packed = File::open(blob).map_err(io_error("open", blob))?;
    let new = File::options().read(true).write(true).create_new(true).open(plain);
    let mut tar = new.map_err(io_error("create", plain))?;
    // Without a name nobody can leave it behind.
    fs::remove_file(plain).map_err(io_error("remove", plain))?;
    let actual = match packing {
        Packing::Plain => copy(BufReader::new(packed), &mut tar, budget),
        Packing::Gzip => copy(MultiGzDecoder::new(BufReader::new(packed)), &mut tar, budget),
    }
    .map_err(refused)?;
    if actual != *diff_id {
        return Err(ImageError::Digest { expected: diff_id.clone(), actual });
    }
    // What the layer removes is gone before what it adds is there: it never removes its own.
    walk(&tar, |entry| whiteout(tree, entry, budget)).map_err(refused)?;
    walk(&tar, |entry| add(tree, entry, budget)).map_err(refused)
}

/// Writes what `from` gives to its end. Returns the digest of it.
fn copy(mut from: impl Read, to: &mut File, budget: &mut Budget) -> io::Result<Digest> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_sha256(sum.finalize().into())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        budget.tar_bytes = budget.tar_bytes.checked_sub(count as u64).ok_or_else(|| too_much(&budget.limits))?;
        sum.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
    }
}

fn too_much(limits: &ImageLimits) -> io::Error {
    io::Error::other(format!("unpacked, the image has more than {} bytes", limits.unpacked_bytes))
}

type Found<'a> = Entry<'a, Guarded<'a>>;

/// Calls `with` for each entry of a tar, in order.
fn walk(tar: &File, mut with: impl FnMut(&mut Found<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut tar = tar;
    tar.seek(SeekFrom::Start(0))?;
    let left = Rc::new(Cell::new(HEAD_BYTES_MAX));
    let mut archive = Archive::new(Guarded { file: tar, left: left.clone() });
    let mut entries: Entries<'_, Guarded<'_>> = archive.entries_with_seek()?;
    loop {
        left.set(HEAD_BYTES_MAX);
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry?;
        // Files are bounded by the budget.
        left.set(u64::MAX);
        with(&mut entry)?;
    }
}

/// A tar that gives a bounded number of bytes until it is allowed more: names
/// and attributes are read into memory as a whole.
struct Guarded<'a> {
    file: &'a File,
    left: Rc<Cell<u64>>,
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64);
        let too_long =
            || io::Error::other(format!("an entry has more than {HEAD_BYTES_MAX} bytes of names and attributes"));
        self.left.set(left.ok_or_else(too_long)?);
        Ok(count)
    }
}

impl Seek for Guarded<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The parts of an entry's path below the root; none is the root itself.
fn parts(path: &[u8], limits: &ImageLimits) -> io::Result<Vec<Vec<u8>>> {
    let shown = || String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned();
    if path.len() > limits.path_bytes {
        return Err(io::Error::other(format!("`{}…` is a path of more than {} bytes", shown(), limits.path_bytes)));
    }
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(part, [] | [b'.']));
    let parts: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    if parts.iter().any(|part| part == b".." || part.contains(&0)) {
        return Err(io::Error::other(format!("`{}` leads out of its folder", shown().escape_debug())));
    }
    if parts.len() > limits.path_depth {
        return Err(io::Error::other(format!("`{}…` is deeper than {} folders", shown(), limits.path_depth)));
    }
    Ok(parts)
}

fn whiteout(tree: &Tree, entry: &mut Found<'_>, budget: &mut Budget) -> io::Result<()> {
    budget.entries = budget.entries.checked_sub(1).ok_or_else(|| {
        io::Error::other(format!("the image has more than {} files, folders and links", budget.limits.entries))
    })?;
    let parts = parts(&entry.path_bytes(), &budget.limits)?;
    let Some((name, folder)) = parts.split_last() else { return Ok(()) };
    match name.strip_prefix(WHITEOUT) {
        Some(_) if name == OPAQUE => tree.clear(folder),
        Some(_) if name.starts_with(RESERVED) => Ok(()),
        Some([]) | Some(b"." | b"..") => Err(io::Error::other("a whiteout names no file")),
        Some(hidden) => tree.remove(folder, hidden),
        None => Ok(()),
    }
}

fn add(tree: &Tree, entry: &mut Found<'_>, budget: &mut Budget) -> io::Result<()> {
    let parts = parts(&entry.path_bytes(), &budget.limits)?;
    let Some((name, folder)) = parts.split_last() else { return Ok(()) };
    if name.starts_with(WHITEOUT) {
        return Ok(());
    }
    let mode = entry.header().mode()?;
    let target = entry.link_name_bytes().map(|target| target.into_owned());
    let shown = || parts.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>().join("/");
    let done = match entry.header().entry_type() {
        EntryType::Directory => tree.folder(folder, name, mode),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let size_bytes = entry.size();
            budget.file_bytes = budget.file_bytes.checked_sub(size_bytes).ok_or_else(|| too_much(&budget.limits))?;
            let modified = entry.header().mtime().unwrap_or(0);
            tree.file(folder, name, mode, modified, size_bytes, entry)
        }
        EntryType::Symlink => tree.symlink(folder, name, &target.unwrap_or_default()),
        EntryType::Link => {
            let target = self::parts(&target.unwrap_or_default(), &budget.limits)?;
            tree.hard_link(folder, name, &target)
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            budget.left_out += 1;
            // It hides what the layers below have there.
            tree.remove(folder, name)
        }
        EntryType::XGlobalHeader => Ok(()),
        other => Err(io::Error::other(format!("it is of kind {:?}, which no layer has", char::from(other.as_byte())))),
    };
    done.map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", shown().escape_debug())))
}
