//! The process that owns one command: it makes the sandbox, keeps the output,
//! watches the limits, and writes the outcome. It outlives the host.
//!
//! It waits in one place ([`Running::wait`]) for whatever comes first; threads
//! only carry events there. Its main thread starts the sandbox and stays until
//! the end, because the sandbox dies with the thread that started it.

mod running;
mod verdict;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use workflow::command::SandboxMode;
use workflow::redaction::Redactor;

use super::cgroup::Groups;
use super::dialogue;
use super::lock::FileLock;
use super::session::{Workspace, session_lock};
use super::spool::{Spool, Started};
use super::wire::{Enter, FromInit, Refusal, Setup, Spec};
use crate::ExecOutcome;
use crate::capture::{self, Snapshot};
use crate::egress::Proxy;
use running::Running;
use verdict::{End, Story};

/// The name under which values without one are redacted.
const UNNAMED: &str = "value";

/// In the spool folder, where the supervisor is at home.
const EGRESS_SOCKET: &str = "egress.sock";

/// How often a lock that another process holds is tried.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// How often the size of the workspace is looked at, at most.
const SIZE_POLL: Duration = Duration::from_secs(1);

/// What the host is told by the exit code; the rest is in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The outcome is in the spool.
    Done = 0,
    /// Nothing ran; `refused.json` says why.
    Refused = 10,
    /// Another supervisor has, or had, this command.
    Busy = 11,
    /// It may have run, and how it ended is not known.
    Lost = 12,
}

/// Something that happened while a command runs.
enum Event {
    Init(FromInit),
    /// The socket to init is closed: nothing runs inside any more.
    InitGone,
    OverLimit(&'static str),
    /// Workspace and home hold more than they may.
    OverFull,
    Cancelled,
}

pub fn main() -> ExitCode {
    match run() {
        Ok(report) => ExitCode::from(report as u8),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(Report::Lost as u8)
        }
    }
}

fn run() -> io::Result<Report> {
    // Signals for the host's terminal or group are not for this process.
    rustix::process::setsid()?;
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let spec: Spec = serde_json::from_str(&text)?;
    drop(text);
    let spool = Spool::at(spec.root.join("spool").join(&spec.slug));
    // Names of sockets are short: those here are relative.
    std::env::set_current_dir(spool.folder())?;

    let Some(_lock) = lock_patiently(&spool)? else { return Ok(Report::Busy) };
    spool.clear_refusal()?;
    let (events, inbox) = channel();
    listen_for_cancel(&spool, events.clone())?;
    let Some(_session) = enter_session(&spec, &spool)? else {
        return finish_unstarted(&spec, &spool);
    };
    if spool.is_taken_over() {
        return Ok(Report::Busy);
    }
    match carry_out(&spec, &spool, events, &inbox) {
        Ok(Some(outcome)) => {
            spool.finish(&outcome)?;
            Ok(Report::Done)
        }
        Ok(None) => Ok(Report::Lost),
        Err(NothingRan(detail)) => {
            spool.refuse(&Refusal { detail })?;
            Ok(Report::Refused)
        }
    }
}

/// The host looks at the lock for a moment now and then.
fn lock_patiently(spool: &Spool) -> io::Result<Option<FileLock>> {
    for _ in 0..10 {
        if let Some(lock) = FileLock::try_acquire(&spool.lock())? {
            return Ok(Some(lock));
        }
        thread::sleep(LOCK_POLL);
    }
    Ok(None)
}

fn listen_for_cancel(spool: &Spool, events: Sender<Event>) -> io::Result<()> {
    let mut control = spool.open_control()?;
    if spool.is_cancelled() {
        let _ = events.send(Event::Cancelled);
    }
    thread::spawn(move || {
        if control.read(&mut [0]).is_ok() {
            let _ = events.send(Event::Cancelled);
        }
    });
    Ok(())
}

/// Waits for the session's other command. Outer none: cancelled meanwhile.
fn enter_session(spec: &Spec, spool: &Spool) -> io::Result<Option<Option<FileLock>>> {
    match spec.command.mode {
        SandboxMode::PerTask => Ok(if spool.is_cancelled() { None } else { Some(None) }),
        SandboxMode::WorkflowSession => loop {
            if spool.is_cancelled() {
                return Ok(None);
            }
            if let Some(lock) = FileLock::try_acquire(&session_lock(&spec.root, &spec.instance))? {
                return Ok(Some(Some(lock)));
            }
            thread::sleep(LOCK_POLL);
        },
    }
}

