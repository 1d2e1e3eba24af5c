//! Messages: from values to bytes and back, and what a document says of them.

use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use workflow::asyncapi::Message;
use workflow::effect::StandardError;
use workflow::engine::check_schema;

use crate::content::{JSON, decode_bytes, essence, is_json};
use crate::openapi::resolve;
use crate::session::{Failure, configuration};

/// AsyncAPI's schemas are those of this draft, and a little more.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// What a document says of one message.
pub(super) struct MessageFacts<'d> {
    document: &'d Value,
    payload: Option<&'d Value>,
    headers: Option<&'d Value>,
    content_type: Option<&'d str>,
    correlation: Option<Location>,
}

/// Where in a message something stands: `$message.header#/correlationId`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    in_headers: bool,
    pointer: String,
}

impl Location {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let places = [("$message.header#", true), ("$message.payload#", false)];
        let found = places.into_iter().find_map(|(prefix, in_headers)| Some((text.strip_prefix(prefix)?, in_headers)));
        let (pointer, in_headers) = found.ok_or_else(|| {
            configuration(format!(
                "the document's location `{text}` is neither `$message.header#…` nor `$message.payload#…`"
            ))
        })?;
        Ok(Self { in_headers, pointer: pointer.to_owned() })
    }

    /// What stands there in `{ payload, headers }`, as a text.
    pub fn find(&self, message: &Value) -> Option<String> {
        let part = if self.in_headers { &message["headers"] } else { &message["payload"] };
        match part.pointer(&self.pointer)? {
            Value::String(text) => Some(text.clone()),
            scalar @ (Value::Bool(_) | Value::Number(_)) => Some(scalar.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl<'d> MessageFacts<'d> {
    pub fn of(document: &'d Value, message: &'d Value, default_type: Option<&'d str>) -> Result<Self, Failure> {
        let traits = message["traits"].as_array().into_iter().flatten();
        let traits: Vec<&'d Value> = traits.map(|one| resolve(document, one)).collect::<Result<_, _>>()?;
        // What the message says itself is nearer.
        let field =
            |name: &str| [message].into_iter().chain(traits.iter().copied()).find_map(|around| around.get(name));
        let format = field("schemaFormat").and_then(Value::as_str);
        let correlation = match field("correlationId") {
            Some(correlation) => {
                resolve(document, correlation)?["location"].as_str().map(Location::parse).transpose()?
            }
            None => None,
        };
        Ok(Self {
            document,
            payload: field("payload").map(|schema| self::schema(document, schema, format)).transpose()?,
            headers: field("headers").map(|schema| self::schema(document, schema, None)).transpose()?,
            content_type: field("contentType").and_then(Value::as_str).or(default_type),
            correlation,
        })
    }

    fn check(&self, message: &Message) -> Result<(), Failure> {
        if let Some(schema) = self.payload {
            check_schema(&whole(self.document, schema), &message.payload, "payload")?;
        }
        if let Some(schema) = self.headers {
            let headers = Value::Object(message.headers.clone());
            check_schema(&whole(self.document, schema), &headers, "headers of the message")?;
        }
        Ok(())
    }
}

/// A schema that this host can check.
fn schema<'d>(document: &'d Value, schema: &'d Value, format: Option<&'d str>) -> Result<&'d Value, Failure> {
    let schema = resolve(document, schema)?;
    let (format, schema) = match (schema["schemaFormat"].as_str(), schema.get("schema")) {
        (Some(format), Some(inner)) => (Some(format), resolve(document, inner)?),
        _ => (format, schema),
    };
    let is_known = |format: &str| {
        let format = format.to_ascii_lowercase();
        format.contains("vnd.aai.asyncapi") || format.contains("schema+json") || format.contains("schema+yaml")
    };
    if let Some(format) = format.filter(|format| !is_known(format)) {
        let detail = format!("the document describes the message in `{format}`; this host checks JSON schemas");
        return Err(configuration(detail));
    }
    Ok(schema)
}

/// A schema without the document around it. It is as large as that, so there is
/// never more than one.
fn whole(document: &Value, schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.entry("$schema").or_insert_with(|| DRAFT.into());
        // References are pointers into the document.
        for name in ["components", "channels"] {
            if let Some(part) = document.get(name) {
                members.entry(name).or_insert_with(|| part.clone());
            }
        }
    }
    schema
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub(super) struct Outbound {
    pub payload: Bytes,
    pub content_type: Option<String>,
    /// Names and texts.
    pub headers: Vec<(String, String)>,
}

impl Outbound {
    /// # Errors
    ///
    /// `validation`: the message is none of those that the document describes.
    pub fn of(message: &Message, facts: &[MessageFacts<'_>]) -> Result<Self, Failure> {
        let mut refusals = Vec::new();
        let mut fitting = None;
        for one in facts {
            match one.check(message) {
                Ok(()) => {
                    fitting = Some(one);
                    break;
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        match (fitting, refusals.pop()) {
            (None, Some(only)) if refusals.is_empty() => return Err(only),
            (None, Some(_)) => {
                let detail = format!("the message is none of the {} that the document describes", facts.len());
                return Err(StandardError::Validation.fault(detail).into());
            }
            _ => {}
        }
        let content_type = fitting.and_then(|facts| facts.content_type).map(str::to_owned);
        let is_json = content_type.as_deref().map(essence).is_none_or(|essence| is_json(&essence));
        let payload = match &message.payload {
            Value::Null => Bytes::new(),
            Value::String(text) if !is_json || content_type.is_none() => text.clone().into(),
            value if is_json => value.to_string().into(),
            _ => {
                let given = content_type.unwrap_or_default();
                return Err(configuration(format!("a payload that is no text cannot be sent as `{given}`")));
            }
        };
        let text = |(name, value): (&String, &Value)| match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some((name.clone(), text.clone()))),
            scalar @ (Value::Bool(_) | Value::Number(_)) => Ok(Some((name.clone(), scalar.to_string()))),
            Value::Array(_) | Value::Object(_) => Err(configuration(format!("header `{name}` is no text"))),
        };
        let headers = message.headers.iter().filter_map(|header| text(header).transpose()).collect::<Result<_, _>>()?;
        let content_type =
            content_type.or_else(|| matches!(&message.payload, Value::Object(_)).then(|| JSON.to_owned()));
        Ok(Self { payload, content_type, headers })
    }
}

/// A message that came.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbound {
    pub payload: Vec<u8>,
    pub content_type: Option<String>,
    pub headers: Vec<(String, String)>,
    /// What the protocol itself says it belongs to.
    pub correlation: Option<String>,
    /// Tells a message that is given again from others.
    pub mark: Option<String>,
    /// The other side says that it is given again.
    pub is_again: bool,
    /// What acknowledges it.
    pub receipt: Option<u16>,
}

impl Inbound {
    /// `{ payload, headers, correlationId }`; what is not there is left out.
    /// A payload that is not what it says is a text.
    pub fn value(&self, facts: &[MessageFacts<'_>]) -> Value {
        let only = match facts {
            [only] => Some(only),
            _ => None,
        };
        let described = only.and_then(|facts| facts.content_type);
        let given = self.content_type.as_deref().or(described);
        let payload = decode_bytes(&self.payload, given).or_else(|_| decode_bytes(&self.payload, Some("text/plain")));
        let mut message = json!({ "payload": payload.unwrap_or_default() });
        if !self.headers.is_empty() {
            let headers = self.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
            message["headers"] = Value::Object(Map::from_iter(headers));
        }
        let located = facts.iter().find_map(|facts| facts.correlation.as_ref()?.find(&message));
        if let Some(id) = located.or_else(|| self.correlation.clone()) {
            message["correlationId"] = id.into();
        }
        message
    }
}
