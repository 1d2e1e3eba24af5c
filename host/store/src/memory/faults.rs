//! What goes wrong with a host's writes, and when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// How the connection breaks around one commit. The caller gets
/// `StoreError::Database` both times and cannot tell which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Nothing was written.
    BeforeCommit,
    /// Everything was written; the answer is lost.
    AfterCommit,
}

/// A handle on the faults of one [`super::MemoryStore`]; clones are the same handle.
#[derive(Debug, Clone, Default)]
pub struct MemoryFaults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    /// One entry per coming write; none is a write that works.
    coming: VecDeque<Option<CommitFault>>,
    writes: u64,
    ignore_fence: bool,
    keep_messages: bool,
    lose_deliveries: bool,
}

impl MemoryFaults {
    /// The next write is lost.
    pub fn crash_before_commit(&self) {
        self.after(0, CommitFault::BeforeCommit);
    }

    /// The next write is done and its answer is lost.
    pub fn crash_after_commit(&self) {
        self.after(0, CommitFault::AfterCommit);
    }

    /// `writes` more writes work, then this happens to one.
    pub fn after(&self, writes: usize, fault: CommitFault) {
        self.plan(|plan| {
            let length = plan.coming.len().max(writes + 1);
            plan.coming.resize(length, None);
            plan.coming[writes] = Some(fault);
        });
    }

    /// Forgets what has not happened yet.
    pub fn clear(&self) {
        self.plan(|plan| plan.coming.clear());
    }

    /// Writes tried so far, for sweeps that place a fault at each of them.
    pub fn writes(&self) -> u64 {
        self.plan(|plan| plan.writes)
    }

    /// The planted bug: appends pass with any fence. A simulation that does not
    /// notice is not looking.
    pub fn ignore_fence(&self, on: bool) {
        self.plan(|plan| plan.ignore_fence = on);
    }

    /// The planted bug: a message that was taken up is there again.
    pub fn keep_messages(&self, on: bool) {
        self.plan(|plan| plan.keep_messages = on);
    }

    /// The planted bug: every third event reaches nobody.
    pub fn lose_deliveries(&self, on: bool) {
        self.plan(|plan| plan.lose_deliveries = on);
    }

    pub(super) fn keeps_messages(&self) -> bool {
        self.plan(|plan| plan.keep_messages)
    }

    pub(super) fn loses_deliveries(&self) -> bool {
        self.plan(|plan| plan.lose_deliveries)
    }

    pub(super) fn ignores_fence(&self) -> bool {
        self.plan(|plan| plan.ignore_fence)
    }

    pub(super) fn next(&self) -> Option<CommitFault> {
        self.plan(|plan| {
            plan.writes += 1;
            plan.coming.pop_front().flatten()
        })
    }

    fn plan<T>(&self, with: impl FnOnce(&mut Plan) -> T) -> T {
        with(&mut self.0.lock().expect("no call panics while it holds the plan"))
    }
}
