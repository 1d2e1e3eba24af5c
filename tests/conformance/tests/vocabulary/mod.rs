//! The kit in one place: what a scenario says ([`steps`]), what a runtime gives
//! back ([`execution`]), how a file of scenarios is played ([`play`]).
//!
//! The whole program and the engine alone are two runtimes of it.

pub mod execution;
mod outline;
pub mod play;
mod steps;
