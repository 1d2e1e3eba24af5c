//! `ask`: a question to a person.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::model::{Ask, TaskKind};
use super::tasks::Context;
use super::values;
use crate::event::{AnswerForm, QuestionOption};
use crate::expression::{Pattern, Template};
use crate::located::{Field, Slot, among};

/// What a definition that names no options offers, and the one that goes on.
const APPROVED: (&str, &str) = ("Approve", "approved");
const REJECTED: (&str, &str) = ("Reject", "rejected");
/// The same for `mode: confirm`.
const CONFIRMED: (&str, &str) = ("Confirm", "confirmed");
const DECLINED: (&str, &str) = ("Decline", "declined");

/// What a person can be expected to read through.
const OPTIONS_MAX: usize = 100;

/// What the portal calls the kinds of answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Approval,
    Confirm,
    Choice,
    MultiChoice,
    Text,
    Object,
}

impl Mode {
    const ALL: [(&str, Mode); 6] = [
        ("approval", Mode::Approval),
        ("confirm", Mode::Confirm),
        ("choice", Mode::Choice),
        ("multiChoice", Mode::MultiChoice),
        ("text", Mode::Text),
        ("object", Mode::Object),
    ];

    /// Whether one of the options is the answer.
    fn is_choice(self) -> bool {
        match self {
            Mode::Approval | Mode::Confirm | Mode::Choice => true,
            Mode::MultiChoice | Mode::Text | Mode::Object => false,
        }
    }
}

pub fn ask(_: &Field, field: &Field, _: Context) -> Option<TaskKind> {
    let [
        prompt,
        assignee,
        assignment,
        options,
        options_from,
        subject,
        timeout,
        on_timeout,
        proceed_on,
        mode,
        required,
        default,
        schema,
        validate,
        retry,
    ] = field.fields_refusing(
        [
            "prompt",
            "assignee",
            "assignment",
            "options",
            "optionsFrom",
            "subject",
            "timeout",
            "onTimeout",
            "proceedOn",
            "mode",
            "required",
            "default",
            "schema",
            "validate",
            "retryOnInvalid",
        ],
        // An answer is part of the history, which everyone may read.
        &["sensitive"],
    )?;
    let prompt = prompt.required(values::prose);
    let assigned = assigned(&assignee, &assignment);
    let mode = mode_of(&mode, &options, &options_from, &schema, &validate);
    let named = options.optional(named_options);
    let options_from = options_from.optional(values::template);
    let subject = subject.optional(values::template);
    let limit = timeout.optional(|field| {
        let [after] = field.fields(["after"])?;
        after.required(values::time_limit)
    });
    let (mode, named, options_from) = (mode?, named?, options_from?);

    let answer = answer_form(mode, &schema, &validate, &required, &retry);
    let options = match (&named, mode) {
        (Some(named), _) => named.clone(),
        (None, Mode::Approval) if options_from.is_none() => [APPROVED, REJECTED].map(option).to_vec(),
        (None, Mode::Confirm) if options_from.is_none() => [CONFIRMED, DECLINED].map(option).to_vec(),
        (None, _) => Vec::new(),
    };
    if options.is_empty() && options_from.is_none() && matches!(mode, Mode::Choice | Mode::MultiChoice) {
        field.error("`ask` lets choose and has no options", Some("add `options` or `optionsFrom`"));
        return None;
    }
    let proceed_on = proceed_on.optional(|field| {
        if !mode.is_choice() {
            field.error("`ask.proceedOn` is about options, and the answer is none", Some("check it with `assert`"));
            return None;
        }
        let known = options_from.is_none();
        let values =
            field.each(|item| if known { answer_option(item, &options) } else { item.text().map(str::to_owned) });
        field.items_some().and(values)
    });
    let answer = answer?;
    let default = default.optional(|field| default_value(field, mode, &options, options_from.is_some(), &answer));
    let default = default?;
    let answer = answer.map(|form| AnswerForm { default: default.clone(), ..form });
    let on_timeout = on_timeout.optional(|field| {
        timed_out(field, &timeout, default.as_ref(), &|field| {
            default_value(field, mode, &options, options_from.is_some(), &answer)
        })
    });
    let on_timeout = on_timeout?.flatten();
    if answer.is_none() && default.is_some() && on_timeout.is_none() {
        field.error(
            "`ask.default` of a choice is what `onTimeout` answers, and there is none",
            Some("add `onTimeout: { action: default }`"),
        );
        return None;
    }
    let Assigned { assignee, role, category, reason } = assigned?;
    let written = |answer_value: Value| match &answer {
        Some(form) => form.write(&answer_value),
        None => answer_value.as_str().unwrap_or_default().to_owned(),
    };
    Some(TaskKind::Ask(Box::new(Ask {
        prompt: prompt?,
        assignee,
        role,
        category,
        reason,
        subject: subject?,
        timeout: limit?,
        on_timeout: on_timeout.map(written),
        proceed_on: proceed_on?.unwrap_or_else(|| match (&named, mode) {
            (Some(named), _) if mode.is_choice() && options_from.is_none() => {
                named.iter().map(|option| option.value.clone()).collect()
            }
            (None, Mode::Approval) if options_from.is_none() => vec![APPROVED.1.to_owned()],
            (None, Mode::Confirm) if options_from.is_none() => vec![CONFIRMED.1.to_owned()],
            _ => Vec::new(),
        }),
        options,
        options_from,
        answer,
        is_multiple: mode == Mode::MultiChoice,
    })))
}

