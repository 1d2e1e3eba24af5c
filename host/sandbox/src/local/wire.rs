//! What travels between the host, a supervisor and its init process, as JSON.
//! Secret values are in [`Spec`] and [`Setup`] only, and those cross pipes and
//! sockets; neither is ever written to a file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use workflow::{Command, Digest, InstanceId, SecretName};

use super::baggage::Baggage;
use crate::image::Says;

/// Host to supervisor, over its standard input: all it must know.
#[derive(Serialize, Deserialize)]
pub struct Spec {
    pub root: PathBuf,
    pub instance: InstanceId,
    pub slug: String,
    pub cgroup: String,
    pub command: Command,
    pub limits: SpecLimits,
    /// The template's environment.
    pub environment: BTreeMap<String, String>,
    pub secrets: BTreeMap<SecretName, String>,
    pub also_redact: Vec<String>,
    pub inputs: BTreeMap<String, PathBuf>,
    pub resolve: BTreeMap<String, SocketAddr>,
    pub uid: u32,
    pub gid: u32,
    pub bwrap: PathBuf,
    pub launcher: PathBuf,
    pub launcher_arguments: Vec<String>,
    pub toolchain: Option<PathBuf>,
    /// What becomes `/`; none is this machine's own programs.
    pub image: Option<SpecImage>,
    pub sandbox_digest: Digest,
}

/// An unpacked image to run in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpecImage {
    pub root: PathBuf,
    pub says: Says,
    pub host_name: Option<String>,
    /// What the launcher needs where the machine's libraries are not.
    pub baggage: Baggage,
}

/// The template's limits with the command's own time limit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SpecLimits {
    pub time_limit_ms: u64,
    pub memory_bytes: u64,
    pub processes: u64,
    /// Both streams together.
    pub output_bytes: u64,
    pub file_size_bytes: u64,
    /// Workspace and home together.
    pub workspace_bytes: u64,
}

/// Supervisor to init, one line each.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToInit {
    Start(Box<Setup>),
    Terminate,
}

/// The command as it is started inside.
#[derive(Serialize, Deserialize)]
pub struct Setup {
    pub argv: Vec<String>,
    /// The whole environment, secrets included.
    pub environment: BTreeMap<String, String>,
    pub stdin: Option<String>,
    pub secrets: BTreeMap<SecretName, String>,
    /// Listen on the proxy port and forward to the socket of the egress proxy.
    pub egress: bool,
    /// The words that start the launcher in there, but for its role.
    pub launch: Vec<String>,
    pub enter: Enter,
}

/// What the last step before the command does to itself.
///
/// Its environment is that of the command with [`SHIELD`] before each name:
/// the step is linked dynamically and has powers still, so no variable of the
/// command may mean something to it.
#[derive(Serialize, Deserialize)]
pub struct Enter {
    pub working_directory: String,
    /// Ids to drop to; none when the sandbox was not made by root.
    pub owner: Option<(u32, u32)>,
    pub file_size_bytes: u64,
    /// Set when no control group limits them.
    pub memory_bytes: Option<u64>,
    pub processes: Option<u64>,
}

/// Init to supervisor, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromInit {
    /// It runs and waits for [`ToInit::Start`].
    Ready,
    Started,
    /// Nothing ran.
    NotStarted {
        detail: String,
    },
    Exited {
        code: i32,
    },
    Signaled {
        signal: i32,
    },
}

/// Why a supervisor ran nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub detail: String,
}

/// Before the name of each variable until the command itself is started: with
/// it no name means anything to a program loader.
pub const SHIELD: &str = "_";

pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}
