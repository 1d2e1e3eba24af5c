//! Which host processes of this data folder live.
//!
//! Each holds a lock on a file of its own for as long as it lives. The kernel
//! gives a lock back when its holder dies, however it died, so a file whose lock
//! can be had belongs to a dead host, and its leases need not run out first.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use store::HostId;

pub struct Liveness {
    folder: PathBuf,
    host: HostId,
    /// Held open: the lock lives as long as this does.
    _lock: File,
}

impl Liveness {
    pub fn declare(data: &Path) -> io::Result<Self> {
        let folder = data.join("hosts");
        fs::create_dir_all(&folder)?;
        let host: HostId = uuid::Uuid::now_v7().to_string();
        // Locked before it has its name, so that nobody takes it for a dead one.
        let unnamed = folder.join(format!(".{host}"));
        let lock = OpenOptions::new().create_new(true).write(true).open(&unnamed)?;
        lock.lock()?;
        fs::rename(&unnamed, folder.join(&host))?;
        Ok(Self { folder, host, _lock: lock })
    }

    pub fn host(&self) -> &HostId {
        &self.host
    }

    /// Hosts that died without giving their leases back.
    pub fn dead(&self) -> io::Result<Vec<HostId>> {
        let mut dead = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name == self.host || name.starts_with('.') {
                continue;
            }
            let file = match File::open(entry.path()) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                Ok(()) => dead.push(name),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(dead)
    }

    /// Forgets a dead host whose leases were given back.
    pub fn bury(&self, dead: &HostId) -> io::Result<()> {
        match fs::remove_file(self.folder.join(dead)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Liveness {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(&self.host));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_died_is_told_from_one_that_lives() {
        let data = tempfile::tempdir().unwrap();
        let living = Liveness::declare(data.path()).unwrap();
        let other = Liveness::declare(data.path()).unwrap();
        assert!(living.dead().unwrap().is_empty());
        // A killed process leaves its file and loses its lock.
        let killed = other.host().clone();
        let left = data.path().join("hosts").join(&killed);
        drop(other);
        fs::write(&left, "").unwrap();
        assert_eq!(living.dead().unwrap(), vec![killed.clone()]);
        living.bury(&killed).unwrap();
        assert!(living.dead().unwrap().is_empty());
    }
}
