//! A plain request of a plugin: no body, no credentials, no redirection; an
//! answer of any status is an answer.

use async_trait::async_trait;
use hyper::Method;
use hyper::body::Bytes;
use workflow::effect::{EffectClass, StandardError};
use workflow::{Origin, SecretName};

use crate::Client;
use crate::exchange::{Request, origin_of, parse_url};
use crate::http;
use crate::session::{Failure, Interrupted, Session, Side};
use crate::tls::Speak;

/// What to read, and how much of it.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    /// One that changes nothing: a request whose answer is lost may be sent again.
    pub method: &'a str,
    /// Absolute.
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    /// The most that the body may have; the client's own limit holds as well.
    pub body_bytes_max: u64,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFetched {
    /// The request itself cannot be sent.
    #[error("{0}")]
    Invalid(String),
    /// The operator's policy says no.
    #[error("{0}")]
    Refused(String),
    #[error("the answer has more than {max} bytes")]
    TooLarge { max: u64 },
    #[error("{0}")]
    Unavailable(String),
}

impl Client {
    /// Reads from `approved` and nowhere else, if the operator approves it as well.
    pub async fn fetch(&self, fetch: Fetch<'_>, approved: &Origin) -> Result<Fetched, NotFetched> {
        let approved = [approved.clone()].into();
        let session = Session::new(self, &approved, &Alone, self.limits.time, None);
        let max = fetch.body_bytes_max.min(self.limits.body_bytes as u64);
        match within(&session, fetch, max).await {
            Ok(Some(fetched)) => Ok(fetched),
            Ok(None) => Err(NotFetched::TooLarge { max }),
            Err(failure) => Err(not_fetched(failure)),
        }
    }
}

/// None: the body has more than `max` bytes.
async fn within(session: &Session<'_>, fetch: Fetch<'_>, max: u64) -> Result<Option<Fetched>, Failure> {
    let url = parse_url(fetch.url)?;
    origin_of(&url)?;
    let method = Method::from_bytes(fetch.method.as_bytes())
        .map_err(|_| crate::session::configuration(format!("`{}` is no HTTP method", fetch.method)))?;
    let headers = http::headers(fetch.headers)?;
    let class = EffectClass::Pure;
    let request = Request { method, url, headers, body: Bytes::new(), class };
    let opened = session.open(request, Speak::Http1Or2).await?;
    let answer = session.read_at_most(opened, class, usize::try_from(max).unwrap_or(usize::MAX)).await?;
    Ok(answer.map(|answer| Fetched {
        status: answer.status.as_u16(),
        headers: answer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: answer.body.into(),
    }))
}

fn not_fetched(failure: Failure) -> NotFetched {
    match failure {
        Failure::Fault(fault) => {
            let said = fault.detail.unwrap_or_else(|| fault.kind.clone());
            if fault.kind == StandardError::Authorization.kind() {
                NotFetched::Refused(said)
            } else if fault.kind == StandardError::Configuration.kind() {
                NotFetched::Invalid(said)
            } else {
                NotFetched::Unavailable(said)
            }
        }
        Failure::Unknown(detail) => NotFetched::Unavailable(detail),
        Failure::Interrupted => NotFetched::Unavailable("the host stops".to_owned()),
    }
}

/// A request that holds no secret and needs no record before it is sent.
struct Alone;

#[async_trait]
impl Side for Alone {
    async fn sending(&self) -> Result<(), Interrupted> {
        Ok(())
    }

    fn secret(&self, name: &SecretName) -> Result<String, String> {
        Err(format!("secret `{name}` is not for a plain request"))
    }
}
