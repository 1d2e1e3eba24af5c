//! A server on loopback that speaks HTTP/2 and nothing else: with TLS by ALPN,
//! without it from the first byte. It can end an answer with trailers, as gRPC does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use h2::server::{self, SendResponse};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{Asked, Authority};

/// What the server answers.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// A frame each.
    pub body: Vec<Vec<u8>>,
    /// None: the answer ends with the last frame of its body.
    pub trailers: Option<Vec<(&'static str, String)>>,
    /// Before the head of the answer.
    pub pause: Duration,
    /// Resets the stream instead of ending it.
    pub reset: bool,
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A server that runs until the process ends.
pub struct Web {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    /// Without TLS.
    pub fn plain(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    /// With TLS, as these hosts.
    pub fn secure(
        authority: &Authority,
        hosts: &[&str],
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let mut config = ServerConfig::clone(&authority.config(hosts));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start(Some(Arc::new(config)), Arc::new(answer))
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a listener can wait");
        let address = listener.local_addr().expect("a listener has an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = asked.clone();
        // A runtime of its own: nothing of it is shared with the client under test.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("it waits already");
                while let Ok((stream, _)) = listener.accept().await {
                    let (tls, answer, log) = (tls.clone(), answer.clone(), log.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => serve(stream, answer, log).await,
                            Some(config) => {
                                // A client that does not trust it is none of its business.
                                if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                                    serve(stream, answer, log).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        Self { address, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, answer: Arc<Answer>, log: Arc<Mutex<Vec<Asked>>>) {
    let Ok(mut connection) = server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (answer, log) = (answer.clone(), log.clone());
        tokio::spawn(async move {
            // A client that goes away in the middle is none of its business.
            let _ = answer_one(request, respond, &answer, &log).await;
        });
    }
}

async fn answer_one(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    answer: &Arc<Answer>,
    log: &Mutex<Vec<Asked>>,
) -> Result<(), h2::Error> {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let asked = Asked {
        method: head.method.to_string(),
        target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
    };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
    let reply = answer(&asked);
    tokio::time::sleep(reply.pause).await;
    let mut response = Response::new(());
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status).expect("a status");
    *response.headers_mut() = headers(reply.headers);
    let mut parts = reply.body.into_iter().peekable();
    let is_empty = parts.peek().is_none() && reply.trailers.is_none() && !reply.reset;
    let mut stream = respond.send_response(response, is_empty)?;
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none() && reply.trailers.is_none() && !reply.reset;
        stream.send_data(part.into(), last)?;
    }
    if let Some(trailers) = reply.trailers {
        stream.send_trailers(headers(trailers))?;
    } else if reply.reset {
        // What was sent before it must come first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.send_reset(h2::Reason::INTERNAL_ERROR);
    }
    Ok(())
}

fn headers(pairs: Vec<(&'static str, String)>) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
}
