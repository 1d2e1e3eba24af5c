//! How a call of the host proves who it is.
//!
//! The texts of an inline policy are templates or name a secret; that is read
//! where the call is made, so its value is in no definition and no history.

use super::outbound::UriTemplate;
use super::secrets::MaybeSecret;
use crate::expression::Template;
use crate::ids::SecretName;
use crate::origin::Origin;

/// One authentication policy, inline or from `use.authentications`.
#[derive(Debug, Clone, PartialEq)]
pub enum Authentication {
    Basic(Credentials<Login>),
    Bearer(Credentials<Bearer>),
    Digest(Credentials<Login>),
    OAuth2(Credentials<Box<OAuth2>>),
    /// As OAuth2, with the endpoints that the authority publishes.
    Oidc(Credentials<Box<OAuth2>>),
}

impl Authentication {
    /// The secret that holds everything, if one does.
    fn secret(&self) -> Option<&SecretName> {
        match self {
            Authentication::Basic(credentials) | Authentication::Digest(credentials) => credentials.secret(),
            Authentication::Bearer(credentials) => credentials.secret(),
            Authentication::OAuth2(credentials) | Authentication::Oidc(credentials) => credentials.secret(),
        }
    }

    /// How a token is got, where the definition says so.
    pub fn grant(&self) -> Option<Grant> {
        match self {
            Authentication::OAuth2(Credentials::Inline(oauth2)) | Authentication::Oidc(Credentials::Inline(oauth2)) => {
                Some(oauth2.grant)
            }
            Authentication::OAuth2(Credentials::Secret(_))
            | Authentication::Oidc(Credentials::Secret(_))
            | Authentication::Basic(_)
            | Authentication::Bearer(_)
            | Authentication::Digest(_) => None,
        }
    }

    /// The authority that gives a token, where the definition writes it out.
    pub fn authority(&self) -> Option<Origin> {
        match self {
            Authentication::OAuth2(Credentials::Inline(oauth2)) | Authentication::Oidc(Credentials::Inline(oauth2)) => {
                UriTemplate::parse(oauth2.authority.source.as_str()?).ok()?.origin()
            }
            Authentication::OAuth2(Credentials::Secret(_))
            | Authentication::Oidc(Credentials::Secret(_))
            | Authentication::Basic(_)
            | Authentication::Bearer(_)
            | Authentication::Digest(_) => None,
        }
    }

    /// The fields of an inline policy that say who asks, by their pointers in it.
    pub fn credentials(&self) -> Vec<(&'static str, &MaybeSecret)> {
        match self {
            Authentication::Basic(Credentials::Inline(login)) | Authentication::Digest(Credentials::Inline(login)) => {
                vec![("/username", &login.username), ("/password", &login.password)]
            }
            Authentication::Bearer(Credentials::Inline(bearer)) => vec![("/token", &bearer.token)],
            Authentication::OAuth2(Credentials::Inline(oauth2)) | Authentication::Oidc(Credentials::Inline(oauth2)) => {
                oauth2.credentials()
            }
            Authentication::Basic(Credentials::Secret(_))
            | Authentication::Bearer(Credentials::Secret(_))
            | Authentication::Digest(Credentials::Secret(_))
            | Authentication::OAuth2(Credentials::Secret(_))
            | Authentication::Oidc(Credentials::Secret(_)) => Vec::new(),
        }
    }

