//! What the bundled plugins share: the commands of the templates as types, the
//! references of a git remote and the sparse index of a registry.

pub mod git;
pub mod index;
/// Written by the tool and left as it writes it.
#[rustfmt::skip]
pub mod java_release;
/// Written by the tool and left as it writes it.
#[rustfmt::skip]
pub mod rust_release;
