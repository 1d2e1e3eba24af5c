//! Whether an event is what somebody waits for, and whether that was all.
//!
//! Reads only its arguments. A filter that fails on an event lets it pass by:
//! events of all the world come along here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cloud_event::CloudEvent;
use crate::definition::{EventConsumption, EventFilter, Until};
use crate::effect::Fault;
use crate::expression::{Variables, is_true};

/// What was consumed so far, as far as later events depend on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Consumed {
    /// Filters of `all` that have their event.
    filled: BTreeSet<usize>,
    /// Those of the `all` that ends an `any`.
    until_filled: BTreeSet<usize>,
    /// What the first event of a correlation had, and every later one must have.
    correlated: BTreeMap<String, Value>,
}

/// How an event fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fit {
    pub role: Role,
    /// Correlations that this event begins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub correlated: BTreeMap<String, Value>,
    /// Nothing more is waited for.
    pub done: bool,
}

/// What an event is to who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// One of the events: the index of its filter, 0 for `any: []`.
    Event(usize),
    /// It only counts towards the end of an `any`.
    End(usize),
}

impl Consumed {
    /// How `event` fits, if it does. `read` is what becomes of it, `items` are
    /// the events read before.
    ///
    /// # Errors
    ///
    /// The expression of `until` fails.
    pub fn fit(
        &self,
        wanted: &EventConsumption,
        event: &CloudEvent,
        (items, read): (&[Value], &Value),
        scope: &dyn Variables,
    ) -> Result<Option<Fit>, Fault> {
        Ok(match wanted {
            EventConsumption::One(filter) => {
                self.correlates(filter, event, scope).map(|correlated| event_of(0, correlated, true))
            }
            EventConsumption::All(filters) => {
                let (index, correlated) = match self.first_open(filters, &self.filled, event, scope) {
                    Some(found) => found,
                    None => return Ok(None),
                };
                Some(event_of(index, correlated, self.filled.len() + 1 == filters.len()))
            }
            EventConsumption::Any { filters, until } => {
                if let Some(Until::Consumed(end)) = until
                    && let Some(fit) = self.fit_end(end, event, scope)
                {
                    return Ok(Some(fit));
                }
                let found = match &filters[..] {
                    [] => Some((0, BTreeMap::new())),
                    filters => self.first_open(filters, &BTreeSet::new(), event, scope),
                };
                let Some((index, correlated)) = found else { return Ok(None) };
                let done = match until {
                    None => true,
                    Some(Until::Consumed(_)) => false,
                    Some(Until::Holds(condition)) => {
                        let so_far = items.iter().chain([read]).cloned().collect();
                        condition.holds(&Value::Array(so_far), scope)?
                    }
                };
                Some(event_of(index, correlated, done))
            }
        })
    }

    /// As an event that ends an `any`.
    fn fit_end(&self, end: &EventConsumption, event: &CloudEvent, scope: &dyn Variables) -> Option<Fit> {
        let (filters, needed, taken) = match end {
            EventConsumption::One(filter) => (std::slice::from_ref(filter), 1, BTreeSet::new()),
            EventConsumption::Any { filters, .. } => (&filters[..], 1, BTreeSet::new()),
            EventConsumption::All(filters) => (&filters[..], filters.len(), self.until_filled.clone()),
        };
        let (index, correlated) = match filters {
            [] => (0, BTreeMap::new()),
            filters => self.first_open(filters, &taken, event, scope)?,
        };
        Some(Fit { role: Role::End(index), correlated, done: taken.len() + 1 >= needed })
    }

    fn first_open(
        &self,
        filters: &[EventFilter],
        taken: &BTreeSet<usize>,
        event: &CloudEvent,
        scope: &dyn Variables,
    ) -> Option<(usize, BTreeMap<String, Value>)> {
        let open = filters.iter().enumerate().filter(|(index, _)| !taken.contains(index));
        open.filter_map(|(index, filter)| Some((index, self.correlates(filter, event, scope)?))).next()
    }

    /// What the event begins to correlate; none if it does not fit the filter.
    fn correlates(
        &self,
        filter: &EventFilter,
        event: &CloudEvent,
        scope: &dyn Variables,
    ) -> Option<BTreeMap<String, Value>> {
        if !attributes_fit(filter, event, scope) {
            return None;
        }
        let whole = Value::from(event.clone());
        let mut begun = BTreeMap::new();
        for (name, correlation) in &filter.correlate {
            let value = correlation.from.evaluate(&whole, scope).ok().filter(|value| !value.is_null())?;
            let expected = match &correlation.expect {
                Some(expect) => Some(expect.evaluate(&whole, scope).ok()?),
                None => self.correlated.get(name).cloned(),
            };
            match expected {
                Some(expected) if expected != value => return None,
                Some(_) => {}
                None => drop(begun.insert(name.clone(), value)),
            }
        }
        Some(begun)
    }

    /// Remembers a fit.
    pub fn take(&mut self, fit: &Fit) {
        match fit.role {
            Role::Event(index) => self.filled.insert(index),
            Role::End(index) => self.until_filled.insert(index),
        };
        self.correlated.extend(fit.correlated.clone());
    }
}

fn event_of(index: usize, correlated: BTreeMap<String, Value>, done: bool) -> Fit {
    Fit { role: Role::Event(index), correlated, done }
}

/// Every attribute that the filter names: equal to what is written, or the
/// expression over it gives true or an equal value.
fn attributes_fit(filter: &EventFilter, event: &CloudEvent, scope: &dyn Variables) -> bool {
    filter.with.iter().all(|(name, wanted)| {
        let value = match name.as_str() {
            "data" => event.data(),
            name => event.attribute(name).cloned().unwrap_or_default(),
        };
        let Ok(wanted_value) = wanted.evaluate(&value, scope) else { return false };
        match (is_expression(&wanted.source), &wanted_value) {
            (true, Value::Bool(_)) => is_true(&wanted_value) || value == wanted_value,
            (true, Value::Null) => false,
            _ => wanted_value == value,
        }
    })
}

fn is_expression(source: &Value) -> bool {
    source.as_str().is_some_and(|text| text.trim_start().starts_with("${"))
}

/// The types of the events that can fit; empty: any.
pub fn types(wanted: &EventConsumption) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    let (everything, until_everything) = match wanted {
        EventConsumption::Any { filters, until } => (
            filters.is_empty(),
            matches!(until, Some(Until::Consumed(end)) if matches!(end.as_ref(), EventConsumption::Any { filters, .. } if filters.is_empty())),
        ),
        EventConsumption::All(_) | EventConsumption::One(_) => (false, false),
    };
    if everything || until_everything {
        return types;
    }
    for filter in wanted.filters() {
        match filter.with.get("type").map(|kind| &kind.source) {
            Some(Value::String(kind)) if !is_expression(&Value::from(kind.as_str())) => {
                types.insert(kind.clone());
            }
            Some(_) | None => return BTreeSet::new(),
        }
    }
    types
}
