//! The folder of one command, `root/spool/<slug>/`: what every process that
//! has to do with it agrees on.
//!
//! | file | says |
//! | --- | --- |
//! | `request.json` | whose it is and what was asked, without secrets |
//! | `lock` | held as long as a supervisor is at work |
//! | `started` | a supervisor took over: from here on the command may have run |
//! | `refused.json` | the last supervisor ran nothing, and why |
//! | `cancel`, `control` | someone wants it ended; the pipe that wakes the supervisor |
//! | `stdout.log`, `stderr.log`, `captured/` | redacted output, kept files |
//! | `outcome.json` | the end; nothing changes afterwards |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use workflow::{Command, EffectKey, InstanceId, TaskPath};

use super::lock::FileLock;
use super::wire::Refusal;
use crate::ExecOutcome;

/// What may be done about a command, read from its folder.
#[derive(Debug)]
pub enum State {
    /// Nothing ran: it may be started.
    Fresh,
    /// A supervisor is at work.
    Running,
    Finished(Box<ExecOutcome>),
    /// The supervisor ended without an outcome: the command may have run.
    Interrupted,
}

/// Whose command it is; the part of a request that may be stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub instance: InstanceId,
    pub path: TaskPath,
    pub attempt: u32,
    pub sequence: u32,
    pub command: Command,
}

/// The supervisor's process, so that it can be told from a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub pid: i32,
    /// Clock ticks since the machine's start, from `/proc/PID/stat`.
    pub start_time: u64,
}

#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

impl Spool {
    pub fn of(root: &Path, key: &EffectKey) -> Self {
        Self::at(root.join("spool").join(key.slug()))
    }

    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// All of a provider.
    pub fn all(root: &Path) -> io::Result<Vec<Self>> {
        fs::read_dir(root.join("spool"))?.map(|entry| Ok(Self::at(entry?.path()))).collect()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn slug(&self) -> String {
        self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    pub fn stdout(&self) -> PathBuf {
        self.folder.join("stdout.log")
    }

    pub fn stderr(&self) -> PathBuf {
        self.folder.join("stderr.log")
    }

    pub fn captured(&self) -> PathBuf {
        self.folder.join("captured")
    }

    /// Makes the folder. Nothing happens if it is there.
    pub fn create(&self) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Says whose the spool is, unless that is said already. Must be on the disk
    /// before anything runs: a sweep goes by it.
    pub fn claim(&self, key: &EffectKey, command: &Command) -> io::Result<()> {
        if self.folder.join("request.json").exists() {
            return Ok(());
        }
        let request = Request {
            instance: key.instance.clone(),
            path: key.path.clone(),
            attempt: key.attempt,
            sequence: key.sequence,
            command: command.clone(),
        };
        self.write("request.json", &request)
    }

    /// `None` if it is not there or cannot be read.
    pub fn request(&self) -> Option<Request> {
        self.read("request.json").ok().flatten()
    }

    pub fn state(&self) -> io::Result<State> {
        if let Some(outcome) = self.read("outcome.json")? {
            return Ok(State::Finished(outcome));
        }
        if FileLock::is_held(&self.lock())? {
            return Ok(State::Running);
        }
        // The supervisor may have written its outcome between the two looks.
        if let Some(outcome) = self.read("outcome.json")? {
            return Ok(State::Finished(outcome));
        }
        Ok(if self.started().is_some() { State::Interrupted } else { State::Fresh })
    }

    /// `None`: no supervisor took over. An unreadable marker counts as one.
    pub fn started(&self) -> Option<Started> {
        match self.read("started") {
            Ok(started) => started,
            Err(_) => Some(Started { pid: 0, start_time: 0 }),
        }
    }

    /// Whether a supervisor took the command over, now or before. What the
    /// holder of the lock is told stays true while it holds it.
    pub fn is_taken_over(&self) -> bool {
        self.started().is_some() || self.folder.join("outcome.json").exists()
    }

    /// Takes the command over for ever: afterwards it is never started again.
    /// The caller holds the lock and has asked [`Spool::is_taken_over`].
    pub fn take_over(&self, started: Started) -> io::Result<()> {
        self.write("started", &started)
    }

    /// Undoes [`Spool::take_over`], because nothing ran. The caller holds the lock.
    pub fn refuse(&self, refusal: &Refusal) -> io::Result<()> {
        self.write("refused.json", refusal)?;
        remove(&self.folder.join("started"))?;
        self.sync()
    }

    pub fn refusal(&self) -> Option<Refusal> {
        self.read("refused.json").ok().flatten()
    }

    pub fn clear_refusal(&self) -> io::Result<()> {
        remove(&self.folder.join("refused.json"))
    }

    pub fn finish(&self, outcome: &ExecOutcome) -> io::Result<()> {
        self.write("outcome.json", outcome)
    }

    /// Asks the supervisor to end the command. It need not run yet.
    pub fn cancel(&self) -> io::Result<()> {
        self.write("cancel", &true)?;
        // Without a reader there is nobody to wake: a later supervisor sees the file.
        let control = self.folder.join("control");
        if let Ok(mut pipe) = OpenOptions::new().write(true).custom_flags(nonblocking()).open(control) {
            pipe.write_all(b"c")?;
        }
        Ok(())
    }

    pub fn is_cancelled(&self) -> bool {
        self.folder.join("cancel").exists()
    }

    /// The pipe that [`Spool::cancel`] writes to, open for both directions so
    /// that reading it waits even when nobody writes. The caller holds the lock.
    pub fn open_control(&self) -> io::Result<File> {
        let path = self.folder.join("control");
        remove(&path)?;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600))?;
        OpenOptions::new().read(true).write(true).open(path)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whole or not at all, and on the disk when this returns.
    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        // Two tasks of one host may write the same file at the same time.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.folder.join(format!(".{name}.{}.{number}", std::process::id()));
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, self.folder.join(name))?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl Started {
    pub fn this_process() -> io::Result<Self> {
        let pid = rustix::process::getpid().as_raw_pid();
        let start_time = start_time(pid).ok_or_else(|| io::Error::other("failed to read /proc/self/stat"))?;
        Ok(Self { pid, start_time })
    }

    /// Whether that very process is alive.
    pub fn is_alive(&self) -> bool {
        self.pid > 0 && start_time(self.pid) == Some(self.start_time)
    }
}

fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold blanks and brackets; start time is field 22 of all.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn nonblocking() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits() as i32
}
