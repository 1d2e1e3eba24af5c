//! Images on this machine: their bytes by digest, and the root file systems
//! that were unpacked from them.
//!
//! ```text
//! blobs/HEX      manifests, configurations and layers: each is what its digest says
//! names/HEX      which image a name meant when it was last looked up
//! roots/HEX      an unpacked image by its id: `root`, and `image.json`, what it says of itself
//! locks/HEX      held while an image comes in
//! tmp            what is not whole yet
//! ```
//!
//! Whatever has its name here is whole: it was written aside and renamed. So
//! several hosts may use one folder at the same time.
//!
//! **Invariant:** nothing of a layer is unpacked before all of its bytes were
//! read and are what the image's configuration says.

mod layer;
mod prepare;
#[cfg(test)]
mod tests;
mod tree;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use workflow::Digest;
use workflow::distribution::Reference;
use workflow::image::{ImageConfig, ImageIdentity, Layer};

use crate::capture::remove_tree;
use crate::local::lock::FileLock;
use tree::Tree;

/// The most that an image may be.
#[derive(Debug, Clone, Copy)]
pub struct ImageLimits {
    /// Of all layers as they come in.
    pub packed_bytes: u64,
    /// Of all layers as they are unpacked: their tars, and their files.
    pub unpacked_bytes: u64,
    /// Files, folders and links, removed ones included.
    pub entries: u64,
    pub path_bytes: usize,
    pub path_depth: usize,
}

impl Default for ImageLimits {
    /// Many times a compiler with its libraries.
    fn default() -> Self {
        Self { packed_bytes: 8 << 30, unpacked_bytes: 24 << 30, entries: 2_000_000, path_bytes: 4095, path_depth: 64 }
    }
}

/// Why an image is not here.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("failed to {doing} `{}`", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The bytes are not those that were named: they are not used.
    #[error("the bytes of `{expected}` have digest `{actual}`")]
    Digest { expected: Digest, actual: Digest },
    /// What is in the image is not unpacked here.
    #[error("layer `{layer}` of the image is refused: {reason}")]
    Refused { layer: Digest, reason: String },
    #[error("the image is refused: {reason}")]
    Unfit { reason: String },
}

/// An image that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// What becomes `/`.
    pub root: PathBuf,
    pub says: Says,
}

/// What a command in an image finds set, and what was left out of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Says {
    /// Name and value, in the image's order.
    pub environment: Vec<(String, String)>,
    /// Absolute, or empty.
    pub working_directory: String,
    /// Devices and pipes, which no sandbox has from an image.
    pub left_out: u64,
}

/// The images of a host. Cheap to make; the folders come with the first image.
#[derive(Debug, Clone)]
pub struct ImageStore {
    folder: PathBuf,
    limits: ImageLimits,
    /// Who everything in an image belongs to, where the host can give things away.
    owner: Option<(u32, u32)>,
}

/// Held while an image comes in: one host fetches it, others wait.
#[derive(Debug)]
pub struct Incoming {
    _lock: FileLock,
}

/// Bytes that come in.
#[derive(Debug)]
pub struct IncomingBlob {
    file: File,
    aside: PathBuf,
    path: PathBuf,
    expected: Digest,
    sum: Sha256,
}

impl ImageStore {
    /// `ids`: user and group of the commands of this host.
    pub fn new(folder: PathBuf, ids: (u32, u32)) -> Self {
        let owner = rustix::process::geteuid().is_root().then_some(ids);
        Self { folder, limits: ImageLimits::default(), owner }
    }

    pub fn limits(&self) -> &ImageLimits {
        &self.limits
    }

    /// The image with this id, if it was unpacked.
    pub fn unpacked(&self, id: &Digest) -> Option<Unpacked> {
        let folder = self.folder.join("roots").join(id.hex());
        let says = serde_json::from_slice(&fs::read(folder.join("image.json")).ok()?).ok()?;
        // Bubblewrap takes it from any working directory.
        let root = fs::canonicalize(folder.join("root")).ok()?;
        Some(Unpacked { root, says })
    }

