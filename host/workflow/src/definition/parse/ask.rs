//! `ask`: a question to a person.

use std::collections::HashSet;

use super::super::model::{Ask, TaskKind};
use super::tasks::Context;
use super::values;
use crate::event::QuestionOption;
use crate::expression::Template;
use crate::located::{Field, Slot, among};

/// What a definition that names no options offers, and the one that goes on.
const APPROVED: (&str, &str) = ("Approve", "approved");
const REJECTED: (&str, &str) = ("Reject", "rejected");

/// What a person can be expected to read through.
const OPTIONS_MAX: usize = 100;

pub fn ask(_: &Field, field: &Field, _: Context) -> Option<TaskKind> {
    let [prompt, assignee, assignment, options, subject, timeout, on_timeout, proceed_on, mode, required] = field
        .fields_refusing(
            [
                "prompt",
                "assignee",
                "assignment",
                "options",
                "subject",
                "timeout",
                "onTimeout",
                "proceedOn",
                "mode",
                "required",
            ],
            &["optionsFrom", "schema", "validate", "default", "retryOnInvalid", "sensitive"],
        )?;
    let prompt = prompt.required(values::prose);
    let assigned = assigned(&assignee, &assignment);
    let named = options.optional(named_options);
    let subject = subject.optional(values::template);
    let limit = timeout.optional(|field| {
        let [after] = field.fields(["after"])?;
        after.required(values::duration)
    });
    // Every question of ours is one between options, and needs an answer.
    let mode = mode.or((), |field| field.choice(&[("approval", ()), ("choice", ())]));
    let required = required.or(true, Field::boolean);
    if required == Some(false) {
        field.unsupported::<()>("`ask.required: false`");
    }

    let named = named?;
    let options = named.clone().unwrap_or_else(|| [APPROVED, REJECTED].map(option).to_vec());
    let on_timeout = on_timeout.optional(|field| default_answer(field, &options, &timeout));
    let proceed_on = proceed_on.optional(|field| {
        let values = field.each(|item| answer(item, &options));
        field.items_some().and(values)
    });
    mode?;
    let (assignee, role) = assigned?;
    Some(TaskKind::Ask(Ask {
        prompt: prompt?,
        assignee,
        role,
        subject: subject?,
        timeout: limit?,
        on_timeout: on_timeout?.flatten(),
        proceed_on: proceed_on?.unwrap_or_else(|| match named {
            Some(named) => named.into_iter().map(|option| option.value).collect(),
            None => vec![APPROVED.1.to_owned()],
        }),
        options,
    }))
}

fn option((label, value): (&str, &str)) -> QuestionOption {
    QuestionOption { label: label.to_owned(), value: value.to_owned() }
}

/// `assignee`, or `assignment` as the portal writes it: person and role.
fn assigned(assignee: &Slot, assignment: &Slot) -> Option<(Option<Template>, Option<Template>)> {
    let person = assignee.optional(values::text_template);
    let Some(assignment) = assignment.given() else {
        return Some((person?, None));
    };
    let [assignee_id, role_id] =
        assignment.fields_refusing(["assigneeId", "roleId"], &["categoryCode", "reasonCode"])?;
    if let (Some(_), true) = (assignee_id.given(), assignee.is_given()) {
        assignment.error("`ask.assignee` and `ask.assignment.assigneeId` both name a person", Some("keep one of them"));
    }
    let assignee_id = assignee_id.optional(values::text_template);
    let role = role_id.optional(values::text_template);
    Some((person?.or(assignee_id?), role?))
}

/// `{ label, value }`; the label is the value if there is none.
fn named_options(field: &Field) -> Option<Vec<QuestionOption>> {
    let mut values = HashSet::new();
    if field.items_some()?.len() > OPTIONS_MAX {
        field.error(format!("`{}` has more than {OPTIONS_MAX} items", field.label), Some("ask about fewer things"));
        return None;
    }
    field.each(|item| {
        let [label, value] = item.fields_refusing(["label", "value"], &["description"])?;
        let label = label.optional(Field::text_some);
        let value = value.required(Field::text_some)?;
        if !values.insert(value) {
            item.error(format!("two options have the value `{value}`"), Some("change one of them"));
        }
        Some(option((label?.unwrap_or(value), value)))
    })
}

/// `onTimeout`: `default` answers for the person, `fault` ends with `timeout`.
fn default_answer(field: &Field, options: &[QuestionOption], timeout: &Slot) -> Option<Option<String>> {
    let [action, default] = field.fields(["action", "default"])?;
    let action = action.required(|field| field.choice(&[("default", true), ("fault", false)]));
    if !timeout.is_given() {
        field.error("`ask.onTimeout` without `ask.timeout`", Some("add `timeout: { after: PT24H }`"));
    }
    match action? {
        true => default.required(|field| answer(field, options)).map(Some),
        false if default.is_given() => {
            field.error(
                "`ask.onTimeout.default` is not used by action `fault`",
                Some("remove it, or use `action: default`"),
            );
            None
        }
        false => Some(None),
    }
}

/// The value of an option.
fn answer(field: &Field, options: &[QuestionOption]) -> Option<String> {
    let text = field.text()?;
    if options.iter().any(|option| option.value == text) {
        return Some(text.to_owned());
    }
    let help = format!("the values of the options are {}", among(options.iter().map(|option| &option.value)));
    field.error(format!("`{}`: `{text}` is not the value of an option", field.label), Some(&help));
    None
}
