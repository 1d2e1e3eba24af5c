//! One connection, to an address that was looked at.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use workflow::origin::{Origin, OriginScheme};

use crate::Client;
use crate::rules::{Place, Refused, Rules};
use crate::tls::Speak;

/// Why there is no connection. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("failed to resolve `{host}`: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("failed to connect to `{origin}`: {source}")]
    Connect { origin: Origin, source: io::Error },
    #[error("failed to agree on TLS with `{origin}`: {source}")]
    Tls { origin: Origin, source: io::Error },
}

/// A stream to the other side, and what it speaks.
pub(crate) struct Connection {
    pub stream: Stream,
    pub http2: bool,
}

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Client {
    pub(crate) async fn connect(
        &self,
        origin: &Origin,
        approved: &BTreeSet<Origin>,
        speak: Speak,
    ) -> Result<Connection, ConnectError> {
        let address = match self.rules().place(origin, approved)? {
            Place::Address(address) => address,
            Place::Name { internal } => {
                let host = origin.host();
                let found = tokio::net::lookup_host((host, origin.port()))
                    .await
                    .map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?;
                Rules::choose(origin, internal, &found.collect::<Vec<_>>())?
            }
        };
        let stream = TcpStream::connect(address)
            .await
            .map_err(|source| ConnectError::Connect { origin: origin.clone(), source })?;
        // Requests are small: waiting to fill a segment only costs time.
        let _ = stream.set_nodelay(true);
        match origin.scheme() {
            // Without TLS nobody negotiates: who can speak only HTTP/2 says so at once.
            OriginScheme::Http | OriginScheme::Ws | OriginScheme::Mqtt => {
                Ok(Connection { stream: Stream::Plain(stream), http2: speak == Speak::Http2 })
            }
            OriginScheme::Https | OriginScheme::Wss | OriginScheme::Mqtts => self.secure(origin, stream, speak).await,
            // The server speaks first, and says whether TLS is to follow.
            OriginScheme::Nats | OriginScheme::Tls => Ok(Connection { stream: Stream::Plain(stream), http2: false }),
        }
    }

    /// TLS on a connection that began without it.
    pub(crate) async fn upgrade(&self, origin: &Origin, stream: Stream, speak: Speak) -> Result<Stream, ConnectError> {
        match stream {
            Stream::Plain(stream) => Ok(self.secure(origin, stream, speak).await?.stream),
            Stream::Tls(_) => Ok(stream),
        }
    }

    async fn secure(&self, origin: &Origin, stream: TcpStream, speak: Speak) -> Result<Connection, ConnectError> {
        let failed = |source| ConnectError::Tls { origin: origin.clone(), source };
        let host = origin.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|error| failed(io::Error::other(error)))?;
        let connector = TlsConnector::from(self.trust.config(speak));
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if speak == Speak::Http2 && !http2 {
            return Err(failed(io::Error::other("it does not speak HTTP/2")));
        }
        Ok(Connection { stream: Stream::Tls(Box::new(stream)), http2 })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
