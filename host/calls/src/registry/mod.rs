//! A registry of OCI artifacts: manifests and blobs, by digest.
//!
//! Source: the OCI distribution specification, 1.1: `pull` and `push`.
//!
//! What is reached is the registry that a person named, and what the operator
//! said beside it: a token service, a store of blobs. Credentials go to these
//! only, and never after a redirection. Every answer is bounded, and every
//! blob is what its digest says or an error.

mod access;
mod token;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use url::Url;
use workflow::distribution::{Descriptor, MANIFEST_BYTES_MAX, MANIFEST_TYPE, Reference};
use workflow::effect::EffectClass;
use workflow::{Digest, Origin, SecretName};

use crate::exchange::{Opened, Request, origin_of};
use crate::session::{Failure, Interrupted, Session, Side};
use crate::tls::Speak;
use crate::{Client, Limits, Rules, TrustError};

pub use access::{Access, Credentials};

/// For one request and its answer: a component of 32 MiB over a slow line.
const TIME: Duration = Duration::from_secs(300);

/// For one layer of an image, which may be a hundred times as large.
const STREAM_TIME: Duration = Duration::from_secs(3600);

/// What a registry says of an error, at most.
const ERROR_BYTES_MAX: u64 = 8 << 10;

/// Why a registry did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No connection, no answer in time, or half of one.
    #[error("failed to {doing}: {detail}")]
    Transport { doing: String, detail: String },
    #[error("failed to {doing}: the registry does not know it; look at the repository and the tag or digest")]
    NotFound { doing: String },
    /// It wants to know who asks, and nobody is configured.
    #[error(
        "failed to {doing}: the registry asks who you are; write `[registries.\"{registry}\"] secret = \"NAME\"` and the secret's file into the configuration"
    )]
    NoCredentials { doing: String, registry: String },
    #[error(
        "failed to {doing}: the registry does not take these credentials for it ({detail}); look at the secret that `[registries.\"{registry}\"]` names"
    )]
    Unauthorized { doing: String, registry: String, detail: String },
    #[error(
        "failed to {doing}: the registry sends us to `{origin}`, which is not approved; add it to `also` in `[registries.\"{registry}\"]` if it belongs to it"
    )]
    Elsewhere { doing: String, registry: String, origin: String },
    #[error("failed to {doing}: the registry answered {status} {detail}")]
    Status { doing: String, status: u16, detail: String },
    #[error("failed to {doing}: it has more than {bytes_max} bytes")]
    TooLarge { doing: String, bytes_max: u64 },
    /// The bytes are not those that were named: they are not used.
    #[error("failed to {doing}: the bytes have digest `{actual}`, and `{expected}` was asked for")]
    Digest { doing: String, expected: Digest, actual: Digest },
    #[error("failed to {doing}: {detail}")]
    Malformed { doing: String, detail: String },
    /// Whoever took the bytes could not keep them.
    #[error("failed to {doing}: {detail}")]
    NotTaken { doing: String, detail: String },
}

/// Takes the bytes of an answer as they come, or says why it takes no more.
pub type Take<'a> = dyn FnMut(&[u8]) -> Result<(), String> + Send + 'a;

/// One repository of one registry.
#[derive(Debug)]
pub struct Registry {
    client: Client,
    approved: BTreeSet<Origin>,
    origin: Origin,
    /// As people write it.
    name: String,
    repository: String,
    credentials: Option<Credentials>,
    /// What the registry last wanted to see.
    authorization: Option<HeaderValue>,
}

impl Registry {
    /// The repository of `reference`. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// The file of authorities cannot be read.
    pub fn new(reference: &Reference, access: Access, blob_bytes_max: usize) -> Result<Self, TrustError> {
        let origin = reference.origin(access.scheme(reference));
        let approved: BTreeSet<Origin> = [origin.clone()].into_iter().chain(access.also).collect();
        // A person named the registry: it may be anywhere, in this network too.
        let rules = Rules { internal: approved.clone(), resolve: access.resolve, ..Rules::default() };
        let limits = Limits { time: TIME, body_bytes: blob_bytes_max, ..Limits::default() };
        let (name, repository) = (reference.registry.clone(), reference.repository.clone());
        let authorization = access.credentials.as_ref().and_then(Credentials::at_once);
        let client = Client::new(rules, access.ca, limits)?;
        Ok(Self { client, approved, origin, name, repository, credentials: access.credentials, authorization })
    }