/// It was cancelled before anything ran.
fn finish_unstarted(spec: &Spec, spool: &Spool) -> io::Result<Report> {
    if spool.is_taken_over() {
        return Ok(Report::Busy);
    }
    spool.take_over(Started::this_process()?)?;
    for path in [spool.stdout(), spool.stderr()] {
        std::fs::File::create(path)?;
    }
    let now = Timestamp::now();
    let story = Story { started_at: now, completed_at: now, ..Story::new(End::CancelledBefore) };
    spool.finish(&story.outcome(spec, spool, &nothing_secret())?)?;
    Ok(Report::Done)
}

/// The sandbox could not be made; the command did not run.
struct NothingRan(String);

impl<E: std::fmt::Display> From<(&str, E)> for NothingRan {
    fn from((doing, error): (&str, E)) -> Self {
        Self(format!("{doing}: {error}"))
    }
}

/// None: it ran, and how it ended is not known.
fn carry_out(
    spec: &Spec,
    spool: &Spool,
    events: Sender<Event>,
    inbox: &Receiver<Event>,
) -> Result<Option<ExecOutcome>, NothingRan> {
    let redactor = redactor(spec)?;
    let environment = environment(spec)?;
    let as_root = rustix::process::geteuid().is_root();
    let owner = as_root.then_some((spec.uid, spec.gid));
    let workspace = Workspace::open(&spec.root, spec.command.mode, &spec.instance, &spec.slug, owner)
        .map_err(|error| ("failed to make the workspace", error))?;
    let done = run_in(&workspace, spec, spool, environment, owner, &redactor, (events, inbox));
    if let Err(error) = workspace.close() {
        eprintln!("failed to remove the workspace: {error}");
    }
    done.map_err(|NothingRan(detail)| NothingRan(redactor.redact(&detail).into_string()))
}

fn run_in(
    workspace: &Workspace,
    spec: &Spec,
    spool: &Spool,
    environment: BTreeMap<String, String>,
    owner: Option<(u32, u32)>,
    redactor: &Redactor,
    (events, inbox): (Sender<Event>, &Receiver<Event>),
) -> Result<Option<ExecOutcome>, NothingRan> {
    capture::copy_in(&spec.inputs, &workspace.workspace, owner)
        .map_err(|error| ("failed to copy the inputs into the workspace", error))?;
    let proxy = start_proxy(spec)?;
    let groups = Groups::create(&spec.cgroup, &spec.limits);
    let setup = setup(spec, environment, owner, &groups);
    let sizes = events.clone();
    let running = match Running::start(spec, spool, workspace, redactor, events, proxy.is_some()) {
        Ok(running) => running,
        Err(error) => {
            groups.remove();
            return Err(NothingRan(format!("failed to start `{}`: {error}", spec.bwrap.display())));
        }
    };
    let before = match while_it_is_made(&running, spool, workspace, &groups) {
        Ok(before) => before,
        Err(error) => {
            running.abandon(&groups);
            groups.remove();
            return Err(error);
        }
    };
    watch_size(workspace, spec.limits.workspace_bytes, sizes);
    let mut story = running.wait(setup, spec, &groups, inbox);
    story.egress = proxy.map(Proxy::stop).unwrap_or_default();
    story.out_of_memory = groups.out_of_memory_kills() > 0;
    groups.kill();
    groups.remove();
    if let End::NothingRan(detail) = story.end {
        return Err(NothingRan(detail));
    }
    if matches!(story.end, End::Unknown) && !story.out_of_memory {
        return Ok(None);
    }
    Ok(gather(spec, spool, workspace, &before, story, redactor).map(Some).unwrap_or_else(|error| {
        eprintln!("failed to gather what the command left: {error}");
        None
    }))
}

/// Looks at the size of the folders again and again, for a small part of the time.
fn watch_size(workspace: &Workspace, limit_bytes: u64, events: Sender<Event>) {
    let folders = [workspace.workspace.clone(), workspace.home.clone()];
    thread::spawn(move || {
        loop {
            let begun = Instant::now();
            let size_bytes: u64 =
                folders.iter().map(|folder| capture::tree_size(folder).unwrap_or(0)).fold(0, u64::saturating_add);
            if size_bytes > limit_bytes {
                let _ = events.send(Event::OverFull);
                return;
            }
            thread::sleep((begun.elapsed() * 20).max(SIZE_POLL));
        }
    });
}

/// Does what takes time while bubblewrap mounts and init waits to be told the
/// command: nothing of it runs before this has returned.
fn while_it_is_made(
    running: &Running,
    spool: &Spool,
    workspace: &Workspace,
    groups: &Groups,
) -> Result<Snapshot, NothingRan> {
    thread::scope(|scope| {
        let taking_over = scope.spawn(|| spool.take_over(Started::this_process()?));
        // The first move into a group waits for all processors (RCU): some 10 ms.
        running.limit(groups).map_err(|error| ("failed to move the sandbox into its control groups", error))?;
        let before =
            Snapshot::take(&workspace.workspace).map_err(|error| ("failed to look through the workspace", error))?;
        let taken_over = taking_over.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
        taken_over.map_err(|error| ("failed to take the command over", error))?;
        Ok(before)
    })
}

