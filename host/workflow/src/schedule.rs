//! When a schedule starts instances: pure calculation. Who keeps what was
//! started, and starts, is the host.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cloud_event::CloudEvent;
use crate::definition::{Cron, EventConsumption};
use crate::effect::Fault;
use crate::engine::{Consumed, Role};
use crate::expression::Scope;
use crate::ids::{Digest, InstanceId, Timestamp};

/// What starts instances of a scheduled definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    Every,
    Cron,
    After,
    On,
}

impl Trigger {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::Every => "every",
            Trigger::Cron => "cron",
            Trigger::After => "after",
            Trigger::On => "on",
        }
    }
}

/// The instance that a definition starts for one cause: a due time, or the
/// events that were consumed. The same on every host, so that it starts once.
pub fn instance_id(definition: &Digest, trigger: Trigger, cause: &str) -> InstanceId {
    InstanceId::of_parts(&["schedule", definition.as_str(), trigger.name(), cause])
}

/// What is due now, and when to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The latest due time that has come and was not started. Those before it,
    /// which nobody was there to start, are made up for by this one.
    pub now: Option<Timestamp>,
    pub next: Option<Timestamp>,
}

/// `every`, counted from when the host first saw the definition.
pub fn every(interval: Duration, first_seen: Timestamp, last: Option<Timestamp>, now: Timestamp) -> Due {
    let interval_ns = i128::try_from(interval.as_nanos()).unwrap_or(i128::MAX).max(1);
    let (start, now_ns) = (first_seen.as_nanosecond(), now.as_nanosecond());
    let count = (now_ns - start).max(0) / interval_ns;
    let at = |count: i128| {
        let nanoseconds = interval_ns.checked_mul(count)?.checked_add(start)?;
        Timestamp::from_nanosecond(nanoseconds).ok()
    };
    let latest = if count > 0 { at(count) } else { None };
    Due { now: latest.filter(|due| last.is_none_or(|last| last < *due)), next: at(count + 1) }
}

/// `cron`, in UTC.
pub fn cron(cron: &Cron, first_seen: Timestamp, last: Option<Timestamp>, now: Timestamp) -> Due {
    let last = last.map_or(first_seen, |last| last.max(first_seen));
    let first = cron.next_after(last).filter(|due| *due <= now);
    let latest = first.map(|first| {
        // Not every minute of a year that nobody was there.
        const HOUR: Duration = Duration::from_secs(3_600);
        let spans = [HOUR, HOUR * 24, HOUR * 24 * 32, HOUR * 24 * 366];
        let near = spans.iter().filter_map(|span| {
            let from = now.checked_sub(*span).ok().filter(|from| *from > first)?;
            cron.next_after(from).filter(|due| *due <= now)
        });
        let mut latest = near.max().unwrap_or(first).max(first);
        while let Some(due) = cron.next_after(latest).filter(|due| *due <= now) {
            latest = due;
        }
        latest
    });
    Due { now: latest, next: cron.next_after(now) }
}

/// `after` the end of the instance before; the first starts at once.
pub fn after(delay: Duration, first_seen: Timestamp, last_ended: Option<Timestamp>, now: Timestamp) -> Due {
    let due = match last_ended {
        None => first_seen,
        Some(ended) => ended.checked_add(delay).unwrap_or(Timestamp::MAX),
    };
    if due <= now { Due { now: Some(due), next: None } } else { Due { now: None, next: Some(due) } }
}

/// Events that were consumed for instances that do not start yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows(Vec<Window>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    consumed: Consumed,
    items: Vec<Value>,
    /// Numbers of its events in the order of arrival.
    sequences: Vec<u64>,
}

/// An instance that events start.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// Numbers of the events: names the instance.
    pub cause: String,
    /// The array of the events.
    pub input: Value,
}

/// Windows that are open at once, at most; then the oldest is given up.
const WINDOWS_MAX: usize = 1_000;

