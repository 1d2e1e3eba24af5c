//! Values as bodies, and bodies as values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use workflow::effect::StandardError;

use crate::exchange::Answer;
use crate::session::{Failure, communication};

pub(crate) const JSON: &str = "application/json";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The bytes of a body, and its type where `headers` do not say one.
pub(crate) fn encode(body: &Value, headers: &HeaderMap) -> Result<(Bytes, Option<HeaderValue>), Failure> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.map(essence).unwrap_or_default();
    let json = |value: &Value| Bytes::from(value.to_string());
    let of_type = |name: &'static str| given.is_none().then(|| HeaderValue::from_static(name));
    Ok(match body {
        // A text is what is sent, whatever it is.
        Value::String(text) => (Bytes::from(text.clone()), of_type("text/plain; charset=utf-8")),
        Value::Object(members) if essence == FORM => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in members {
                match value {
                    Value::Null => {}
                    Value::String(text) => drop(form.append_pair(name, text)),
                    other => drop(form.append_pair(name, &other.to_string())),
                }
            }
            (Bytes::from(form.finish()), None)
        }
        other if given.is_none() || is_json(&essence) => (json(other), of_type(JSON)),
        _ => {
            let detail = format!("a body that is no text cannot be sent as `{essence}`; give it as text, or send JSON");
            return Err(StandardError::Configuration.fault(detail).into());
        }
    })
}

/// An answer's body: parsed if it says it is JSON, else text, else base64.
pub(crate) fn decode(answer: &Answer) -> Result<Value, Failure> {
    refuse_encoded(answer)?;
    let given = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    decode_bytes(&answer.body, given)
        .map_err(|error| communication(format!("the answer says it is JSON, and is not: {error}")))
}

/// Parsed if the type says it is JSON, else text, else base64; `null` of no bytes.
///
/// # Errors
///
/// It says it is JSON, and is not.
pub(crate) fn decode_bytes(bytes: &[u8], given: Option<&str>) -> Result<Value, serde_json::Error> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    match given.map(essence).as_deref() {
        Some(essence) if is_json(essence) => serde_json::from_slice(bytes),
        // Nobody said what it is.
        None => Ok(serde_json::from_slice(bytes).unwrap_or_else(|_| text_or_base64(bytes))),
        Some(_) => Ok(text_or_base64(bytes)),
    }
}

/// An answer's body in base64.
pub(crate) fn raw(answer: &Answer) -> Result<Value, Failure> {
    refuse_encoded(answer)?;
    Ok(STANDARD.encode(&answer.body).into())
}

/// A few bytes can decompress to any number: nothing compressed is asked for, or taken.
pub(crate) fn refuse_encoded(answer: &Answer) -> Result<(), Failure> {
    match answer.headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes())) {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            Err(communication(format!("the answer is encoded as `{encoding}`, which was not asked for")))
        }
        Some(_) | None => Ok(()),
    }
}

fn text_or_base64(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => STANDARD.encode(bytes).into(),
    }
}

/// The beginning of a body as one line, for an error.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 300;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARACTERS_MAX)]).into_owned();
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(CHARACTERS_MAX).collect()
}

/// A media type without its parameters.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(crate) fn is_json(essence: &str) -> bool {
    essence == JSON || essence == "text/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(content_type: Option<&'static str>, body: &'static [u8]) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Answer { status: hyper::StatusCode::OK, headers, body: Bytes::from_static(body), trailers: HeaderMap::new() }
    }

    #[test]
    fn a_body_is_read_as_what_it_says_it_is() {
        let cases: [(Option<&str>, &[u8], Value); 8] = [
            (Some("application/json"), br#"{"a":1}"#, json!({"a": 1})),
            (Some("application/problem+json; charset=utf-8"), b"[1]", json!([1])),
            (Some("text/plain"), br#"{"a":1}"#, json!(r#"{"a":1}"#)),
            (Some("text/html; charset=utf-8"), b"<p>", json!("<p>")),
            (None, br#"{"a":1}"#, json!({"a": 1})),
            (None, b"hello", json!("hello")),
            (Some("application/octet-stream"), &[0xff, 0x00], json!("/wA=")),
            (Some("application/json"), b"", Value::Null),
        ];
        for (content_type, body, expected) in cases {
            assert_eq!(decode(&answer(content_type, body)).unwrap(), expected, "{content_type:?}");
        }
        assert!(decode(&answer(Some("application/json"), b"{")).is_err());
    }

    #[test]
    fn a_body_is_sent_as_what_the_definition_says_it_is() {
        let header = |value: &'static str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
        let cases = [
            (HeaderMap::new(), json!({"a": 1}), r#"{"a":1}"#, Some("application/json")),
            (HeaderMap::new(), json!(null), "null", Some("application/json")),
            (HeaderMap::new(), json!("as it is"), "as it is", Some("text/plain; charset=utf-8")),
            (header("application/merge-patch+json"), json!({"a": null}), r#"{"a":null}"#, None),
            (header("application/xml"), json!("<a/>"), "<a/>", None),
            (header(FORM), json!({"a": "b c", "n": 1, "gone": null}), "a=b+c&n=1", None),
        ];
        for (headers, body, expected, content_type) in cases {
            let (bytes, given) = encode(&body, &headers).unwrap();
            assert_eq!(bytes, expected.as_bytes(), "{body}");
            assert_eq!(given.as_ref().map(|value| value.to_str().unwrap()), content_type, "{body}");
        }
        assert!(encode(&json!({"a": 1}), &header("application/xml")).is_err());
    }
}
