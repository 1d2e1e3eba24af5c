//! `schedule`, and the events that `schedule.on` and `listen.to` wait for.

use std::collections::BTreeMap;

use super::super::consumption::{Correlation, EventConsumption, EventFilter, Until};
use super::super::cron::Cron;
use super::super::schedule::Schedule;
use super::values;
use crate::expression::Template;
use crate::located::Field;

pub fn schedule(field: &Field) -> Option<Schedule> {
    let slots = field.fields(["every", "cron", "after", "on"])?;
    if !slots.iter().any(|slot| slot.is_given()) {
        field.error(format!("`{}` does not say when", field.label), Some("give it `every`, `cron`, `after` or `on`"));
        return None;
    }
    let [every, cron, after, on] = slots;
    let every = every.optional(|field| {
        let duration = values::duration(field)?;
        if duration.is_zero() {
            field.error(format!("`{}` is no time at all", field.label), Some("write for example `PT1H`"));
            return None;
        }
        Some(duration)
    });
    let cron = cron.optional(Field::name::<Cron>);
    let after = after.optional(values::duration);
    let on = on.optional(consumption);
    Some(Schedule { every: every?, cron: cron?, after: after?, on: on? })
}

/// `all`, `any` or `one`.
pub fn consumption(field: &Field) -> Option<EventConsumption> {
    let [all, any, one, until] = field.fields(["all", "any", "one", "until"])?;
    if let Some(until) = until.given().filter(|_| !any.is_given()) {
        until.error(format!("`{}` belongs to `any`", until.label), Some("remove it"));
        return None;
    }
    match (all.given(), any.given(), one.given()) {
        (Some(all), None, None) => filters(&all).map(EventConsumption::All),
        (None, Some(any), None) => {
            let filters = any.each(filter);
            let until = until.optional(self::until);
            Some(EventConsumption::Any { filters: filters?, until: until? })
        }
        (None, None, Some(one)) => filter(&one).map(EventConsumption::One),
        _ => {
            field.error(
                format!("`{}` must have one of `all`, `any` and `one`", field.label),
                Some("write for example `one: { with: { type: com.example.ready } }`"),
            );
            None
        }
    }
}

fn filters(field: &Field) -> Option<Vec<EventFilter>> {
    field.items_some()?;
    field.each(filter)
}

fn until(field: &Field) -> Option<Until> {
    if field.node.text().is_some() {
        return values::expression(field).map(Until::Holds);
    }
    let inner = consumption(field)?;
    if let EventConsumption::Any { until: Some(_), .. } = inner {
        field.error(format!("`{}` has an `until` of its own", field.label), Some("remove the inner one"));
        return None;
    }
    Some(Until::Consumed(Box::new(inner)))
}

fn filter(field: &Field) -> Option<EventFilter> {
    let [with, correlate] = field.fields(["with", "correlate"])?;
    let with = with.required(|field| {
        if field.members()?.is_empty() {
            field.error(format!("`{}` lets everything through", field.label), Some("give it for example a `type`"));
            return None;
        }
        field.each_entry(attribute)
    });
    let correlate = correlate.or(BTreeMap::new(), |field| field.each_entry(|_, field| correlation(field)));
    Some(EventFilter { with: with?, correlate: correlate? })
}

fn attribute(name: &str, field: &Field) -> Option<Template> {
    match name {
        "id" | "source" | "type" | "time" | "subject" | "datacontenttype" | "dataschema" => {
            values::text_template(field)
        }
        _ => values::template(field),
    }
}

fn correlation(field: &Field) -> Option<Correlation> {
    let [from, expect] = field.fields(["from", "expect"])?;
    let from = from.required(values::expression);
    let expect = expect.optional(values::text_template);
    Some(Correlation { from: from?, expect: expect? })
}
