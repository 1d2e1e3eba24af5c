//! The store's own Ed25519 key, a file beside the database.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};

use super::{Checkpoint, signed_text};
use crate::errors::OpenError;

/// Signs checkpoints. The private half never leaves its file and this value.
pub struct AuditKey {
    signing: SigningKey,
    public: String,
}

impl AuditKey {
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(&seed);
        let public = hex::encode(signing.verifying_key().as_bytes());
        Self { signing, public }
    }

    /// Reads the key at `path`, and makes one first if there is none.
    ///
    /// Two processes that come at the same time end up with the same key: it
    /// appears under its name complete, and only once.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let key_error = |source| OpenError::Key { path: path.to_owned(), source };
        if !path.try_exists().map_err(key_error)? {
            create(path).map_err(key_error)?;
        }
        let mode = path.metadata().map_err(key_error)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(OpenError::KeyExposed { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(key_error)?;
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim_end(), &mut seed).map_err(|_| OpenError::KeyForm { path: path.to_owned() })?;
        Ok(Self::from_seed(seed))
    }

    /// Hex of the public key.
    pub fn public(&self) -> &str {
        &self.public
    }

    pub fn checkpoint(&self, size: u64, hash: &str) -> Checkpoint {
        let signature = self.signing.sign(signed_text(size, hash).as_bytes());
        Checkpoint {
            size,
            hash: hash.to_owned(),
            key: self.public.clone(),
            signature: hex::encode(signature.to_bytes()),
        }
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    // A name of its own: one that a crash left behind is in nobody's way.
    let mut name = [0; 8];
    getrandom::fill(&mut name)?;
    let draft = path.with_extension(format!("key.{}", hex::encode(name)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(format!("{}\n", hex::encode(seed)).as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Ok(()) => {}
        // Another process was first; its key counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