    /// None while another one fetches this image.
    pub fn try_receive(&self, id: &Digest) -> Result<Option<Incoming>, ImageError> {
        let path = self.place("locks", id)?;
        let lock = FileLock::try_acquire(&path).map_err(io_error("lock", &path))?;
        Ok(lock.map(|lock| Incoming { _lock: lock }))
    }

    /// Whether these bytes are here.
    pub fn has(&self, digest: &Digest) -> bool {
        self.folder.join("blobs").join(digest.hex()).is_file()
    }

    /// Bytes by their digest, if they are here and have at most so many bytes;
    /// those of a manifest or a configuration.
    ///
    /// # Errors
    ///
    /// The disk holds others under this name.
    pub fn read(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let path = self.folder.join("blobs").join(digest.hex());
        let bytes = match fs::metadata(&path) {
            Ok(data) if data.len() <= bytes_max => fs::read(&path).map_err(io_error("read", &path))?,
            Ok(_) => return Err(ImageError::Unfit { reason: format!("`{digest}` has more than {bytes_max} bytes") }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let actual = Digest::of(&bytes);
        if actual == *digest {
            return Ok(Some(bytes));
        }
        // Of no use to anybody, and who comes next fetches them again.
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        Err(ImageError::Digest { expected: digest.clone(), actual })
    }

    /// Begins to keep bytes that come in piece by piece.
    pub fn begin(&self, digest: &Digest) -> Result<IncomingBlob, ImageError> {
        let (path, aside) = (self.place("blobs", digest)?, self.aside(digest)?);
        let file = File::create(&aside).map_err(io_error("create", &aside))?;
        Ok(IncomingBlob { file, aside, path, expected: digest.clone(), sum: Sha256::new() })
    }

    /// Keeps bytes under their digest.
    pub fn keep(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        let mut blob = self.begin(&digest)?;
        blob.write(bytes)?;
        blob.finish()?;
        Ok(digest)
    }

    /// What `name` meant when it was last looked up.
    pub fn remembered(&self, name: &Reference) -> Option<ImageIdentity> {
        let key = Digest::of(name.to_string().as_bytes());
        serde_json::from_slice(&fs::read(self.folder.join("names").join(key.hex())).ok()?).ok()
    }

    pub fn remember(&self, name: &Reference, identity: &ImageIdentity) -> Result<(), ImageError> {
        let key = Digest::of(name.to_string().as_bytes());
        let (path, aside) = (self.place("names", &key)?, self.aside(&key)?);
        let text = serde_json::to_vec(identity).map_err(|error| io_error("write", &path)(error.into()))?;
        write_aside(&aside, &path, &text).map_err(io_error("write", &path))
    }

    /// Unpacks an image of which every layer is here. Takes as long as a disk
    /// takes for it.
    ///
    /// # Errors
    ///
    /// A layer that is not what the configuration says, or that holds what is
    /// not unpacked here; then nothing of the image is left.
    pub fn unpack(
        &self,
        id: &Digest,
        config: &ImageConfig,
        layers: &[Layer],
        _incoming: &Incoming,
    ) -> Result<Unpacked, ImageError> {
        let (path, aside) = (self.place("roots", id)?, self.aside(id)?);
        let clear = || remove_tree(&aside).map_err(io_error("remove", &aside));
        fs::create_dir(&aside).map_err(io_error("create", &aside))?;
        let unpacked = self.unpack_into(&aside, config, layers);
        if let Err(error) = unpacked {
            clear()?;
            return Err(error);
        }
        // The files before the name: what has its name is whole, after a power cut as well.
        File::open(&aside).and_then(|folder| Ok(rustix::fs::syncfs(folder)?)).map_err(io_error("write", &aside))?;
        // What lies there without an `image.json` was made by an older version.
        remove_tree(&path).map_err(io_error("remove", &path))?;
        fs::rename(&aside, &path).map_err(io_error("rename", &aside))?;
        self.unpacked(id).ok_or_else(|| ImageError::Unfit { reason: "it is gone again".to_owned() })
    }

    fn unpack_into(&self, folder: &Path, config: &ImageConfig, layers: &[Layer]) -> Result<(), ImageError> {
        let root = folder.join("root");
        fs::create_dir(&root).map_err(io_error("create", &root))?;
        let tree = Tree::open(&root, self.owner).map_err(io_error("open", &root))?;
        let mut budget = layer::Budget::of(&self.limits);
        for (layer, diff_id) in layers.iter().zip(&config.diff_ids) {
            let blob = self.folder.join("blobs").join(layer.blob.digest.hex());
            let plain = self.aside(diff_id)?;
            layer::apply(&tree, &blob, layer.packing, diff_id, &plain, &mut budget)?;
        }
        prepare::prepare(&tree, &config.working_directory, self.owner)?;
        let says = Says {
            environment: config.environment.clone(),
            working_directory: config.working_directory.clone(),
            left_out: budget.left_out,
        };
        let path = folder.join("image.json");
        let text = serde_json::to_vec(&says).map_err(|error| io_error("write", &path)(error.into()))?;
        fs::write(&path, text).map_err(io_error("write", &path))
    }

    fn place(&self, kind: &str, digest: &Digest) -> Result<PathBuf, ImageError> {
        Ok(self.folder_of(kind)?.join(digest.hex()))
    }

    /// A path that nobody else uses: what is left at one by a host that was
    /// killed is found by its process id.
    fn aside(&self, digest: &Digest) -> Result<PathBuf, ImageError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", digest.hex(), std::process::id());
        let path = self.folder_of("tmp")?.join(name);
        // A process with the same number may have left it.
        remove_tree(&path).map_err(io_error("remove", &path))?;
        Ok(path)
    }

    fn folder_of(&self, kind: &str) -> Result<PathBuf, ImageError> {
        let folder = self.folder.join(kind);
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder).map_err(io_error("create", &folder))?;
        Ok(folder)
    }

