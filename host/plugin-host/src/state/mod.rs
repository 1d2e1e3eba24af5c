//! What one call holds on the host's side: its grants, its budgets and the
//! way out to the worker. Made fresh for each call and dropped with it.

mod budget;
mod functions;

use wasmtime::component::ResourceTable;
use workflow::SecretName;
use workflow::capability::Grants;

use crate::bindings::{call_error, types};
use crate::call::{LimitReached, Limits};
use crate::host_calls::{Denial, HostCallError, HostCalls};
use crate::interface::Interface;

pub(crate) use budget::GuestClock;

/// A granted secret in the hands of a plugin: a name, never a value.
pub struct SecretHandle {
    pub(crate) name: SecretName,
}

/// Which export is running: it decides what host calls are for.
pub(crate) enum Turn {
    /// Every host call is refused.
    Describe,
    /// Every host call but `log` is refused.
    Plan,
    Execute(Box<dyn HostCalls>),
}

/// Why the host ended a call before the plugin did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stop {
    Limit(LimitReached),
    Interrupted,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Limit(limit) => limit.fmt(f),
            Stop::Interrupted => f.write_str("the host stops"),
        }
    }
}

impl std::error::Error for Stop {}

pub(crate) struct State {
    turn: Turn,
    grants: Grants,
    pub(crate) limits: Limits,
    /// Of the last host call; log lines have none.
    sequence: u32,
    commands: u32,
    written_bytes: u64,
    log_lines: u32,
    log_bytes: u64,
    memory_bytes: usize,
    pub(crate) clock: GuestClock,
    secrets: ResourceTable,
    /// The last `error` line: what a panic hook wrote before the trap.
    pub(crate) last_error: Option<String>,
    /// Set when the host, not the plugin, ended the call.
    pub(crate) stop: Option<Stop>,
}

/// The answer of a host function: the outer error ends the call, the inner one is data for the plugin.
type Answer<T> = wasmtime::Result<Result<T, types::CallError>>;

impl State {
    pub fn new(turn: Turn, grants: Grants, limits: Limits) -> Self {
        let mut secrets = ResourceTable::new();
        secrets.set_max_capacity(limits.handles_max);
        Self {
            turn,
            grants,
            limits,
            sequence: 0,
            commands: 0,
            written_bytes: 0,
            log_lines: 0,
            log_bytes: 0,
            memory_bytes: 0,
            clock: GuestClock::new(),
            secrets,
            last_error: None,
            stop: None,
        }
    }

    /// Ends the call: the error unwinds the guest, `stop` says why.
    pub fn end(&mut self, stop: Stop) -> wasmtime::Error {
        self.stop = Some(stop.clone());
        wasmtime::Error::new(stop)
    }

    /// Numbers a host call and counts it.
    fn begin(&mut self) -> wasmtime::Result<u32> {
        if self.sequence == self.limits.host_calls_max {
            return Err(self.end(Stop::Limit(LimitReached::HostCalls { max: self.limits.host_calls_max })));
        }
        self.sequence += 1;
        Ok(self.sequence)
    }

    /// Tells the worker and the plugin that a call is refused.
    async fn deny<T>(&mut self, sequence: u32, interface: Interface, subject: &str, reason: String) -> Answer<T> {
        let denial = Denial { capability: interface.name().to_owned(), subject: subject.to_owned(), reason };
        if let Turn::Execute(host) = &mut self.turn {
            self.clock.pause();
            host.denied(sequence, &denial).await;
            self.clock.resume();
        }
        Ok(Err(types::CallError::Denied(denial.into())))
    }

    /// Passes the worker's answer on.
    fn answer<T>(&mut self, answer: Result<T, HostCallError>) -> Answer<T> {
        match answer.map_err(call_error) {
            Ok(value) => Ok(Ok(value)),
            Err(Some(error)) => Ok(Err(error)),
            Err(None) => Err(self.end(Stop::Interrupted)),
        }
    }

    /// Why this turn has no effects; none while executing.
    fn without_effects(&self) -> Option<String> {
        match self.turn {
            Turn::Describe => Some("`describe` has no effects".to_owned()),
            Turn::Plan => Some("`plan` has no effects".to_owned()),
            Turn::Execute(_) => None,
        }
    }
}
