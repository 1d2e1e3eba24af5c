//! Plugins on their way between hosts, through a real registry on loopback (Debian's `docker-registry`).

// These tests type what an operator types, and start a registry.
#![allow(clippy::disallowed_methods)]

mod access;
mod containers;
mod distribution;
mod hostile;
mod server;
mod signatures;
mod world;
