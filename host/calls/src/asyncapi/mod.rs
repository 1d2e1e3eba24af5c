//! `call: asyncapi`: an operation of an AsyncAPI document, over HTTP, MQTT, NATS
//! or a websocket.

mod document;
mod link;
mod message;
mod mqtt;
mod nats;
mod server;
mod subscribe;
mod wire;
mod ws;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout_at;
use workflow::asyncapi::{AsyncApiCall, Exchange, Message, Protocol};
use workflow::calls::{CallEndpoint, CallRequest, HttpCall, HttpOutput};
use workflow::effect::EffectClass;

use crate::http;
use crate::session::{Failure, Session, configuration};
use document::Operation;
use link::{Link, LinkError, Purpose};
use message::{MessageFacts, Outbound};
use server::{Place, channel_address};

/// How long a subscription takes messages by its own word.
pub(crate) fn time_of(request: &CallRequest) -> Duration {
    let CallRequest::AsyncApi(asyncapi) = request else { return Duration::ZERO };
    match &asyncapi.exchange {
        Exchange::Publish(_) => Duration::ZERO,
        Exchange::Subscribe(subscription) => Duration::from_millis(subscription.time_ms.unwrap_or(0)),
    }
}

pub(crate) async fn call(session: &Session<'_>, call: &AsyncApiCall) -> Result<Value, Failure> {
    let (document, _) = session.document(&call.document).await?;
    let publishes = matches!(call.exchange, Exchange::Publish(_));
    let operation = Operation::find(&document, &call.target, publishes)?;
    let place = Place::choose(session, &operation, call)?;
    let facts = operation.messages()?;
    match &call.exchange {
        Exchange::Publish(message) => publish(session, call, &operation, &place, (message, &facts)).await,
        Exchange::Subscribe(subscription) => {
            let address = channel_address(&operation, None, any(place.protocol), encoder(place.protocol))?;
            let address = checked(address, place.protocol, Purpose::Subscribe)?;
            let source = subscribe::Source { session, call, place: &place, address: &address, facts: &facts };
            subscribe::collect(&source, subscription).await
        }
    }
}

/// Gives the message as it was sent; over HTTP, what was answered.
async fn publish(
    session: &Session<'_>,
    call: &AsyncApiCall,
    operation: &Operation<'_>,
    place: &Place,
    (message, facts): (&Message, &[MessageFacts<'_>]),
) -> Result<Value, Failure> {
    let outbound = Outbound::of(message, facts)?;
    let mut sent = json!({ "payload": message.payload });
    if !message.headers.is_empty() {
        sent["headers"] = Value::Object(message.headers.clone());
    }
    let address = channel_address(operation, Some(&sent), None, encoder(place.protocol))?;
    let address = checked(address, place.protocol, Purpose::Publish)?;
    if place.protocol == Protocol::Http {
        return request(session, call, operation, place, &address, outbound).await;
    }
    let class = session.class(EffectClass::Reconcilable);
    let quality = quality(operation)?;
    let mut link = Link::open(session, call, place, &address, Purpose::Publish).await?;
    session.announce(class).await?;
    let published = timeout_at(session.deadline, link.publish(&address, &outbound, quality)).await;
    match published {
        Ok(Ok(())) => {
            link.close(session.deadline).await;
            Ok(sent)
        }
        Ok(Err(LinkError::Lost(detail))) => Err(session.lost(class, format!("`{}`: {detail}", place.origin))),
        Ok(Err(LinkError::Refused(fault))) => Err(fault.into()),
        Err(_) => Err(session.late(class)),
    }
}

async fn request(
    session: &Session<'_>,
    call: &AsyncApiCall,
    operation: &Operation<'_>,
    place: &Place,
    address: &str,
    message: Outbound,
) -> Result<Value, Failure> {
    let method = operation.binding("http", "method").and_then(Value::as_str).unwrap_or("POST").to_ascii_uppercase();
    let mut headers = message.headers;
    if let Some(content_type) = message.content_type.filter(|_| !message.payload.is_empty()) {
        headers.push(("content-type".to_owned(), content_type));
    }
    let body = match String::from_utf8(message.payload.to_vec()) {
        Ok(text) if !text.is_empty() => Some(Value::String(text)),
        Ok(_) | Err(_) => None,
    };
    let uri = format!("{}{}", place.origin, link::path(place, address));
    let http = HttpCall {
        method,
        endpoint: CallEndpoint { uri, authentication: call.authentication.clone() },
        headers,
        query: Vec::new(),
        body,
        output: HttpOutput::Content,
        redirect: false,
    };
    http::call(session, &http).await
}

/// QoS and `retain` of the operation's MQTT binding: 1, and not kept, where it says nothing.
fn quality(operation: &Operation<'_>) -> Result<(u8, bool), Failure> {
    let qos = match operation.binding("mqtt", "qos").map(Value::as_u64) {
        None => 1,
        Some(Some(qos @ 0..=2)) => qos as u8,
        Some(_) => return Err(configuration("the document's `qos` of MQTT is neither 0, 1 nor 2")),
    };
    Ok((qos, operation.binding("mqtt", "retain").and_then(Value::as_bool).unwrap_or(false)))
}

/// What stands for any value of a parameter in an address that is subscribed to.
fn any(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Mqtt | Protocol::Mqtt5 => Some("+"),
        Protocol::Nats => Some("*"),
        Protocol::Http | Protocol::Ws => None,
    }
}

/// How a parameter is written, so that no value adds a level to the address.
fn encoder(protocol: Protocol) -> fn(&str, &str) -> Result<String, Failure> {
    fn refused(name: &str, value: &str, signs: &[char]) -> Result<String, Failure> {
        match value.is_empty() || value.contains(signs) || value.chars().any(char::is_control) {
            true => Err(configuration(format!("`{value}` cannot be the parameter `{name}` of an address"))),
            false => Ok(value.to_owned()),
        }
    }
    match protocol {
        Protocol::Mqtt | Protocol::Mqtt5 => |name, value| refused(name, value, &['/', '+', '#']),
        Protocol::Nats => |name, value| refused(name, value, &['.', '*', '>', ' ']),
        Protocol::Http | Protocol::Ws => |_, value| Ok(crate::openapi::percent_encoded(value)),
    }
}

/// An address that the protocol can name.
fn checked(address: String, protocol: Protocol, purpose: Purpose) -> Result<String, Failure> {
    let publishes = purpose == Purpose::Publish;
    let is_wrong = match protocol {
        Protocol::Mqtt | Protocol::Mqtt5 => publishes && address.contains(['+', '#']),
        Protocol::Nats => address.contains(char::is_whitespace) || (publishes && address.contains(['*', '>'])),
        Protocol::Http | Protocol::Ws => false,
    };
    if is_wrong || address.is_empty() || address.chars().any(char::is_control) {
        return Err(configuration(format!("{address:?} is no address of `{}`", protocol.name())));
    }
    Ok(address)
}
