//! `ask`: a person decides.

use serde_json::{Value, json};

use crate::approval::subject_digest;
use crate::definition::{Ask, TaskKind};
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::{Running, after, timeout_fault};
use crate::engine::frame::Asking;
use crate::event::{Decision, Event, Question, QuestionOption};
use crate::expression::Template;
use crate::ids::{Actor, Timestamp};

/// Who decides when nobody does in time and the definition says what then.
const TIMER: &str = "host:timer";

pub fn ask(running: Running<'_>, ask: &Ask, now: Timestamp) -> Result<Event, Fault> {
    let input = running.input()?;
    let scope = running.scope(&input);
    let evaluate = |template: &Template| template.evaluate(&input, &scope);
    let optional_text = |template: &Option<Template>| match template.as_ref().map(evaluate).transpose()? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Ok::<_, Fault>(Some(text(value))),
    };
    let prompt = text(evaluate(&ask.prompt)?);
    let subject = ask.subject.as_ref().map(evaluate).transpose()?.unwrap_or_default();
    let options = if ask.options.is_empty() { default_options() } else { ask.options.clone() };
    let question = Question {
        subject_digest: subject_digest(&prompt, &options, &subject),
        prompt,
        assignee: optional_text(&ask.assignee)?,
        role: optional_text(&ask.role)?,
        options,
        subject,
        due: ask.timeout.map(|timeout| after(now, timeout)),
        on_timeout: ask.on_timeout.clone(),
        auto_approvable: running.instance.policy().allow_auto_approval,
    };
    Ok(Event::QuestionAsked { path: running.path.clone(), question: Box::new(question) })
}

fn default_options() -> Vec<QuestionOption> {
    let option = |label: &str, value: &str| QuestionOption { label: label.to_owned(), value: value.to_owned() };
    vec![option("Approve", "approved"), option("Reject", "rejected")]
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
        return Some(running.or_fault(answered(running, ask, decision)));
    }
    let due = asking.question.due?;
    (due <= now).then(|| running.or_fault(unanswered(running, asking, ask, now)))
}

fn answered(running: Running<'_>, ask: &Ask, decision: &Decision) -> Result<Event, Fault> {
    let Decision { value, decided_by, decided_at, subject_digest, comment } = decision;
    let proceeds = match ask.proceed_on.is_empty() {
        true => value == "approved",
        false => ask.proceed_on.contains(value),
    };
    if !proceeds {
        let why = comment.as_ref().map_or(String::new(), |comment| format!(": {comment}"));
        let detail = format!("`{}` was answered `{value}` by {decided_by}{why}", running.task.name);
        return Err(StandardError::Authorization.fault(detail));
    }
    Ok(running.complete(json!({
        "value": value,
        "decidedBy": decided_by,
        "decidedAt": decided_at.to_string(),
        "comment": comment,
        "subjectDigest": subject_digest,
    })))
}

fn unanswered(running: Running<'_>, asking: &Asking, ask: &Ask, now: Timestamp) -> Result<Event, Fault> {
    let Some(value) = &asking.question.on_timeout else {
        let waited = ask.timeout.unwrap_or_default();
        return Err(timeout_fault(&format!("an answer to `{}`", running.task.name), waited));
    };
    if !asking.question.options.iter().any(|option| option.value == *value) {
        return Err(StandardError::Configuration.fault(format!("`onTimeout: {value}` is not one of the options")));
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
