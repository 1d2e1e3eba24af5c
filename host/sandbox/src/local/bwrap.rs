//! The command line of bubblewrap: what the sandbox sees and what it is cut
//! off from. No argument holds a secret.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::session::Workspace;
use super::wire::{Spec, SpecImage};
use super::{baggage, host_rootfs};
use crate::launcher;

/// Where init finds the socket of the egress proxy.
pub const EGRESS_SOCKET: &str = "/run/egress.sock";

/// Where init finds the launcher.
pub const LAUNCHER: &str = "/run/launcher";

/// Of folders in memory that hold little.
const SMALL_BYTES: u64 = 16 << 20;

/// What init needs as root: ids and limits of the command, the owner of the
/// secrets' files, and signals to a process of another user.
const INIT_CAPABILITIES: [&str; 5] = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_CHOWN", "CAP_KILL"];

/// Arguments for `spec`; `egress` is the proxy's socket, if there is one.
pub fn arguments(spec: &Spec, workspace: &Workspace, as_root: bool, egress: Option<&Path>) -> Vec<OsString> {
    let mut line = Line::default();
    line.add(["--die-with-parent", "--new-session", "--as-pid-1"]);
    line.add(["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
    let host_name = spec.image.as_ref().and_then(|image| image.host_name.as_deref());
    line.add(["--hostname", host_name.unwrap_or("sandbox")]);
    if as_root {
        // A user namespace made by root would map the sandbox to root itself.
        // Instead the command drops to a spare id, and process 1 stays out of its reach.
        line.add(["--cap-drop", "ALL"]);
        for capability in INIT_CAPABILITIES {
            line.add(["--cap-add", capability]);
        }
    } else {
        line.add(["--unshare-user", "--uid", &spec.uid.to_string(), "--gid", &spec.gid.to_string()]);
    }

    match &spec.image {
        None => line.host_root(spec),
        Some(image) => line.image_root(spec, image),
    }
    line.bind("--bind", &workspace.home, "/home/runner");
    line.bind("--bind", &workspace.workspace, "/workspace");
    line.bind("--ro-bind", &spec.launcher, LAUNCHER);
    if let Some(socket) = egress {
        line.bind("--ro-bind", socket, EGRESS_SOCKET);
    }
    if spec.image.is_none() {
        for closed in ["/etc", "/home", "/opt", "/"] {
            line.add(["--remount-ro", closed]);
        }
    }
    line.add(["--chdir", "/", "--"]);
    line.0.extend(spec.launch().iter().map(OsString::from));
    line.add([launcher::INIT]);
    line.0
}

impl Spec {
    /// The words that start the launcher inside, but for its role.
    pub fn launch(&self) -> Vec<String> {
        let loader = self.image.as_ref().map(|image| image.baggage.words()).unwrap_or_default();
        loader.into_iter().chain([LAUNCHER.to_owned()]).chain(self.launcher_arguments.iter().cloned()).collect()
    }
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    /// The machine's own programs, read-only.
    fn host_root(&mut self, spec: &Spec) {
        self.bind("--ro-bind", Path::new("/usr"), "/usr");
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let path = PathBuf::from("/").join(name);
            match fs::read_link(&path) {
                Ok(target) => {
                    self.add(["--symlink"]);
                    self.0.extend([target.into(), path.into()]);
                }
                Err(_) if path.is_dir() => self.bind("--ro-bind", &path, &format!("/{name}")),
                Err(_) => {}
            }
        }
        self.of_every_root(spec);
        for closed in ["/run", "/var", "/etc", "/home", "/opt"] {
            self.add(["--perms", "0755", "--size", &SMALL_BYTES.to_string(), "--tmpfs", closed]);
        }
        self.add(["--perms", "1777", "--dir", "/var/tmp"]);
        for (source, target) in host_rootfs::configuration(&spec.root) {
            self.bind("--ro-bind-try", &source, &target);
        }
        if let Some(toolchain) = &spec.toolchain {
            self.bind("--ro-bind", toolchain, "/opt/rust");
        }
    }

    /// An unpacked image, read-only. Its folders to mount on were made with it.
    fn image_root(&mut self, spec: &Spec, image: &SpecImage) {
        self.bind("--ro-bind", &image.root, "/");
        // The launcher's loader reads it, whatever it is told.
        self.bind("--ro-bind", Path::new("/dev/null"), "/etc/ld.so.preload");
        self.of_every_root(spec);
        self.shared(&["/var/tmp"], spec.limits.memory_bytes);
        self.shared(&["/run"], SMALL_BYTES);
        self.add(["--perms", "0755", "--dir", baggage::PLACE]);
        for (source, target) in image.baggage.files() {
            self.bind("--ro-bind", &source, &target);
        }
    }

    /// What the kernel shows, and folders for scratch.
    fn of_every_root(&mut self, spec: &Spec) {
        self.add(["--proc", "/proc", "--dev", "/dev"]);
        for hidden in ["/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/sysrq-trigger"] {
            if Path::new(hidden).exists() {
                self.add(["--ro-bind", "/dev/null", hidden]);
            }
        }
        self.shared(&["/dev/shm", "/tmp"], spec.limits.memory_bytes);
    }

    /// Folders in memory that everybody may write to.
    fn shared(&mut self, folders: &[&str], bytes: u64) {
        for folder in folders {
            self.add(["--perms", "1777", "--size", &bytes.to_string(), "--tmpfs", folder]);
        }
    }

    fn add<'a>(&mut self, arguments: impl IntoIterator<Item = &'a str>) {
        self.0.extend(arguments.into_iter().map(OsString::from));
    }

    fn bind(&mut self, how: &str, source: &Path, target: &str) {
        self.0.extend([how.into(), source.into(), target.into()]);
    }
}
