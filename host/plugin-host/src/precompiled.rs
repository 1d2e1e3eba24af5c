//! Compiled plugins on disk. What is read back becomes machine code of this
//! process, so an entry counts only with the tag that this host wrote.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;
use workflow::Digest;

/// Bytes of an HMAC-SHA-256 tag, in front of each entry.
const TAG_BYTES: usize = 32;

/// Why the folder of compiled plugins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrecompiledError {
    #[error("failed to {doing} `{}`", path.display())]
    Disk {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` has mode {mode:o}: others could write machine code into it; remove it or set mode 0700", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("`{}` is not a key of 32 bytes; remove the folder, it is made anew", path.display())]
    Key { path: PathBuf },
    #[error("the system gives no random bytes for a key: {0}")]
    Random(String),
}

/// Where a plugin's machine code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// From the store; its tag was right.
    Precompiled,
    Compiled,
    /// The store had an entry with a wrong tag: it was not executed, and replaced.
    CompiledAfterTampering,
}

/// What the store has under a key.
pub(crate) enum Found {
    Entry(Component),
    Nothing,
    Tampered,
}

/// A folder of compiled plugins, authenticated with a key beside them.
pub(crate) struct Precompiled {
    folder: PathBuf,
    key: [u8; TAG_BYTES],
}

impl Precompiled {
    pub fn open(folder: &Path) -> Result<Self, PrecompiledError> {
        let disk = |doing| move |source| PrecompiledError::Disk { doing, path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk("make"))?;
        let mode = fs::metadata(folder).map_err(disk("look at"))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PrecompiledError::Open { path: folder.to_owned(), mode });
        }
        let key = open_key(&folder.join("key"))?;
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// Where files of this host alone can be.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The entry for these bytes and this engine, if its tag is right.
    pub fn get(&self, engine: &Engine, digest: &Digest) -> Found {
        let name = entry_name(engine, digest);
        // The whole entry is read before the tag is checked, so that nobody can
        // change it between the check and its use.
        let Ok(entry) = fs::read(self.folder.join(&name)) else {
            return Found::Nothing;
        };
        let Some((tag, code)) = entry.split_at_checked(TAG_BYTES) else {
            return Found::Tampered;
        };
        if self.mac(&name, code).verify_slice(tag).is_err() {
            return Found::Tampered;
        }
        compiled_by_us(engine, code).map_or(Found::Nothing, Found::Entry)
    }

    /// Keeps compiled code; written aside and renamed, so that a reader sees all or nothing.
    pub fn put(&self, engine: &Engine, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let name = entry_name(engine, digest);
        let aside = self.folder.join(format!("{name}.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&self.mac(&name, code).finalize().into_bytes())?;
        file.write_all(code)?;
        fs::rename(&aside, self.folder.join(&name))
    }

    /// The name is in the tag: an entry copied over another one is refused too.
    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        mac
    }
}

/// `Err` when the engine does not take it: made by another version, or larger than the pool.
#[allow(unsafe_code)]
pub(crate) fn compiled_by_us(engine: &Engine, code: &[u8]) -> Result<Component, String> {
    // SAFETY: `code` came out of this engine's compiler. Either the HMAC tag of
    // a host that holds the key of the store was verified just now over these
    // very bytes, or our own compiler process wrote them into a file without a
    // name, which nobody else can open.
    unsafe { Component::deserialize(engine, code) }.map_err(|error| format!("{error:#}"))
}

/// Names the component and all of the engine's settings that its code depends on.
fn entry_name(engine: &Engine, digest: &Digest) -> String {
    format!("{}-{}.compiled", digest.hex(), &settings_digest(engine)[..32])
}

/// Of the engine's version and settings, in hex.
pub(crate) fn settings_digest(engine: &Engine) -> String {
    let mut settings = ShaHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut settings);
    hex::encode(settings.0.finalize())
}

/// A hasher whose result is the same in every process, which std does not promise of its own.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let sum = self.0.clone().finalize();
        u64::from_le_bytes(sum[..8].try_into().expect("a SHA-256 sum has 32 bytes"))
    }
}

fn open_key(path: &Path) -> Result<[u8; TAG_BYTES], PrecompiledError> {
    let disk = |doing| move |source| PrecompiledError::Disk { doing, path: path.to_owned(), source };
    let mut key = [0; TAG_BYTES];
    getrandom::fill(&mut key).map_err(|error| PrecompiledError::Random(error.to_string()))?;
    // Two hosts may start at once: the first to link the key wins and both read it.
    let aside = path.with_extension(format!("{}", std::process::id()));
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
    written.and_then(|mut file| file.write_all(&key)).map_err(disk("write"))?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside).map_err(disk("remove"))?;
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(disk("write")(source)),
    }
    let mut file = File::open(path).map_err(disk("open"))?;
    let mode = file.metadata().map_err(disk("look at"))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrecompiledError::Open { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(disk("read"))?;
    bytes.try_into().map_err(|_| PrecompiledError::Key { path: path.to_owned() })
}
