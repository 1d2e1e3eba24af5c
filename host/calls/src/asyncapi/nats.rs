//! NATS: lines of text, and payloads whose length they say.
//!
//! Source: “NATS Client Protocol”. What is sent is followed by a `PING`: the
//! server answers in order, so its `PONG` says that it has read it all.

use serde::Deserialize;
use serde_json::json;
use workflow::asyncapi::MESSAGES_BYTES_MAX;
use workflow::effect::StandardError;
use workflow::origin::{Origin, OriginScheme};

use super::link::LinkError;
use super::message::{Inbound, Outbound};
use super::wire::Wire;
use crate::Client;
use crate::auth::Login;
use crate::connect::Stream;
use crate::tls::Speak;

/// Longest line of a server: its `INFO` is the longest.
const LINE_BYTES_MAX: usize = 64 * 1024;

const HEADERS: &str = "NATS/1.0";

pub(super) struct Nats {
    wire: Wire<Stream>,
    has_headers: bool,
    /// Most bytes of a message, with its headers.
    payload_max: Option<usize>,
}

/// What a server says first.
#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    headers: bool,
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    tls_available: bool,
    max_payload: Option<usize>,
}

enum Line {
    Info(Info),
    Message(Inbound),
    Ping,
    Pong,
    Ok,
}

impl Nats {
    /// # Errors
    ///
    /// The server says no, or is none of NATS; it has no TLS where that is asked for.
    pub async fn connect(
        client: &Client,
        origin: &Origin,
        stream: Stream,
        login: Option<&Login>,
    ) -> Result<Self, LinkError> {
        let mut nats = Self { wire: Wire::new(stream), has_headers: false, payload_max: None };
        let info = match nats.line().await? {
            Line::Info(info) => info,
            Line::Message(_) | Line::Ping | Line::Pong | Line::Ok => return Err(unexpected()),
        };
        let is_secure = origin.scheme() == OriginScheme::Tls;
        match (is_secure, info.tls_required, info.tls_available) {
            (false, true, _) => {
                let detail = format!("it wants TLS; the operator approves `tls://{}`", origin.authority());
                return Err(LinkError::Refused(StandardError::Communication.fault(detail)));
            }
            (true, false, false) => return Err(LinkError::Lost("the server has no TLS".to_owned())),
            (true, ..) => {
                let stream = nats.wire.into_stream().ok_or_else(unexpected)?;
                let secured = client.upgrade(origin, stream, Speak::Other).await;
                nats.wire = Wire::new(secured.map_err(|error| LinkError::Lost(error.to_string()))?);
            }
            (false, false, _) => {}
        }
        nats.has_headers = info.headers;
        nats.payload_max = info.max_payload;
        let mut hello = json!({
            "verbose": false, "pedantic": false, "echo": true, "headers": info.headers, "no_responders": false,
            "tls_required": is_secure, "lang": "rust", "name": "light-workflow", "protocol": 1,
            "version": env!("CARGO_PKG_VERSION"),
        });
        match login {
            Some(Login::User(user)) => {
                hello["user"] = user.username.as_str().into();
                hello["pass"] = user.password.as_str().into();
            }
            Some(Login::Token(token)) => hello["auth_token"] = token.as_str().into(),
            None => {}
        }
        nats.wire.send(format!("CONNECT {hello}\r\nPING\r\n").as_bytes()).await?;
        nats.pong().await?;
        Ok(nats)
    }

