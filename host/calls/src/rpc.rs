//! JSON-RPC 2.0 over HTTP, with the answer in one body or in a stream of events:
//! what MCP and A2A have in common.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;
use workflow::calls::{CallEndpoint, rpc_error};
use workflow::effect::EffectClass;

use crate::auth::Credentials;
use crate::content::JSON;
use crate::events::Events;
use crate::exchange::{Answer, Request, parse_url};
use crate::http;
use crate::session::{Failure, Session, communication, configuration};
use crate::tls::Speak;

/// Where requests go, and with which headers.
pub(crate) struct Peer {
    url: Url,
    pub headers: HeaderMap,
    credentials: Option<Credentials>,
}

/// What a request is answered with.
pub(crate) struct Replies {
    /// `result` of each answer: one, or those of a stream.
    pub results: Vec<Value>,
    /// Of the HTTP answer.
    pub headers: HeaderMap,
}

impl Peer {
    pub fn new(session: &Session<'_>, endpoint: &CallEndpoint, given: &[(String, String)]) -> Result<Self, Failure> {
        let mut headers = http::headers(given)?;
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        let credentials = match &endpoint.authentication {
            Some(_) if headers.contains_key(AUTHORIZATION) => {
                return Err(configuration("both `authentication` and a header `authorization` are given; keep one"));
            }
            Some(authentication) => Some(Credentials::of(session, authentication)?),
            None => None,
        };
        Ok(Self { url: parse_url(&endpoint.uri)?, headers, credentials })
    }

    /// Asks, and waits for the answer. `until_end`: takes every answer of a stream.
    pub async fn ask(
        &mut self,
        session: &Session<'_>,
        (id, method, parameters): (u32, &str, &Value),
        class: EffectClass,
        until_end: bool,
    ) -> Result<Replies, Failure> {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters });
        let request = self.request(session, Method::POST, Bytes::from(message.to_string()), class).await?;
        let mut opened = session.open(request.clone(), Speak::Http1Or2).await?;
        let is_stream =
            opened.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        let headers = opened.headers.clone();
        if !is_stream || !opened.status.is_success() {
            let answer = session.read(opened, class).await?;
            let result = result_of(&parse(&request, &answer)?)?;
            return Ok(Replies { results: vec![result], headers });
        }
        let mut events = Events::default();
        let mut results = Vec::new();
        let mut bytes = 0;
        while let Some(frame) = session.next_frame(&mut opened, class).await? {
            let Ok(data) = frame.into_data() else { continue };
            bytes += data.len();
            if bytes > session.client.limits.body_bytes {
                return Err(communication(format!(
                    "the answer has more than {} bytes",
                    session.client.limits.body_bytes
                )));
            }
            events.push(&data);
            while let Some(event) = events.next() {
                let message: Value = serde_json::from_str(&event)
                    .map_err(|error| communication(format!("an event of the answer is no JSON: {error}")))?;
                // What the server says of its own accord is not the answer.
                if message["id"] != json!(id) {
                    continue;
                }
                results.push(result_of(&message)?);
                if !until_end {
                    return Ok(Replies { results, headers });
                }
            }
        }
        match results.is_empty() {
            true => Err(session.lost(class, "the stream ended before the answer".to_owned())),
            false => Ok(Replies { results, headers }),
        }
    }

    /// Tells, and expects no answer.
    pub async fn tell(&mut self, session: &Session<'_>, method: &str) -> Result<(), Failure> {
        let message = json!({ "jsonrpc": "2.0", "method": method });
        let class = EffectClass::Idempotent;
        let request = self.request(session, Method::POST, Bytes::from(message.to_string()), class).await?;
        let answer = session.exchange(request.clone()).await?;
        if answer.status.is_success() { Ok(()) } else { Err(http::status_fault(&request, &answer)) }
    }

    /// Says goodbye; whoever does not listen does no harm.
    pub async fn leave(&mut self, session: &Session<'_>) {
        if let Ok(request) = self.request(session, Method::DELETE, Bytes::new(), EffectClass::Idempotent).await {
            let _ = session.exchange(request).await;
        }
    }

    async fn request(
        &mut self,
        session: &Session<'_>,
        method: Method,
        body: Bytes,
        class: EffectClass,
    ) -> Result<Request, Failure> {
        let mut headers = self.headers.clone();
        if let Some(credentials) = &mut self.credentials {
            headers.insert(AUTHORIZATION, credentials.header(session).await?);
        }
        Ok(Request { method, url: self.url.clone(), headers, body, class: session.class(class) })
    }
}

fn parse(request: &Request, answer: &Answer) -> Result<Value, Failure> {
    let message: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match message {
        Some(message) if message.get("result").is_some() || message.get("error").is_some() => Ok(message),
        Some(_) | None if !answer.status.is_success() => Err(http::status_fault(request, answer)),
        Some(_) | None => Err(communication(format!("{} answered something else than JSON-RPC", request.url))),
    }
}

/// The result of an answer, or its error as a fault.
pub(crate) fn result_of(message: &Value) -> Result<Value, Failure> {
    if let Some(error) = message.get("error") {
        let message = error["message"].as_str().unwrap_or_default();
        return Err(rpc_error(error["code"].as_i64().unwrap_or_default(), message).into());
    }
    Ok(message.get("result").cloned().unwrap_or_default())
}
