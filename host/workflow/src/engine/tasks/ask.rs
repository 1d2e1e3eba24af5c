//! `ask`: a person decides.

use serde_json::{Value, json};

use super::effects::start_attempt;
use super::plans;
use crate::approval::subject_digest;
use crate::definition::{Ask, TaskKind};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::{Running, after, duration_of, timeout_fault};
use crate::engine::frame::Asking;
use crate::event::{AnswerForm, Decision, Event, Question, QuestionOption};
use crate::expression::Template;
use crate::ids::{Actor, Timestamp};
use crate::plan::ShownPlan;

/// Who decides when nobody does in time and the definition says what then.
pub const TIMER: &str = "host:timer";

/// Asks, or first finds out what the steps would run that the question is about.
pub fn ask(running: Running<'_>, ask: &Ask, now: Timestamp) -> Result<Event, Fault> {
    match plans::wanted(running, now)? {
        Some(effect) => Ok(start_attempt(running, effect)),
        None => asked(running, ask, None, now),
    }
}

/// The question, with the plan that it shows.
pub(super) fn asked(
    running: Running<'_>,
    ask: &Ask,
    plan: Option<Box<ShownPlan>>,
    now: Timestamp,
) -> Result<Event, Fault> {
    let input = running.input()?;
    let scope = running.scope(&input);
    let evaluate = |template: &Template| template.evaluate(&input, &scope);
    let optional_text = |template: &Option<Template>| match template.as_ref().map(evaluate).transpose()? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Ok::<_, Fault>(Some(text(value))),
    };
    let prompt = text(evaluate(&ask.prompt)?);
    let subject = ask.subject.as_ref().map(evaluate).transpose()?.unwrap_or_default();
    let mut options = ask.options.clone();
    if let Some(template) = &ask.options_from {
        options.extend(options_from(&evaluate(template)?)?);
    }
    let answer = ask.answer.clone().map(|form| match ask.is_multiple {
        true => among(form, &options),
        false => form,
    });
    let limit = |limit| duration_of(limit, "ask.timeout.after", &input, &scope);
    let due = ask.timeout.as_ref().map(limit).transpose()?;
    let question = Question {
        subject_digest: subject_digest(&prompt, &options, &subject, plan.as_deref()),
        prompt,
        assignee: optional_text(&ask.assignee)?,
        role: optional_text(&ask.role)?,
        options,
        subject,
        plan,
        due: due.map(|timeout| after(now, timeout)),
        on_timeout: ask.on_timeout.clone(),
        auto_approvable: running.instance.policy().allow_auto_approval,
        answer,
        category: optional_text(&ask.category)?,
        reason: optional_text(&ask.reason)?,
    };
    Ok(Event::QuestionAsked { path: running.path.clone(), question: Box::new(question) })
}

/// Most options that an expression may give: what a person reads through.
const OPTIONS_MAX: usize = 100;

/// Texts, or objects with `value`, `label` and `description`.
fn options_from(found: &Value) -> Result<Vec<QuestionOption>, Fault> {
    let wrong = || {
        let shown = crate::expression::excerpt(&found.to_string(), 200);
        let detail = format!("`optionsFrom` gives no list of 1 to {OPTIONS_MAX} options: {shown}");
        StandardError::Validation.fault(detail)
    };
    let items = found.as_array().filter(|items| (1..=OPTIONS_MAX).contains(&items.len())).ok_or_else(wrong)?;
    let option = |item: &Value| match item {
        Value::String(text) => Some(QuestionOption { label: text.clone(), value: text.clone(), description: None }),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
            let value = text("value")?;
            Some(QuestionOption {
                label: text("label").unwrap_or_else(|| value.clone()),
                value,
                description: text("description"),
            })
        }
        _ => None,
    };
    items.iter().map(option).collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

/// The form of a list of these options' values.
fn among(mut form: AnswerForm, options: &[QuestionOption]) -> AnswerForm {
    let values: Vec<&str> = options.iter().map(|option| option.value.as_str()).collect();
    form.schema = json!({ "allOf": [form.schema, { "items": { "enum": values } }] });
    form
}

/// A text as it is, anything else as JSON.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

pub fn conclude(running: Running<'_>, asking: &Asking, now: Timestamp) -> Option<Event> {
    let TaskKind::Ask(ask) = &running.task.kind else { return None };
    if let Some(decision) = &asking.answer {
        return Some(running.or_fault(answered(running, asking, ask, decision)));
    }
    let due = asking.question.due?;
    (due <= now).then(|| running.or_fault(unanswered(running, asking, now)))
}

fn answered(running: Running<'_>, asking: &Asking, ask: &Ask, decision: &Decision) -> Result<Event, Fault> {
    let Decision { value, decided_by, decided_at, subject_digest, comment } = decision;
    let answer = match &asking.question.answer {
        None => Value::from(value.as_str()),
        Some(form) => form.read(value).map_err(|why| {
            StandardError::Validation.fault(format!("the answer to `{}` does not conform: {why}", running.task.name))
        })?,
    };
    if !ask.proceed_on.is_empty() && !ask.proceed_on.contains(value) {
        let why = comment.as_ref().map_or(String::new(), |comment| format!(": {comment}"));
        let detail = format!("`{}` was answered `{value}` by {decided_by}{why}", running.task.name);
        return Err(StandardError::Authorization.fault(detail));
    }
    Ok(running.complete(json!({
        "value": answer,
        "decidedBy": decided_by,
        "decidedAt": decided_at.to_string(),
        "comment": comment,
        "subjectDigest": subject_digest,
    })))
}

fn unanswered(running: Running<'_>, asking: &Asking, now: Timestamp) -> Result<Event, Fault> {
    let Some(value) = &asking.question.on_timeout else {
        let due = asking.question.due.unwrap_or(asking.asked_at);
        let waited = due.duration_since(asking.asked_at).unsigned_abs();
        return Err(timeout_fault(&format!("an answer to `{}`", running.task.name), waited));
    };
    let is_answer = match &asking.question.answer {
        None => asking.question.options.iter().any(|option| option.value == *value),
        Some(form) => form.read(value).is_ok(),
    };
    if !is_answer {
        return Err(StandardError::Configuration.fault(format!("`onTimeout: {value}` is no answer to the question")));
    }
    let decision = Decision {
        value: value.clone(),
        decided_by: Actor::new(TIMER).expect("a fixed name is valid"),
        decided_at: now,
        subject_digest: asking.question.subject_digest.clone(),
        comment: Some("nobody answered in time".to_owned()),
    };
    Ok(Event::QuestionAnswered { path: running.path.clone(), decision })
}