    /// Every secret that it uses: the one that holds everything, or those that fields name.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        let of_fields = self.credentials().into_iter().filter_map(|(_, field)| field.secret());
        self.secret().into_iter().chain(of_fields)
    }

    /// The templates inside it.
    pub fn templates(&self) -> Vec<&Template> {
        let credentials = self.credentials().into_iter().filter_map(|(_, field)| field.template());
        let others = match self {
            Authentication::OAuth2(Credentials::Inline(oauth2)) | Authentication::Oidc(Credentials::Inline(oauth2)) => {
                oauth2.templates()
            }
            Authentication::OAuth2(Credentials::Secret(_))
            | Authentication::Oidc(Credentials::Secret(_))
            | Authentication::Basic(_)
            | Authentication::Bearer(_)
            | Authentication::Digest(_) => Vec::new(),
        };
        credentials.chain(others).collect()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Credentials<T> {
    Inline(T),
    /// `use: SECRET`: a secret that holds the same fields as JSON.
    Secret(SecretName),
}

impl<T> Credentials<T> {
    pub fn secret(&self) -> Option<&SecretName> {
        match self {
            Credentials::Inline(_) => None,
            Credentials::Secret(name) => Some(name),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    pub username: MaybeSecret,
    pub password: MaybeSecret,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bearer {
    pub token: MaybeSecret,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2 {
    pub authority: Template,
    pub grant: Grant,
    pub client: Option<OAuth2Client>,
    /// Paths below the authority.
    pub endpoints: OAuth2Endpoints,
    pub encoding: TokenEncoding,
    pub issuers: Vec<Template>,
    pub scopes: Vec<Template>,
    pub audiences: Vec<Template>,
    pub username: Option<MaybeSecret>,
    pub password: Option<MaybeSecret>,
    pub subject: Option<OAuth2Token>,
    pub actor: Option<OAuth2Token>,
}

impl OAuth2 {
    fn credentials(&self) -> Vec<(&'static str, &MaybeSecret)> {
        let client = self.client.as_ref();
        let fields = [
            ("/client/secret", client.and_then(|client| client.secret.as_ref())),
            ("/client/assertion", client.and_then(|client| client.assertion.as_ref())),
            ("/username", self.username.as_ref()),
            ("/password", self.password.as_ref()),
            ("/subject/token", self.subject.as_ref().map(|token| &token.token)),
            ("/actor/token", self.actor.as_ref().map(|token| &token.token)),
        ];
        fields.into_iter().filter_map(|(pointer, field)| Some((pointer, field?))).collect()
    }

    /// Without those of its credentials.
    fn templates(&self) -> Vec<&Template> {
        let kinds = self.subject.iter().chain(&self.actor).map(|token| &token.kind);
        let OAuth2Endpoints { token, revocation, introspection } = &self.endpoints;
        [&self.authority, token, revocation, introspection]
            .into_iter()
            .chain(self.client.iter().filter_map(|client| client.id.as_ref()))
            .chain(&self.issuers)
            .chain(&self.scopes)
            .chain(&self.audiences)
            .chain(kinds)
            .collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    AuthorizationCode,
    ClientCredentials,
    Password,
    RefreshToken,
    TokenExchange,
}

impl Grant {
    /// As definitions and authorities name it.
    pub fn name(self) -> &'static str {
        match self {
            Grant::AuthorizationCode => "authorization_code",
            Grant::ClientCredentials => "client_credentials",
            Grant::Password => "password",
            Grant::RefreshToken => "refresh_token",
            Grant::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2Client {
    pub id: Option<Template>,
    pub secret: Option<MaybeSecret>,
    /// A JWT that is signed already.
    pub assertion: Option<MaybeSecret>,
    pub authentication: ClientAuthentication,
}

/// How the client proves who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    SecretBasic,
    /// The default.
    SecretPost,
    SecretJwt,
    PrivateKeyJwt,
    None,
}

impl ClientAuthentication {
    /// As definitions name it.
    pub fn name(self) -> &'static str {
        match self {
            ClientAuthentication::SecretBasic => "client_secret_basic",
            ClientAuthentication::SecretPost => "client_secret_post",
            ClientAuthentication::SecretJwt => "client_secret_jwt",
            ClientAuthentication::PrivateKeyJwt => "private_key_jwt",
            ClientAuthentication::None => "none",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2Endpoints {
    pub token: Template,
    pub revocation: Template,
    pub introspection: Template,
}

impl Default for OAuth2Endpoints {
    fn default() -> Self {
        let literal = |path: &str| Template::literal(path.into());
        Self {
            token: literal("/oauth2/token"),
            revocation: literal("/oauth2/revoke"),
            introspection: literal("/oauth2/introspect"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEncoding {
    /// `application/x-www-form-urlencoded`, the default.
    Form,
    Json,
}

impl TokenEncoding {
    /// The media type.
    pub fn name(self) -> &'static str {
        match self {
            TokenEncoding::Form => "application/x-www-form-urlencoded",
            TokenEncoding::Json => "application/json",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2Token {
    pub token: MaybeSecret,
    pub kind: Template,
}