    /// Removes what hosts that are gone did not finish. Returns what that was.
    pub fn sweep(&self) -> Vec<String> {
        let is_left = |name: &str| {
            let process = name.split('-').nth(1).and_then(|process| process.parse::<u32>().ok());
            process.is_none_or(|process| !Path::new("/proc").join(process.to_string()).exists())
        };
        let entries = fs::read_dir(self.folder.join("tmp")).into_iter().flatten().flatten();
        let left = entries.filter(|entry| is_left(&entry.file_name().to_string_lossy()));
        left.filter(|entry| remove_tree(&entry.path()).is_ok())
            .map(|entry| format!("image in the making {}", entry.file_name().to_string_lossy()))
            .collect()
    }
}

impl IncomingBlob {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.sum.update(bytes);
        self.file.write_all(bytes).map_err(io_error("write", &self.aside))
    }

    /// Keeps what came in.
    ///
    /// # Errors
    ///
    /// Its digest is another one; then nothing is kept.
    pub fn finish(self) -> Result<(), ImageError> {
        let actual = Digest::from_sha256(self.sum.clone().finalize().into());
        if actual != self.expected {
            return Err(ImageError::Digest { expected: self.expected.clone(), actual });
        }
        self.file.sync_all().map_err(io_error("write", &self.aside))?;
        fs::rename(&self.aside, &self.path).map_err(io_error("rename", &self.aside))
    }
}

impl Drop for IncomingBlob {
    fn drop(&mut self) {
        // It has its own name by now, or is of no use.
        let _ = fs::remove_file(&self.aside);
    }
}

fn write_aside(aside: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(aside, bytes)?;
    fs::rename(aside, path)
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError + use<> {
    let path = path.to_owned();
    move |source| ImageError::Io { doing, path, source }
}
