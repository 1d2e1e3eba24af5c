//! The last step before a command: a process of one thread that gives up ids,
//! capabilities and system calls for good, and then becomes the command.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::process::{Gid, Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::seccomp;
use super::wire::{Enter, SHIELD};

/// As shells and `env` have them.
const NOT_PREPARED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Arguments: an [`Enter`] as JSON, then program and arguments of the command.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(enter) = args.next().and_then(|text| serde_json::from_str(text.to_str()?).ok()) else {
        return refuse("the sandbox's own message", "cannot be read", NOT_PREPARED);
    };
    let Some(program) = args.next() else {
        return refuse("a command", "it is empty", NOT_PREPARED);
    };
    if let Err(error) = prepare(&enter) {
        return refuse("the sandbox", &error.to_string(), NOT_PREPARED);
    }
    let error = Command::new(&program).args(args).env_clear().envs(unshielded()).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
    refuse(&program.to_string_lossy(), &error.to_string(), code)
}

/// The command's own environment: see [`Enter`].
fn unshielded() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.as_bytes().strip_prefix(SHIELD.as_bytes())?;
        Some((OsString::from_vec(name.to_vec()), value))
    })
}

fn refuse(what: &str, why: &str, code: u8) -> ExitCode {
    eprintln!("light-workflow: failed to start `{what}`: {why}");
    ExitCode::from(code)
}

fn prepare(enter: &Enter) -> io::Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, enter.file_size_bytes)?;
    if let Some(bytes) = enter.memory_bytes {
        limit(Resource::Data, bytes)?;
    }
    if let Some(processes) = enter.processes {
        limit(Resource::Nproc, processes)?;
    }
    if let Some((uid, gid)) = enter.owner {
        for number in 0..64 {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            match remove_capability_from_bounding_set(capability) {
                Ok(()) => {}
                // The number after the last one this kernel knows.
                Err(rustix::io::Errno::INVAL) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_no_new_privs(true)?;
    // As the command's user, so that a folder closed to it stays closed.
    std::env::set_current_dir(Path::new("/workspace").join(&enter.working_directory)).map_err(|error| {
        io::Error::new(error.kind(), format!("working directory `{}`: {error}", enter.working_directory))
    })?;
    close_at_exec_all_but_streams()?;
    for program in seccomp::programs().map_err(io::Error::other)? {
        seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Descriptors that the host was started with (a build's job server, for one)
/// would else reach the command.
#[allow(unsafe_code)]
fn close_at_exec_all_but_streams() -> io::Result<()> {
    // SAFETY: it takes no pointer and closes nothing now; it only marks
    // descriptors, and those of this process are no other thread's.
    let done = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let value = now.maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}
