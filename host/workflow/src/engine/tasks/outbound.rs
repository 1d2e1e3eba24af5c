//! `call: http` and kin: the intent of an outbound call. All of it is evaluated
//! here, so what is sent is what the history says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::effects::{server, start_attempt};
use crate::calls::{
    A2aCall, Agent, Authentication, AuthenticationProperties, AuthenticationScheme, Call, CallEndpoint, CallRequest,
    GrpcCall, HttpCall, McpCall, McpClient, McpTransport, OpenApiCall,
};
use crate::definition;
use crate::definition::authentication::{Bearer, Credentials, Login, OAuth2};
use crate::definition::outbound::{
    A2aOutbound, AgentSource, Endpoint, GrpcOutbound, HttpOutbound, McpOutbound, OpenApiOutbound, Outbound, UriPart,
    UriSource, UriTemplate,
};
use crate::definition::secrets::MaybeSecret;
use crate::effect::{Effect, Fault, StandardError};
use crate::engine::data_flow::{Running, duration_of};
use crate::engine::scope::Scope;
use crate::event::Event;
use crate::expression::Template;
use crate::ids::SecretName;

pub fn call(running: Running<'_>, outbound: &Outbound) -> Result<Event, Fault> {
    let input = running.input()?;
    let place = Place { running, input: &input, scope: running.scope(&input) };
    let request = match outbound {
        Outbound::Http(http) => CallRequest::Http(Box::new(place.http(http)?)),
        Outbound::OpenApi(openapi) => CallRequest::OpenApi(Box::new(place.openapi(openapi)?)),
        Outbound::A2a(a2a) => CallRequest::A2a(Box::new(place.a2a(a2a)?)),
        Outbound::Mcp(mcp) => CallRequest::Mcp(Box::new(place.mcp(mcp)?)),
        Outbound::Grpc(grpc) => CallRequest::Grpc(Box::new(place.grpc(grpc)?)),
        Outbound::AsyncApi(asyncapi) => CallRequest::AsyncApi(Box::new(place.asyncapi(asyncapi)?)),
    };
    let own_limit = match outbound {
        Outbound::Mcp(mcp) => {
            let limit = |limit| duration_of(limit, "with.timeout", &input, &place.scope);
            mcp.timeout.as_ref().map(limit).transpose()?
        }
        Outbound::Http(_) | Outbound::OpenApi(_) | Outbound::A2a(_) | Outbound::Grpc(_) | Outbound::AsyncApi(_) => None,
    };
    let limit = own_limit.into_iter().chain(running.frame.time_limit).min();
    let limit = limit.map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    let call = Call { request, class: running.task.light.class, time_limit_ms: limit };
    let class = call.class();
    Ok(start_attempt(running, Effect::Call { call: Box::new(call), class }))
}

/// What the expressions of one task see.
pub(super) struct Place<'a> {
    pub running: Running<'a>,
    pub input: &'a Value,
    pub scope: Scope<'a>,
}