/// Looks at what the command left in its folders.
fn gather(
    spec: &Spec,
    spool: &Spool,
    workspace: &Workspace,
    before: &Snapshot,
    mut story: Story,
    redactor: &Redactor,
) -> io::Result<ExecOutcome> {
    story.changed_files = Snapshot::take(&workspace.workspace)?.changed_since(before);
    let limits = capture::Limits::default();
    (story.captured, story.left_out) =
        capture::collect(&workspace.workspace, &spec.command.capture, &spool.captured(), &limits, redactor)?;
    story.outcome(spec, spool, redactor)
}

fn redactor(spec: &Spec) -> Result<Redactor, NothingRan> {
    let named = spec.secrets.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let unnamed = spec.also_redact.iter().map(|value| (UNNAMED, value.as_str()));
    Redactor::new(named.chain(unnamed)).map_err(|error| NothingRan(error.to_string()))
}

fn nothing_secret() -> Redactor {
    Redactor::new([]).expect("no secret is too short")
}

fn start_proxy(spec: &Spec) -> Result<Option<Proxy>, NothingRan> {
    if spec.command.egress.is_empty() {
        return Ok(None);
    }
    let socket = PathBuf::from(EGRESS_SOCKET);
    // Left by a supervisor that ran nothing.
    let _ = std::fs::remove_file(&socket);
    let config = crate::egress::Config { socket, allow: spec.command.egress.clone(), resolve: spec.resolve.clone() };
    Ok(Some(Proxy::start(config).map_err(|error| ("failed to start the egress proxy", error))?))
}

fn setup(spec: &Spec, environment: BTreeMap<String, String>, owner: Option<(u32, u32)>, groups: &Groups) -> Setup {
    let limits = &spec.limits;
    let (argv, stdin) = match &spec.command.dialogue {
        None => (spec.command.argv.clone(), spec.command.stdin.clone()),
        Some(dialogue) => dialogue::of(dialogue, spec),
    };
    Setup {
        argv,
        environment,
        stdin,
        secrets: spec.secrets.clone(),
        egress: !spec.command.egress.is_empty(),
        launch: spec.launch(),
        enter: Enter {
            working_directory: working_directory(spec),
            owner,
            file_size_bytes: limits.file_size_bytes,
            memory_bytes: (!groups.limits_memory()).then_some(limits.memory_bytes),
            processes: (!groups.limits_processes()).then_some(limits.processes),
        },
    }
}

/// The whole environment of the command: later entries win.
fn environment(spec: &Spec) -> Result<BTreeMap<String, String>, NothingRan> {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut all = BTreeMap::new();
    match &spec.image {
        None => {
            all.extend(pairs(&OF_HOST));
            all.extend(pairs(&OF_USER));
            all.extend(spec.environment.clone());
        }
        // The template's own are for the tools of its own root file system.
        Some(image) => {
            all.extend(pairs(&[("PATH", PATH_OF_IMAGES)]));
            all.extend(image.says.environment.iter().cloned());
            // What an image says of these is not so here.
            all.extend(pairs(&OF_USER));
        }
    }
    all.extend(spec.command.environment.clone());
    if !spec.command.egress.is_empty() {
        all.extend(crate::egress::environment());
    }
    for (variable, secret) in &spec.command.secrets {
        let value = spec.secrets.get(secret).ok_or_else(|| NothingRan(format!("secret `{secret}` has no value")))?;
        all.insert(variable.clone(), value.clone());
    }
    Ok(all)
}

const OF_HOST: [(&str, &str); 3] = [
    ("PATH", "/opt/rust/bin:/usr/local/bin:/usr/bin:/bin"),
    ("LANG", "C.UTF-8"),
    ("CARGO_HOME", "/home/runner/.cargo"),
];

const OF_USER: [(&str, &str); 3] = [("HOME", "/home/runner"), ("USER", "runner"), ("TMPDIR", "/tmp")];

/// As Docker has it, for an image that says nothing.
const PATH_OF_IMAGES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Below the workspace, unless an image has a place of its own for it.
fn working_directory(spec: &Spec) -> String {
    match &spec.image {
        Some(image) if spec.command.working_directory.is_empty() => image.says.working_directory.clone(),
        Some(_) | None => spec.command.working_directory.clone(),
    }
}

fn socket_of(proxy: bool) -> Option<&'static Path> {
    proxy.then_some(Path::new(EGRESS_SOCKET))
}