    pub async fn publish(&mut self, subject: &str, message: &Outbound) -> Result<(), LinkError> {
        let mut headers: Vec<(&str, &str)> =
            message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Some(content_type) = message.content_type.as_deref().filter(|_| self.has_headers) {
            headers.insert(0, ("Content-Type", content_type));
        }
        let head = if headers.is_empty() {
            String::new()
        } else {
            if !self.has_headers {
                let detail = "the server has no headers, and the message has some";
                return Err(LinkError::Refused(StandardError::Configuration.fault(detail)));
            }
            let mut head = format!("{HEADERS}\r\n");
            for (name, value) in headers {
                if name.is_empty()
                    || name.contains([':', ' '])
                    || name.chars().chain(value.chars()).any(char::is_control)
                {
                    let detail = format!("header {name:?} holds what no header of NATS can have");
                    return Err(LinkError::Refused(StandardError::Configuration.fault(detail)));
                }
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            head
        };
        let bytes = head.len() + message.payload.len();
        if let Some(max) = self.payload_max.filter(|max| bytes > *max) {
            let detail = format!("the message has {bytes} bytes, and the server takes {max}");
            return Err(LinkError::Refused(StandardError::Configuration.fault(detail)));
        }
        let line = match head.len() {
            0 => format!("PUB {subject} {bytes}\r\n"),
            head_bytes => format!("HPUB {subject} {head_bytes} {bytes}\r\n{head}"),
        };
        let packet = [line.as_bytes(), &message.payload, b"\r\nPING\r\n"].concat();
        self.wire.send(&packet).await?;
        self.pong().await.map_err(after_publishing)
    }

    pub async fn subscribe(&mut self, subject: &str) -> Result<(), LinkError> {
        Ok(self.wire.send(format!("SUB {subject} 1\r\n").as_bytes()).await?)
    }

    /// The next message. Cancel-safe.
    pub async fn next(&mut self) -> Result<Inbound, LinkError> {
        loop {
            match self.line().await? {
                Line::Message(message) => return Ok(message),
                Line::Ping => self.wire.send(b"PONG\r\n").await?,
                Line::Pong | Line::Ok | Line::Info(_) => {}
            }
        }
    }

    async fn pong(&mut self) -> Result<(), LinkError> {
        loop {
            match self.line().await? {
                Line::Pong => return Ok(()),
                Line::Ping => self.wire.send(b"PONG\r\n").await?,
                // A server tells of changes at any time.
                Line::Ok | Line::Info(_) => {}
                Line::Message(_) => return Err(unexpected()),
            }
        }
    }

    /// One line, and the payload that it announces.
    async fn line(&mut self) -> Result<Line, LinkError> {
        loop {
            let end = self.wire.pending().windows(2).position(|pair| pair == b"\r\n");
            let Some(end) = end else {
                if self.wire.pending().len() > LINE_BYTES_MAX {
                    return Err(LinkError::Lost(format!("the server sent a line of more than {LINE_BYTES_MAX} bytes")));
                }
                self.wire.more().await?;
                continue;
            };
            let text = String::from_utf8_lossy(&self.wire.pending()[..end]).into_owned();
            let mut words = text.split_ascii_whitespace();
            let verb = words.next().unwrap_or_default().to_ascii_uppercase();
            let head_count = match verb.as_str() {
                "MSG" => Some(1),
                "HMSG" => Some(2),
                _ => None,
            };
            if let Some(numbers) = head_count {
                let words: Vec<&str> = words.collect();
                let sizes = words.get(words.len().saturating_sub(numbers)..).unwrap_or_default();
                let sizes: Option<Vec<usize>> = sizes.iter().map(|word| word.parse().ok()).collect();
                let (head, total) = match sizes.as_deref() {
                    Some([total]) if numbers == 1 => (0, *total),
                    Some([head, total]) if head <= total => (*head, *total),
                    _ => return Err(unexpected()),
                };
                if total > MESSAGES_BYTES_MAX {
                    let detail = format!("the server sent a message of {total} bytes; {MESSAGES_BYTES_MAX} are taken");
                    return Err(LinkError::Lost(detail));
                }
                let whole = end + 2 + total + 2;
                while self.wire.pending().len() < whole {
                    self.wire.more().await?;
                }
                let bytes = self.wire.take(whole);
                let (head, payload) = bytes[end + 2..whole - 2].split_at(head);
                return Ok(Line::Message(message(head, payload)));
            }
            self.wire.take(end + 2);
            return Ok(match verb.as_str() {
                "INFO" => {
                    let info = text.get(4..).and_then(|info| serde_json::from_str(info).ok());
                    Line::Info(info.ok_or_else(unexpected)?)
                }
                "PING" => Line::Ping,
                "PONG" => Line::Pong,
                "+OK" => Line::Ok,
                "-ERR" => return Err(refusal(text.get(4..).unwrap_or_default().trim())),
                _ => return Err(unexpected()),
            });
        }
    }
}

fn message(head: &[u8], payload: &[u8]) -> Inbound {
    let head = String::from_utf8_lossy(head);
    let headers = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    let of = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
    };
    Inbound { payload: payload.to_vec(), content_type: of("content-type"), headers, ..Inbound::default() }
}

fn unexpected() -> LinkError {
    LinkError::Lost("the server sent what is no NATS".to_owned())
}

/// Only a missing permission is about the message. Everything else ends the
/// connection, a user's rights that were taken back in the meantime too, and
/// the server may have passed the message on before.
fn after_publishing(error: LinkError) -> LinkError {
    match error {
        LinkError::Refused(fault) if fault.kind != StandardError::Authorization.kind() => {
            LinkError::Lost(fault.detail.unwrap_or_default())
        }
        LinkError::Refused(_) | LinkError::Lost(_) => error,
    }
}

fn refusal(said: &str) -> LinkError {
    let said: String = said.trim_matches('\'').chars().filter(|c| !c.is_control()).take(300).collect();
    let lower = said.to_ascii_lowercase();
    let detail = format!("the server refuses: {said}");
    if lower.starts_with("permissions violation") {
        LinkError::Refused(StandardError::Authorization.fault(detail))
    } else if lower.starts_with("authorization") || lower.starts_with("user authentication") {
        LinkError::Refused(StandardError::Authentication.fault(detail))
    } else {
        LinkError::Lost(detail)
    }
}
