//! Files between the host and a workspace that hostile programs have written to.
//!
//! Everything here goes from folder to folder by descriptor and never follows
//! a link, opens regular files only and without waiting, and bounds what it
//! reads. No tool ever runs in a workspace on the host's side.

mod collect;
mod copy_in;
mod folder;
mod glob;
mod remove;
mod snapshot;
#[cfg(test)]
mod tests;

pub use collect::{Limits, collect};
pub use copy_in::copy_in;
pub(crate) use folder::Folder;
pub(crate) use remove::remove_entry;
pub use remove::remove_tree;
pub use snapshot::{Snapshot, tree_size};

/// Whether `path` is relative and names no part that is empty, `.` or `..`.
pub fn is_plain_path(path: &str) -> bool {
    path.len() < 4096
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.len() < 256)
        && !path.contains('\0')
}
