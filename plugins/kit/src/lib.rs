//! What the bundled plugins share: the commands of the templates as types, the
//! a checkout, references of a git remote, the sparse index of a registry, JSON
//! without doubt, and what curl says of a server that gave no answer.

pub mod checkout;
pub mod curl;
pub mod git;
pub mod index;
pub mod json;
/// Written by the tool and left as it writes it.
#[rustfmt::skip]
pub mod java_release;
/// Written by the tool and left as it writes it.
#[rustfmt::skip]
pub mod rust_release;
