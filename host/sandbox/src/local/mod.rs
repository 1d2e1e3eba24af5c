//! Sandboxes on this machine, without a daemon: bubblewrap makes one for each
//! command, a supervisor process owns it, and its spool folder is the truth.
//!
//! ```text
//! host ── supervisor ── bwrap ── init (process 1 inside) ── the command
//!         own session,           reaps, forwards egress,    spare user, no capability,
//!         outlives the host      knows the secrets          our system call filter
//! ```
//!
//! **Invariant:** a command is started at most once. The supervisor takes the
//! spool's lock and writes `started` before anything runs; where that file is
//! and no outcome, nobody starts it again.

mod baggage;
mod bwrap;
mod cgroup;
mod config;
pub(crate) mod dialogue;
mod doctor;
pub(crate) mod enter;
mod exec;
mod host_rootfs;
pub(crate) mod init;
pub(crate) mod lock;
mod manage;
mod output;
mod seccomp;
mod session;
mod spool;
pub(crate) mod supervisor;
mod tools;
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use async_trait::async_trait;
use workflow::{Digest, EffectKey, InstanceId, TemplateName};

pub use config::{LocalConfig, OpenError, SANDBOX_ID};
pub use doctor::{Finding, doctor};
use host_rootfs::HostRootfs;

use crate::image::ImageStore;
use crate::{ExecError, ExecOutcome, ExecRequest, Provider};
use baggage::Baggage;

/// The provider of sandboxes on this machine. Several processes may use one
/// `root` at the same time.
#[derive(Debug)]
pub struct Local {
    config: LocalConfig,
    rootfs: HostRootfs,
    /// Told apart from other roots of the machine in the names of control groups.
    mark: String,
    images: ImageStore,
    /// Found out with the first image that is run.
    baggage: OnceLock<Baggage>,
    /// Templates whose tools have been asked for their versions, and fit.
    equipped: Mutex<BTreeSet<TemplateName>>,
}

impl Local {
    /// Prepares the folders and finds out what this machine's programs are;
    /// that takes some 100 ms the first time.
    ///
    /// That bubblewrap is missing shows in [`Provider::exec`]: a host whose
    /// workflows run no commands needs none.
    pub fn new(mut config: LocalConfig) -> Result<Self, OpenError> {
        let folder = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { path, source }
        };
        for name in ["", "spool", "sessions", "locks", "tasks"] {
            let path = config.root.join(name);
            fs::DirBuilder::new().mode(0o700).recursive(true).create(&path).map_err(folder(&path))?;
        }
        config.root = fs::canonicalize(&config.root).map_err(folder(&config.root))?;
        config.launcher = fs::canonicalize(&config.launcher)
            .map_err(|source| OpenError::Launcher { path: config.launcher.clone(), source })?;
        host_rootfs::write_configuration(&config.root, config.uid, config.gid).map_err(folder(&config.root))?;
        let rootfs = HostRootfs::describe(&config.root).map_err(OpenError::Describe)?;
        let mark = Digest::of(config.root.as_os_str().as_encoded_bytes()).hex()[..8].to_owned();
        let images = ImageStore::new(config.images_folder(), (config.uid, config.gid));
        Ok(Self { config, rootfs, mark, images, baggage: OnceLock::new(), equipped: Mutex::default() })
    }

    /// Digest of the host's package list: what commands really run in.
    pub fn sandbox_digest(&self) -> &Digest {
        &self.rootfs.digest
    }

    /// The images that commands may run in.
    pub fn images(&self) -> &ImageStore {
        &self.images
    }

    fn cgroup_name(&self, slug: &str) -> String {
        format!("{}-{slug}", self.mark)
    }

    fn bwrap(&self) -> Option<PathBuf> {
        self.config.program_folders.iter().map(|folder| folder.join("bwrap")).find(|path| path.is_file())
    }
}

#[async_trait]
impl Provider for Local {
    async fn exec(&self, request: ExecRequest) -> Result<ExecOutcome, ExecError> {
        self.exec_or_attach(request).await
    }

    async fn knows(&self, key: &EffectKey) -> bool {
        spool::Spool::of(&self.config.root, key).is_taken_over()
    }

    async fn kill(&self, key: &EffectKey) {
        self.end(&spool::Spool::of(&self.config.root, key)).await;
    }

    async fn discard(&self, key: &EffectKey) {
        self.forget(&spool::Spool::of(&self.config.root, key)).await;
    }

    async fn close_session(&self, instance: &InstanceId) {
        self.close(instance).await;
    }

    async fn sweep(&self, keep: &[InstanceId]) -> Vec<String> {
        self.remove_all_but(keep).await
    }
}
