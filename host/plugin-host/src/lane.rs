//! Steps that compute much take turns among themselves, so that five hundred of
//! them keep nobody waiting.
//!
//! A step begins on the threads that everything of the host shares. Once it has
//! computed for [`NEWCOMER`] it needs a turn for each tick; there is one turn
//! for each processor, and who wants one waits in line. A step that answers
//! soon, and all that is no plugin, finds at most so many others before it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::UpdateDeadline;

/// What a step may compute before it stands in line: far more than a step
/// that orchestrates commands does between two of them.
pub(crate) const NEWCOMER: Duration = Duration::from_millis(20);

/// The turns of a host.
#[derive(Debug, Clone)]
pub(crate) struct Lane(Arc<Semaphore>);

impl Lane {
    pub fn new() -> Self {
        let turns = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Semaphore::new(turns)))
    }

    /// A place in it for one step, which has no turn yet.
    pub fn place(&self) -> Place {
        Place { lane: self.clone(), turn: Arc::default() }
    }
}

struct Turn {
    began: Instant,
    #[expect(dead_code, reason = "held until it is dropped")]
    permit: OwnedSemaphorePermit,
}

/// One step's place in the lane.
pub(crate) struct Place {
    lane: Lane,
    /// Filled while the step does not run, by the future that waited for it.
    turn: Arc<Mutex<Option<Turn>>>,
}

impl Place {
    /// Ends a turn, if this step has one. Says when it began.
    pub fn leave(&self) -> Option<Instant> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).take().map(|turn| turn.began)
    }

    /// What a step that has computed for so long does before its next tick.
    pub fn next(&self, spent: Duration) -> UpdateDeadline {
        if spent < NEWCOMER {
            return UpdateDeadline::Yield(1);
        }
        let (lane, turn) = (self.lane.0.clone(), self.turn.clone());
        UpdateDeadline::YieldCustom(
            1,
            Box::pin(async move {
                // Also where nobody waits: the thread is for others first.
                tokio::task::yield_now().await;
                let permit = lane.acquire_owned().await.expect("nobody closes it");
                let began = Instant::now();
                *turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(Turn { began, permit });
            }),
        )
    }
}
