//! The malicious plugin suite: hostile components, and what must come of each.
//!
//! A [`Case`] is data: a name, a component that is made when the case runs,
//! how it must end, what must be on record. [`Range`] is a host with this
//! host's engine, limits and templates and with a store, secrets and sandboxes
//! of its own, so that an attack which comes through harms nothing; commands
//! are answered and never run. [`Range::run`] carries an attack out while an
//! honest step works beside it. The tests of this crate run every case, and
//! `light-workflow plugin attack` runs them for a reviewer.
//!
//! > **Invariant:** nothing here is linked into how a release runs: only
//! > `light-workflow plugin attack` and tests name this crate.

mod case;
mod cases;
mod decoy;
mod guest;
mod mute;
mod random;
mod range;
mod record;
mod suite;

pub use case::Case;
pub use cases::all;
pub use random::Random;
pub use range::{Range, Target};
pub use suite::{Verdict, honest};
