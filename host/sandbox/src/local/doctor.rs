//! What this machine can enforce on a sandbox, what it lacks, how to get it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::StatVfsMountFlags;
use serde::Serialize;

use super::cgroup::Groups;
use super::wire::SpecLimits;
use super::{LocalConfig, SANDBOX_ID, host_rootfs, tools};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: String,
    pub ok: bool,
    pub detail: String,
    /// What to do if it is not `ok`.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(name: &str, ok: bool, detail: impl Into<String>, remedy: &str) -> Self {
        Self { name: name.to_owned(), ok, detail: detail.into(), remedy: Some(remedy.to_owned()) }
    }
}

/// Looks at this machine. Tries things rather than trusting settings; takes
/// some 200 ms and leaves nothing behind.
pub fn doctor() -> Vec<Finding> {
    let mut findings = vec![system_call_filter()];
    match bwrap() {
        None => findings.push(Finding::new("bubblewrap", false, "not installed", "apt-get install bubblewrap")),
        Some(path) => {
            findings.push(Finding::new("bubblewrap", true, version(&path), "apt-get install bubblewrap"));
            findings.push(sandbox(&path));
        }
    }
    findings.push(user());
    findings.push(launcher(std::env::current_exe().as_deref().unwrap_or(Path::new("/proc/self/exe"))));
    findings.extend(control_groups());
    findings.push(Finding::new(
        "limit on disk",
        true,
        "one file by the kernel; workspace and home together by a watcher that kills",
        "",
    ));
    findings.extend(programs());
    findings
}

fn bwrap() -> Option<PathBuf> {
    let config = LocalConfig::new(PathBuf::new(), Default::default(), PathBuf::new());
    config.program_folders.iter().map(|folder| folder.join("bwrap")).find(|path| path.is_file())
}

fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Makes a smallest sandbox the way a command's is made.
fn sandbox(bwrap: &Path) -> Finding {
    let mut command = Command::new(bwrap);
    command.args(["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--ro-bind", "/", "/"]);
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--unshare-user");
    }
    let output = command.args(["--", "/usr/bin/true"]).stdin(Stdio::null()).output();
    let (ok, detail) = match output {
        Ok(output) if output.status.success() => (true, "own network, processes and mounts".to_owned()),
        Ok(output) => (false, String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => (false, error.to_string()),
    };
    let remedy = "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
                  kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for bwrap), or run as root";
    Finding::new("sandbox", ok, detail, remedy)
}

fn user() -> Finding {
    let detail = if rustix::process::geteuid().is_root() {
        format!("the host is root; commands run as user {SANDBOX_ID} without capabilities")
    } else {
        "the host is no root; commands run in a user namespace of its own user".to_owned()
    };
    Finding::new("user of commands", true, detail, "")
}

/// This very binary becomes the command's first process: its user must be able to execute it.
fn launcher(program: &Path) -> Finding {
    let shown = program.display();
    let is_root = rustix::process::geteuid().is_root();
    let (who, bit) = if is_root { (format!("user {SANDBOX_ID}"), 0o001) } else { ("its owner".to_owned(), 0o100) };
    let detail = match (fs::metadata(program), rustix::fs::statvfs(program)) {
        (Err(error), _) => Err(format!("`{shown}`: {error}")),
        (Ok(found), _) if found.permissions().mode() & bit == 0 => {
            Err(format!("`{shown}` has mode {:o}: {who} cannot execute it", found.permissions().mode() & 0o7777))
        }
        (Ok(_), Ok(mount)) if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) => {
            Err(format!("`{shown}` lies on a file system from which nothing is executed (noexec)"))
        }
        (Ok(_), _) => Ok(format!("`{shown}` can be executed by {who}")),
    };
    let remedy = "chmod 0755 the binary, and keep it where programs may be executed";
    let ok = detail.is_ok();
    Finding::new("launcher of commands", ok, detail.unwrap_or_else(|why| why), remedy)
}

fn system_call_filter() -> Finding {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let ok = actions.split_whitespace().any(|action| action == "errno");
    let detail = if ok { "seccomp" } else { "the kernel has no seccomp" };
    Finding::new("system call filter", ok, detail, "use a kernel with CONFIG_SECCOMP_FILTER")
}

/// Makes groups as for a command, and removes them.
fn control_groups() -> [Finding; 3] {
    let limits = SpecLimits {
        time_limit_ms: 0,
        memory_bytes: 1 << 30,
        processes: 64,
        output_bytes: 0,
        file_size_bytes: 0,
        workspace_bytes: 0,
    };
    let groups = Groups::create(&format!("doctor-{}", std::process::id()), &limits);
    let (memory, processes, kill) = (groups.limits_memory(), groups.limits_processes(), groups.can_kill());
    groups.remove();
    let remedy = "run as root, or in a service with delegated control groups (systemd: Delegate=yes)";
    let say = |ok: bool, without: &str| if ok { "by control group".to_owned() } else { without.to_owned() };
    [
        Finding::new("limit on memory", memory, say(memory, "only of each process by itself"), remedy),
        Finding::new("limit on processes", processes, say(processes, "only of all processes of the user"), remedy),
        Finding::new(
            "end of all processes",
            true,
            if kill { "by control group and process namespace" } else { "by process namespace" },
            "",
        ),
    ]
}

/// What templates of this repository commonly ask for; a template's own `[tools]` decide.
fn programs() -> Vec<Finding> {
    let folders = tools::folders(host_rootfs::sysroot().as_deref());
    let known = [
        ("git", "apt-get install git"),
        ("cargo", "install Rust: https://rustup.rs"),
        ("python3", "apt-get install python3"),
        ("curl", "apt-get install curl"),
    ];
    let finding = |(tool, remedy): (&str, &str)| {
        let answer = tools::ask(tool, &folders);
        Finding::new(tool, matches!(answer, tools::Answer::Version(_)), answer.to_string(), remedy)
    };
    known.map(finding).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_that_is_not_ok_says_what_to_do() {
        let findings = doctor();
        for name in ["bubblewrap", "system call filter", "limit on memory", "git"] {
            assert!(findings.iter().any(|finding| finding.name == name), "{name}");
        }
        for finding in findings {
            let remedy = finding.remedy.unwrap_or_default();
            assert!(finding.ok || !remedy.is_empty(), "{}", finding.name);
        }
    }

    #[test]
    fn a_binary_that_the_user_of_commands_cannot_execute_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = |mode: u32| {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            launcher(file.path())
        };
        let is_root = rustix::process::geteuid().is_root();
        for (mode, for_root, for_others) in
            [(0o755, true, true), (0o711, true, true), (0o750, false, true), (0o644, false, false)]
        {
            let finding = found(mode);
            assert_eq!(finding.ok, if is_root { for_root } else { for_others }, "{mode:o}: {}", finding.detail);
        }
        assert!(found(0o600).detail.contains("mode 600"));
        assert!(!launcher(Path::new("/nonexistent")).ok);
    }

    #[test]
    fn looking_at_the_machine_leaves_no_group_behind() {
        doctor();
        let limits = format!("doctor-{}", std::process::id());
        assert!(Groups::existing(&limits).is_empty());
    }
}
