//! Authentication policies: of `use.authentications`, and of whatever makes a call.

use super::super::authentication::{
    Authentication, Bearer, ClientAuthentication, Credentials, Grant, Login, OAuth2, OAuth2Client, OAuth2Endpoints,
    OAuth2Token, TokenEncoding,
};
use super::reuse::Uses;
use super::secrets::{self, Declared, text_or_secret};
use super::values;
use crate::expression::Template;
use crate::located::{Field, Slot};

/// `authentication` of a call: `use: NAME`, or a policy.
pub fn referenceable(field: &Field, uses: &Uses) -> Option<Authentication> {
    if !field.slot("use").is_given() {
        return policy(field, uses.secrets.as_ref());
    }
    let [name] = field.fields(["use"])?;
    name.required(|field| values::reused(field, &uses.authentications, "use.authentications"))
}

/// One entry of `use.authentications`.
pub fn policy(field: &Field, declared: Declared) -> Option<Authentication> {
    let slots = field.fields(["basic", "bearer", "digest", "oauth2", "oidc"])?;
    if slots.iter().filter(|slot| slot.is_given()).count() != 1 {
        field.error(
            format!("`{}` must be one of `basic`, `bearer`, `digest`, `oauth2` and `oidc`", field.label),
            Some("write for example `bearer: { use: SECRET }`"),
        );
        return None;
    }
    let [basic, bearer, digest, oauth2, oidc] = slots;
    let basic =
        basic.optional(|field| credentials(field, declared, |field| login(field, declared)).map(Authentication::Basic));
    let bearer = bearer.optional(|field| {
        credentials(field, declared, |field| self::bearer(field, declared)).map(Authentication::Bearer)
    });
    let digest = digest
        .optional(|field| credentials(field, declared, |field| login(field, declared)).map(Authentication::Digest));
    let oauth2 = oauth2.optional(|field| {
        credentials(field, declared, |field| self::oauth2(field, true, declared)).map(Authentication::OAuth2)
    });
    let oidc = oidc.optional(|field| {
        credentials(field, declared, |field| self::oauth2(field, false, declared)).map(Authentication::Oidc)
    });
    [basic?, bearer?, digest?, oauth2?, oidc?].into_iter().flatten().next()
}

/// `use: SECRET`, or the fields themselves.
fn credentials<T>(
    field: &Field,
    declared: Declared,
    inline: impl FnOnce(&Field) -> Option<T>,
) -> Option<Credentials<T>> {
    if !field.slot("use").is_given() {
        return inline(field).map(Credentials::Inline);
    }
    let [secret] = field.fields(["use"])?;
    secret.required(|field| secrets::named(field, declared)).map(Credentials::Secret)
}

fn login(field: &Field, declared: Declared) -> Option<Login> {
    let [username, password] = field.fields(["username", "password"])?;
    let username = username.required(|field| text_or_secret(field, declared));
    let password = password.required(|field| text_or_secret(field, declared));
    Some(Login { username: username?, password: password? })
}

fn bearer(field: &Field, declared: Declared) -> Option<Bearer> {
    let [token] = field.fields(["token"])?;
    Some(Bearer { token: token.required(|field| text_or_secret(field, declared))? })
}

/// `has_endpoints`: OpenID Connect finds them by itself.
fn oauth2(field: &Field, has_endpoints: bool, declared: Declared) -> Option<Box<OAuth2>> {
    let endpoints = field.slot("endpoints");
    if let Some(endpoints) = endpoints.given().filter(|_| !has_endpoints) {
        endpoints.error(format!("`{}` belongs to `oauth2`", endpoints.label), Some("remove it, or use `oauth2`"));
    }
    let [authority, grant, client, _, request, issuers, scopes, audiences, username, password, subject, actor] = field
        .fields([
            "authority",
            "grant",
            "client",
            "endpoints",
            "request",
            "issuers",
            "scopes",
            "audiences",
            "username",
            "password",
            "subject",
            "actor",
        ])?;
    let authority = authority.required(values::text_template);
    let grant = grant.required(|field| {
        field.choice(&[
            ("authorization_code", Grant::AuthorizationCode),
            ("client_credentials", Grant::ClientCredentials),
            ("password", Grant::Password),
            ("refresh_token", Grant::RefreshToken),
            ("urn:ietf:params:oauth:grant-type:token-exchange", Grant::TokenExchange),
        ])
    });
    let client = client.optional(|field| self::client(field, declared));
    let endpoints = endpoints.or(OAuth2Endpoints::default(), self::endpoints);
    let encoding = request.or(TokenEncoding::Form, |field| {
        let [encoding] = field.fields(["encoding"])?;
        encoding.or(TokenEncoding::Form, |field| {
            field.choice(&[
                ("application/x-www-form-urlencoded", TokenEncoding::Form),
                ("application/json", TokenEncoding::Json),
            ])
        })
    });
    let issuers = issuers.or(Vec::new(), values::text_templates);
    let scopes = scopes.or(Vec::new(), values::text_templates);
    let audiences = audiences.or(Vec::new(), values::text_templates);
    let username = username.optional(|field| text_or_secret(field, declared));
    let password = password.optional(|field| text_or_secret(field, declared));
    let subject = subject.optional(|field| token(field, declared));
    let actor = actor.optional(|field| token(field, declared));
    Some(Box::new(OAuth2 {
        authority: authority?,
        grant: grant?,
        client: client?,
        endpoints: endpoints?,
        encoding: encoding?,
        issuers: issuers?,
        scopes: scopes?,
        audiences: audiences?,
        username: username?,
        password: password?,
        subject: subject?,
        actor: actor?,
    }))
}

fn client(field: &Field, declared: Declared) -> Option<OAuth2Client> {
    let [id, secret, assertion, authentication] = field.fields(["id", "secret", "assertion", "authentication"])?;
    let id = id.optional(values::text_template);
    let secret = secret.optional(|field| text_or_secret(field, declared));
    let assertion = assertion.optional(|field| text_or_secret(field, declared));
    let authentication = authentication.or(ClientAuthentication::SecretPost, |field| {
        field.choice(&[
            ("client_secret_basic", ClientAuthentication::SecretBasic),
            ("client_secret_post", ClientAuthentication::SecretPost),
            ("client_secret_jwt", ClientAuthentication::SecretJwt),
            ("private_key_jwt", ClientAuthentication::PrivateKeyJwt),
            ("none", ClientAuthentication::None),
        ])
    });
    Some(OAuth2Client { id: id?, secret: secret?, assertion: assertion?, authentication: authentication? })
}

fn endpoints(field: &Field) -> Option<OAuth2Endpoints> {
    let [token, revocation, introspection] = field.fields(["token", "revocation", "introspection"])?;
    let given = |slot: &Slot, absent: Template| slot.or(absent, values::text_template);
    let absent = OAuth2Endpoints::default();
    let token = given(&token, absent.token);
    let revocation = given(&revocation, absent.revocation);
    let introspection = given(&introspection, absent.introspection);
    Some(OAuth2Endpoints { token: token?, revocation: revocation?, introspection: introspection? })
}

fn token(field: &Field, declared: Declared) -> Option<OAuth2Token> {
    let [token, kind] = field.fields(["token", "type"])?;
    let token = token.required(|field| text_or_secret(field, declared));
    let kind = kind.required(values::text_template);
    Some(OAuth2Token { token: token?, kind: kind? })
}
