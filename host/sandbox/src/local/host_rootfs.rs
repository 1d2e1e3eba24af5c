//! The machine's own programs as a root file system: `/usr` read-only, a few
//! folders of `/etc`, the Rust toolchain. Not an image: its identity is a
//! digest over the list of installed packages.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use workflow::Digest;

/// Of this machine's `/etc`; what is not there is left out.
const FROM_ETC: &[&str] = &["alternatives", "ca-certificates", "ca-certificates.conf", "ssl", "ld.so.cache", "maven"];

/// Folders of `/etc` by how their names begin.
const FROM_ETC_BY_PREFIX: &[&str] = &["java-", "python3"];

/// Programs of the machine, found out once for each provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostRootfs {
    /// Of package list, release and Rust version.
    pub digest: Digest,
    /// Bound to `/opt/rust`; none if Rust is in `/usr` or not there.
    pub toolchain: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    state: String,
    rootfs: HostRootfs,
}

impl HostRootfs {
    /// Remembers its answer in `root` until the package list, the release or
    /// the toolchain changes.
    pub fn describe(root: &Path) -> io::Result<Self> {
        let toolchain = sysroot();
        let state = state(toolchain.as_deref());
        let path = root.join("host-rootfs.json");
        let remembered = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok());
        if let Some(remembered) = remembered.filter(|remembered| remembered.state == state) {
            return Ok(remembered.rootfs);
        }
        let rustc = toolchain.as_ref().map_or_else(|| PathBuf::from("rustc"), |folder| folder.join("bin/rustc"));
        let mut sum = Sha256::new();
        for part in [
            output("dpkg-query", &["-W"]).unwrap_or_default(),
            fs::read("/etc/os-release").unwrap_or_default(),
            output(&rustc.to_string_lossy(), &["-vV"]).unwrap_or_default(),
        ] {
            sum.update((part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        let rootfs = Self {
            digest: Digest::from_sha256(sum.finalize().into()),
            toolchain: toolchain.filter(|folder| !folder.starts_with("/usr")),
        };
        let remembered = Remembered { state, rootfs };
        fs::write(path, serde_json::to_vec(&remembered)?)?;
        Ok(remembered.rootfs)
    }
}

/// Files of `/etc` that are our own: a sandbox has no account, no name and no
/// server of the machine.
pub fn write_configuration(root: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let folder = root.join("etc");
    fs::create_dir_all(&folder)?;
    let accounts = format!(
        "root:x:0:0::/:/usr/sbin/nologin\nrunner:x:{uid}:{gid}::/home/runner:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"
    );
    fs::write(folder.join("passwd"), accounts)?;
    fs::write(folder.join("group"), format!("root:x:0:\nrunner:x:{gid}:\nnogroup:x:65534:\n"))?;
    fs::write(folder.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
    // No server for names, on purpose: the egress proxy looks them up.
    fs::write(folder.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files\n")
}

/// What `/etc` is made of: source and target of each.
pub fn configuration(root: &Path) -> Vec<(PathBuf, String)> {
    let own = ["passwd", "group", "hosts", "nsswitch.conf"].map(str::to_owned);
    let mut files: Vec<_> = own.into_iter().map(|name| (root.join("etc").join(&name), name)).collect();
    let mut of_machine: Vec<_> = FROM_ETC.iter().map(|name| (*name).to_owned()).collect();
    for entry in fs::read_dir("/etc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if FROM_ETC_BY_PREFIX.iter().any(|prefix| name.starts_with(prefix)) {
            of_machine.push(name);
        }
    }
    files.extend(of_machine.into_iter().map(|name| (Path::new("/etc").join(&name), name)));
    files.into_iter().map(|(source, name)| (source, format!("/etc/{name}"))).collect()
}

/// The Rust toolchain that `rustc` of this host is part of.
pub fn sysroot() -> Option<PathBuf> {
    let text = String::from_utf8(output("rustc", &["--print", "sysroot"])?).ok()?;
    fs::canonicalize(text.trim()).ok()
}

/// Changes whenever a package, the release or the toolchain does.
fn state(toolchain: Option<&Path>) -> String {
    let of = |path: &Path| match fs::metadata(path) {
        Ok(data) => format!("{} {}.{:09} {}", path.display(), data.mtime(), data.mtime_nsec(), data.len()),
        Err(_) => format!("{} absent", path.display()),
    };
    let rustc = toolchain.map_or_else(|| PathBuf::from("/usr/bin/rustc"), |folder| folder.join("bin/rustc"));
    [Path::new("/var/lib/dpkg/status"), Path::new("/etc/os-release"), &rustc].map(of).join("\n")
}

/// None if the program is not there or fails.
fn output(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    done.status.success().then_some(done.stdout)
}
