//! The only way out of a sandbox: an allow-list proxy on the host's side.
//!
//! A sandbox has no network device. With a non-empty list its first process
//! listens on 127.0.0.1:3128 (`forward`) and copies bytes to a unix socket, where
//! a [`Proxy`] answers `CONNECT host:port` and `http://` requests. Names are
//! resolved here, never inside; a name that leads to a private address is
//! refused unless the operator mapped it; each answer is kept for the audit.
//!
//! Known limit: inside a TLS connection only the server name of the first
//! message is compared with the name that was asked for.

mod connection;
mod forward;
mod head;
mod hello;
mod policy;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::EgressDecision;

pub use forward::forward;
pub use policy::{Policy, is_target};
pub use workflow::address::is_public;

/// Where the sandbox's first process listens, inside.
pub const LISTEN: &str = "127.0.0.1:3128";

/// Connections of one sandbox at the same time; more wait.
const CONNECTIONS_MAX: usize = 128;

/// Decisions kept of one command: enough for any honest one, bounded for the others.
const DECISIONS_MAX: usize = 1000;

/// What one sandbox may reach.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Created here; its folder must exist.
    pub socket: PathBuf,
    /// `host:port`, lower case.
    pub allow: Vec<String>,
    /// The operator's addresses for some `host:port`; these may be private.
    pub resolve: BTreeMap<String, SocketAddr>,
}

/// A proxy that runs in threads of this process.
#[derive(Debug)]
pub struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: Policy,
    decisions: Mutex<Vec<EgressDecision>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

impl Proxy {
    pub fn start(config: Config) -> io::Result<Self> {
        let listener = bind(&config.socket)?;
        let shared = Arc::new(Shared {
            policy: Policy::new(config.allow, config.resolve),
            decisions: Mutex::default(),
            connections: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        thread::Builder::new().name("egress".to_owned()).spawn(move || accept(&listener, &accepting))?;
        Ok(Self { socket: config.socket, shared })
    }

    /// Takes no more connections, and gives every decision so far.
    pub fn stop(self) -> Vec<EgressDecision> {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the accepting thread, which looks at `stopped` then.
        let _ = connect(&self.socket);
        let _ = std::fs::remove_file(&self.socket);
        std::mem::take(&mut *self.shared.decisions())
    }
}

impl Shared {
    fn decisions(&self) -> std::sync::MutexGuard<'_, Vec<EgressDecision>> {
        self.decisions.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn record(&self, target: &str, allowed: bool, reason: impl Into<String>) {
        let mut decisions = self.decisions();
        if decisions.len() < DECISIONS_MAX {
            let target = target.chars().filter(|c| !c.is_control()).take(300).collect();
            decisions.push(EgressDecision { target, allowed, reason: reason.into() });
        } else if !allowed && decisions[DECISIONS_MAX - 1].allowed {
            // A refusal decides the status of the command: it must not get lost.
            decisions[DECISIONS_MAX - 1] =
                EgressDecision { target: "…".to_owned(), allowed, reason: "more than can be listed".to_owned() };
        }
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(client) = client else {
            // Out of descriptors: the connections that hold them will end.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        while shared.connections.load(Ordering::Acquire) >= CONNECTIONS_MAX {
            if shared.stopped.load(Ordering::Acquire) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        shared.connections.fetch_add(1, Ordering::AcqRel);
        let serving = shared.clone();
        let spawned = thread::Builder::new().spawn(move || {
            connection::serve(client, &serving);
            serving.connections.fetch_sub(1, Ordering::AcqRel);
        });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The variables that make tools use the proxy. Set only where there is one.
pub fn environment() -> BTreeMap<String, String> {
    let url = format!("http://{LISTEN}");
    let (host, port) = LISTEN.split_once(':').expect("an address has a port");
    let mut variables: BTreeMap<String, String> = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"]
        .into_iter()
        .map(|name| (name.to_owned(), url.clone()))
        .collect();
    // A refusal is final: retrying it only costs time.
    variables.insert("CARGO_NET_RETRY".to_owned(), "0".to_owned());
    variables.insert(
        "JAVA_TOOL_OPTIONS".to_owned(),
        format!(
            "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} -Dhttp.nonProxyHosts="
        ),
    );
    variables
}

/// The longest path that fits a unix socket's address.
const SOCKET_PATH_MAX: usize = 107;

fn bind(path: &Path) -> io::Result<UnixListener> {
    short(path, |path| UnixListener::bind(path))
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    short(path, |path| UnixStream::connect(path))
}

/// Calls with a path that is short enough: through a descriptor of its folder if need be.
fn short<T>(path: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return call(path);
    }
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "a socket's path needs a folder and a name");
    let folder = std::fs::File::open(path.parent().ok_or_else(invalid)?)?;
    let name = path.file_name().ok_or_else(invalid)?;
    call(&Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}