/// The mode, or the one that the other fields speak of.
fn mode_of(mode: &Slot, options: &Slot, options_from: &Slot, schema: &Slot, validate: &Slot) -> Option<Mode> {
    let otherwise = match (schema.is_given(), validate.is_given()) {
        (true, _) => Mode::Object,
        (false, true) => Mode::Text,
        (false, false) if options.is_given() || options_from.is_given() => Mode::Choice,
        (false, false) => Mode::Approval,
    };
    let mode = mode.or(otherwise, |field| match field.text()? {
        "file" => field.unsupported("`ask.mode: file`"),
        _ => field.choice(&Mode::ALL),
    })?;
    if matches!(mode, Mode::Text | Mode::Object)
        && let Some(field) = options.given().or_else(|| options_from.given())
    {
        field.error(format!("`{}` is not used by this mode", field.label), Some("use `mode: choice` or `multiChoice`"));
        return None;
    }
    Some(mode)
}

/// What an answer that is no choice must be; none for a choice.
fn answer_form(
    mode: Mode,
    schema: &Slot,
    validate: &Slot,
    required: &Slot,
    retry: &Slot,
) -> Option<Option<AnswerForm>> {
    let given = schema.optional(values::inline_schema);
    let validated = validate.optional(validation);
    let is_required = required.or(true, Field::boolean);
    let retry_on_invalid = retry.or(true, Field::boolean);
    let (given, validated, is_required, retry_on_invalid) = (given?, validated?, is_required?, retry_on_invalid?);
    if mode.is_choice() {
        let unused = [schema, validate, retry].into_iter().find_map(Slot::given);
        if let Some(field) = unused {
            field.error(format!("`{}` is not used by a choice", field.label), Some("use `mode: text` or `object`"));
            return None;
        }
        if !is_required {
            return required.given()?.unsupported("`ask.required: false` of a choice");
        }
        return Some(None);
    }
    let mut parts = vec![match mode {
        Mode::Text if is_required => json!({ "type": "string", "minLength": 1 }),
        Mode::Text => json!({ "type": "string" }),
        Mode::MultiChoice => json!({ "type": "array", "uniqueItems": true, "minItems": u8::from(is_required) }),
        Mode::Approval | Mode::Confirm | Mode::Choice | Mode::Object => json!({}),
    }];
    parts.extend(given);
    parts.extend(validated);
    Some(Some(AnswerForm {
        is_text: mode == Mode::Text,
        schema: json!({ "allOf": parts }),
        required: is_required,
        default: None,
        retry_on_invalid,
    }))
}

/// `validate` as a JSON schema.
fn validation(field: &Field) -> Option<Value> {
    let [least, most, pattern, among, schema] =
        field.fields(["minLength", "maxLength", "pattern", "enum", "schema"])?;
    let length = |slot: &Slot| slot.optional(|field| field.integer(0, u64::from(u32::MAX)));
    let (least, most) = (length(&least), length(&most));
    let pattern = pattern.optional(|field| {
        let text = field.text()?;
        if let Err(why) = Pattern::compile(text) {
            field.error(format!("`{}`: `{text}` is not a regular expression: {why}", field.label), None);
            return None;
        }
        Some(text.to_owned())
    });
    let among = among.optional(|field| {
        field.items_some()?;
        Some(field.node.to_json())
    });
    let schema = schema.optional(values::inline_schema);
    let mut document = serde_json::Map::new();
    let members = [
        ("minLength", least?.map(Value::from)),
        ("maxLength", most?.map(Value::from)),
        ("pattern", pattern?.map(Value::from)),
        ("enum", among?),
    ];
    document.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Some(json!({ "allOf": [document, schema?.unwrap_or(json!({}))] }))
}

