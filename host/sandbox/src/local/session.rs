//! Folders that a command works in: those of its instance's session, or fresh
//! ones for one task.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use workflow::InstanceId;
use workflow::command::SandboxMode;

/// What is bound to `/workspace` and `/home/runner`.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub workspace: PathBuf,
    pub home: PathBuf,
    /// Removed after the command; none for a session.
    pub temporary: Option<PathBuf>,
}

/// Where an instance's session is.
pub fn session_folder(root: &Path, instance: &InstanceId) -> PathBuf {
    root.join("sessions").join(instance.as_str())
}

/// Held while a command of the session runs: one at a time.
pub fn session_lock(root: &Path, instance: &InstanceId) -> PathBuf {
    root.join("locks").join(instance.as_str())
}

/// Where the folders of a per-task command are.
pub fn task_folder(root: &Path, slug: &str) -> PathBuf {
    root.join("tasks").join(slug)
}

impl Workspace {
    /// Makes what is missing, and for a task replaces what an earlier start
    /// left. `owner` is who the command runs as, if that is somebody else.
    pub fn open(
        root: &Path,
        mode: SandboxMode,
        instance: &InstanceId,
        slug: &str,
        owner: Option<(u32, u32)>,
    ) -> io::Result<Self> {
        let (folder, temporary) = match mode {
            SandboxMode::WorkflowSession => (session_folder(root, instance), None),
            SandboxMode::PerTask => {
                let folder = task_folder(root, slug);
                if folder.symlink_metadata().is_ok() {
                    crate::capture::remove_tree(&folder)?;
                }
                (folder.clone(), Some(folder))
            }
        };
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder)?;
        let made = Self { workspace: folder.join("workspace"), home: folder.join("home"), temporary };
        for folder in [&made.workspace, &made.home] {
            if !folder.is_dir() {
                fs::create_dir(folder)?;
                fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
                if let Some((uid, gid)) = owner {
                    chown(folder, Some(uid), Some(gid))?;
                }
            }
        }
        Ok(made)
    }

    /// Removes the folders of a task; a session stays.
    pub fn close(&self) -> io::Result<()> {
        self.temporary.as_ref().map_or(Ok(()), |folder| crate::capture::remove_tree(folder))
    }
}
