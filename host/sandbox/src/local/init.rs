//! Process 1 of a sandbox. It starts the command, collects orphans, forwards
//! egress, and says how the command ended; when it ends itself, the kernel
//! kills all that is left inside.
//!
//! Its standard input is a socket to the supervisor. The command gets none of
//! init's files, and as another user (or against a process that is not
//! dumpable) it cannot reach into init either.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, kill_process_group, set_dumpable_behavior, wait};

use super::bwrap::EGRESS_SOCKET;
use super::wire::{FromInit, SHIELD, Setup, ToInit, send};
use crate::{egress, launcher};

const SECRETS: &str = "/run/secrets";

pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox init: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let mut supervisor = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut messages = BufReader::new(supervisor.try_clone()?).lines();
    send(&mut supervisor, &FromInit::Ready)?;
    let setup = match messages.next().transpose()?.map(|line| serde_json::from_str(&line)).transpose()? {
        Some(ToInit::Start(setup)) => setup,
        Some(ToInit::Terminate) | None => return Ok(()),
    };
    let command = match start(&setup) {
        Ok(command) => command,
        Err(error) => return send(&mut supervisor, &FromInit::NotStarted { detail: error.to_string() }),
    };
    drop(setup);
    send(&mut supervisor, &FromInit::Started)?;
    thread::spawn(move || obey(messages, command));
    send(&mut supervisor, &reap_until_end_of(command)?)
}

fn start(setup: &Setup) -> io::Result<Pid> {
    write_secrets(setup)?;
    if setup.egress {
        let listener = TcpListener::bind(egress::LISTEN)?;
        thread::spawn(move || egress::forward(listener, Path::new(EGRESS_SOCKET)));
    }
    let (program, words) = setup.launch.split_first().ok_or_else(|| io::Error::other("nothing to launch"))?;
    let shielded = setup.environment.iter().map(|(name, value)| (format!("{SHIELD}{name}"), value));
    let mut child = Command::new(program)
        .args(words)
        .arg(launcher::ENTER)
        .arg(serde_json::to_string(&setup.enter)?)
        .args(&setup.argv)
        .env_clear()
        .envs(shielded)
        .stdin(if setup.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .process_group(0)
        .spawn()?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), setup.stdin.clone()) {
        // A command that does not read all of it is none of our business.
        thread::spawn(move || pipe.write_all(text.as_bytes()));
    }
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::Error::other("the command has no process id"))
}

/// Files on a tmpfs, for the command's user alone.
fn write_secrets(setup: &Setup) -> io::Result<()> {
    if setup.secrets.is_empty() {
        return Ok(());
    }
    let folder = Path::new(SECRETS);
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    for (name, value) in &setup.secrets {
        let path = folder.join(name.as_str());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path)?;
        file.write_all(value.as_bytes())?;
        if let Some((uid, gid)) = setup.enter.owner {
            chown(&path, Some(uid), Some(gid))?;
        }
    }
    match setup.enter.owner {
        Some((uid, gid)) => chown(folder, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Does what the supervisor says. Without a supervisor there must be no command.
fn obey(messages: Lines<BufReader<UnixStream>>, command: Pid) {
    for line in messages.map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(ToInit::Terminate) => {
                // It may have ended just now, and then there is nobody to tell.
                let _ = kill_process_group(command, Signal::TERM);
            }
            Ok(ToInit::Start(_)) | Err(_) => break,
        }
    }
    std::process::exit(1);
}

fn reap_until_end_of(command: Pid) -> io::Result<FromInit> {
    loop {
        let (pid, status) = match wait(WaitOptions::empty()) {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if pid == command {
            if let Some(code) = status.exit_status() {
                return Ok(FromInit::Exited { code });
            }
            if let Some(signal) = status.terminating_signal() {
                return Ok(FromInit::Signaled { signal });
            }
        }
    }
}
