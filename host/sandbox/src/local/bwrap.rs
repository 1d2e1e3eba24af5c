//! The command line of bubblewrap: what the sandbox sees and what it is cut
//! off from. No argument holds a secret.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::host_rootfs;
use super::session::Workspace;
use super::wire::Spec;
use crate::launcher;

/// Where init finds the socket of the egress proxy.
pub const EGRESS_SOCKET: &str = "/run/egress.sock";

/// Where init finds the launcher.
pub const LAUNCHER: &str = "/run/launcher";

/// What init needs as root: ids and limits of the command, the owner of the
/// secrets' files, and signals to a process of another user.
const INIT_CAPABILITIES: [&str; 5] = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_CHOWN", "CAP_KILL"];

/// Arguments for `spec`; `egress` is the proxy's socket, if there is one.
pub fn arguments(spec: &Spec, workspace: &Workspace, as_root: bool, egress: Option<&Path>) -> Vec<OsString> {
    let mut line = Line::default();
    line.add(["--die-with-parent", "--new-session", "--as-pid-1"]);
    line.add(["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
    line.add(["--hostname", "sandbox"]);
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

    line.bind("--ro-bind", Path::new("/usr"), "/usr");
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let path = PathBuf::from("/").join(name);
        match fs::read_link(&path) {
            Ok(target) => {
                line.add(["--symlink"]);
                line.0.extend([target.into(), path.into()]);
            }
            Err(_) if path.is_dir() => line.bind("--ro-bind", &path, &format!("/{name}")),
            Err(_) => {}
        }
    }
    line.add(["--proc", "/proc", "--dev", "/dev"]);
    for hidden in ["/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/sysrq-trigger"] {
        if Path::new(hidden).exists() {
            line.add(["--ro-bind", "/dev/null", hidden]);
        }
    }
    for shared in ["/dev/shm", "/tmp"] {
        line.add(["--perms", "1777", "--size", &spec.limits.memory_bytes.to_string(), "--tmpfs", shared]);
    }
    for closed in ["/run", "/var", "/etc", "/home", "/opt"] {
        line.add(["--perms", "0755", "--size", &(16 << 20).to_string(), "--tmpfs", closed]);
    }
    line.add(["--perms", "1777", "--dir", "/var/tmp"]);
    for (source, target) in host_rootfs::configuration(&spec.root) {
        line.bind("--ro-bind-try", &source, &target);
    }
    if let Some(toolchain) = &spec.toolchain {
        line.bind("--ro-bind", toolchain, "/opt/rust");
    }
    line.bind("--bind", &workspace.home, "/home/runner");
    line.bind("--bind", &workspace.workspace, "/workspace");
    line.bind("--ro-bind", &spec.launcher, LAUNCHER);
    if let Some(socket) = egress {
        line.bind("--ro-bind", socket, EGRESS_SOCKET);
    }
    for closed in ["/etc", "/home", "/opt", "/"] {
        line.add(["--remount-ro", closed]);
    }
    line.add(["--chdir", "/", "--", LAUNCHER]);
    line.0.extend(spec.launcher_arguments.iter().map(OsString::from));
    line.add([launcher::INIT]);
    line.0
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn add<'a>(&mut self, arguments: impl IntoIterator<Item = &'a str>) {
        self.0.extend(arguments.into_iter().map(OsString::from));
    }

    fn bind(&mut self, how: &str, source: &Path, target: &str) {
        self.0.extend([how.into(), source.into(), target.into()]);
    }
}
