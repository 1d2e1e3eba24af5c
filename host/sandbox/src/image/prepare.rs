//! What a sandbox needs of a root file system that was made for another one:
//! folders to mount on, and an account for the command.

use std::io;

use super::ImageError;
use super::tree::Tree;

/// Where the sandbox mounts something: see `local/bwrap.rs`.
const MOUNT_POINTS: [&[&str]; 7] =
    [&["proc"], &["dev"], &["run"], &["tmp"], &["var", "tmp"], &["workspace"], &["home", "runner"]];

/// Of a list of accounts.
const ACCOUNTS_BYTES_MAX: u64 = 1 << 20;

/// Makes what is missing. `owner` is who commands run as.
pub fn prepare(tree: &Tree, working_directory: &str, owner: Option<(u32, u32)>) -> Result<(), ImageError> {
    let unfit = |error: std::io::Error| ImageError::Unfit { reason: error.to_string() };
    for path in MOUNT_POINTS {
        tree.mount_point(path).map_err(unfit)?;
    }
    tree.mount_point(&["etc"]).map_err(unfit)?;
    let (uid, gid) = owner.unwrap_or((crate::local::SANDBOX_ID, crate::local::SANDBOX_ID));
    let own =
        [("passwd", format!("runner:x:{uid}:{gid}::/home/runner:/bin/sh\n")), ("group", format!("runner:x:{gid}:\n"))];
    let etc = [b"etc".to_vec()];
    for (name, line) in own {
        let before = tree.read(&format!("etc/{name}"), ACCOUNTS_BYTES_MAX).map_err(unfit)?.unwrap_or_default();
        let between = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        let text = format!("{before}{between}{line}");
        tree.file(&etc, name.as_bytes(), 0o644, 0, text.len() as u64, text.as_bytes()).map_err(unfit)?;
    }
    // The loader of the processes before the command reads this list, whatever it is told: code of an image
    // would run with their powers. The sandbox closes it, and needs something to close.
    tree.file(&etc, b"ld.so.preload", 0o644, 0, 0, io::empty()).map_err(unfit)?;
    let hosts = "127.0.0.1 localhost\n::1 localhost\n";
    tree.file(&etc, b"hosts", 0o644, 0, hosts.len() as u64, hosts.as_bytes()).map_err(unfit)?;
    // Docker makes it, too. What the sandbox mounts is there already.
    let parts: Vec<Vec<u8>> =
        working_directory.split('/').filter(|part| !part.is_empty()).map(|part| part.as_bytes().to_vec()).collect();
    if parts.iter().any(|part| part == b"..") {
        return Err(ImageError::Unfit { reason: format!("its working directory `{working_directory}` leads upwards") });
    }
    match parts.split_last() {
        Some((name, around)) if !tree.has_folder(&parts) => tree.folder(around, name, 0o755).map_err(unfit),
        Some(_) | None => Ok(()),
    }
}
