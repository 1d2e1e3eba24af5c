//! Ending commands and removing what they and their sessions leave.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tracing::warn;
use workflow::InstanceId;

use super::Local;
use super::cgroup::Groups;
use super::lock::FileLock;
use super::session::{session_folder, session_lock, task_folder};
use super::spool::{Spool, Started};
use crate::capture;

/// TERM, 5 s, KILL, and as much again for a slow machine.
const END_LIMIT: Duration = Duration::from_secs(12);

const POLL: Duration = Duration::from_millis(20);

impl Local {
    /// Ends a command and waits until its supervisor is gone. One that is not
    /// running is left as it is.
    pub(super) async fn end(&self, spool: &Spool) {
        if !spool.folder().is_dir() {
            return;
        }
        if let Err(error) = spool.cancel() {
            warn!(spool.slug = spool.slug(), %error, "Cancelling a command failed");
        }
        let limit = Instant::now() + END_LIMIT;
        while FileLock::is_held(&spool.lock()).unwrap_or(false) {
            if Instant::now() >= limit {
                self.end_by_force(spool);
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills the supervisor, and with it the sandbox. The outcome is unknown then.
    fn end_by_force(&self, spool: &Spool) {
        Groups::existing(&self.cgroup_name(&spool.slug())).kill();
        if let Some(error) = spool.started().and_then(|started| kill(started).err()) {
            warn!(spool.slug = spool.slug(), %error, "Killing a supervisor failed");
        }
    }

    /// Removes everything of one command. What runs is ended first.
    pub(super) async fn forget(&self, spool: &Spool) {
        if FileLock::is_held(&spool.lock()).unwrap_or(false) {
            self.end(spool).await;
        }
        let groups = Groups::existing(&self.cgroup_name(&spool.slug()));
        let paths = [task_folder(&self.config.root, &spool.slug()), spool.folder().to_owned()];
        blocking(move || {
            if !groups.is_empty() {
                groups.kill();
                groups.remove();
            }
            paths.iter().for_each(|path| remove(path));
        })
        .await;
    }

    /// Ends what runs for an instance and removes its session; spools stay.
    pub(super) async fn close(&self, instance: &InstanceId) {
        for spool in self.spools_of(|owner| owner == Some(instance)) {
            if FileLock::is_held(&spool.lock()).unwrap_or(false) {
                self.end(&spool).await;
            }
        }
        let folder = session_folder(&self.config.root, instance);
        let lock = session_lock(&self.config.root, instance);
        blocking(move || {
            match FileLock::try_acquire(&lock) {
                Ok(Some(_held)) => {
                    remove(&folder);
                    remove(&lock);
                }
                Ok(None) => warn!(session.folder = %folder.display(), "A session is still in use"),
                Err(error) => warn!(session.folder = %folder.display(), %error, "Locking a session failed"),
            };
        })
        .await;
    }

    pub(super) async fn remove_all_but(&self, keep: &[InstanceId]) -> Vec<String> {
        let mut removed = Vec::new();
        for spool in self.spools_of(|owner| owner.is_none_or(|owner| !keep.contains(owner))) {
            self.forget(&spool).await;
            removed.push(format!("spool {}", spool.slug()));
        }
        for instance in names(&self.config.root.join("sessions")).into_iter().flat_map(InstanceId::new) {
            if !keep.contains(&instance) {
                self.close(&instance).await;
                removed.push(format!("session {instance}"));
            }
        }
        // A spool is made first and removed last: what is listed before the
        // spools and has none belongs to nobody.
        let tasks = names(&self.config.root.join("tasks"));
        let groups = Groups::names(&self.cgroup_name(""));
        let spools: BTreeSet<_> = names(&self.config.root.join("spool")).into_iter().collect();
        for slug in tasks {
            if !spools.contains(&slug) {
                let folder = task_folder(&self.config.root, &slug);
                blocking(move || remove(&folder)).await;
                removed.push(format!("task {slug}"));
            }
        }
        // Of a supervisor that was killed, or whose spool somebody removed.
        for name in groups {
            let has_spool = name.strip_prefix(&self.cgroup_name("")).is_some_and(|slug| spools.contains(slug));
            if !has_spool {
                let groups = Groups::existing(&name);
                groups.kill();
                blocking(move || groups.remove()).await;
                removed.push(format!("control group {name}"));
            }
        }
        removed.extend(self.images().sweep());
        removed
    }

    /// Spools whose owner is of interest; the owner of an unfinished one is not known.
    fn spools_of(&self, wanted: impl Fn(Option<&InstanceId>) -> bool) -> Vec<Spool> {
        let spools = Spool::all(&self.config.root).unwrap_or_else(|error| {
            warn!(%error, "Reading the spools failed");
            Vec::new()
        });
        let owner = |spool: &Spool| spool.request().map(|request| request.instance);
        spools.into_iter().filter(|spool| wanted(owner(spool).as_ref())).collect()
    }
}

fn kill(started: Started) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(started.pid) else { return Ok(()) };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // Looked at after the descriptor is open: it cannot become another process any more.
    if started.is_alive() {
        pidfd_send_signal(process, Signal::KILL)?;
    }
    Ok(())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Ok(data) if !data.is_dir() => {
            if let Err(error) = fs::remove_file(path) {
                warn!(path = %path.display(), %error, "Removing a file failed");
            }
            return;
        }
        Ok(_) | Err(_) => {}
    }
    if let Err(error) = capture::remove_tree(path) {
        warn!(path = %path.display(), %error, "Removing a folder failed");
    }
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        warn!(%error, "Removing what a command left failed");
    }
}
