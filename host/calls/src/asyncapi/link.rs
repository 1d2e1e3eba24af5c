//! A connection over which messages go or come, whatever it speaks.

use std::io;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use tokio::time::{Instant, timeout_at};
use url::Url;
use workflow::asyncapi::{AsyncApiCall, MESSAGES_BYTES_MAX, Protocol};
use workflow::effect::{EffectClass, Fault, StandardError};

use super::message::{Inbound, Outbound};
use super::mqtt::{self, Mqtt};
use super::nats::Nats;
use super::server::Place;
use super::ws::Websocket;
use crate::auth::{Credentials, Login};
use crate::events::Events;
use crate::exchange::{Opened, Request, parse_url};
use crate::http;
use crate::session::{Failure, Session, communication, configuration};
use crate::tls::Speak;

/// How long a courtesy to the other side may take, within the time of the call.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(super) enum LinkError {
    /// It broke, or the other side does not speak the protocol.
    Lost(String),
    /// The other side says no.
    Refused(Fault),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        LinkError::Lost(error.to_string())
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Publish,
    Subscribe,
    /// To end what a broker keeps for the task.
    Forget,
}

pub(super) enum Link {
    Mqtt(Box<Mqtt>),
    Nats(Box<Nats>),
    Ws(Box<Websocket>),
    Events(Box<EventStream>),
}

impl Link {
    /// Connects, says who asks, and subscribes to `address` if it is for that.
    /// Nothing was published.
    pub async fn open(
        session: &Session<'_>,
        call: &AsyncApiCall,
        place: &Place,
        address: &str,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let opened = Self::opened(session, call, place, address, purpose);
        match timeout_at(session.deadline, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(session.timed_out().into()),
        }
    }

    async fn opened(
        session: &Session<'_>,
        call: &AsyncApiCall,
        place: &Place,
        address: &str,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let failed = |error: LinkError| match error {
            LinkError::Lost(detail) => communication(format!("`{}`: {detail}", place.origin)),
            LinkError::Refused(fault) => fault.into(),
        };
        let login = |authentication| Login::of(session, authentication);
        match place.protocol {
            Protocol::Mqtt | Protocol::Mqtt5 => {
                let login = call.authentication.as_ref().map(login).transpose()?;
                let login = match &login {
                    Some(Login::User(user)) => Some((user.username.as_str(), user.password.as_str())),
                    Some(Login::Token(_)) => {
                        return Err(configuration("MQTT knows a user name and a password: use `basic`"));
                    }
                    None => None,
                };
                let version = if place.protocol == Protocol::Mqtt5 { mqtt::Version::V5 } else { mqtt::Version::V3 };
                let stream = session.connection(&place.origin, Speak::Other).await?.stream;
                let keeps_session = purpose == Purpose::Subscribe;
                let options = mqtt::Options { version, client: &call.client, login, keeps_session };
                let mut mqtt = Mqtt::connect(stream, options).await.map_err(failed)?;
                if purpose == Purpose::Subscribe {
                    mqtt.subscribe(address).await.map_err(failed)?;
                }
                Ok(Link::Mqtt(Box::new(mqtt)))
            }
            Protocol::Nats => {
                let login = call.authentication.as_ref().map(login).transpose()?;
                let stream = session.connection(&place.origin, Speak::Other).await?.stream;
                let mut nats =
                    Nats::connect(session.client, &place.origin, stream, login.as_ref()).await.map_err(failed)?;
                if purpose == Purpose::Subscribe {
                    nats.subscribe(address).await.map_err(failed)?;
                }
                Ok(Link::Nats(Box::new(nats)))
            }
            Protocol::Ws => {
                let authorization = authorization(session, call).await?;
                let stream = session.connection(&place.origin, Speak::Http1).await?.stream;
                let text = format!("{}{}", place.origin, path(place, address));
                let url = Url::parse(&text).map_err(|error| configuration(format!("`{text}` is no URI: {error}")))?;
                let limits = session.client.limits;
                let ws = Websocket::connect(stream, &url, authorization, limits).await.map_err(failed)?;
                Ok(Link::Ws(Box::new(ws)))
            }
            Protocol::Http => {
                EventStream::open(session, call, place, address).await.map(|it| Link::Events(Box::new(it)))
            }
        }
    }

