//! What only a store on disk has to prove: files, processes, crashes, damage.

// A crash test needs a process to kill: this test binary, started again.
#![allow(clippy::disallowed_methods)]

#[path = "../conformance/fixtures.rs"]
#[allow(dead_code, reason = "the conformance suite uses the rest of it")]
mod fixtures;

mod batches;
mod crashes;
mod files;
mod opening;
mod processes;
