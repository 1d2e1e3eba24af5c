//! Counts for benchmarks: steady where times are not.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What one process's writer has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Transactions with a write in them: each is one fsync of the write-ahead log.
    pub commits: u64,
    /// What callers asked for; several share a commit.
    pub requests: u64,
    pub appends: u64,
    pub instances_started: u64,
    pub events: u64,
    /// Transactions that failed and were rolled back.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub commits: AtomicU64,
    pub requests: AtomicU64,
    pub appends: AtomicU64,
    pub instances_started: AtomicU64,
    pub events: AtomicU64,
    pub failures: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            commits: read(&self.commits),
            requests: read(&self.requests),
            appends: read(&self.appends),
            instances_started: read(&self.instances_started),
            events: read(&self.events),
            failures: read(&self.failures),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
