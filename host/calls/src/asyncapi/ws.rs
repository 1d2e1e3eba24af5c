//! Websockets: each message of one is a message of the channel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use url::{Position, Url};
use workflow::asyncapi::MESSAGES_BYTES_MAX;
use workflow::effect::StandardError;

use super::link::{LinkError, refusal_of};
use super::message::{Inbound, Outbound};
use crate::Limits;
use crate::connect::Stream;
use crate::exchange::{HEAD_BYTES_MAX, chain};
use crate::http::AGENT;

/// What a server hashes behind the key, to show that it speaks of websockets (RFC 6455, 1.3).
const SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

pub(super) struct Websocket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
}

impl From<Error> for LinkError {
    fn from(error: Error) -> Self {
        LinkError::Lost(error.to_string())
    }
}

impl From<hyper::Error> for LinkError {
    fn from(error: hyper::Error) -> Self {
        LinkError::Lost(chain(&error))
    }
}

impl Websocket {
    pub async fn connect(
        stream: Stream,
        url: &Url,
        authorization: Option<HeaderValue>,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        let key = key()?;
        let mut request = hyper::Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = url[Position::BeforePath..].parse().unwrap_or_default();
        *request.headers_mut() = headers(url, &key)?;
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let io = TokioIo::new(stream);
        let (mut sender, driver) = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(io).await?;
        // It ends when the connection does, or becomes a websocket.
        tokio::spawn(async move {
            let _ = driver.with_upgrades().await;
        });
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let detail = format!("`{url}` answered {status}, and not with a websocket");
            return Err(refusal_of(status.as_u16(), detail));
        }
        if let Err(why) = agreed(answer.headers(), &key) {
            return Err(LinkError::Lost(format!("`{url}` {why}")));
        }
        let upgraded = TokioIo::new(hyper::upgrade::on(answer).await?);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGES_BYTES_MAX))
            .max_frame_size(Some(MESSAGES_BYTES_MAX))
            .max_write_buffer_size(2 * limits.body_bytes);
        Ok(Self { stream: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await })
    }

    /// Sends a message and says goodbye: who says goodbye in turn has read it.
    pub async fn publish(&mut self, message: &Outbound) -> Result<(), LinkError> {
        if let Some((name, _)) = message.headers.first() {
            let detail = format!("a message over a websocket has no headers, and this one has `{name}`");
            return Err(LinkError::Refused(StandardError::Configuration.fault(detail)));
        }
        let frame = match std::str::from_utf8(&message.payload) {
            Ok(text) => Message::text(text),
            Err(_) => Message::binary(message.payload.clone()),
        };
        self.stream.send(frame).await?;
        self.stream.close(None).await?;
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Close(_))) => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(LinkError::Lost("the connection ended without a goodbye".to_owned())),
            }
        }
    }

    /// The next message. Cancel-safe.
    pub async fn next(&mut self) -> Result<Inbound, LinkError> {
        loop {
            let payload = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) | None => {
                    return Err(LinkError::Lost("the other side closed the websocket".to_owned()));
                }
                Some(Err(error)) => return Err(error.into()),
            };
            return Ok(Inbound { payload, ..Inbound::default() });
        }
    }
}

/// Sixteen random bytes: no answer that was kept fits.
fn key() -> Result<String, LinkError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| LinkError::Lost(format!("this host has no randomness: {error}")))?;
    Ok(STANDARD.encode(bytes))
}

fn accept_of(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{SALT}").as_bytes()))
}

/// Whether the server's answer is one to this host's request (RFC 6455, 4.1).
fn agreed(answer: &HeaderMap, key: &str) -> Result<(), &'static str> {
    let texts = |name: HeaderName| answer.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let names = |name: HeaderName, wanted: &str| {
        texts(name).flat_map(|text| text.split(',')).any(|one| one.trim().eq_ignore_ascii_case(wanted))
    };
    let is_upgraded = names(UPGRADE, "websocket") && names(CONNECTION, "upgrade");
    if !is_upgraded || !texts(SEC_WEBSOCKET_ACCEPT).eq([accept_of(key)]) {
        return Err("does not show that it speaks of websockets");
    }
    if answer.contains_key(SEC_WEBSOCKET_EXTENSIONS) || answer.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Err("wants an extension or a protocol of websockets that nobody asked for");
    }
    Ok(())
}

fn headers(url: &Url, key: &str) -> Result<HeaderMap, LinkError> {
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let text = |value: &str| {
        HeaderValue::from_str(value).map_err(|_| LinkError::Lost(format!("`{value}` cannot be sent in a header")))
    };
    Ok(HeaderMap::from_iter([
        (HOST, text(host)?),
        (USER_AGENT, HeaderValue::from_static(AGENT)),
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (SEC_WEBSOCKET_KEY, text(key)?),
    ]))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_server_is_believed_by_the_example_of_the_standard() {
        assert_eq!(super::accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
