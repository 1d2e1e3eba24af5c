//! Clocks that show the attempt's recorded start and go on with each look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Instant};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::{self, Datetime};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use workflow::Timestamp;

use crate::state::State;

/// How far each look moves the clock: a loop that waits for a time ends, and
/// two readings differ.
const LOOK_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Time of one call. Nobody waits: who sleeps finds the clock moved on.
pub(super) struct VirtualClock {
    /// Since 1970.
    started_ns: u64,
    passed_ns: Arc<AtomicU64>,
}

impl VirtualClock {
    pub fn new(started_at: Timestamp) -> Self {
        let started_ns = u64::try_from(started_at.as_nanosecond()).unwrap_or(0);
        Self { started_ns, passed_ns: Arc::default() }
    }

    pub fn advance(&self, nanoseconds: u64) {
        let passed = self.passed_ns.load(Ordering::Relaxed);
        self.passed_ns.store(passed.saturating_add(nanoseconds), Ordering::Relaxed);
    }

    fn look(&self) -> u64 {
        self.advance(LOOK_NS);
        self.passed_ns.load(Ordering::Relaxed)
    }

    fn wait_until(&self, when_ns: u64) -> Waited {
        Waited { when_ns, passed_ns: self.passed_ns.clone() }
    }
}

/// A time to wait for.
struct Waited {
    when_ns: u64,
    passed_ns: Arc<AtomicU64>,
}

#[async_trait]
impl Pollable for Waited {
    async fn ready(&mut self) {
        self.passed_ns.fetch_max(self.when_ns, Ordering::Relaxed);
    }
}

impl wall_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let clock = &self.baseline_and_table().0.clock;
        let now_ns = clock.started_ns.saturating_add(clock.look());
        Ok(Datetime { seconds: now_ns / SECOND_NS, nanoseconds: (now_ns % SECOND_NS) as u32 })
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        Ok(Datetime { seconds: 0, nanoseconds: LOOK_NS as u32 })
    }
}

impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        Ok(self.baseline_and_table().0.clock.look())
    }

    fn resolution(&mut self) -> wasmtime::Result<Instant> {
        Ok(LOOK_NS)
    }

    fn subscribe_instant(&mut self, when: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        let (baseline, table) = self.baseline_and_table();
        let waited = table.push(baseline.clock.wait_until(when))?;
        subscribe(table, waited)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let passed = self.baseline_and_table().0.clock.passed_ns.load(Ordering::Relaxed);
        self.subscribe_instant(passed.saturating_add(duration))
    }
}
