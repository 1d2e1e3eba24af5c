//! A person's decision, checked against what the person was shown.

use serde_json::{Value, json};

use crate::event::{AnswerForm, Decision, Question, QuestionOption};
use crate::ids::Digest;
use crate::plan::ShownPlan;

/// Why a decision is refused. Nothing is recorded then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedDecision {
    #[error("`{value}` is not one of the options: {options}")]
    NotAnOption { value: String, options: String },
    #[error("the answer does not conform: {why}")]
    NotAnAnswer { why: String },
    #[error("the decision names `{named}`, but what is asked now is `{current}`: look again and decide on that")]
    Stale { named: Digest, current: Digest },
}

/// The digest that a decision must name: over the canonical JSON of what is shown.
pub fn subject_digest(prompt: &str, options: &[QuestionOption], subject: &Value, plan: Option<&ShownPlan>) -> Digest {
    let mut shown = json!({ "prompt": prompt, "options": options, "subject": subject });
    // Absent where there is none, as in questions of earlier versions.
    if let Some(plan) = plan {
        shown["plan"] = json!(plan);
    }
    Digest::of(canonical(&shown).as_bytes())
}

/// Accepts or refuses a decision on a question.
pub fn check(question: &Question, decision: &Decision) -> Result<(), RefusedDecision> {
    if decision.subject_digest != question.subject_digest {
        return Err(RefusedDecision::Stale {
            named: decision.subject_digest.clone(),
            current: question.subject_digest.clone(),
        });
    }
    if let Some(form) = &question.answer {
        return match form.read(&decision.value) {
            Err(why) if form.retry_on_invalid => Err(RefusedDecision::NotAnAnswer { why }),
            Ok(_) | Err(_) => Ok(()),
        };
    }
    if question.options.iter().any(|option| option.value == decision.value) {
        return Ok(());
    }
    let options = question.options.iter().map(|option| format!("`{}`", option.value)).collect::<Vec<_>>();
    Err(RefusedDecision::NotAnOption { value: decision.value.clone(), options: options.join(", ") })
}

impl AnswerForm {
    /// The answer in the value of a decision.
    ///
    /// # Errors
    ///
    /// Why it is none, for the person who gave it.
    pub fn read(&self, value: &str) -> Result<Value, String> {
        if value.trim().is_empty() && !self.required {
            return Ok(self.default.clone().unwrap_or_default());
        }
        let answer = match self.is_text {
            true => Value::from(value),
            false => serde_json::from_str(value).map_err(|error| format!("it is not JSON: {error}"))?,
        };
        let schema = jsonschema::validator_for(&self.schema).map_err(|error| error.to_string())?;
        let wrong: Vec<String> = schema.iter_errors(&answer).take(5).map(|error| error.to_string()).collect();
        if wrong.is_empty() { Ok(answer) } else { Err(wrong.join("; ")) }
    }

    /// An answer as the value of a decision.
    pub fn write(&self, answer: &Value) -> String {
        match answer {
            Value::String(text) if self.is_text => text.clone(),
            other => other.to_string(),
        }
    }
}

/// JSON text with sorted keys and no spaces: the same value always gives the same bytes.
pub fn canonical(value: &Value) -> String {
    let mut text = Vec::new();
    write_canonical(value, &mut text);
    String::from_utf8(text).expect("JSON is UTF-8")
}

fn write_canonical(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            into.push(b'{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                serde_json::to_writer(&mut *into, key).expect("a text can be written to memory");
                into.push(b':');
                write_canonical(member, into);
            }
            into.push(b'}');
        }
        Value::Array(items) => {
            into.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                write_canonical(item, into);
            }
            into.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            serde_json::to_writer(into, value).expect("a scalar can be written to memory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_keys() {
        let a: Value = serde_json::from_str(r#"{"b":[1,{"d":2,"c":"x\n"}],"a":null}"#).unwrap();
        assert_eq!(canonical(&a), r#"{"a":null,"b":[1,{"c":"x\n","d":2}]}"#);
        let b = serde_json::json!({ "\"": [], "": {}, "é": [true, -1.5e300], "Z": "" });
        assert_eq!(canonical(&b), r#"{"":{},"\"":[],"Z":"","é":[true,-1.5e+300]}"#);
    }
}
