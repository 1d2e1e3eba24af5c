//! The sandbox while it lives: started, watched, ended.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use workflow::redaction::Redactor;

use super::super::wire::{FromInit, Setup, Spec, ToInit, send};
use super::super::{bwrap, cgroup::Groups, output, session::Workspace, spool::Spool};
use super::verdict::{Cut, End, Story};
use super::{Event, socket_of};

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long a sandbox may take until its init answers. Made on purpose for a
/// machine that swaps.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long the dead take to be gone.
const GONE_LIMIT: Duration = Duration::from_secs(10);

/// A sandbox whose init is asked to start a command.
pub struct Running {
    bwrap: Child,
    init: UnixStream,
    /// For a KILL that hits no other process.
    processes: Vec<OwnedFd>,
    readers: Vec<JoinHandle<io::Result<()>>>,
    stderr: std::path::PathBuf,
}

impl Running {
    /// Makes the sandbox. The command does not run yet.
    pub fn start(
        spec: &Spec,
        spool: &Spool,
        workspace: &Workspace,
        redactor: &Redactor,
        events: Sender<Event>,
        proxy: bool,
    ) -> io::Result<Self> {
        let files = [("stdout", File::create(spool.stdout())?), ("stderr", File::create(spool.stderr())?)];
        let (ours, theirs) = UnixStream::pair()?;
        let as_root = rustix::process::geteuid().is_root();
        let mut bwrap = Command::new(&spec.bwrap)
            .args(bwrap::arguments(spec, workspace, as_root, socket_of(proxy)))
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;

        let left_bytes = Arc::new(AtomicU64::new(spec.limits.output_bytes));
        let mut readers = Vec::new();
        let streams = [bwrap.stdout.take().map(OwnedFd::from), bwrap.stderr.take().map(OwnedFd::from)];
        for ((name, mut file), stream) in files.into_iter().zip(streams) {
            let stream = File::from(stream.ok_or_else(|| io::Error::other("an output stream is missing"))?);
            let (redaction, events, left_bytes) = (redactor.stream(), events.clone(), left_bytes.clone());
            readers.push(thread::spawn(move || {
                let over_limit = || {
                    let _ = events.send(Event::OverLimit(name));
                };
                output::copy(stream, &mut file, redaction, &left_bytes, over_limit)?;
                file.sync_all()
            }));
        }
        let lines = BufReader::new(ours.try_clone()?).lines();
        thread::spawn(move || {
            let messages = lines.map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok());
            for message in messages {
                let _ = events.send(Event::Init(message));
            }
            let _ = events.send(Event::InitGone);
        });
        Ok(Self { bwrap, init: ours, processes: Vec::new(), readers, stderr: spool.stderr() })
    }

    /// Moves what is there by now into the groups. What bubblewrap starts later
    /// follows it; what it has started already is moved before the command runs.
    pub fn limit(&self, groups: &Groups) -> io::Result<()> {
        groups.add(self.bwrap.id() as i32)
    }

    /// Ends the sandbox; its command has not run.
    pub fn abandon(mut self, groups: &Groups) {
        self.kill(groups);
        self.collect(groups);
    }

    /// Starts the command and stays until nothing of the sandbox is left.
    pub fn wait(mut self, setup: Setup, spec: &Spec, groups: &Groups, inbox: &Receiver<Event>) -> Story {
        let mut story = Story::new(End::Unknown);
        let mut setup = Some(setup);
        let mut cut = None;
        let mut limit = Instant::now() + READY_LIMIT;
        let mut started = false;
        loop {
            let event = inbox.recv_timeout(limit.saturating_duration_since(Instant::now()));
            let reason = match event {
                Ok(Event::Init(FromInit::Ready)) => {
                    if let Some(setup) = setup.take()
                        && let Err(error) = self.let_it_start(setup, groups)
                    {
                        story.end = End::NothingRan(error.to_string());
                        self.kill(groups);
                    }
                    continue;
                }
                Ok(Event::Init(FromInit::Started)) => {
                    started = true;
                    story.started_at = Timestamp::now();
                    if cut.is_none() {
                        limit = Instant::now() + Duration::from_millis(spec.limits.time_limit_ms);
                    }
                    continue;
                }
                Ok(Event::Init(FromInit::NotStarted { detail })) => {
                    story.end = End::NothingRan(detail);
                    continue;
                }
                Ok(Event::Init(FromInit::Exited { code })) => {
                    story.end = End::Exited(code);
                    continue;
                }
                Ok(Event::Init(FromInit::Signaled { signal })) => {
                    story.end = End::Signaled(signal);
                    continue;
                }
                Ok(Event::InitGone) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Event::OverLimit(stream)) => Cut::Output { stream, limit_bytes: spec.limits.output_bytes },
                Ok(Event::OverFull) => Cut::Workspace { limit_bytes: spec.limits.workspace_bytes },
                Ok(Event::Cancelled) => Cut::Cancelled,
                Err(RecvTimeoutError::Timeout) if !started && cut.is_none() => Cut::NotReady,
                Err(RecvTimeoutError::Timeout) => Cut::TimeLimit { limit_ms: spec.limits.time_limit_ms },
            };
            if cut.is_some() {
                // A second reason, or the grace is over.
                if Instant::now() >= limit {
                    self.kill(groups);
                    limit = Instant::now() + GONE_LIMIT;
                }
                continue;
            }
            limit = Instant::now() + GRACE;
            if matches!(reason, Cut::NotReady) || send(&mut self.init, &ToInit::Terminate).is_err() {
                self.kill(groups);
            }
            cut = Some(reason);
        }
        self.collect(groups);
        // A command can end by itself with too much still in the pipe.
        cut = cut.or_else(|| inbox.try_iter().find_map(|event| over_limit(&event, spec)));
        story.completed_at = Timestamp::now();
        if !started && matches!(story.end, End::Unknown) {
            story.end = match cut {
                Some(Cut::Cancelled) => End::CancelledBefore,
                _ => End::NothingRan(self.why_nothing_ran()),
            };
        } else if let (Some(cut), false) = (cut, matches!(story.end, End::NothingRan(_))) {
            story.end = End::Cut(cut);
        }
        story
    }

    /// Init is there: from now on limits hold, and it may start the command.
    fn let_it_start(&mut self, setup: Setup, groups: &Groups) -> io::Result<()> {
        let mut processes = vec![self.bwrap.id() as i32];
        let mut next = 0;
        while let Some(pid) = processes.get(next) {
            processes.extend(children(*pid)?);
            next += 1;
        }
        for pid in processes {
            groups.add(pid)?;
            if let Some(pid) = Pid::from_raw(pid) {
                self.processes.push(pidfd_open(pid, PidfdFlags::empty())?);
            }
        }
        send(&mut self.init, &ToInit::Start(Box::new(setup)))
    }

    fn kill(&mut self, groups: &Groups) {
        groups.kill();
        for process in self.processes.iter().rev() {
            // It is gone already: that is what we want.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        let _ = self.bwrap.kill();
    }

    /// Waits until bubblewrap and both streams are at their end. Init is gone,
    /// so the kernel is killing whatever else was inside.
    fn collect(&mut self, groups: &Groups) {
        let limit = Instant::now() + GONE_LIMIT;
        while Instant::now() < limit && !matches!(self.bwrap.try_wait(), Ok(Some(_))) {
            thread::sleep(Duration::from_millis(2));
        }
        self.kill(groups);
        let _ = self.bwrap.wait();
        for reader in self.readers.drain(..) {
            match reader.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("failed to keep the output: {error}"),
                Err(_) => eprintln!("failed to keep the output: its thread panicked"),
            }
        }
    }

    /// What bubblewrap said of it.
    fn why_nothing_ran(&self) -> String {
        let text = output::excerpt(&self.stderr).unwrap_or_default();
        match text.trim() {
            "" => "the sandbox ended before the command started".to_owned(),
            text => text.to_owned(),
        }
    }
}

fn over_limit(event: &Event, spec: &Spec) -> Option<Cut> {
    match event {
        Event::OverLimit(stream) => Some(Cut::Output { stream, limit_bytes: spec.limits.output_bytes }),
        Event::Init(_) | Event::InitGone | Event::OverFull | Event::Cancelled => None,
    }
}

fn children(pid: i32) -> io::Result<Vec<i32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text.split_whitespace().filter_map(|number| number.parse().ok()).collect())
}
