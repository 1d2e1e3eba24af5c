//! Tasks that decide what runs: `do`, `fork`, `for`, `switch`, `try`, `raise`, `wait`.

use std::collections::HashSet;
use std::time::Duration;

use super::super::error_type::canonical_error_type;
use super::super::model::{Backoff, ErrorFilter, For, Fork, Raise, Retry, SwitchCase, TaskKind, TimeLimit, Try};
use super::tasks::{Context, list};
use super::{tasks, values};
use crate::effect::Fault;
use crate::event::FlowTarget;
use crate::located::{Field, NodeValue, Slot};

pub fn do_(_: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    list(field, context, "do").map(TaskKind::Do)
}

pub fn fork(_: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    let [branches, compete] = field.fields(["branches", "compete"])?;
    let branches = branches.required(|field| tasks::branches(field, context));
    let compete = compete.or(false, Field::boolean);
    Some(TaskKind::Fork(Fork { branches: branches?, compete: compete? }))
}

pub fn for_(task: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    let [each, items, at] = field.fields(["each", "in", "at"])?;
    let each_name = each.or("item".to_owned(), values::variable);
    let items = items.required(|field| match &field.node.value {
        NodeValue::List(_) => values::template(field),
        _ => values::expression_template(field),
    });
    let at_name = at.or("index".to_owned(), values::variable);
    let while_ = task.slot("while").optional(values::expression);
    let tasks = task.slot("do").required(|field| list(field, context, "do"));
    let (each_name, at_name) = (each_name?, at_name?);
    if each_name == at_name {
        field.error(format!("`for.each` and `for.at` are both `{at_name}`"), Some("give them two names"));
        return None;
    }
    Some(TaskKind::For(Box::new(For { each: each_name, at: at_name, items: items?, while_: while_?, tasks: tasks? })))
}

pub fn switch(_: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    let mut default: Option<String> = None;
    let mut names: HashSet<String> = HashSet::new();
    field.items_some()?;
    let cases = field.each(|item| {
        let [(key, body)] = item.members()? else {
            let message = format!("`{}` must be one case under its name", item.label);
            item.error(message, Some("begin each case with `- name:`"));
            return None;
        };
        let name = key.text()?;
        if !names.insert(name.to_owned()) {
            item.error(format!("two cases of this switch are named `{name}`"), Some("rename one of them"));
        }
        let case = switch_case(name, &item.inner(body, name), context)?;
        let other = if case.when.is_none() { default.replace(case.name.clone()) } else { None };
        if let Some(other) = other {
            item.error(
                format!("`{other}` and `{}` are both defaults of this switch", case.name),
                Some("give all but one of them a `when`"),
            );
        }
        Some(case)
    });
    cases.map(TaskKind::Switch)
}

fn switch_case(name: &str, field: &Field, context: Context) -> Option<SwitchCase> {
    let [when, then] = field.fields(["when", "then"])?;
    let when = when.optional(values::expression);
    let then = then.required(|field| values::flow_target(field, context.siblings));
    Some(SwitchCase { name: name.to_owned(), when: when?, then: then? })
}

pub fn try_(task: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    let tasks = list(field, context, "try");
    let catch = task.slot("catch").required_field()?;
    let [errors, bind, when, except_when, retry, handler, then] =
        catch.fields(["errors", "as", "when", "exceptWhen", "retry", "do", "then"])?;
    let errors = errors.or(ErrorFilter::default(), error_filter);
    let bind = bind.or("error".to_owned(), values::variable);
    let when = when.optional(values::expression);
    let except_when = except_when.optional(values::expression);
    let retry = retry.optional(|field| match field.node.text() {
        Some(_) => values::reused(field, &context.uses.retries, "use.retries"),
        None => retry_policy(field),
    });
    let handler = handler.optional(|field| list(field, context, "catch/do"));
    let then = then.or(FlowTarget::Continue, |field| values::flow_target(field, context.siblings));
    Some(TaskKind::Try(Box::new(Try {
        tasks: tasks?,
        errors: errors?,
        bind: bind?,
        when: when?,
        except_when: except_when?,
        retry: retry?,
        handler: handler?,
        then: then?,
    })))
}

/// `catch.errors`; `details` is what 1.0.3 calls `detail`.
fn error_filter(field: &Field) -> Option<ErrorFilter> {
    let [with] = field.fields(["with"])?;
    let with = with.required_field()?;
    let [kind, status, instance, title, detail, details] =
        with.fields(["type", "status", "instance", "title", "detail", "details"])?;
    let kind = kind.optional(literal);
    let status = status.optional(status_code);
    let instance = instance.optional(literal);
    let title = title.optional(literal);
    if detail.is_given() && details.is_given() {
        with.error("`detail` and `details` are two names of one field", Some("keep `detail`"));
    }
    let detail = if detail.is_given() { detail } else { details }.optional(literal);
    Some(ErrorFilter {
        kind: kind?.map(|kind| canonical_error_type(&kind)),
        status: status?,
        instance: instance?,
        title: title?,
        detail: detail?,
    })
}

