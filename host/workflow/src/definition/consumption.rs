//! Which events are waited for: `listen.to` and `schedule.on`.

use std::collections::BTreeMap;

use crate::expression::{Expression, Template};

#[derive(Debug, Clone, PartialEq)]
pub enum EventConsumption {
    /// One event of each filter.
    All(Vec<EventFilter>),
    /// The first event that one of the filters lets through; with `until`,
    /// all such events up to its end. Without filters, every event.
    Any {
        filters: Vec<EventFilter>,
        until: Option<Until>,
    },
    One(EventFilter),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    /// Holds of the events consumed so far.
    Holds(Expression),
    /// This was consumed. It has no `until` of its own.
    Consumed(Box<EventConsumption>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct EventFilter {
    /// What the event's attributes, and its `data`, must be. An expression
    /// (`${ … }`) is one over the attribute's value and must hold.
    pub with: BTreeMap<String, Template>,
    /// By the name of the correlation.
    pub correlate: BTreeMap<String, Correlation>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    /// Over the event.
    pub from: Expression,
    /// None: the value of the first event is what the next must have.
    pub expect: Option<Template>,
}

impl EventConsumption {
    /// Its filters and those of its `until`.
    pub fn filters(&self) -> Vec<&EventFilter> {
        match self {
            EventConsumption::All(filters) => filters.iter().collect(),
            EventConsumption::One(filter) => vec![filter],
            EventConsumption::Any { filters, until } => {
                let ends = match until {
                    Some(Until::Consumed(consumption)) => consumption.filters(),
                    Some(Until::Holds(_)) | None => Vec::new(),
                };
                filters.iter().chain(ends).collect()
            }
        }
    }
}
