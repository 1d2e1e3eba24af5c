//! Compiling in a process of its own. Cranelift takes minutes and gigabytes for
//! a component that was made for that; here it can only exhaust its own limits.
//!
//! The process is this very binary, started again with [`ROLE`] as its first
//! argument. It has no environment, reads the component from one file of ours
//! and writes the code into another.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::Engine;

use crate::engine::compiling_config;

/// The first argument of a process that compiles.
pub const ROLE: &str = "plugin-compiler";

/// Exit code of a component that does not compile; standard error says why.
const NOT_COMPILED: u8 = 1;
/// Exit code of a compiler that could not do its work.
const BROKEN: u8 = 2;

/// What is said of an error crosses over to people: bounded.
const ERROR_BYTES_MAX: u64 = 4 << 10;

/// Where plugins are compiled, and what that may take.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// A binary whose `main` calls [`run_if_requested`] first.
    pub program: PathBuf,
    /// A Python component of 18 MB takes a minute on a busy machine.
    pub processor_time_max: Duration,
    /// For a compiler that waits: on a machine that does much else, a minute of work takes a quarter of an hour.
    pub wall_time_max: Duration,
    /// A JavaScript component of 12 MB takes 400 MB.
    pub address_space_bytes_max: u64,
}

impl Compiler {
    /// This very program, also after its file was replaced by a newer one: a
    /// host that is upgraded under way still compiles as it runs.
    pub fn this_program() -> Self {
        Self::new(PathBuf::from("/proc/self/exe"))
    }

    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            processor_time_max: Duration::from_secs(240),
            wall_time_max: Duration::from_secs(1800),
            address_space_bytes_max: 3 << 30,
        }
    }
}

/// Plays the compiler if the first argument asks for it; `None` if not, and
/// then the program goes on as itself.
///
/// Call it first in `main`, before any thread exists: `args` is the whole
/// command line with the program's name.
pub fn run_if_requested(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let args: Vec<OsString> = args.skip(1).collect();
    let (role, numbers) = args.split_first()?;
    if role != ROLE {
        return None;
    }
    Some(match compile_as_asked(numbers) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, text)) => {
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(code)
        }
    })
}

/// Standard input is the component, standard output takes the code.
fn compile_as_asked(numbers: &[OsString]) -> Result<(), (u8, String)> {
    let broken = |text: String| (BROKEN, text);
    let number = |at: usize| numbers.get(at)?.to_str()?.parse::<u64>().ok();
    let (Some(seconds), Some(bytes)) = (number(0), number(1)) else {
        return Err(broken("it was started without its limits".to_owned()));
    };
    let limits = [(Resource::Cpu, seconds), (Resource::As, bytes), (Resource::Core, 0), (Resource::Nofile, 16)];
    for (resource, limit) in limits {
        // One second more: the kernel says which limit it was before it kills.
        let maximum = if resource == Resource::Cpu { limit.saturating_add(1) } else { limit };
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(maximum) })
            .map_err(|error| broken(format!("failed to limit itself: {error}")))?;
    }
    let mut component = Vec::new();
    std::io::stdin().read_to_end(&mut component).map_err(|error| broken(format!("failed to read: {error}")))?;
    let engine = Engine::new(&compiling_config()).map_err(|error| broken(format!("{error:#}")))?;
    let code = engine.precompile_component(&component).map_err(|error| (NOT_COMPILED, format!("{error:#}")))?;
    let mut out = std::io::stdout().lock();
    out.write_all(&code).and_then(|()| out.flush()).map_err(|error| broken(format!("failed to write: {error}")))
}

impl Compiler {
    /// The machine code of a component; blocks until there is some. `Err` says
    /// why there is none, and concerns this component alone.
    pub(crate) fn compile(&self, component: &[u8], folder: Option<&Path>) -> Result<Vec<u8>, String> {
        let file = || match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let doing = |what: &'static str| move |error: std::io::Error| format!("failed to {what}: {error}");
        let (mut input, output, errors) = (
            file().map_err(doing("make a file for the compiler"))?,
            file().map_err(doing("make a file for the compiler"))?,
            file().map_err(doing("make a file for the compiler"))?,
        );
        input.write_all(component).map_err(doing("hand over the component"))?;
        rewind(&mut input).map_err(doing("hand over the component"))?;
        let share = |file: &File| file.try_clone().map(Stdio::from);
        let child = self
            .command()
            .stdin(Stdio::from(input))
            .stdout(share(&output).map_err(doing("hand over a file"))?)
            .stderr(share(&errors).map_err(doing("hand over a file"))?)
            .spawn()
            .map_err(|error| format!("failed to start the compiler `{}`: {error}", self.program.display()))?;
        self.wait(child, errors)?;
        read(output, u64::MAX).map_err(doing("read the code"))
    }

    // The one process of this crate. What it is given is bytes on a file; it is
    // this binary, has no environment and acts on nothing.
    #[allow(clippy::disallowed_methods)]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(ROLE)
            .arg(self.processor_time_max.as_secs().max(1).to_string())
            .arg(self.address_space_bytes_max.to_string())
            .env_clear()
            .current_dir("/");
        command
    }

    fn wait(&self, mut child: Child, errors: File) -> Result<(), String> {
        let start = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if start.elapsed() > self.wall_time_max => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("compiling it took more than {} s", self.wall_time_max.as_secs()));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(format!("failed to wait for the compiler: {error}")),
            }
        };
        if status.success() {
            return Ok(());
        }
        let said = read(errors, ERROR_BYTES_MAX).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        const KILL: i32 = 9;
        const PROCESSOR_TIME: i32 = 24;
        Err(match (status.code(), status.signal()) {
            (Some(code), _) if code == i32::from(NOT_COMPILED) => said,
            (_, Some(PROCESSOR_TIME)) => {
                format!("compiling it took more than {} s of processor time", self.processor_time_max.as_secs())
            }
            (_, Some(KILL)) => {
                "the compiler was killed: by a person, or because the machine had no memory left; try again".to_owned()
            }
            (Some(_) | None, _) if said.contains("memory allocation") || said.contains("out of memory") => {
                format!("compiling it took more than {} bytes of memory", self.address_space_bytes_max)
            }
            _ => format!("the compiler ended with {status}: {said}"),
        })
    }
}

fn rewind(file: &mut File) -> std::io::Result<()> {
    std::io::Seek::rewind(file)
}

fn read(mut file: File, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    rewind(&mut file)?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
