//! Text files that people write, read into values that know their place.
//!
//! [`yaml`] and [`json`] make a tree of [`Node`]s; a [`Field`] is a node on its
//! way to becoming something typed, with the name that messages call it by.
//! What is wrong becomes a [`Problem`] and reading goes on, so that one look at
//! a file finds everything.

mod field;
pub mod json;
mod node;
mod problem;
pub mod yaml;

pub use field::{Field, Slot};
pub use node::{Node, NodeValue};
pub use problem::{Problem, Problems, Severity, among, closest};

/// The largest file that is read: a definition is for people to review.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// How deep values may nest: far beyond what reads well, far below what a stack bears.
pub const DEPTH_MAX: usize = 64;
