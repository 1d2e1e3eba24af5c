//! CloudEvents 1.0, as they come in and go out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::Timestamp;

/// Largest event: what CloudEvents asks every intermediary to forward.
pub const EVENT_BYTES_MAX: usize = 64 << 10;

/// A whole event, in the structured JSON form.
///
/// `id`, `source`, `type` and `specversion` are there, attributes have the
/// names and forms that the specification asks for, and there is one payload at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct CloudEvent(Map<String, Value>);

/// Why a JSON value is no event; `attribute` is where, empty for the whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct CloudEventError {
    pub attribute: String,
    pub detail: String,
}

impl CloudEvent {
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn new(value: Value) -> Result<Self, CloudEventError> {
        let wrong = |attribute: &str, detail: String| CloudEventError { attribute: attribute.to_owned(), detail };
        let Value::Object(attributes) = value else {
            return Err(wrong("", "an event is a JSON object".to_owned()));
        };
        for name in ["id", "source", "type", "specversion"] {
            match attributes.get(name) {
                Some(Value::String(text)) if !text.is_empty() => {}
                Some(_) => return Err(wrong(name, format!("`{name}` is a text that is not empty"))),
                None => return Err(wrong(name, format!("an event needs `{name}`"))),
            }
        }
        if attributes.get("specversion") != Some(&Value::from("1.0")) {
            return Err(wrong("specversion", "only CloudEvents 1.0 are understood".to_owned()));
        }
        for (name, value) in &attributes {
            if let Some(detail) = wrong_attribute(name, value) {
                return Err(wrong(name, detail));
            }
        }
        if attributes.contains_key("data") && attributes.contains_key("data_base64") {
            return Err(wrong("data_base64", "an event has `data` or `data_base64`, not both".to_owned()));
        }
        let event = Self(attributes);
        let size_bytes = Value::from(event.clone()).to_string().len();
        if size_bytes > EVENT_BYTES_MAX {
            return Err(wrong("", format!("an event has at most {EVENT_BYTES_MAX} bytes, and this one {size_bytes}")));
        }
        Ok(event)
    }

    pub fn id(&self) -> &str {
        self.text("id")
    }

    pub fn source(&self) -> &str {
        self.text("source")
    }

    pub fn kind(&self) -> &str {
        self.text("type")
    }

    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The payload as JSON: what is given as base64 is decoded if it is JSON or text.
    pub fn data(&self) -> Value {
        match self.decoded() {
            Some(bytes) => match serde_json::from_slice(&bytes) {
                Ok(json) if self.is_json() => json,
                _ => String::from_utf8(bytes).map_or_else(|_| self.raw_data(), Value::from),
            },
            None => self.raw_data(),
        }
    }

    /// The payload as it came: `data`, or the base64 text; null without one.
    pub fn raw_data(&self) -> Value {
        self.0.get("data").or_else(|| self.0.get("data_base64")).cloned().unwrap_or_default()
    }

    fn decoded(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.0.get("data_base64")?.as_str()?).ok()
    }

    /// Without `datacontenttype` the payload is JSON.
    fn is_json(&self) -> bool {
        let kind = self.0.get("datacontenttype").and_then(Value::as_str).unwrap_or("application/json");
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind.ends_with("/json") || kind.ends_with("+json")
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl TryFrom<Value> for CloudEvent {
    type Error = CloudEventError;
    fn try_from(value: Value) -> Result<Self, CloudEventError> {
        Self::new(value)
    }
}

impl From<CloudEvent> for Value {
    fn from(event: CloudEvent) -> Value {
        Value::Object(event.0)
    }
}

/// What is wrong with one attribute.
fn wrong_attribute(name: &str, value: &Value) -> Option<String> {
    match (name, value) {
        ("data", _) => None,
        ("data_base64", Value::String(text)) if STANDARD.decode(text).is_ok() => None,
        ("data_base64", _) => Some("`data_base64` is a base64 text".to_owned()),
        ("time", Value::String(text)) if text.parse::<Timestamp>().is_ok() => None,
        ("time", _) => Some("`time` is a point in time like `2026-06-07T12:00:00Z`".to_owned()),
        ("subject" | "datacontenttype" | "dataschema", Value::String(text)) if !text.is_empty() => None,
        ("subject" | "datacontenttype" | "dataschema", _) => Some(format!("`{name}` is a text that is not empty")),
        // CloudEvents 1.0, “Naming Conventions” and “Type System”.
        (_, _) if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) => {
            Some(format!("`{name}` cannot name an attribute: use lower-case letters and digits"))
        }
        (_, Value::String(_) | Value::Number(_) | Value::Bool(_)) => None,
        (_, Value::Null | Value::Array(_) | Value::Object(_)) => {
            Some(format!("`{name}` is a text, a number or true or false: put anything else into `data`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(more: Value) -> Result<CloudEvent, CloudEventError> {
        let mut event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"});
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        CloudEvent::new(event)
    }

    #[test]
    fn an_event_is_refused_for_the_first_thing_that_is_wrong() {
        let cases = [
            (json!({}), ""),
            (json!({"comexampleflag": true, "data": [1], "time": "2026-06-07T12:00:00+02:00"}), ""),
            (json!({"id": ""}), "id"),
            (json!({"source": 7}), "source"),
            (json!({"specversion": "0.3"}), "specversion"),
            (json!({"time": "yesterday"}), "time"),
            (json!({"subject": ""}), "subject"),
            (json!({"traceParent": "x"}), "traceParent"),
            (json!({"trace": {}}), "trace"),
            (json!({"data": 1, "data_base64": "MQ=="}), "data_base64"),
            (json!({"data_base64": "?"}), "data_base64"),
        ];
        for (more, attribute) in cases {
            match event(more.clone()) {
                Ok(_) => assert_eq!(attribute, "", "{more}"),
                Err(error) => assert_eq!(error.attribute, attribute, "{more}: {error}"),
            }
        }
        assert!(event(json!({"data": "x".repeat(EVENT_BYTES_MAX)})).is_err());
        assert!(CloudEvent::new(json!([])).is_err());
    }

    #[test]
    fn the_payload_is_read_as_what_it_says_it_is() {
        let cases = [
            (json!({}), json!(null), json!(null)),
            (json!({"data": {"a": 1}}), json!({"a": 1}), json!({"a": 1})),
            (json!({"data_base64": "eyJhIjoxfQ=="}), json!({"a": 1}), json!("eyJhIjoxfQ==")),
            (
                json!({"data_base64": "eyJhIjoxfQ==", "datacontenttype": "text/plain"}),
                json!("{\"a\":1}"),
                json!("eyJhIjoxfQ=="),
            ),
            (json!({"data_base64": "/w=="}), json!("/w=="), json!("/w==")),
        ];
        for (more, data, raw) in cases {
            let event = event(more).unwrap();
            assert_eq!((event.data(), event.raw_data()), (data, raw));
        }
    }
}
