//! What a registry wants to see when it asks who we are.
//!
//! Source: RFC 6750 (challenges) and the token specification of the distribution project.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use url::Url;
use workflow::effect::EffectClass;

use super::access::{Credentials, sensitive};
use super::{Registry, RegistryError, malformed, said};
use crate::auth::challenge_fields;
use crate::exchange::Request;

/// Tokens with many claims have some kilobytes.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

#[derive(Deserialize)]
struct Given {
    #[serde(alias = "access_token")]
    token: String,
}

impl Registry {
    /// The header that answers a challenge.
    pub(super) async fn authorize(&self, doing: &str, headers: &HeaderMap) -> Result<HeaderValue, RegistryError> {
        let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let refused = || match &self.credentials {
            None => RegistryError::NoCredentials { doing: doing.to_owned(), registry: self.name.clone() },
            Some(_) => RegistryError::Unauthorized {
                doing: doing.to_owned(),
                registry: self.name.clone(),
                detail: "it asks in a way that they do not answer".to_owned(),
            },
        };
        for challenge in challenges {
            let (scheme, rest) = challenge.trim().split_once(' ').unwrap_or((challenge.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") {
                return self.credentials.as_ref().and_then(Credentials::basic).ok_or_else(refused);
            }
            if scheme.eq_ignore_ascii_case("bearer") {
                return self.token(doing, &challenge_fields(rest)).await;
            }
        }
        Err(refused())
    }

    /// A token from the service that the challenge names, if that is approved:
    /// what is shown there is the password.
    async fn token(&self, doing: &str, fields: &BTreeMap<String, String>) -> Result<HeaderValue, RegistryError> {
        let realm =
            fields.get("realm").ok_or_else(|| malformed(doing, "the registry asks for a token from nowhere"))?;
        let mut url =
            Url::parse(realm).map_err(|error| malformed(doing, format!("`{realm}` gives no tokens: {error}")))?;
        self.approved(doing, &url)?;
        for name in ["service", "scope"] {
            if let Some(value) = fields.get(name) {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut headers = HeaderMap::new();
        if let Some(basic) = self.credentials.as_ref().and_then(Credentials::basic) {
            headers.insert(AUTHORIZATION, basic);
        }
        let request = Request { method: Method::GET, url, headers, body: Bytes::new(), class: EffectClass::Idempotent };
        let answer = self.exchange(doing, request, TOKEN_BYTES_MAX, None).await?;
        if answer.status != StatusCode::OK {
            let (doing, registry) = (doing.to_owned(), self.name.clone());
            return Err(match &self.credentials {
                None => RegistryError::NoCredentials { doing, registry },
                Some(_) => RegistryError::Unauthorized { doing, registry, detail: said(&answer.body) },
            });
        }
        let given: Given =
            serde_json::from_slice(&answer.body).map_err(|_| malformed(doing, format!("`{realm}` gave no token")))?;
        sensitive(&format!("Bearer {}", given.token))
            .ok_or_else(|| malformed(doing, format!("`{realm}` gave no token")))
    }
}
