//! One request and its whole answer, within the session's time and limits.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use url::Url;
use workflow::effect::EffectClass;
use workflow::origin::{Origin, split_uri};

use crate::connect::{ConnectError, Connection};
use crate::session::{Failure, Session, communication, configuration};
use crate::tls::Speak;

/// Most bytes of an answer's head.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A request to an absolute URL.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What may be done when its answer gets lost.
    pub class: EffectClass,
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// In HTTP/2 what came after the body.
    pub trailers: HeaderMap,
}

/// An answer whose body is still to be read.
pub(crate) struct Opened {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Incoming,
    /// The connection lives as long as this.
    _driver: Driver,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The origin of an absolute URL that this host may call at all.
pub(crate) fn origin_of(url: &Url) -> Result<Origin, Failure> {
    let origin = url.origin().ascii_serialization();
    split_uri(&origin).map(|(origin, _)| origin).map_err(|error| configuration(format!("{error}")))
}

/// Reads an absolute URL; a user name in it is refused, a fragment is dropped.
pub(crate) fn parse_url(text: &str) -> Result<Url, Failure> {
    let mut url = Url::parse(text).map_err(|error| configuration(format!("`{text}` is no URI: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(configuration("a user name stands in a URI; write `authentication`"));
    }
    url.set_fragment(None);
    origin_of(&url)?;
    Ok(url)
}

impl Session<'_> {
    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    ///
    /// A fault while it is certain that nothing happened, or that it may be done
    /// again; [`Failure::Unknown`] once a request was sent that may not.
    pub async fn exchange(&self, request: Request) -> Result<Answer, Failure> {
        let class = request.class;
        let opened = self.open(request, Speak::Http1Or2).await?;
        self.read(opened, class).await
    }

    /// Sends a request and reads the head of its answer.
    pub async fn open(&self, request: Request, speak: Speak) -> Result<Opened, Failure> {
        if request.body.len() > self.client.limits.body_bytes {
            return Err(configuration(format!("the body has more than {} bytes", self.client.limits.body_bytes)));
        }
        let connection = self.connection(&origin_of(&request.url)?, speak).await?;
        self.announce(request.class).await?;
        let class = request.class;
        let sent = timeout_at(self.deadline, send(connection, request)).await;
        match sent {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => {
                Err(self.lost(class, format!("the connection ended before the answer: {}", chain(&error))))
            }
            Err(_) => Err(self.late(class)),
        }
    }

    /// A connection to an approved origin, for a protocol that this host speaks.
    pub async fn connection(&self, origin: &Origin, speak: Speak) -> Result<Connection, Failure> {
        let connect = self.client.connect(origin, self.approved, speak);
        let connect = tokio::time::timeout(self.client.limits.connect_time, connect);
        match timeout_at(self.deadline, connect).await {
            Ok(Ok(Ok(connection))) => Ok(connection),
            Ok(Ok(Err(ConnectError::Refused(refused)))) => {
                Err(workflow::effect::StandardError::Authorization.fault(refused.to_string()).into())
            }
            Ok(Ok(Err(error))) => Err(communication(error.to_string())),
            Ok(Err(_)) => Err(communication(format!(
                "`{origin}` gave no connection within {} ms",
                self.client.limits.connect_time.as_millis()
            ))),
            Err(_) => Err(self.timed_out().into()),
        }
    }

    /// Reads the rest of an answer.
    pub async fn read(&self, opened: Opened, class: EffectClass) -> Result<Answer, Failure> {
        let limit = self.client.limits.body_bytes;
        let answer = self.read_at_most(opened, class, limit).await?;
        answer.ok_or_else(|| communication(format!("the answer has more than {limit} bytes")))
    }

    /// As [`Self::read`]; none if the body has more than `limit` bytes.
    pub async fn read_at_most(
        &self,
        mut opened: Opened,
        class: EffectClass,
        limit: usize,
    ) -> Result<Option<Answer>, Failure> {
        if opened.body.size_hint().lower() > limit as u64 {
            return Ok(None);
        }
        let mut body = Vec::new();
        let mut trailers = HeaderMap::new();
        while let Some(frame) = self.next_frame(&mut opened, class).await? {
            match frame.into_data() {
                Ok(data) if body.len() + data.len() > limit => return Ok(None),
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        Ok(Some(Answer { status: opened.status, headers: opened.headers, body: body.into(), trailers }))
    }

    /// The next part of an answer; none at its end.
    pub async fn next_frame(
        &self,
        opened: &mut Opened,
        class: EffectClass,
    ) -> Result<Option<hyper::body::Frame<Bytes>>, Failure> {
        match timeout_at(self.deadline, opened.body.frame()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(frame))) => Ok(Some(frame)),
            Ok(Some(Err(error))) => {
                Err(self.lost(class, format!("the connection ended within the answer: {}", chain(&error))))
            }
            Err(_) => Err(self.late(class)),
        }
    }

    pub fn lost(&self, class: EffectClass, detail: String) -> Failure {
        match class {
            EffectClass::Pure | EffectClass::Idempotent => communication(detail),
            EffectClass::Reconcilable | EffectClass::Manual => Failure::Unknown(detail),
        }
    }

    pub fn late(&self, class: EffectClass) -> Failure {
        let fault = self.timed_out();
        match class {
            EffectClass::Pure | EffectClass::Idempotent => fault.into(),
            EffectClass::Reconcilable | EffectClass::Manual => Failure::Unknown(fault.detail.unwrap_or_default()),
        }
    }
}

async fn send(connection: Connection, request: Request) -> hyper::Result<Opened> {
    let Request { method, url, headers, body, class: _ } = request;
    let mut message = hyper::Request::new(Full::new(body));
    *message.method_mut() = method;
    *message.headers_mut() = headers;
    let (response, driver) = if connection.http2 {
        *message.uri_mut() = uri(url.as_str());
        let io = TokioIo::new(connection.stream);
        let (mut sender, driver) =
            http2::Builder::new(TokioExecutor::new()).max_header_list_size(HEAD_BYTES_MAX as u32).handshake(io).await?;
        let driver = Driver(tokio::spawn(async move {
            let _ = driver.await;
        }));
        (sender.send_request(message).await?, driver)
    } else {
        *message.uri_mut() = uri(&url[url::Position::BeforePath..]);
        message.headers_mut().insert(HOST, host_of(&url));
        let io = TokioIo::new(connection.stream);
        let (mut sender, driver) = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(io).await?;
        let driver = Driver(tokio::spawn(async move {
            let _ = driver.with_upgrades().await;
        }));
        (sender.send_request(message).await?, driver)
    };
    let (head, body) = response.into_parts();
    Ok(Opened { status: head.status, headers: head.headers, body, _driver: driver })
}

fn uri(text: &str) -> Uri {
    // `url` percent-encodes what `Uri` would not take.
    text.parse().unwrap_or_default()
}

fn host_of(url: &Url) -> HeaderValue {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    HeaderValue::from_str(host).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