    pub async fn publish(
        &mut self,
        address: &str,
        message: &Outbound,
        (qos, retain): (u8, bool),
    ) -> Result<(), LinkError> {
        match self {
            Link::Mqtt(mqtt) => mqtt.publish(address, message, qos, retain).await,
            Link::Nats(nats) => nats.publish(address, message).await,
            Link::Ws(ws) => ws.publish(message).await,
            Link::Events(_) => Err(LinkError::Lost("a stream of events takes no message".to_owned())),
        }
    }

    /// The next message. Cancel-safe.
    pub async fn next(&mut self) -> Result<Inbound, LinkError> {
        match self {
            Link::Mqtt(mqtt) => mqtt.next().await,
            Link::Nats(nats) => nats.next().await,
            Link::Ws(ws) => ws.next().await,
            Link::Events(events) => events.next().await,
        }
    }

    /// The message is taken, where that is said at all.
    pub async fn acknowledge(&mut self, receipt: u16) -> Result<(), LinkError> {
        match self {
            Link::Mqtt(mqtt) => mqtt.acknowledge(receipt).await,
            Link::Nats(_) | Link::Ws(_) | Link::Events(_) => Ok(()),
        }
    }

    /// Says goodbye where that is said, which is a courtesy.
    pub async fn close(self, deadline: Instant) {
        match self {
            Link::Mqtt(mqtt) => {
                let _ = timeout_at(deadline.min(Instant::now() + GOODBYE), mqtt.close()).await;
            }
            Link::Nats(_) | Link::Ws(_) | Link::Events(_) => {}
        }
    }
}

/// The path of a channel behind that of its server.
pub(super) fn path(place: &Place, address: &str) -> String {
    format!("{}/{}", place.path, address.trim_start_matches('/'))
}

async fn authorization(session: &Session<'_>, call: &AsyncApiCall) -> Result<Option<HeaderValue>, Failure> {
    match &call.authentication {
        Some(authentication) => Credentials::of(session, authentication)?.header(session).await.map(Some),
        None => Ok(None),
    }
}

/// Server-sent events as messages.
pub(super) struct EventStream {
    opened: Opened,
    events: Events,
    /// Bytes since the last whole event.
    bytes: usize,
}

impl EventStream {
    async fn open(session: &Session<'_>, call: &AsyncApiCall, place: &Place, address: &str) -> Result<Self, Failure> {
        let mut headers = http::headers(&[])?;
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(value) = authorization(session, call).await? {
            headers.insert(AUTHORIZATION, value);
        }
        let url = parse_url(&format!("{}{}", place.origin, path(place, address)))?;
        let request = Request { method: Method::GET, url, headers, body: Bytes::new(), class: EffectClass::Pure };
        let asked = request.clone();
        let opened = session.open(request, Speak::Http1Or2).await?;
        if !opened.status.is_success() {
            let answer = session.read(opened, EffectClass::Pure).await?;
            return Err(http::status_fault(&asked, &answer));
        }
        let of_type = opened.headers.get(hyper::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !of_type.is_some_and(|of_type| of_type.to_ascii_lowercase().starts_with("text/event-stream")) {
            let of_type = of_type.unwrap_or("nothing");
            let detail = format!("`{}` answered with {of_type}, and not with server-sent events", asked.url);
            return Err(communication(detail));
        }
        Ok(Self { opened, events: Events::default(), bytes: 0 })
    }

    async fn next(&mut self) -> Result<Inbound, LinkError> {
        use http_body_util::BodyExt as _;
        loop {
            if let Some(data) = self.events.next() {
                self.bytes = 0;
                return Ok(Inbound { payload: data.into_bytes(), ..Inbound::default() });
            }
            match self.opened.body.frame().await {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.bytes += data.len();
                    if self.bytes > MESSAGES_BYTES_MAX {
                        return Err(LinkError::Lost(format!("an event has more than {MESSAGES_BYTES_MAX} bytes")));
                    }
                    self.events.push(&data);
                }
                Some(Err(error)) => return Err(LinkError::Lost(error.to_string())),
                None => return Err(LinkError::Lost("the other side ended the stream of events".to_owned())),
            }
        }
    }
}

/// What the other side says of a request for a connection.
pub(super) fn refusal_of(status: u16, detail: String) -> LinkError {
    let error = match status {
        401 => StandardError::Authentication,
        403 => StandardError::Authorization,
        _ => StandardError::Communication,
    };
    LinkError::Refused(Fault { status, ..error.fault(detail) })
}