    /// A manifest by tag or digest; none if the registry has no such one.
    ///
    /// # Errors
    ///
    /// Every one but [`RegistryError::NotFound`].
    pub async fn find_manifest(&mut self, wanted: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        match self.manifest(wanted).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A manifest by tag or digest. One that is asked for by digest has it.
    pub async fn manifest(&mut self, wanted: &str) -> Result<Vec<u8>, RegistryError> {
        self.manifest_of(wanted, MANIFEST_TYPE, MANIFEST_BYTES_MAX).await
    }

    /// As [`Self::manifest`], of other media types or size.
    pub async fn manifest_of(
        &mut self,
        wanted: &str,
        types: &'static str,
        bytes_max: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let doing = format!("read the manifest `{wanted}` of `{}`", self.repository());
        let accept = (ACCEPT, HeaderValue::from_static(types));
        let path = format!("manifests/{wanted}");
        let answer = self.send(&doing, Method::GET, &path, [accept], Bytes::new(), bytes_max).await?;
        self.expect(&doing, &answer, StatusCode::OK)?;
        match Digest::new(wanted) {
            Ok(expected) => checked(&doing, answer.body, &expected),
            Err(_) => Ok(answer.body),
        }
    }

    /// The bytes that `blob` names, and no others.
    pub async fn blob(&mut self, blob: &Descriptor, bytes_max: u64) -> Result<Vec<u8>, RegistryError> {
        let doing = format!("fetch `{}` of `{}`", blob.digest, self.repository());
        if blob.size > bytes_max {
            return Err(RegistryError::TooLarge { doing, bytes_max });
        }
        let path = format!("blobs/{}", blob.digest);
        let answer = self.send(&doing, Method::GET, &path, [], Bytes::new(), blob.size).await?;
        self.expect(&doing, &answer, StatusCode::OK)?;
        checked(&doing, answer.body, &blob.digest)
    }

    /// Hands over the bytes that `blob` names as they come, and not one more.
    /// Whoever takes them compares their digest.
    pub async fn stream_blob(&mut self, blob: &Descriptor, take: &mut Take<'_>) -> Result<(), RegistryError> {
        let doing = format!("fetch `{}` of `{}`", blob.digest, self.repository());
        let url = self.url(&doing, &format!("blobs/{}", blob.digest))?;
        let answer = self.send_to(&doing, Method::GET, url, [], Bytes::new(), blob.size, Some(take)).await?;
        self.expect(&doing, &answer, StatusCode::OK)
    }

    /// Leaves bytes in the repository; what is there already is not sent.
    pub async fn push_blob(&mut self, bytes: Vec<u8>) -> Result<(), RegistryError> {
        let digest = Digest::of(&bytes);
        let doing = format!("send `{digest}` to `{}`", self.repository());
        let path = format!("blobs/{digest}");
        let known = self.send(&doing, Method::HEAD, &path, [], Bytes::new(), 0).await?;
        if known.status == StatusCode::OK {
            return Ok(());
        }
        let begun = self.send(&doing, Method::POST, "blobs/uploads/", [], Bytes::new(), ERROR_BYTES_MAX).await?;
        self.expect(&doing, &begun, StatusCode::ACCEPTED)?;
        let mut place = self.location(&doing, &begun)?;
        place.query_pairs_mut().append_pair("digest", digest.as_str());
        let kind = (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let sent = self.send_to(&doing, Method::PUT, place, [kind], bytes.into(), ERROR_BYTES_MAX, None).await?;
        self.expect(&doing, &sent, StatusCode::CREATED)
    }

    /// Names a manifest, by tag or by its digest. Its blobs are there already.
    pub async fn push_manifest(&mut self, name: &str, manifest: &str) -> Result<(), RegistryError> {
        let doing = format!("send the manifest `{name}` to `{}`", self.repository());
        let kind = (CONTENT_TYPE, HeaderValue::from_static(MANIFEST_TYPE));
        let body = Bytes::from(manifest.to_owned());
        let path = format!("manifests/{name}");
        let sent = self.send(&doing, Method::PUT, &path, [kind], body, ERROR_BYTES_MAX).await?;
        self.expect(&doing, &sent, StatusCode::CREATED)
    }

    fn repository(&self) -> String {
        format!("{}/{}", self.name, self.repository)
    }

    async fn send(
        &mut self,
        doing: &str,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
        bytes_max: u64,
    ) -> Result<Received, RegistryError> {
        let url = self.url(doing, path)?;
        self.send_to(doing, method, url, headers, body, bytes_max, None).await
    }

    fn url(&self, doing: &str, path: &str) -> Result<Url, RegistryError> {
        let url = format!("{}/v2/{}/{path}", self.origin, self.repository);
        Url::parse(&url).map_err(|error| malformed(doing, error))
    }

    /// Sends a request; says who asks if the registry wants to know; goes where it sends us, if we may.
    #[allow(clippy::too_many_arguments)]
    async fn send_to(
        &mut self,
        doing: &str,
        method: Method,
        url: Url,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
        bytes_max: u64,
        mut take: Option<&mut Take<'_>>,
    ) -> Result<Received, RegistryError> {
        let headers: HeaderMap = headers.into_iter().collect();
        let mut request = Request { method, url, headers, body, class: EffectClass::Idempotent };
        let mut asked_who = false;
        for _ in 0..=self.client.limits.redirects {
            request.headers.remove(AUTHORIZATION);
            // A token is for the registry: where it sends us for the bytes, they are asked for by address alone.
            if origin_of(&request.url).is_ok_and(|origin| origin == self.origin)
                && let Some(authorization) = &self.authorization
            {
                request.headers.insert(AUTHORIZATION, authorization.clone());
            }
            let answer = self.exchange(doing, request.clone(), bytes_max, take.as_deref_mut()).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !asked_who {
                asked_who = true;
                self.authorization = Some(self.authorize(doing, &answer.headers).await?);
            } else if answer.status.is_redirection() && request.method == Method::GET {
                request.url = self.location(doing, &answer)?;
            } else {
                return Ok(answer);
            }
        }
        Err(malformed(doing, "the registry sends us from one place to the next"))
    }

    /// The body of a success goes to `take`, if there is one.
    async fn exchange(
        &self,
        doing: &str,
        request: Request,
        bytes_max: u64,
        mut take: Option<&mut Take<'_>>,
    ) -> Result<Received, RegistryError> {
        let failed = |failure| match failure {
            Failure::Fault(fault) => fault.detail.unwrap_or(fault.kind),
            Failure::Unknown(detail) => detail,
            Failure::Interrupted => "it was interrupted".to_owned(),
        };
        let transport = |failure| RegistryError::Transport { doing: doing.to_owned(), detail: failed(failure) };
        let time = if take.is_some() { STREAM_TIME } else { TIME };
        let session = Session::new(&self.client, &self.approved, &Alone, time, None);
        let (from, is_head) = (request.url.clone(), request.method == Method::HEAD);
        let mut opened = session.open(request, Speak::Http1Or2).await.map_err(transport)?;
        // What is said of an error may be longer than what was asked for; its status counts, and the rest is cut.
        let is_success = opened.status.is_success();
        let bytes_max = if is_success { bytes_max } else { ERROR_BYTES_MAX };
        let mut body = Vec::new();
        let mut received_bytes = 0;
        while !is_head && let Some(frame) = next(&session, &mut opened).await.map_err(transport)? {
            received_bytes += frame.len() as u64;
            if received_bytes > bytes_max {
                if is_success {
                    return Err(RegistryError::TooLarge { doing: doing.to_owned(), bytes_max });
                }
                break;
            }
            match take.as_deref_mut().filter(|_| is_success) {
                Some(take) => {
                    take(&frame).map_err(|detail| RegistryError::NotTaken { doing: doing.to_owned(), detail })?
                }
                None => body.extend_from_slice(&frame),
            }
        }
        Ok(Received { from, status: opened.status, headers: opened.headers, body })
    }

    /// Where an answer sends us: only to what was approved.
    fn location(&self, doing: &str, answer: &Received) -> Result<Url, RegistryError> {
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| malformed(doing, "the registry sends us on and does not say where"))?;
        let url = answer.from.join(location).map_err(|error| malformed(doing, error))?;
        self.approved(doing, &url)?;
        Ok(url)
    }

    fn approved(&self, doing: &str, url: &Url) -> Result<(), RegistryError> {
        match origin_of(url) {
            Ok(origin) if self.approved.contains(&origin) => Ok(()),
            Ok(_) | Err(_) => Err(RegistryError::Elsewhere {
                doing: doing.to_owned(),
                registry: self.name.clone(),
                origin: url.origin().ascii_serialization(),
            }),
        }
    }

    fn expect(&self, doing: &str, answer: &Received, status: StatusCode) -> Result<(), RegistryError> {
        if answer.status == status {
            return Ok(());
        }
        let (doing, detail) = (doing.to_owned(), said(&answer.body));
        Err(match answer.status {
            StatusCode::NOT_FOUND => RegistryError::NotFound { doing },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                RegistryError::Unauthorized { doing, registry: self.name.clone(), detail }
            }
            status => RegistryError::Status { doing, status: status.as_u16(), detail },
        })
    }
}