impl Windows {
    /// Takes an event into the first window that waits for it, else into a new
    /// one: what does not correlate with one order may with the next.
    ///
    /// # Errors
    ///
    /// The expression of `until` fails; the event is left out.
    pub fn take(
        &mut self,
        wanted: &EventConsumption,
        sequence: u64,
        event: &CloudEvent,
    ) -> Result<Option<Started>, Fault> {
        let whole = Value::from(event.clone());
        let scope = Scope::default();
        let mut found = None;
        for (index, window) in self.0.iter().enumerate() {
            if let Some(fit) = window.consumed.fit(wanted, event, (&window.items, &whole), &scope)? {
                found = Some((index, fit));
                break;
            }
        }
        let (index, fit) = match found {
            Some(found) => found,
            None => match Consumed::default().fit(wanted, event, (&[], &whole), &scope)? {
                // What ends nothing begins nothing.
                Some(fit) if matches!(fit.role, Role::Event(_)) => {
                    if self.0.len() >= WINDOWS_MAX {
                        self.0.remove(0);
                    }
                    self.0.push(Window::default());
                    (self.0.len() - 1, fit)
                }
                Some(_) | None => return Ok(None),
            },
        };
        let window = &mut self.0[index];
        window.consumed.take(&fit);
        window.sequences.push(sequence);
        match fit.role {
            Role::Event(_) => window.items.push(whole),
            Role::End(_) => {}
        }
        if !fit.done {
            return Ok(None);
        }
        let Window { items, sequences, .. } = self.0.remove(index);
        let cause = sequences.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        Ok(Some(Started { cause, input: Value::Array(items) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        format!("2026-06-07T{text}Z").parse().unwrap()
    }

    #[test]
    fn every_is_counted_from_the_first_sight_and_made_up_for_once() {
        let due =
            |last: Option<&str>, now: &str| every(Duration::from_secs(600), at("12:00:00"), last.map(at), at(now));
        for (last, now, expected, next) in [
            (None, "11:00:00", None, "12:10:00"),
            (None, "12:09:59", None, "12:10:00"),
            (None, "12:10:00", Some("12:10:00"), "12:20:00"),
            (Some("12:10:00"), "12:19:00", None, "12:20:00"),
            (Some("12:10:00"), "13:05:00", Some("13:00:00"), "13:10:00"),
            (Some("13:00:00"), "13:05:00", None, "13:10:00"),
        ] {
            assert_eq!(due(last, now), Due { now: expected.map(at), next: Some(at(next)) }, "{last:?} {now}");
        }
    }

    #[test]
    fn cron_is_made_up_for_once_however_long_nobody_was_there() {
        let every_minute: Cron = "* * * * *".parse().unwrap();
        let due = cron(&every_minute, at("12:00:30"), None, at("12:00:59"));
        assert_eq!(due, Due { now: None, next: Some(at("12:01:00")) });
        let due = cron(&every_minute, at("12:00:30"), Some(at("12:01:00")), at("12:05:10"));
        assert_eq!(due, Due { now: Some(at("12:05:00")), next: Some(at("12:06:00")) });
        let years: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(cron(&every_minute, years, None, at("12:05:10")).now, Some(at("12:05:00")));
        let yearly: Cron = "0 0 1 1 *".parse().unwrap();
        assert_eq!(cron(&yearly, years, None, at("12:05:10")).now, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn after_waits_for_the_end_of_the_one_before() {
        let delay = Duration::from_secs(60);
        let due = |ended: Option<&str>, now: &str| after(delay, at("12:00:00"), ended.map(at), at(now));
        assert_eq!(due(None, "12:00:01").now, Some(at("12:00:00")));
        assert_eq!(due(Some("12:05:00"), "12:05:59"), Due { now: None, next: Some(at("12:06:00")) });
        assert_eq!(due(Some("12:05:00"), "12:06:00").now, Some(at("12:06:00")));
    }

    fn on(text: &str) -> EventConsumption {
        let source = format!(
            "document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }}\nschedule: {{ on: {text} }}\ndo: [ {{ a: {{ set: {{ b: 1 }} }} }} ]\n"
        );
        let definition = definition::parse(&source, "d.yaml").unwrap_or_else(|problems| panic!("{problems:?}"));
        definition.schedule.unwrap().on.unwrap()
    }

    fn event(kind: &str, order: u64) -> CloudEvent {
        CloudEvent::new(
            json!({"specversion": "1.0", "id": "1", "source": "/s", "type": kind, "data": {"order": order}}),
        )
        .unwrap()
    }

    /// Causes of what was started, one a line.
    fn started(wanted: &EventConsumption, events: &[(&str, u64)]) -> Vec<String> {
        let mut windows = Windows::default();
        let numbered = (1..).zip(events);
        let taken = numbered.filter_map(|(sequence, (kind, order))| {
            // What is kept between two events is all that counts.
            windows = serde_json::from_value(serde_json::to_value(&windows).unwrap()).unwrap();
            windows.take(wanted, sequence, &event(kind, *order)).unwrap()
        });
        taken.map(|started| started.cause).collect()
    }

    #[test]
    fn events_start_instances_by_order_and_correlation() {
        let one = on("{ one: { with: { type: a } } }");
        assert_eq!(started(&one, &[("a", 1), ("b", 1), ("a", 2)]), ["1", "3"]);
        let all = on("{ all: [ { with: { type: a } }, { with: { type: b } } ] }");
        assert_eq!(started(&all, &[("a", 1), ("a", 2), ("b", 3), ("b", 4)]), ["1 3", "2 4"]);
        let correlated = on("{ all: [ { with: { type: a }, correlate: { order: { from: .data.order } } }, \
               { with: { type: b }, correlate: { order: { from: .data.order } } } ] }");
        assert_eq!(started(&correlated, &[("a", 1), ("a", 2), ("b", 2), ("b", 1)]), ["2 3", "1 4"]);
        let until = on("{ any: [ { with: { type: a } } ], until: { one: { with: { type: end } } } }");
        assert_eq!(started(&until, &[("end", 0), ("a", 1), ("a", 2), ("end", 0), ("a", 3)]), ["2 3 4"]);
    }
}
