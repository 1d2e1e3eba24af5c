//! `schedule`: when instances start by themselves.

use std::time::Duration;

use super::consumption::EventConsumption;
use super::cron::Cron;

/// At least one of them is given; each starts instances of its own accord.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// From start to start; instances may overlap.
    pub every: Option<Duration>,
    /// In UTC.
    pub cron: Option<Cron>,
    /// From the end of an instance to the start of the next.
    pub after: Option<Duration>,
    /// The input of an instance is the array of the events that started it.
    pub on: Option<EventConsumption>,
}
