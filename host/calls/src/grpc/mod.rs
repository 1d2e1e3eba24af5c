//! `call: grpc`: a method of a service that a proto document describes, over HTTP/2.
//!
//! Source: “gRPC over HTTP2”, and the JSON form of messages in “ProtoJSON”.

mod document;
mod status;

use std::io;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, TE};
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use workflow::calls::GrpcCall;
use workflow::effect::EffectClass;
use workflow::origin::{Origin, OriginScheme};

use crate::auth::Credentials;
use crate::exchange::{Answer, Request};
use crate::http;
use crate::session::{Failure, Session, communication, configuration};
use crate::tls::Speak;

const GRPC: &str = "application/grpc";
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The flag and the length before each message.
const PREFIX: usize = 5;

/// The largest number of a deadline: eight digits.
const TIMEOUT_MS_MAX: u128 = 99_999_999;

pub(crate) async fn call(session: &Session<'_>, call: &GrpcCall) -> Result<Value, Failure> {
    let method = document::method(session, call).await?;
    let body = framed(&request_message(&method, call)?);
    let origin = origin(session, call)?;
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let url = Url::parse(&format!("{origin}{path}"))
        .map_err(|error| configuration(format!("`{origin}{path}` is no URI: {error}")))?;
    let mut headers = http::headers(&[])?;
    headers.remove(ACCEPT);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let left = session.deadline.saturating_duration_since(Instant::now()).as_millis().clamp(1, TIMEOUT_MS_MAX);
    headers.insert(TIMEOUT, HeaderValue::from_str(&format!("{left}m")).expect("digits and a letter"));
    if let Some(authentication) = &call.authentication {
        headers.insert(AUTHORIZATION, Credentials::of(session, authentication)?.header(session).await?);
    }
    let class = session.class(class_of(&method));
    let request = Request { method: Method::POST, url, headers, body, class };
    let opened = session.open(request, Speak::Http2).await?;
    let answer = session.read(opened, class).await?;
    status::check(session, &path, class, &answer)?;
    output(&method, &path, &answer, session.client.limits.body_bytes)
}

/// With TLS, unless the operator approves only the origin without it: the
/// specification has no field for it.
fn origin(session: &Session<'_>, call: &GrpcCall) -> Result<Origin, Failure> {
    let of = |scheme: OriginScheme| {
        let port = call.port.unwrap_or(scheme.default_port());
        Origin::new(scheme, &call.host, port).map_err(|error| configuration(error.to_string()))
    };
    let (secure, plain) = (of(OriginScheme::Https)?, of(OriginScheme::Http)?);
    let approved = session.client.rules().approved();
    Ok(if !approved.contains(&secure) && approved.contains(&plain) { plain } else { secure })
}

/// What the document promises about doing it twice.
fn class_of(method: &MethodDescriptor) -> EffectClass {
    let level = method.method_descriptor_proto().options.as_ref().map(|options| options.idempotency_level());
    match level {
        Some(IdempotencyLevel::NoSideEffects) => EffectClass::Pure,
        Some(IdempotencyLevel::Idempotent) => EffectClass::Idempotent,
        Some(IdempotencyLevel::IdempotencyUnknown) | None => EffectClass::Reconcilable,
    }
}

fn request_message(method: &MethodDescriptor, call: &GrpcCall) -> Result<Vec<u8>, Failure> {
    let arguments = Value::Object(call.arguments.clone());
    let message = DynamicMessage::deserialize(method.input(), arguments)
        .map_err(|error| configuration(format!("`arguments` do not fit `{}`: {error}", method.input().full_name())))?;
    Ok(message.encode_to_vec())
}

fn framed(message: &[u8]) -> Bytes {
    // A body has a limit of a few megabytes, which `open` looks at.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

/// One message, or the list of them if the method streams its answers: at most
/// as many bytes of JSON as a body may have.
fn output(method: &MethodDescriptor, path: &str, answer: &Answer, bytes_max: usize) -> Result<Value, Failure> {
    let mut room = Room { bytes_max, left: bytes_max };
    let mut messages = messages(&answer.body, path)?
        .into_iter()
        .map(|bytes| value(&method.output(), bytes, path, &mut room))
        .collect::<Result<Vec<_>, _>>()?;
    if method.is_server_streaming() {
        return Ok(messages.into());
    }
    match (messages.pop(), messages.is_empty()) {
        (Some(message), true) => Ok(message),
        (Some(_), false) => Err(communication(format!("{path} answered with several messages, and does not stream"))),
        (None, _) => Err(communication(format!("{path} answered OK without a message"))),
    }
}

fn messages<'a>(mut rest: &'a [u8], path: &str) -> Result<Vec<&'a [u8]>, Failure> {
    let mut messages = Vec::new();
    while let Some((prefix, behind)) = rest.split_at_checked(PREFIX) {
        if prefix[0] != 0 {
            return Err(communication(format!("{path} answered with a compressed message, which was not asked for")));
        }
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((message, behind)) = behind.split_at_checked(length) else { break };
        messages.push(message);
        rest = behind;
    }
    match rest {
        [] => Ok(messages),
        _ => Err(communication(format!("{path} answered with a message that is cut off"))),
    }
}

fn value(descriptor: &MessageDescriptor, bytes: &[u8], path: &str, room: &mut Room) -> Result<Value, Failure> {
    let wrong = |error: String| communication(format!("{path} answered with no `{}`: {error}", descriptor.full_name()));
    let message = DynamicMessage::decode(descriptor.clone(), bytes).map_err(|error| wrong(error.to_string()))?;
    // Fields that have their default are written too: a definition reads `.count`, and 0 is a count.
    let options = SerializeOptions::new().skip_default_fields(false);
    // An empty message has two bytes on the wire, and any number of fields here: count before they are made.
    let counted = message.serialize_with_options(&mut serde_json::Serializer::new(&mut *room), &options);
    match counted {
        Ok(()) => {}
        Err(error) if error.is_io() => {
            return Err(communication(format!("the answer has more than {} bytes as JSON", room.bytes_max)));
        }
        Err(error) => return Err(wrong(error.to_string())),
    }
    message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|error| wrong(error.to_string()))
}

/// Takes what is written as long as there is room for it, and keeps none.
struct Room {
    bytes_max: usize,
    left: usize,
}

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or_else(|| io::Error::other("there is no room"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
