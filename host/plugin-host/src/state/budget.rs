//! Guest time and memory: what a plugin uses by itself.

use std::time::{Duration, Instant};

use wasmtime::{ResourceLimiter, Result, UpdateDeadline};

use super::{State, Stop};
use crate::call::LimitReached;
use crate::engine::TICK;
use crate::lane::{Lane, Place};

/// Time spent in the plugin's own code. Host calls are not its time: a build
/// may take an hour.
pub(crate) struct GuestClock {
    spent: Duration,
    /// None while a host call is being answered.
    since: Option<Instant>,
    place: Place,
}

impl GuestClock {
    pub fn new(lane: &Lane) -> Self {
        Self { spent: Duration::ZERO, since: Some(Instant::now()), place: lane.place() }
    }

    pub fn pause(&mut self) {
        self.settle();
        self.since = None;
    }

    /// What the step does before its next tick, when it has computed for `spent`.
    pub fn next(&self, spent: Duration) -> UpdateDeadline {
        self.place.next(spent)
    }

    pub fn resume(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Adds the time since the last look, but no more than two ticks of it: the
    /// engine looks at every tick while the guest runs, so anything longer was
    /// spent waiting for a thread. A turn in the lane ends with it.
    pub fn settle(&mut self) -> Duration {
        let began = self.place.leave();
        if let Some(since) = self.since {
            let since = began.unwrap_or(since);
            self.spent += since.elapsed().min(2 * TICK);
            self.since = Some(Instant::now());
        }
        self.spent
    }
}

impl State {
    /// Called by the engine at each tick while the guest runs.
    pub(crate) fn tick(&mut self) -> Result<UpdateDeadline> {
        let max = self.limits.guest_time_ms_max;
        let spent = self.clock.settle();
        if spent > Duration::from_millis(max) {
            return Err(self.end(Stop::Limit(LimitReached::GuestTime { ms_max: max })));
        }
        Ok(self.clock.next(spent))
    }
}

/// Counts over all memories and tables of the instance. Growth past a limit
/// ends the call: an allocation that fails inside the guest would only show as
/// an abort.
impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let bytes = self.memory_bytes + desired.saturating_sub(current) as u64;
        if bytes > self.limits.memory_bytes_max {
            return Err(self.end(Stop::Limit(LimitReached::Memory { max: self.limits.memory_bytes_max })));
        }
        self.memory_bytes = bytes;
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::try_from(self.limits.instances_max).unwrap_or(usize::MAX)
    }

    fn tables(&self) -> usize {
        usize::try_from(self.limits.instances_max).unwrap_or(usize::MAX)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        if desired as u64 > self.limits.table_elements_max {
            return Err(self.end(Stop::Limit(LimitReached::Table { max: self.limits.table_elements_max })));
        }
        Ok(true)
    }
}
