//! What the operator says of a registry.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use workflow::Origin;
use workflow::distribution::Reference;
use workflow::origin::OriginScheme;

/// How a registry is reached, and as whom.
#[derive(Debug, Default)]
pub struct Access {
    /// Without TLS. Absent: only on this machine.
    pub plain_http: Option<bool>,
    /// Where it may send us: a service that gives tokens, a store of blobs.
    pub also: BTreeSet<Origin>,
    /// `host:port` to the address that is connected to instead.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// PEM file with authorities to trust beside those of the machine.
    pub ca: Option<PathBuf>,
    pub credentials: Option<Credentials>,
}

impl Access {
    pub(super) fn scheme(&self, reference: &Reference) -> OriginScheme {
        match self.plain_http.unwrap_or_else(|| reference.is_loopback()) {
            true => OriginScheme::Http,
            false => OriginScheme::Https,
        }
    }
}

/// Who asks. The value is never shown.
pub enum Credentials {
    User {
        name: String,
        password: String,
    },
    /// Given by the registry beforehand.
    Token(String),
}

impl Credentials {
    /// `name:password`, or else a token.
    pub fn of_secret(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, password)) => Self::User { name: name.to_owned(), password: password.to_owned() },
            None => Self::Token(text.to_owned()),
        }
    }

    /// What is shown before it is asked for.
    pub(super) fn at_once(&self) -> Option<HeaderValue> {
        match self {
            Credentials::User { .. } => None,
            Credentials::Token(token) => sensitive(&format!("Bearer {token}")),
        }
    }

    pub(super) fn basic(&self) -> Option<HeaderValue> {
        match self {
            Credentials::User { name, password } => {
                sensitive(&format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
            }
            Credentials::Token(_) => None,
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credentials::User { name, .. } => write!(f, "User({name})"),
            Credentials::Token(_) => f.write_str("Token"),
        }
    }
}

/// None for what no header can hold.
pub(super) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
