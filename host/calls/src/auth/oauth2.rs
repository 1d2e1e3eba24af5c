//! Tokens of OAuth 2 and OpenID Connect: asked for where policy allows it, and
//! kept in memory until shortly before they expire.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tokio::time::Instant;
use url::Url;
use workflow::Digest;
use workflow::calls::AuthenticationScheme;
use workflow::effect::EffectClass;

use super::{Properties, header};
use crate::content::{self, FORM, JSON};
use crate::exchange::{Request, parse_url};
use crate::http;
use crate::session::{Failure, Session, authentication, configuration};

/// A token is not used in its last half minute: the request takes a while.
const MARGIN: Duration = Duration::from_secs(30);

/// Tokens kept at the same time, of one host: more than it has services.
const TOKENS_MAX: usize = 256;

/// How long an assertion of the client's own is valid.
const ASSERTION_SECONDS: u64 = 60;

/// Tokens by the digest of what they were asked with.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<Digest, (String, Instant)>>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl Tokens {
    fn get(&self, key: &Digest) -> Option<String> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, until)| *until > Instant::now());
        tokens.get(key).map(|(token, _)| token.clone())
    }

    fn keep(&self, key: &Digest, token: &str, until: Instant) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() < TOKENS_MAX {
            tokens.insert(key.clone(), (token.to_owned(), until));
        }
    }

    fn forget(&self, key: &Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// The fields of `oauth2` and `oidc`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    authority: String,
    grant: String,
    #[serde(default)]
    client: ClientPolicy,
    #[serde(default)]
    request: RequestPolicy,
    #[serde(default)]
    endpoints: Endpoints,
    #[serde(default)]
    issuers: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    username: Option<String>,
    password: Option<String>,
    subject: Option<Token>,
    actor: Option<Token>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientPolicy {
    id: Option<String>,
    secret: Option<String>,
    assertion: Option<String>,
    authentication: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestPolicy {
    encoding: Option<String>,
}

/// Paths below the authority. The other two are not needed to get a token.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoints {
    token: Option<String>,
    revocation: Option<String>,
    introspection: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    token: String,
    #[serde(rename = "type")]
    kind: String,
}

/// A token that can be asked for.
pub(crate) struct TokenRequest {
    policy: Policy,
    scheme: AuthenticationScheme,
    key: Digest,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    token_type: Option<String>,
}

impl TokenRequest {
    pub fn of(session: &Session<'_>, properties: &Properties) -> Result<Self, Failure> {
        let policy: Policy = properties.read(|_| None)?;
        let secrets = [
            ("client.secret", &policy.client.secret),
            ("client.assertion", &policy.client.assertion),
            ("password", &policy.password),
        ];
        for (field, value) in secrets {
            if let Some(value) = value {
                properties.note(session, field, value)?;
            }
        }
        for (field, token) in [("subject.token", &policy.subject), ("actor.token", &policy.actor)] {
            if let Some(token) = token {
                properties.note(session, field, &token.token)?;
            }
        }
        let scheme = properties.scheme;
        let whole = json!({ "scheme": scheme, "policy": policy }).to_string();
        Ok(Self { policy, scheme, key: Digest::of(whole.as_bytes()) })
    }

    /// A token, and whether it was there before.
    pub async fn get(&self, session: &Session<'_>) -> Result<(String, bool), Failure> {
        if let Some(token) = session.client.tokens.get(&self.key) {
            session.use_credential("access token", &token)?;
            return Ok((token, true));
        }
        let asked_at = Instant::now();
        let granted = self.ask(session).await?;
        if let Some(seconds) = granted.expires_in {
            let lifetime = Duration::from_secs(seconds.min(24 * 60 * 60));
            if let Some(until) = (asked_at + lifetime).checked_sub(MARGIN).filter(|until| *until > asked_at) {
                session.client.tokens.keep(&self.key, &granted.access_token, until);
            }
        }
        Ok((granted.access_token, false))
    }

    pub fn forget(&self, session: &Session<'_>) {
        session.client.tokens.forget(&self.key);
    }

    async fn ask(&self, session: &Session<'_>) -> Result<Granted, Failure> {
        let url = self.endpoint(session).await?;
        let mut headers = http::headers(&[])?;
        headers.insert(ACCEPT, HeaderValue::from_static(JSON));
        let mut fields = self.grant()?;
        self.identify(&url, &mut fields, &mut headers)?;
        let (content_type, body) = match self.policy.request.encoding.as_deref().unwrap_or(FORM) {
            FORM => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(&fields);
                (FORM, form.finish())
            }
            JSON => {
                let members = fields.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value)));
                (JSON, Value::Object(members.collect::<Map<_, _>>()).to_string())
            }
            other => return Err(configuration(format!("a token cannot be asked for as `{other}`"))),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let shown = url.to_string();
        // Asking twice for a token gives two tokens, and nothing else.
        let request =
            Request { method: Method::POST, url, headers, body: Bytes::from(body), class: EffectClass::Idempotent };
        let answer = session.exchange(request).await?;
        if !answer.status.is_success() {
            let detail = format!("`{shown}` gave no token: {} {}", answer.status, content::excerpt(&answer.body));
            return Err(authentication(detail));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| authentication(format!("`{shown}` answered something else than a token")))?;
        session.use_credential("access token", &granted.access_token)?;
        if let Some(kind) = granted.token_type.as_deref().filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(authentication(format!(
                "`{shown}` gave a token of type `{kind}`, and only bearer tokens are known"
            )));
        }
        self.check_issuer(&granted.access_token)?;
        Ok(granted)
    }

    /// Where tokens are given: below the authority, or where OpenID Connect's document says.
    async fn endpoint(&self, session: &Session<'_>) -> Result<Url, Failure> {
        let authority = self.policy.authority.trim_end_matches('/');
        match self.scheme {
            AuthenticationScheme::Oidc => {
                let url = parse_url(&format!("{authority}/.well-known/openid-configuration"))?;
                let headers = http::headers(&[])?;
                let shown = url.to_string();
                let class = EffectClass::Pure;
                let request = Request { method: Method::GET, url, headers, body: Bytes::new(), class };
                let answer = session.exchange(request).await?;
                let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let (issuer, endpoint) = (document["issuer"].as_str(), document["token_endpoint"].as_str());
                if !answer.status.is_success() || issuer.map(|issuer| issuer.trim_end_matches('/')) != Some(authority) {
                    return Err(authentication(format!("`{shown}` does not describe the authority `{authority}`")));
                }
                parse_url(endpoint.ok_or_else(|| authentication(format!("`{shown}` names no token endpoint")))?)
            }
            AuthenticationScheme::Oauth2
            | AuthenticationScheme::Basic
            | AuthenticationScheme::Bearer
            | AuthenticationScheme::Digest => {
                let path = self.policy.endpoints.token.as_deref().unwrap_or("/oauth2/token");
                parse_url(&format!("{authority}/{}", path.trim_start_matches('/')))
            }
        }
    }

    fn grant(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let policy = &self.policy;
        let needed = |name: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| configuration(format!("grant `{}` needs `{name}`", policy.grant)))
        };
        let mut fields = vec![("grant_type", policy.grant.clone())];
        match policy.grant.as_str() {
            "client_credentials" => {}
            "password" => {
                fields.push(("username", needed("username", &policy.username)?));
                fields.push(("password", needed("password", &policy.password)?));
            }
            "urn:ietf:params:oauth:grant-type:token-exchange" => {
                let subject = policy.subject.as_ref();
                let subject = subject.ok_or_else(|| configuration("a token exchange needs `subject`"))?;
                fields.push(("subject_token", subject.token.clone()));
                fields.push(("subject_token_type", subject.kind.clone()));
                if let Some(actor) = &policy.actor {
                    fields.push(("actor_token", actor.token.clone()));
                    fields.push(("actor_token_type", actor.kind.clone()));
                }
            }
            other => return Err(configuration(format!("grant `{other}` is not known"))),
        }
        let mut scopes = policy.scopes.clone();
        if self.scheme == AuthenticationScheme::Oidc && !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        if !scopes.is_empty() {
            fields.push(("scope", scopes.join(" ")));
        }
        match policy.request.encoding.as_deref() {
            // A JSON object has each name once.
            Some(JSON) if !policy.audiences.is_empty() => fields.push(("audience", policy.audiences.join(" "))),
            _ => fields.extend(policy.audiences.iter().map(|audience| ("audience", audience.clone()))),
        }
        Ok(fields)
    }

    /// Adds what proves who the client is.
    fn identify(
        &self,
        url: &Url,
        fields: &mut Vec<(&'static str, String)>,
        headers: &mut HeaderMap,
    ) -> Result<(), Failure> {
        const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let client = &self.policy.client;
        let method = client.authentication.as_deref().unwrap_or("client_secret_post");
        let needed = |name: &str, value: &Option<String>| {
            value
                .clone()
                .ok_or_else(|| configuration(format!("client authentication `{method}` needs `client.{name}`")))
        };
        match method {
            "client_secret_post" => {
                if let Some(id) = &client.id {
                    fields.push(("client_id", id.clone()));
                    fields.push(("client_secret", needed("secret", &client.secret)?));
                }
            }
            "client_secret_basic" => {
                let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let (id, secret) = (needed("id", &client.id)?, needed("secret", &client.secret)?);
                let pair = STANDARD.encode(format!("{}:{}", encode(&id), encode(&secret)));
                headers.insert(AUTHORIZATION, header(&format!("Basic {pair}"))?);
            }
            "client_secret_jwt" => {
                let (id, secret) = (needed("id", &client.id)?, needed("secret", &client.secret)?);
                fields.push(("client_assertion", assertion(&id, &secret, url)?));
                fields.push(("client_assertion_type", ASSERTION.to_owned()));
                fields.push(("client_id", id));
            }
            "private_key_jwt" => {
                fields.push(("client_assertion", needed("assertion", &client.assertion)?));
                fields.push(("client_assertion_type", ASSERTION.to_owned()));
                fields.extend(client.id.clone().map(|id| ("client_id", id)));
            }
            "none" => fields.push(("client_id", needed("id", &client.id)?)),
            other => return Err(configuration(format!("client authentication `{other}` is not known"))),
        }
        Ok(())
    }

    /// `issuers`: whose tokens are taken. What is inside a token is for the one
    /// who gets it to verify; only its issuer is compared here.
    fn check_issuer(&self, token: &str) -> Result<(), Failure> {
        if self.policy.issuers.is_empty() {
            return Ok(());
        }
        let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Value = payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        match claims["iss"].as_str() {
            Some(issuer) if self.policy.issuers.iter().any(|known| known == issuer) => Ok(()),
            Some(issuer) => {
                Err(authentication(format!("the token was issued by `{issuer}`, which `issuers` does not name")))
            }
            None => Err(authentication("the token does not say who issued it, and `issuers` asks for that")),
        }
    }
}

/// A JWT that the client signs with its own secret (RFC 7523).
fn assertion(id: &str, secret: &str, audience: &Url) -> Result<String, Failure> {
    let mut unique = [0; 16];
    getrandom::fill(&mut unique).map_err(|error| configuration(format!("there is no randomness: {error}")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let head = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({
        "iss": id, "sub": id, "aud": audience.as_str(), "jti": hex::encode(unique),
        "iat": now, "exp": now + ASSERTION_SECONDS,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&head), part(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}
