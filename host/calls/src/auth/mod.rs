//! How a request says who asks: basic, bearer, digest, OAuth 2, OpenID Connect.
//!
//! Properties come from the definition or from a secret of the host, in the
//! same shape; a secret may also be the plain text of a token, or
//! `username:password`. Credentials are added to a request when it goes out,
//! and belong to the origin they were meant for.

mod digest;
mod oauth2;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use workflow::calls::{Authentication, AuthenticationProperties, AuthenticationScheme};

use crate::exchange::{Answer, Request};
use crate::session::{Failure, Session, configuration};

pub(crate) use digest::fields as challenge_fields;
pub use oauth2::Tokens;

/// Ready to sign requests.
pub(crate) enum Credentials {
    /// Basic and bearer: the same header each time.
    Header(HeaderValue),
    Digest {
        user: User,
    },
    Token(Box<oauth2::TokenRequest>),
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub username: String,
    pub password: String,
}

#[derive(Deserialize)]
struct Bearer {
    token: String,
}

impl Credentials {
    /// # Errors
    ///
    /// A configuration fault: the secret is not there, or does not have the scheme's fields.
    pub fn of(session: &Session<'_>, authentication: &Authentication) -> Result<Self, Failure> {
        let scheme = authentication.scheme;
        let properties = Properties::of(session, authentication)?;
        Ok(match scheme {
            AuthenticationScheme::Basic => {
                let user = properties.user(session)?;
                let pair = STANDARD.encode(format!("{}:{}", user.username, user.password));
                Credentials::Header(header(&format!("Basic {pair}"))?)
            }
            AuthenticationScheme::Bearer => {
                let token = properties.token(session)?;
                Credentials::Header(header(&format!("Bearer {token}"))?)
            }
            AuthenticationScheme::Digest => Credentials::Digest { user: properties.user(session)? },
            AuthenticationScheme::Oauth2 | AuthenticationScheme::Oidc => {
                Credentials::Token(Box::new(oauth2::TokenRequest::of(session, &properties)?))
            }
        })
    }

    /// Sends a request in this name.
    pub async fn exchange(&mut self, session: &Session<'_>, request: &Request) -> Result<Answer, Failure> {
        match self {
            Credentials::Header(value) => session.exchange(signed(request, value.clone())).await,
            Credentials::Digest { user } => {
                let answer = session.exchange(request.clone()).await?;
                if answer.status != StatusCode::UNAUTHORIZED {
                    return Ok(answer);
                }
                match digest::answer_to(&answer.headers, user, request) {
                    Some(value) => session.exchange(signed(request, header(&value)?)).await,
                    None => Ok(answer),
                }
            }
            Credentials::Token(token) => {
                let (value, cached) = token.get(session).await?;
                let answer = session.exchange(signed(request, bearer(&value)?)).await?;
                if answer.status != StatusCode::UNAUTHORIZED || !cached {
                    return Ok(answer);
                }
                // It was taken back before it expired.
                token.forget(session);
                let (value, _) = token.get(session).await?;
                session.exchange(signed(request, bearer(&value)?)).await
            }
        }
    }
}

impl Credentials {
    /// The header for one request, where the scheme needs no challenge first.
    pub async fn header(&mut self, session: &Session<'_>) -> Result<HeaderValue, Failure> {
        match self {
            Credentials::Header(value) => Ok(value.clone()),
            Credentials::Digest { .. } => {
                Err(configuration("`digest` answers a challenge, which this protocol has none of"))
            }
            Credentials::Token(token) => bearer(&token.get(session).await?.0),
        }
    }
}

/// Who a broker is told to be talking to.
pub(crate) enum Login {
    User(User),
    Token(String),
}

impl Login {
    /// Of `basic` and `bearer`, for a protocol that has no headers.
    ///
    /// # Errors
    ///
    /// As [`Credentials::of`], and of every other scheme.
    pub fn of(session: &Session<'_>, authentication: &Authentication) -> Result<Self, Failure> {
        let properties = Properties::of(session, authentication)?;
        match authentication.scheme {
            AuthenticationScheme::Basic => properties.user(session).map(Login::User),
            AuthenticationScheme::Bearer => properties.token(session).map(Login::Token),
            other @ (AuthenticationScheme::Digest | AuthenticationScheme::Oauth2 | AuthenticationScheme::Oidc) => {
                Err(configuration(format!("`{}` is a matter of HTTP: use `basic` or `bearer`", other.name())))
            }
        }
    }
}