/// A filter compares with what is written; expressions belong into `catch.when`.
fn literal(field: &Field) -> Option<String> {
    let text = field.text()?;
    if values::has_expression(field.node) {
        field.error(
            format!("`{}` is compared as it is written", field.label),
            Some("put the expression into `catch.when`"),
        );
        return None;
    }
    Some(text.to_owned())
}

fn status_code(field: &Field) -> Option<u16> {
    field.integer(100, 599).and_then(|status| u16::try_from(status).ok())
}

pub fn retry_policy(field: &Field) -> Option<Retry> {
    let [when, except_when, delay, backoff, limit, jitter] =
        field.fields(["when", "exceptWhen", "delay", "backoff", "limit", "jitter"])?;
    let when = when.optional(values::expression);
    let except_when = except_when.optional(values::expression);
    let delay = delay.or(TimeLimit::Fixed(Duration::ZERO), values::time_limit);
    let backoff = backoff.or(Backoff::Constant, backoff_kind);
    let limit = limit.or(RetryLimit::default(), retry_limit);
    let jitter = jitter.optional(jitter_range);
    let RetryLimit { count_max, attempt_duration_max, duration_max } = limit?;
    Some(Retry {
        when: when?,
        except_when: except_when?,
        delay: delay?,
        backoff: backoff?,
        count_max,
        attempt_duration_max,
        duration_max,
        jitter: jitter?,
    })
}

/// `exponential: {}`; the specification gives none of them parameters.
fn backoff_kind(field: &Field) -> Option<Backoff> {
    let kinds = ["constant", "linear", "exponential"].into_iter().zip([
        Backoff::Constant,
        Backoff::Linear,
        Backoff::Exponential,
    ]);
    let slots = field.fields(["constant", "linear", "exponential"])?;
    let given: Vec<(Slot, Backoff)> = slots
        .into_iter()
        .zip(kinds)
        .filter(|(slot, _)| slot.is_given())
        .map(|(slot, (_, kind))| (slot, kind))
        .collect();
    match &given[..] {
        [(slot, kind)] => slot.required(|field| field.fields([])).map(|[]| *kind),
        _ => {
            field.error(format!("`{}` must name one kind", field.label), Some("write for example `exponential: {}`"));
            None
        }
    }
}

#[derive(Default)]
struct RetryLimit {
    count_max: Option<u32>,
    attempt_duration_max: Option<TimeLimit>,
    duration_max: Option<TimeLimit>,
}

fn retry_limit(field: &Field) -> Option<RetryLimit> {
    let [attempt, duration] = field.fields(["attempt", "duration"])?;
    let of_attempt = attempt.or((None, None), |field| {
        let [count, duration] = field.fields(["count", "duration"])?;
        let count =
            count.optional(|field| field.integer(0, u64::from(u32::MAX)).and_then(|count| u32::try_from(count).ok()));
        let duration = duration.optional(values::time_limit);
        Some((count?, duration?))
    });
    let duration = duration.optional(values::time_limit);
    let (count_max, attempt_duration_max) = of_attempt?;
    Some(RetryLimit { count_max, attempt_duration_max, duration_max: duration? })
}

fn jitter_range(field: &Field) -> Option<(TimeLimit, TimeLimit)> {
    let [from, to] = field.fields(["from", "to"])?;
    let from = from.required(values::time_limit);
    let to = to.required(values::time_limit);
    let (from, to) = (from?, to?);
    if from.fixed().zip(to.fixed()).is_some_and(|(from, to)| from > to) {
        field.error(format!("`{}.from` is longer than `{0}.to`", field.label), Some("swap them"));
        return None;
    }
    Some((from, to))
}

pub fn raise(_: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    let [raised] = field.fields(["error"])?;
    raised
        .required(|field| match field.node.text() {
            Some(_) => values::reused(field, &context.uses.errors, "use.errors"),
            None => error(field),
        })
        .map(TaskKind::Raise)
}

/// An error of `raise` or `use.errors`. One without expressions is made here and now.
pub fn error(field: &Field) -> Option<Raise> {
    let [kind, status, title, detail, instance] = field.fields(["type", "status", "title", "detail", "instance"])?;
    let kind = kind.required(|field| values::text_template(field).and(field.text()));
    let status = status.required(|field| match values::has_expression(field.node) {
        true => values::template(field).map(|_| 0),
        false => status_code(field),
    });
    let title = title.optional(|field| values::text_template(field).and(field.text()));
    let detail = detail.optional(|field| values::text_template(field).and(field.text()));
    let instance = instance.optional(|field| values::text_template(field).and(field.text()));
    let (kind, status, title, detail, instance) = (kind?, status?, title?, detail?, instance?);
    if values::has_expression(field.node) {
        return values::template(field).map(Raise::Inline);
    }
    Some(Raise::Named(Fault {
        kind: canonical_error_type(kind),
        status,
        title: title.map(str::to_owned),
        detail: detail.map(str::to_owned),
        instance: instance.map(str::to_owned),
    }))
}

pub fn wait(_: &Field, field: &Field, _: Context) -> Option<TaskKind> {
    match field.node.text() {
        Some(_) if values::has_expression(field.node) => {
            values::text_template(field).map(|template| TaskKind::Wait(TimeLimit::Computed(template)))
        }
        _ => values::duration(field).map(|duration| TaskKind::Wait(TimeLimit::Fixed(duration))),
    }
}