fn option((label, value): (&str, &str)) -> QuestionOption {
    QuestionOption { label: label.to_owned(), value: value.to_owned(), description: None }
}

struct Assigned {
    assignee: Option<Template>,
    role: Option<Template>,
    category: Option<Template>,
    reason: Option<Template>,
}

/// `assignee`, or `assignment` as the portal writes it.
fn assigned(assignee: &Slot, assignment: &Slot) -> Option<Assigned> {
    let person = assignee.optional(values::text_template);
    let Some(assignment) = assignment.given() else {
        return Some(Assigned { assignee: person?, role: None, category: None, reason: None });
    };
    let [assignee_id, role, category, reason] =
        assignment.fields(["assigneeId", "roleId", "categoryCode", "reasonCode"])?;
    if let (Some(_), true) = (assignee_id.given(), assignee.is_given()) {
        assignment.error("`ask.assignee` and `ask.assignment.assigneeId` both name a person", Some("keep one of them"));
    }
    let assignee_id = assignee_id.optional(values::text_template);
    let role = role.optional(values::text_template);
    let category = category.optional(values::text_template);
    let reason = reason.optional(values::text_template);
    Some(Assigned { assignee: person?.or(assignee_id?), role: role?, category: category?, reason: reason? })
}

/// `{ label, value, description }`; the label is the value if there is none.
fn named_options(field: &Field) -> Option<Vec<QuestionOption>> {
    let mut values = HashSet::new();
    if field.items_some()?.len() > OPTIONS_MAX {
        field.error(format!("`{}` has more than {OPTIONS_MAX} items", field.label), Some("ask about fewer things"));
        return None;
    }
    field.each(|item| {
        let [label, value, description] = item.fields(["label", "value", "description"])?;
        let label = label.optional(Field::text_some);
        let description = description.optional(Field::text);
        let value = value.required(Field::text_some)?;
        if !values.insert(value) {
            item.error(format!("two options have the value `{value}`"), Some("change one of them"));
        }
        let description = description?.map(str::to_owned);
        Some(QuestionOption { description, ..option((label?.unwrap_or(value), value)) })
    })
}

/// `onTimeout`: `default` answers for the person, `fault` ends with `timeout`.
fn timed_out(
    field: &Field,
    timeout: &Slot,
    otherwise: Option<&Value>,
    read: &dyn Fn(&Field) -> Option<Value>,
) -> Option<Option<Value>> {
    let [action, default] = field.fields(["action", "default"])?;
    let action = action.required(|field| field.choice(&[("default", true), ("fault", false)]));
    if !timeout.is_given() {
        field.error("`ask.onTimeout` without `ask.timeout`", Some("add `timeout: { after: PT24H }`"));
    }
    match (action?, otherwise) {
        (true, Some(otherwise)) if !default.is_given() => Some(Some(otherwise.clone())),
        (true, _) => default.required(read).map(Some),
        (false, _) if default.is_given() => {
            field.error(
                "`ask.onTimeout.default` is not used by action `fault`",
                Some("remove it, or use `action: default`"),
            );
            None
        }
        (false, _) => Some(None),
    }
}

/// An answer in the definition: the value of an option, or what the form asks for.
fn default_value(
    field: &Field,
    mode: Mode,
    options: &[QuestionOption],
    has_more: bool,
    form: &Option<AnswerForm>,
) -> Option<Value> {
    match form {
        None if has_more => field.text().map(Value::from),
        None => answer_option(field, options).map(Value::from),
        Some(form) => {
            if mode == Mode::MultiChoice && !has_more {
                field.each(|item| answer_option(item, options))?;
            }
            let value = field.node.to_json();
            match form.read(&form.write(&value)) {
                Ok(_) => Some(value),
                Err(why) => {
                    field.error(format!("`{}` does not conform: {why}", field.label), None);
                    None
                }
            }
        }
    }
}

/// The value of an option.
fn answer_option(field: &Field, options: &[QuestionOption]) -> Option<String> {
    let text = field.text()?;
    if options.iter().any(|option| option.value == text) {
        return Some(text.to_owned());
    }
    let help = format!("the values of the options are {}", among(options.iter().map(|option| &option.value)));
    field.error(format!("`{}`: `{text}` is not the value of an option", field.label), Some(&help));
    None
}
