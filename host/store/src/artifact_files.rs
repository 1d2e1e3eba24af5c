//! Stored bytes by digest: `artifacts/sha256/ab/ab…`, mode 0700 and 0600.
//!
//! A file appears under its digest complete and synced, or not at all. The
//! folder is held open and no link in it is followed.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilderExt as _, OpenOptions, OpenOptionsExt as _};
use sha2::{Digest as _, Sha256};
use workflow::Digest;
use workflow::command::Artifact;

use crate::errors::StoreError;
use crate::rows::ArtifactBytes;

/// Read and hashed at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// A draft this old belongs to a process that died.
const DRAFT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of stored bytes.
#[derive(Debug, Clone)]
pub(crate) struct ArtifactFiles {
    root: PathBuf,
    /// `artifacts/sha256`.
    dir: Arc<Dir>,
    /// `artifacts/drafts`.
    drafts: Arc<Dir>,
}

impl ArtifactFiles {
    /// Opens the folder in `dir`, making it first, and removes what crashed processes left.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let root = dir.join("artifacts");
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(root.join("sha256"))?;
        builder.create(root.join("drafts"))?;
        let drafts = Dir::open_ambient_dir(root.join("drafts"), ambient_authority())?;
        remove_old_drafts(&drafts)?;
        let dir = Dir::open_ambient_dir(root.join("sha256"), ambient_authority())?;
        Ok(Self { root: root.join("sha256"), dir: Arc::new(dir), drafts: Arc::new(drafts) })
    }

    /// Where the bytes of this digest lie, if they are stored.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(place(digest))
    }

    /// Stores the bytes; they survive loss of power when this returns.
    pub(crate) async fn keep(&self, bytes: ArtifactBytes) -> Result<(Digest, u64), StoreError> {
        let files = self.clone();
        blocking("store an artifact", move || match bytes {
            ArtifactBytes::Memory(bytes) => files.keep_from(bytes.as_slice()),
            ArtifactBytes::File(mut file) => {
                if !file.metadata()?.is_file() {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
                }
                file.seek(SeekFrom::Start(0))?;
                files.keep_from(file)
            }
        })
        .await
    }

    /// At most `length` bytes from `offset`. A read of the whole checks the digest.
    pub(crate) async fn read(&self, artifact: Artifact, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        let files = self.clone();
        let whole = offset == 0 && length >= artifact.size_bytes;
        let digest = artifact.digest.clone();
        let bytes = blocking("read an artifact", move || {
            let rest = artifact.size_bytes.saturating_sub(offset).min(length);
            let mut bytes = vec![0; usize::try_from(rest).map_err(io::Error::other)?];
            files.open_file(&artifact.digest)?.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        })
        .await?;
        if whole && Digest::of(&bytes) != digest {
            return Err(changed(&digest));
        }
        Ok(bytes)
    }

    pub(crate) async fn verify(&self, artifact: Artifact) -> Result<(), StoreError> {
        let files = self.clone();
        let digest = artifact.digest.clone();
        let found = blocking("read an artifact", move || {
            copy_hashed(files.open_file(&artifact.digest)?, io::sink()).map(|(digest, _)| digest)
        })
        .await?;
        if found == digest { Ok(()) } else { Err(changed(&digest)) }
    }

    fn keep_from(&self, source: impl Read) -> io::Result<(Digest, u64)> {
        let mut name = [0; 16];
        getrandom::fill(&mut name)?;
        let draft = Draft { dir: &self.drafts, name: hex::encode(name) };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = self.drafts.open_with(&draft.name, &options)?.into_std();
        let (digest, size_bytes) = copy_hashed(source, &mut file)?;
        file.flush()?;
        file.sync_all()?;
        self.put_in_place(&draft.name, &digest)?;
        Ok((digest, size_bytes))
    }

    /// Replaces a file that is there already: it has the same bytes, or was damaged.
    fn put_in_place(&self, draft: &str, digest: &Digest) -> io::Result<()> {
        let folder = &digest.hex()[..2];
        let mut builder = cap_std::fs::DirBuilder::new();
        match self.dir.create_dir_with(folder, builder.mode(0o700)) {
            Ok(()) => self.dir.open(".")?.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let folder = self.dir.open_dir(folder)?;
        self.drafts.rename(draft, &folder, digest.hex())?;
        folder.open(".")?.sync_all()
    }

    fn open_file(&self, digest: &Digest) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let no_link = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        options.read(true).custom_flags(no_link.bits() as i32);
        Ok(self.dir.open_with(place(digest), &options)?.into_std())
    }
}

/// A draft that disappears unless it was renamed.
struct Draft<'a> {
    dir: &'a Dir,
    name: String,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After the rename there is nothing under this name.
        let _ = self.dir.remove_file(&self.name);
    }
}

fn place(digest: &Digest) -> PathBuf {
    Path::new(&digest.hex()[..2]).join(digest.hex())
}

fn changed(digest: &Digest) -> StoreError {
    StoreError::Corrupt { what: format!("other bytes under the digest {digest}") }
}

fn copy_hashed(mut source: impl Read, mut target: impl io::Write) -> io::Result<(Digest, u64)> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut sum = Sha256::new();
    let mut size_bytes = 0;
    loop {
        let length = match source.read(&mut block) {
            Ok(0) => return Ok((Digest::from_sha256(sum.finalize().into()), size_bytes)),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sum.update(&block[..length]);
        target.write_all(&block[..length])?;
        size_bytes += length as u64;
    }
}

fn remove_old_drafts(drafts: &Dir) -> io::Result<()> {
    for entry in drafts.entries()? {
        let entry = entry?;
        let modified = entry.metadata()?.modified()?.into_std();
        if modified.elapsed().is_ok_and(|age| age > DRAFT_AGE) {
            drafts.remove_file(entry.file_name())?;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Database { doing, source };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| failed(error.into())),
        Err(stopped) => Err(failed(stopped.into())),
    }
}
