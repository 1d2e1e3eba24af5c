//! A person's decision, checked against what the person was shown.

use serde_json::{Value, json};

use crate::event::{Decision, Question, QuestionOption};
use crate::ids::Digest;

/// Why a decision is refused. Nothing is recorded then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedDecision {
    #[error("`{value}` is not one of the options: {options}")]
    NotAnOption { value: String, options: String },
    #[error("the decision names `{named}`, but what is asked now is `{current}`: look again and decide on that")]
    Stale { named: Digest, current: Digest },
}

/// The digest that a decision must name: over the canonical JSON of what is shown.
pub fn subject_digest(prompt: &str, options: &[QuestionOption], subject: &Value) -> Digest {
    Digest::of(canonical(&json!({ "prompt": prompt, "options": options, "subject": subject })).as_bytes())
}

/// Accepts or refuses a decision on a question.
pub fn check(question: &Question, decision: &Decision) -> Result<(), RefusedDecision> {
    if decision.subject_digest != question.subject_digest {
        return Err(RefusedDecision::Stale {
            named: decision.subject_digest.clone(),
            current: question.subject_digest.clone(),
        });
    }
    if question.options.iter().any(|option| option.value == decision.value) {
        return Ok(());
    }
    let options = question.options.iter().map(|option| format!("`{}`", option.value)).collect::<Vec<_>>();
    Err(RefusedDecision::NotAnOption { value: decision.value.clone(), options: options.join(", ") })
}

/// JSON text with sorted keys and no spaces: the same value always gives the same bytes.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let members: Vec<_> =
                keys.into_iter().map(|key| format!("{}:{}", Value::from(key.as_str()), canonical(&map[key]))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_keys() {
        let a: Value = serde_json::from_str(r#"{"b":[1,{"d":2,"c":"x\n"}],"a":null}"#).unwrap();
        assert_eq!(canonical(&a), r#"{"a":null,"b":[1,{"c":"x\n","d":2}]}"#);
    }
}