impl Place<'_> {
    fn http(&self, http: &HttpOutbound) -> Result<HttpCall, Fault> {
        let method = self.text(&http.method, "method")?.to_ascii_uppercase();
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
            return Err(expression(format!("`{method}` is no HTTP method")));
        }
        if matches!(method.as_str(), "CONNECT" | "TRACE") {
            return Err(StandardError::Configuration.fault(format!("`{method}` is not a method that a call may use")));
        }
        Ok(HttpCall {
            method,
            endpoint: self.endpoint(&http.endpoint)?,
            headers: self.headers(http.headers.as_ref())?,
            query: self.pairs(http.query.as_ref(), "query")?,
            body: http.body.as_ref().map(|body| body.evaluate(self.input, &self.scope)).transpose()?,
            output: http.output,
            redirect: http.redirect,
        })
    }

    fn openapi(&self, openapi: &OpenApiOutbound) -> Result<OpenApiCall, Fault> {
        Ok(OpenApiCall {
            document: self.endpoint(&openapi.document)?,
            operation_id: self.text(&openapi.operation_id, "operationId")?,
            parameters: self.mapping(&openapi.parameters, "parameters")?,
            authentication: openapi.authentication.as_ref().map(|policy| self.authentication(policy)).transpose()?,
            output: openapi.output,
            redirect: openapi.redirect,
        })
    }

    fn grpc(&self, grpc: &GrpcOutbound) -> Result<GrpcCall, Fault> {
        Ok(GrpcCall {
            proto: self.endpoint(&grpc.proto)?,
            service: self.text(&grpc.service, "service.name")?,
            host: self.text(&grpc.host, "service.host")?,
            port: grpc.port,
            method: self.text(&grpc.method, "method")?,
            arguments: self.mapping(&grpc.arguments, "arguments")?,
            authentication: grpc.authentication.as_ref().map(|policy| self.authentication(policy)).transpose()?,
        })
    }

    fn a2a(&self, a2a: &A2aOutbound) -> Result<A2aCall, Fault> {
        let endpoint = self.endpoint(a2a.agent.endpoint())?;
        Ok(A2aCall {
            method: a2a.method.to_owned(),
            agent: match &a2a.agent {
                AgentSource::Card(_) => Agent::Card(endpoint),
                AgentSource::Server(_) => Agent::Server(endpoint),
            },
            parameters: self.parameters(a2a.parameters.as_ref())?,
        })
    }

    fn mcp(&self, mcp: &McpOutbound) -> Result<McpCall, Fault> {
        Ok(McpCall {
            protocol_version: mcp.protocol_version.clone(),
            method: mcp.method.to_owned(),
            parameters: self.parameters(mcp.parameters.as_ref())?,
            transport: match &mcp.transport {
                definition::outbound::McpTransport::Http { endpoint, headers } => {
                    McpTransport::Http { endpoint: self.endpoint(endpoint)?, headers: self.headers(headers.as_ref())? }
                }
                definition::outbound::McpTransport::Stdio { command, arguments, environment } => {
                    let mut argv = vec![self.text(command, "command")?];
                    for argument in arguments {
                        argv.push(self.text(argument, "arguments")?);
                    }
                    let environment = environment
                        .iter()
                        .map(|(name, template)| Ok((name.clone(), self.text(template, "environment")?)));
                    let environment = environment.collect::<Result<_, Fault>>()?;
                    McpTransport::Stdio { command: Box::new(server(self.running, argv, environment)?) }
                }
            },
            client: mcp.client.clone().unwrap_or_else(McpClient::own),
        })
    }

    fn parameters(&self, template: Option<&Template>) -> Result<Value, Fault> {
        match template {
            Some(template) => self.mapping(template, "parameters").map(Value::Object),
            None => Ok(json!({})),
        }
    }

    pub fn mapping(&self, template: &Template, what: &str) -> Result<Map<String, Value>, Fault> {
        match template.evaluate(self.input, &self.scope)? {
            Value::Object(members) => Ok(members),
            other => Err(expression(format!("`{what}` must be a mapping, and is {other}"))),
        }
    }

    pub fn endpoint(&self, endpoint: &Endpoint) -> Result<CallEndpoint, Fault> {
        let uri = match &endpoint.uri {
            UriSource::Template(template) => expand(template, self.input)?,
            UriSource::Expression(template) => self.text(template, "endpoint")?,
        };
        let authentication = endpoint.authentication.as_ref().map(|policy| self.authentication(policy)).transpose()?;
        Ok(CallEndpoint { uri, authentication })
    }

    pub fn authentication(&self, policy: &definition::Authentication) -> Result<Authentication, Fault> {
        use definition::Authentication as Policy;
        let (scheme, properties) = match policy {
            Policy::Basic(login) => (AuthenticationScheme::Basic, self.properties(login, Self::login)?),
            Policy::Digest(login) => (AuthenticationScheme::Digest, self.properties(login, Self::login)?),
            Policy::Bearer(bearer) => {
                let token =
                    |place: &Self, bearer: &Bearer| Ok(json!({ "token": place.credential(&bearer.token, "token")? }));
                (AuthenticationScheme::Bearer, self.properties(bearer, token)?)
            }
            Policy::OAuth2(policy) => {
                (AuthenticationScheme::Oauth2, self.properties(policy, |place, policy| place.oauth2(policy))?)
            }
            Policy::Oidc(policy) => {
                (AuthenticationScheme::Oidc, self.properties(policy, |place, policy| place.oauth2(policy))?)
            }
        };
        let named = policy.credentials().into_iter();
        let secrets: BTreeMap<String, SecretName> =
            named.filter_map(|(pointer, field)| Some((pointer.to_owned(), field.secret()?.clone()))).collect();
        let properties = match properties {
            AuthenticationProperties::Given(fields) if !secrets.is_empty() => {
                AuthenticationProperties::Completed { fields, secrets }
            }
            other => other,
        };
        Ok(Authentication { scheme, properties })
    }

    /// The fields as a secret would hold them, or the secret's name.
    fn properties<T>(
        &self,
        credentials: &Credentials<T>,
        inline: impl Fn(&Self, &T) -> Result<Value, Fault>,
    ) -> Result<AuthenticationProperties, Fault> {
        Ok(match credentials {
            Credentials::Inline(fields) => AuthenticationProperties::Given(inline(self, fields)?),
            Credentials::Secret(name) => AuthenticationProperties::Secret(name.clone()),
        })
    }

    fn login(&self, login: &Login) -> Result<Value, Fault> {
        let username = self.credential(&login.username, "username")?;
        Ok(json!({ "username": username, "password": self.credential(&login.password, "password")? }))
    }

    /// `null` where a secret will stand.
    fn credential(&self, field: &MaybeSecret, what: &str) -> Result<Value, Fault> {
        match field {
            MaybeSecret::Text(template) => self.text(template, what).map(Value::from),
            MaybeSecret::Secret(_) => Ok(Value::Null),
        }
    }

    /// What is not given is left out.
    fn oauth2(&self, policy: &OAuth2) -> Result<Value, Fault> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        let optional = |field: &Option<MaybeSecret>, what: &str| {
            field.as_ref().map(|field| self.credential(field, what)).transpose()
        };
        put("authority", self.authority(&policy.authority)?.into());
        put("grant", policy.grant.name().into());
        if let Some(client) = &policy.client {
            let mut members = Map::new();
            if let Some(id) = &client.id {
                members.insert("id".to_owned(), self.text(id, "id")?.into());
            }
            for (name, field) in [("secret", &client.secret), ("assertion", &client.assertion)] {
                optional(field, name)?.map(|value| members.insert(name.to_owned(), value));
            }
            members.insert("authentication".to_owned(), client.authentication.name().into());
            put("client", members.into());
        }
        put("endpoints", json!({ "token": self.text(&policy.endpoints.token, "endpoints.token")? }));
        put("request", json!({ "encoding": policy.encoding.name() }));
        let lists = [("issuers", &policy.issuers), ("scopes", &policy.scopes), ("audiences", &policy.audiences)];
        for (name, templates) in lists {
            let texts: Result<Vec<String>, Fault> =
                templates.iter().map(|template| self.text(template, name)).collect();
            put(name, texts?.into());
        }
        for (name, field) in [("username", &policy.username), ("password", &policy.password)] {
            if let Some(value) = optional(field, name)? {
                put(name, value);
            }
        }
        for (name, token) in [("subject", &policy.subject), ("actor", &policy.actor)] {
            if let Some(token) = token {
                put(
                    name,
                    json!({ "token": self.credential(&token.token, name)?, "type": self.text(&token.kind, name)? }),
                );
            }
        }
        Ok(fields.into())
    }

    /// A URI template, unless it is an expression.
    fn authority(&self, template: &Template) -> Result<String, Fault> {
        match template.source.as_str().map(UriTemplate::parse) {
            Some(Ok(uri)) if template.is_literal() => expand(&uri, self.input),
            Some(_) | None => self.text(template, "authority"),
        }
    }

    /// A header cannot hold a line end: what follows one would be another header.
    fn headers(&self, template: Option<&Template>) -> Result<Vec<(String, String)>, Fault> {
        let headers = self.pairs(template, "headers")?;
        for (name, value) in &headers {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) {
                return Err(expression(format!("{name:?} cannot name a header")));
            }
            if value.bytes().any(|b| b != b'\t' && (b < b' ' || b == 0x7f)) {
                return Err(expression(format!(
                    "the value of header `{name}` holds a line end or another control character"
                )));
            }
        }
        Ok(headers)
    }

    /// A mapping as names and texts; `null` leaves a name out, a list gives it several times.
    pub fn pairs(&self, template: Option<&Template>, what: &str) -> Result<Vec<(String, String)>, Fault> {
        let Some(template) = template else { return Ok(Vec::new()) };
        let members: Map<String, Value> = match template.evaluate(self.input, &self.scope)? {
            Value::Object(members) => members,
            Value::Null => return Ok(Vec::new()),
            other => return Err(expression(format!("`{what}` must be a mapping, and is {other}"))),
        };
        let mut pairs = Vec::new();
        for (name, value) in members {
            let values = match value {
                Value::Array(items) => items,
                Value::Null => Vec::new(),
                one @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![one],
            };
            for value in values {
                let text = scalar(&value);
                pairs.push((
                    name.clone(),
                    text.ok_or_else(|| expression(format!("`{what}.{name}` is {value}, and no text")))?,
                ));
            }
        }
        Ok(pairs)
    }

    pub fn text(&self, template: &Template, what: &str) -> Result<String, Fault> {
        let value = template.evaluate(self.input, &self.scope)?;
        scalar(&value).ok_or_else(|| expression(format!("`{what}` must be a text, and is {value}")))
    }
}

fn expression(detail: String) -> Fault {
    StandardError::Expression.fault(detail)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Simple expansion: what is not unreserved is percent-encoded, so data cannot
/// add a path or a host. A key that is not there is empty.
fn expand(template: &UriTemplate, input: &Value) -> Result<String, Fault> {
    let mut uri = String::new();
    for part in &template.parts {
        match part {
            UriPart::Literal(text) => uri.push_str(text),
            UriPart::Variable(name) => match input.get(name) {
                None | Some(Value::Null) => {}
                Some(value) => {
                    let text = scalar(value);
                    let text = text
                        .ok_or_else(|| expression(format!("`{{{name}}}` of the endpoint is {value}, and no text")))?;
                    encode(&text, &mut uri);
                }
            },
        }
    }
    Ok(uri)
}

fn encode(text: &str, uri: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
}