fn signed(request: &Request, value: HeaderValue) -> Request {
    let mut request = request.clone();
    request.headers.insert(AUTHORIZATION, value);
    request
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    header(&format!("Bearer {token}"))
}

fn header(value: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| configuration("a credential holds a line end or another character that no header can have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The fields of a scheme, and where they come from.
pub(crate) struct Properties {
    /// The secret they are in; none if the definition gives them.
    secret: Option<String>,
    /// A secret that is no JSON object is a text here.
    value: Value,
    pub scheme: AuthenticationScheme,
}

impl Properties {
    fn of(session: &Session<'_>, authentication: &Authentication) -> Result<Self, Failure> {
        let scheme = authentication.scheme;
        match &authentication.properties {
            AuthenticationProperties::Given(value) => Ok(Self { secret: None, value: value.clone(), scheme }),
            AuthenticationProperties::Completed { fields, secrets } => {
                let mut value = fields.clone();
                for (pointer, name) in secrets {
                    let text = session.secret(name)?;
                    session.use_credential(name.to_string(), &text)?;
                    let field = value.pointer_mut(pointer);
                    *field.ok_or_else(|| configuration(format!("there is no `{pointer}` for secret `{name}`")))? =
                        text.into();
                }
                Ok(Self { secret: None, value, scheme })
            }
            AuthenticationProperties::Secret(name) => {
                let text = session.secret(name)?;
                let value = match serde_json::from_str(&text) {
                    Ok(value @ Value::Object(_)) => value,
                    Ok(_) | Err(_) => Value::String(text),
                };
                Ok(Self { secret: Some(name.to_string()), value, scheme })
            }
        }
    }

    /// `of_text`: what a secret that is plain text means.
    pub fn read<T: DeserializeOwned>(&self, of_text: impl Fn(&str) -> Option<Value>) -> Result<T, Failure> {
        let value = match &self.value {
            Value::String(text) => of_text(text).ok_or_else(|| self.wrong(self.why_no_text()))?,
            other => other.clone(),
        };
        T::deserialize(value).map_err(|error| self.wrong(&plain(&error.to_string())))
    }

    /// Of a secret that is text, and not of the form that the scheme has for one.
    fn why_no_text(&self) -> &'static str {
        match self.scheme {
            AuthenticationScheme::Basic | AuthenticationScheme::Digest => {
                "it is neither `username:password` nor a JSON object"
            }
            AuthenticationScheme::Bearer | AuthenticationScheme::Oauth2 | AuthenticationScheme::Oidc => {
                "it is no JSON object"
            }
        }
    }

    fn user(&self, session: &Session<'_>) -> Result<User, Failure> {
        let pair = |text: &str| {
            let (username, password) = text.split_once(':')?;
            Some(json!({ "username": username, "password": password }))
        };
        let user: User = self.read(pair)?;
        if user.username.contains(':') {
            return Err(self.wrong("`username` has a colon"));
        }
        self.note(session, "password", &user.password)?;
        Ok(user)
    }

    fn token(&self, session: &Session<'_>) -> Result<String, Failure> {
        let bearer: Bearer = self.read(|text| Some(json!({ "token": text })))?;
        self.note(session, "token", &bearer.token)?;
        Ok(bearer.token)
    }

    /// Notes a value that came from a secret, so that it is redacted on its own.
    pub fn note(&self, session: &Session<'_>, field: &str, value: &str) -> Result<(), Failure> {
        match &self.secret {
            Some(secret) => session.use_credential(format!("{secret}.{field}"), value),
            None => Ok(()),
        }
    }

    pub fn wrong(&self, why: &str) -> Failure {
        let place = match &self.secret {
            Some(secret) => format!("secret `{secret}`"),
            None => "the definition".to_owned(),
        };
        configuration(format!("{place} does not hold what `{}` authentication needs: {why}", self.scheme.name()))
    }
}

/// serde shows the offending value, which may be the secret: only names of fields are kept.
fn plain(message: &str) -> String {
    let named = message.starts_with("missing field") || message.starts_with("unknown field");
    if named { message.to_owned() } else { "one of its fields is not what it must be".to_owned() }
}
