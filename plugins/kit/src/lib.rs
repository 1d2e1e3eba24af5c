//! What the bundled plugins for Rust releases share: the references of a git
//! remote and the sparse index of a registry, through commands of `rust-release`.

pub mod git;
pub mod index;
/// Written by the tool and left as it writes it.
#[rustfmt::skip]
pub mod rust_release;