/// An answer that was read to its end.
struct Received {
    from: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn next(session: &Session<'_>, opened: &mut Opened) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = session.next_frame(opened, EffectClass::Idempotent).await? {
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn checked(doing: &str, bytes: Vec<u8>, expected: &Digest) -> Result<Vec<u8>, RegistryError> {
    let actual = Digest::of(&bytes);
    if actual == *expected {
        return Ok(bytes);
    }
    Err(RegistryError::Digest { doing: doing.to_owned(), expected: expected.clone(), actual })
}

fn malformed(doing: &str, detail: impl ToString) -> RegistryError {
    RegistryError::Malformed { doing: doing.to_owned(), detail: detail.to_string() }
}

/// The first error of a registry's answer, in its own words, on one line.
fn said(body: &[u8]) -> String {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let first = &answer["errors"][0];
    let text = |field: &str| first[field].as_str().unwrap_or_default();
    let text = format!("{} {}", text("code"), text("message"));
    let line: String = text.trim().chars().filter(|c| !c.is_control()).take(300).collect();
    if line.is_empty() { "and no reason".to_owned() } else { line }
}

/// Nothing here is done in the name of an instance.
struct Alone;

#[async_trait]
impl Side for Alone {
    async fn sending(&self) -> Result<(), Interrupted> {
        Ok(())
    }

    fn secret(&self, name: &SecretName) -> Result<String, String> {
        Err(format!("there is no secret `{name}` here"))
    }
}
