//! Websockets: each message of one is a message of the channel.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::header::{AUTHORIZATION, HeaderValue};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use workflow::asyncapi::MESSAGES_BYTES_MAX;
use workflow::effect::StandardError;

use super::link::{LinkError, refusal_of};
use super::message::{Inbound, Outbound};
use crate::Limits;
use crate::connect::Stream;

pub(super) struct Websocket {
    stream: WebSocketStream<Stream>,
}

impl From<Error> for LinkError {
    fn from(error: Error) -> Self {
        LinkError::Lost(error.to_string())
    }
}

impl Websocket {
    pub async fn connect(
        stream: Stream,
        url: &str,
        authorization: Option<HeaderValue>,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        let mut request = url.into_client_request()?;
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGES_BYTES_MAX))
            .max_frame_size(Some(MESSAGES_BYTES_MAX))
            .max_write_buffer_size(2 * limits.body_bytes);
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(answer)) => {
                let status = answer.status().as_u16();
                Err(refusal_of(status, format!("`{url}` answered {status}, and not with a websocket")))
            }
            Err(error) => Err(error.into()),
        }
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
