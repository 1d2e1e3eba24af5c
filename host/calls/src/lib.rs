//! Outbound calls: the one client that leaves the host, behind the operator's policy.
//!
//! A [`Client`] reaches origins that the operator approved and nothing else. It
//! resolves names itself, looks at the addresses, and connects to an address it
//! looked at; it does so for every request and every redirection. It knows no
//! proxy variables, keeps no cookies, and reads a bounded answer in bounded time.
//!
//! **Invariant:** only `connect` opens a connection, and only to an address
//! that `rules` gave it.

mod a2a;
mod asyncapi;
mod auth;
mod connect;
mod content;
mod events;
mod exchange;
mod fetch;
mod grpc;
mod http;
mod mcp;
mod openapi;
pub mod registry;
mod resource;
mod rpc;
mod rules;
mod session;
mod tls;

pub use exchange::{Answer, Request};
pub use fetch::{Fetch, Fetched, NotFetched};
pub use rules::Rules;
pub use session::{Interrupted, Performed, Side, Unrecorded};
pub use tls::TrustError;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use workflow::Origin;
use workflow::calls::{Call, CallRequest};

use session::Session;

/// What one call may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start to the last byte, redirections and tokens included, where
    /// the task has no timeout of its own.
    pub time: Duration,
    /// For a name, a connection and its handshake.
    pub connect_time: Duration,
    /// Of a body, in each direction.
    pub body_bytes: usize,
    pub redirects: u32,
}

impl Default for Limits {
    /// A minute, as most services have; 4 MiB, since an answer becomes part of
    /// the history; 10 redirections, as browsers once had 20.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            connect_time: Duration::from_secs(10),
            body_bytes: 4 * 1024 * 1024,
            redirects: 10,
        }
    }
}

/// Makes outbound calls. One for a host; cheap to share.
#[derive(Debug)]
pub struct Client {
    rules: Rules,
    trust: tls::Trust,
    limits: Limits,
    tokens: auth::Tokens,
}

impl Client {
    /// `ca`: a PEM file with authorities to trust beside those of the machine.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no certificate.
    pub fn new(rules: Rules, ca: Option<PathBuf>, limits: Limits) -> Result<Self, TrustError> {
        Ok(Self { rules, trust: tls::Trust::new(ca)?, limits, tokens: auth::Tokens::default() })
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Makes one call, and waits for its answer.
    ///
    /// `approved` is what the instance's policy recorded; what the operator
    /// approves no more is refused as well.
    pub async fn perform(&self, call: &Call, approved: &BTreeSet<Origin>, side: &dyn Side) -> Performed {
        let limit = match call.time_limit_ms {
            // Beside the time that it is to take messages, it must connect and record them.
            0 => self.limits.time.saturating_add(asyncapi::time_of(&call.request)),
            limit => Duration::from_millis(limit),
        };
        let session = Session::new(self, approved, side, limit, call.class);
        let ended = match &call.request {
            CallRequest::Http(http) => http::call(&session, http).await,
            CallRequest::OpenApi(openapi) => openapi::call(&session, openapi).await,
            CallRequest::A2a(a2a) => a2a::call(&session, a2a).await,
            CallRequest::Mcp(mcp) => mcp::call(&session, mcp).await,
            CallRequest::Grpc(grpc) => grpc::call(&session, grpc).await,
            CallRequest::AsyncApi(asyncapi) => asyncapi::call(&session, asyncapi).await,
        };
        session.performed(ended)
    }
}
