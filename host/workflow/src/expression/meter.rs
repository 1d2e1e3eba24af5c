//! What one evaluation may use: steps, memory, stack.
//!
//! The jq library has no limits of its own, so the values that it computes with
//! count: whatever a program does, it makes, clones or reads values. A program
//! that is over its budget is ended by unwinding, which no `try` of its own can
//! catch. All counts depend on the program and its data alone, so the same
//! evaluation ends the same way after a restart.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Steps of one evaluation: about one per value made or read, and one per 32
/// bytes of text. Enough to go over some tens of thousands of items; some tens
/// of milliseconds in a release build.
pub const STEPS_MAX: u64 = 400_000;

/// Bytes that the values of one evaluation may hold at a time, beside its input.
pub const MEMORY_BYTES_MAX: usize = 24 * 1024 * 1024;

/// What a value costs while the library holds it: itself, and the iterators
/// around it. Measured, and rounded up.
const HELD_BYTES: usize = 512;

/// Bytes of stack that an evaluation may use below its beginning; threads of
/// the runtime have 2 MiB.
const STACK_BYTES_MAX: usize = 640 * 1024;

/// Deepest nesting of a value.
pub const DEPTH_MAX: u32 = 256;

/// Largest value, as the bytes of its JSON: what is shared counts as often as it is written.
pub const VALUE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why an evaluation was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    #[error("it takes more than {STEPS_MAX} steps")]
    Steps,
    #[error("it needs more than {MEMORY_BYTES_MAX} bytes of memory")]
    Memory,
    #[error("it makes a value larger than {VALUE_BYTES_MAX} bytes")]
    Value,
    #[error("it makes a value nested deeper than {DEPTH_MAX}")]
    Depth,
    #[error("it is nested too deep")]
    Stack,
    #[error("it fails inside a filter of the library")]
    Library,
}

struct Meter {
    steps_left: Cell<u64>,
    bytes_left: Cell<usize>,
    /// Lowest address that the stack may reach.
    stack_floor: Cell<usize>,
}

thread_local! {
    /// Without limits while nothing is evaluated.
    static METER: Meter = const {
        Meter { steps_left: Cell::new(u64::MAX), bytes_left: Cell::new(usize::MAX / 2), stack_floor: Cell::new(0) }
    };
}

/// Stack of a thread for what may have to be taken apart by as many calls as
/// there are held values: the library's lists are dropped so.
const LONG_STACK_BYTES: usize = 64 * 1024 * 1024;

/// As [`bounded`], on a thread of its own with a long stack.
pub fn bounded_with_long_stack<T: Send>(evaluation: impl FnOnce() -> T + Send) -> Result<T, Stopped> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(LONG_STACK_BYTES);
        let running = thread.spawn_scoped(scope, || bounded(evaluation)).map_err(|_| Stopped::Stack)?;
        running.join().unwrap_or(Err(Stopped::Library))
    })
}

/// Runs `evaluation` with a budget of its own. All its values must be gone when it returns.
pub fn bounded<T>(evaluation: impl FnOnce() -> T) -> Result<T, Stopped> {
    let here = stack_address();
    let set = |steps, bytes, floor| {
        METER.with(|meter| {
            (meter.steps_left.replace(steps), meter.bytes_left.replace(bytes), meter.stack_floor.replace(floor))
        })
    };
    let (steps, bytes, floor) = set(STEPS_MAX, MEMORY_BYTES_MAX, here.saturating_sub(STACK_BYTES_MAX));
    let outcome = catch_unwind(AssertUnwindSafe(evaluation));
    set(steps, bytes, floor);
    outcome.map_err(|payload| payload.downcast::<Stopped>().map_or(Stopped::Library, |stopped| *stopped))
}

/// Ends the evaluation: no `try` of the program catches this.
pub fn stop(why: Stopped) -> ! {
    resume_unwind(Box::new(why))
}

pub fn steps(count: usize) {
    METER.with(|meter| match meter.steps_left.get().checked_sub(count as u64) {
        Some(left) => meter.steps_left.set(left),
        None => stop(Stopped::Steps),
    });
}

/// The steps of reading or writing so much text.
pub fn text_steps(bytes: usize) {
    steps(bytes / 32);
}

fn take(bytes: usize) {
    METER.with(|meter| match meter.bytes_left.get().checked_sub(bytes) {
        Some(left) => meter.bytes_left.set(left),
        None => stop(Stopped::Memory),
    });
}

fn give_back(bytes: usize) {
    METER.with(|meter| meter.bytes_left.set(meter.bytes_left.get().saturating_add(bytes)));
}

#[inline(never)]
fn stack_address() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(&marker).addr()
}

/// One value in the hands of the library: a step, a share of memory, a look at the stack.
pub struct Held(());

impl Held {
    pub fn new() -> Self {
        steps(1);
        take(HELD_BYTES);
        if stack_address() < METER.with(|meter| meter.stack_floor.get()) {
            give_back(HELD_BYTES);
            stop(Stopped::Stack);
        }
        Self(())
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        give_back(HELD_BYTES);
    }
}

/// Memory that a value holds; given back with it. Taken before it is allocated.
#[derive(Default)]
pub struct Memory(usize);

impl Memory {
    pub fn of(bytes: usize) -> Self {
        take(bytes);
        Self(bytes)
    }

    /// Takes more, for what is about to grow.
    pub fn grow(&mut self, bytes: usize) {
        take(bytes);
        self.0 += bytes;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        give_back(self.0);
    }
}
