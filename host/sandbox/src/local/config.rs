//! What a [`Local`](super::Local) is made of.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Templates;

/// Owner of everything inside a sandbox that is made by root. No account of
/// the machine should have it.
pub const SANDBOX_ID: u32 = 10_001;

/// Where a provider keeps its files and which programs it uses.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Spools, sessions and locks. Made if missing, closed to others (0700).
    pub root: PathBuf,
    pub templates: Arc<Templates>,
    /// Images, which several providers may share; none is a folder in `root`.
    pub images: Option<PathBuf>,
    /// The program that begins with [`crate::launcher::run_if_requested`]: the host's own.
    pub launcher: PathBuf,
    /// Put before the role's name when the launcher is started.
    pub launcher_arguments: Vec<String>,
    /// Addresses of names that the egress proxy must not look up: `host:port` to where it is.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// User id of commands; as root the sandbox drops to it, else it is the id shown inside.
    pub uid: u32,
    pub gid: u32,
    /// Where `bwrap` is looked for, in this order.
    pub program_folders: Vec<PathBuf>,
}

impl LocalConfig {
    pub fn new(root: PathBuf, templates: Arc<Templates>, launcher: PathBuf) -> Self {
        Self {
            root,
            templates,
            images: None,
            launcher,
            launcher_arguments: Vec::new(),
            resolve: BTreeMap::new(),
            uid: SANDBOX_ID,
            gid: SANDBOX_ID,
            program_folders: ["/usr/bin", "/usr/local/bin", "/bin"].map(PathBuf::from).to_vec(),
        }
    }

    pub(super) fn images_folder(&self) -> PathBuf {
        self.images.clone().unwrap_or_else(|| self.root.join("images"))
    }
}

/// Why a provider cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to prepare the sandbox folder `{path}`")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to find the launcher `{path}`")]
    Launcher {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to describe this machine's programs")]
    Describe(#[source] io::Error),
}
