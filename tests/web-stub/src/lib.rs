//! Web servers on loopback for tests of outbound calls.
//!
//! A [`Web`] answers each request with what a function makes of it, part by
//! part, so that it can also be slow, endless or wrong. It writes down what it
//! was asked. Threads and blocking sockets: nothing of it is shared with the
//! client under test.

pub mod broker;
pub mod http2;
pub mod images;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An authority that exists for one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is no wrong name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).expect("an authority signs itself").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate, for `--http-ca`.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these hosts and its key, as PEM.
    pub fn certificate(&self, hosts: &[&str]) -> (String, String) {
        let key = KeyPair::generate().expect("a key can be made");
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let params = CertificateParams::new(names).expect("hosts are names");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        (certificate.pem(), key.serialize_pem())
    }

    fn config(&self, hosts: &[&str]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key can be made");
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let params = CertificateParams::new(names).expect("hosts are names");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("the provider speaks TLS 1.2 and 1.3").with_no_client_auth();
        Arc::new(builder.with_single_cert(chain, key).expect("the key is the certificate's own"))
    }
}

/// What a server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// `GET /path`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum Part {
    Bytes(Vec<u8>),
    Pause(Duration),
    /// These bytes again and again, until the other side goes away.
    Forever(Vec<u8>),
}

/// What a server answers before it closes the connection.
#[derive(Debug, Clone, Default)]
pub struct Reply(pub Vec<Part>);

impl Reply {
    /// A status with headers and a body, all of it right.
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut text = format!("HTTP/1.1 {status} Whatever\r\nconnection: close\r\n");
        if status != 204 && status != 304 {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        Self(vec![Part::Bytes([text.as_bytes(), body].concat())])
    }

    pub fn json(body: &str) -> Self {
        Self::new(200, &[("content-type", "application/json")], body)
    }

    pub fn status(status: u16) -> Self {
        Self::new(status, &[], "")
    }

    /// Exactly these bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Part::Bytes(bytes.into())])
    }

    #[must_use]
    pub fn then(mut self, part: Part) -> Self {
        self.0.push(part);
        self
    }
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
        Self::start(Some(authority.config(hosts)), Arc::new(answer))
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, answer, log) = (tls.clone(), answer.clone(), log.clone());
                // A client that goes away in the middle is none of its business.
                thread::spawn(move || {
                    let _ = serve(stream, tls, answer.as_ref(), &log);
                });
            }
        });
        Self { address, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `GET /path` of each.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &Answer,
    log: &Mutex<Vec<Asked>>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    match tls {
        None => answer_one(stream, answer, log),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            answer_one(&mut stream, answer, log)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
    }
}

fn answer_one(stream: impl Read + Write, answer: &Answer, log: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let asked = read(&mut reader)?;
    log.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
    let stream = reader.get_mut();
    for part in answer(&asked).0 {
        match part {
            Part::Bytes(bytes) => stream.write_all(&bytes)?,
            Part::Pause(time) => {
                stream.flush()?;
                thread::sleep(time);
            }
            Part::Forever(bytes) => loop {
                stream.write_all(&bytes)?;
            },
        }
    }
    stream.flush()
}

fn read(reader: &mut impl BufRead) -> io::Result<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::Error::other("no request"));
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Asked { method, target, headers, body })
}
