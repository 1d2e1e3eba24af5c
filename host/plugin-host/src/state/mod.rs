//! What one call holds on the host's side: its grants, its budgets and the
//! way out to the worker. Made fresh for each call and dropped with it.

/// The worker's answer to one method of [`crate::HostCalls`]; the guest's clock stands meanwhile.
macro_rules! ask {
    ($state:ident, $method:ident($($argument:expr),*)) => {{
        let crate::state::Turn::Execute(host) = &mut $state.turn else {
            unreachable!("a turn without effects was refused before");
        };
        $state.clock.pause();
        let answer = host.$method($($argument),*).await;
        $state.clock.resume();
        $state.answer(answer)
    }};
}

mod asking;
mod budget;
mod functions;

use wasmtime::component::ResourceTable;
use workflow::SecretName;
use workflow::capability::{Grants, Limits};

use crate::baseline::Baseline;
use crate::bindings::{call_error, types};
use crate::call::LimitReached;
use crate::host_calls::{CallSite, Denial, HostCallError, HostCalls, Recorded};
use crate::interface::Interface;
use crate::lane::Lane;
use crate::texts::{SUBJECT_BYTES_MAX, one_line};

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
    /// It called exit instead of returning.
    Exited {
        code: u8,
    },
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Limit(limit) => limit.fmt(f),
            Stop::Interrupted => f.write_str("the host stops"),
            Stop::Exited { code } => write!(f, "it called exit({code}) instead of returning"),
        }
    }
}

impl std::error::Error for Stop {}

/// What the call used of its grants.
#[derive(Debug, Default)]
struct Used {
    commands: u32,
    written_bytes: u64,
    log_lines: u32,
    log_bytes: u64,
    questions: u32,
    answer_tokens: u64,
    tool_calls: u32,
    requests: u32,
    received_bytes: u64,
}

pub(crate) struct State {
    turn: Turn,
    grants: Grants,
    pub(crate) limits: Limits,
    /// Of the last host call; log lines have none.
    sequence: u32,
    /// Used when the guest last left its own code.
    pub(crate) fuel: u64,
    used: Used,
    memory_bytes: u64,
    pub(crate) clock: GuestClock,
    /// Secrets, and the streams of a wasi-baseline component.
    table: ResourceTable,
    /// Of a component of that class only.
    baseline: Option<Box<Baseline>>,
    /// The last `error` line: what a panic hook wrote before the trap.
    pub(crate) last_error: Option<String>,
    /// Set when the host, not the plugin, ended the call.
    pub(crate) stop: Option<Stop>,
}

/// The answer of a host function: the outer error ends the call, the inner one is data for the plugin.
type Answer<T> = wasmtime::Result<Result<T, types::CallError>>;

impl State {
    pub fn new(turn: Turn, grants: Grants, limits: Limits, baseline: Option<Box<Baseline>>, lane: &Lane) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(limits.handles_max).unwrap_or(usize::MAX));
        Self {
            turn,
            grants,
            limits,
            sequence: 0,
            fuel: 0,
            used: Used::default(),
            memory_bytes: 0,
            clock: GuestClock::new(lane),
            table,
            baseline,
            last_error: None,
            stop: None,
        }
    }

    /// Ends the call: the error unwinds the guest, `stop` says why.
    pub fn end(&mut self, stop: Stop) -> wasmtime::Error {
        self.stop = Some(stop.clone());
        wasmtime::Error::new(stop)
    }

    /// Numbers a host call and counts it. What was printed before it comes before it in the log.
    async fn begin(&mut self) -> wasmtime::Result<CallSite> {
        self.log_output(false).await?;
        if u64::from(self.sequence) == self.limits.host_calls_max {
            return Err(self.end(Stop::Limit(LimitReached::HostCalls { max: self.limits.host_calls_max })));
        }
        self.sequence += 1;
        Ok(CallSite { sequence: self.sequence, fuel: self.fuel })
    }

    /// The most that could be printed, when more was.
    pub(crate) fn output_over(&self) -> Option<u64> {
        self.baseline.as_ref().and_then(|baseline| baseline.output().over())
    }

    /// A denial of an earlier run, or whether that run was allowed the same call.
    fn restored(&mut self, site: CallSite, interface: Interface, subject: &str) -> Answer<bool> {
        let Turn::Execute(host) = &mut self.turn else {
            return Ok(Ok(false));
        };
        // As a refusal writes it down.
        match host.recorded(site, interface.name(), &one_line(subject, SUBJECT_BYTES_MAX)) {
            Ok(Recorded::Nothing) => Ok(Ok(false)),
            Ok(Recorded::Allowed) => Ok(Ok(true)),
            Ok(Recorded::Denied(denial)) => Ok(Err(types::CallError::Denied(denial.into()))),
            Err(error) => Ok(self.answer(Err(error))?.map(|()| false)),
        }
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Of a component of the class wasi-baseline: nothing else has these functions linked.
    pub(crate) fn baseline_and_table(&mut self) -> (&mut Baseline, &mut ResourceTable) {
        let baseline = self.baseline.as_mut().expect("WASI is linked for components of the class wasi-baseline only");
        (baseline, &mut self.table)
    }

    /// Tells the worker and the plugin that a call is refused.
    async fn deny<T>(&mut self, site: CallSite, interface: Interface, subject: &str, reason: String) -> Answer<T> {
        let denial = Denial::new(interface.name(), subject, reason);
        if let Turn::Execute(host) = &mut self.turn {
            self.clock.pause();
            host.denied(site, &denial).await;
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
