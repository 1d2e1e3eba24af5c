//! Outbound calls as a definition writes them: [`crate::calls`] with templates.

use std::collections::BTreeMap;

use super::asyncapi::{AsyncApiOutbound, SubscriptionOutbound};
use super::authentication::Authentication;
use super::model::TimeLimit;
use crate::calls::{HttpOutput, McpClient, class_of_method, class_of_rpc};
use crate::effect::EffectClass;
use crate::expression::Template;
use crate::ids::SecretName;
use crate::origin::{self, Origin, OriginScheme};

/// `call: http` and kin with their `with`.
#[derive(Debug, Clone)]
pub enum Outbound {
    Http(HttpOutbound),
    OpenApi(OpenApiOutbound),
    A2a(A2aOutbound),
    Mcp(McpOutbound),
    Grpc(GrpcOutbound),
    AsyncApi(AsyncApiOutbound),
}

impl Outbound {
    /// Everything in it that may hold an expression.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Outbound::Http(http) => {
                let parts = [&http.headers, &http.query, &http.body].into_iter().flatten();
                [&http.method].into_iter().chain(parts).chain(http.endpoint.templates()).collect()
            }
            Outbound::OpenApi(openapi) => {
                let own = [&openapi.operation_id, &openapi.parameters];
                let authentication = openapi.authentication.iter().flat_map(Authentication::templates);
                own.into_iter().chain(openapi.document.templates()).chain(authentication).collect()
            }
            Outbound::A2a(a2a) => a2a.parameters.iter().chain(a2a.agent.endpoint().templates()).collect(),
            Outbound::Mcp(mcp) => {
                let limit = mcp.timeout.as_ref().and_then(TimeLimit::template);
                mcp.parameters.iter().chain(limit).chain(mcp.transport.templates()).collect()
            }
            Outbound::Grpc(grpc) => {
                let own = [&grpc.service, &grpc.host, &grpc.method, &grpc.arguments];
                let authentication = grpc.authentication.iter().flat_map(Authentication::templates);
                own.into_iter().chain(grpc.proto.templates()).chain(authentication).collect()
            }
            Outbound::AsyncApi(asyncapi) => asyncapi.templates(),
        }
    }

    /// Who is asked, as far as the text tells.
    pub fn endpoints(&self) -> Vec<&Endpoint> {
        match self {
            Outbound::Http(http) => vec![&http.endpoint],
            Outbound::OpenApi(openapi) => vec![&openapi.document],
            Outbound::A2a(a2a) => vec![a2a.agent.endpoint()],
            Outbound::Mcp(mcp) => match &mcp.transport {
                McpTransport::Http { endpoint, .. } => vec![endpoint],
                McpTransport::Stdio { .. } => Vec::new(),
            },
            Outbound::Grpc(grpc) => vec![&grpc.proto],
            Outbound::AsyncApi(asyncapi) => vec![&asyncapi.document],
        }
    }

    /// The messages that `call: asyncapi` takes.
    pub fn subscription(&self) -> Option<&SubscriptionOutbound> {
        match self {
            Outbound::AsyncApi(asyncapi) => asyncapi.subscription(),
            Outbound::Http(_) | Outbound::OpenApi(_) | Outbound::A2a(_) | Outbound::Mcp(_) | Outbound::Grpc(_) => None,
        }
    }

    /// The service of `call: grpc`, with TLS and without it, as far as the text
    /// tells: which of them is called is the operator's to approve.
    pub fn grpc_origins(&self) -> Option<(Origin, Origin)> {
        let Outbound::Grpc(grpc) = self else { return None };
        let host = grpc.host.source.as_str().filter(|_| grpc.host.is_literal())?;
        let of = |scheme: OriginScheme| Origin::new(scheme, host, grpc.port.unwrap_or(scheme.default_port())).ok();
        Some((of(OriginScheme::Https)?, of(OriginScheme::Http)?))
    }

    /// Whether it starts a process of its own, which needs a sandbox as any other.
    pub fn needs_sandbox(&self) -> bool {
        match self {
            Outbound::Http(_) | Outbound::OpenApi(_) | Outbound::A2a(_) | Outbound::Grpc(_) | Outbound::AsyncApi(_) => {
                false
            }
            Outbound::Mcp(mcp) => matches!(mcp.transport, McpTransport::Stdio { .. }),
        }
    }

    /// Secrets of the host that it uses.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.authentications().into_iter().flat_map(Authentication::secrets)
    }

    /// Whether it may change something on the other side, as far as the text tells.
    pub fn may_write(&self) -> bool {
        match self {
            Outbound::Http(http) => {
                let method = http.method.source.as_str().unwrap_or_default().to_ascii_uppercase();
                class_of_method(&method) != EffectClass::Pure
            }
            Outbound::OpenApi(_) | Outbound::Grpc(_) => true,
            Outbound::AsyncApi(asyncapi) => asyncapi.subscription().is_none(),
            Outbound::A2a(a2a) => class_of_rpc(a2a.method) != EffectClass::Pure,
            Outbound::Mcp(mcp) => class_of_rpc(mcp.method) != EffectClass::Pure,
        }
    }

    /// How the call says who asks.
    pub fn authentications(&self) -> Vec<&Authentication> {
        let of_operation = match self {
            Outbound::OpenApi(openapi) => openapi.authentication.as_ref(),
            Outbound::Grpc(grpc) => grpc.authentication.as_ref(),
            Outbound::AsyncApi(asyncapi) => asyncapi.authentication.as_ref(),
            Outbound::Http(_) | Outbound::A2a(_) | Outbound::Mcp(_) => None,
        };
        self.endpoints()
            .into_iter()
            .filter_map(|endpoint| endpoint.authentication.as_ref())
            .chain(of_operation)
            .collect()
    }
}

#[derive(Debug, Clone)]
pub struct HttpOutbound {
    pub method: Template,
    pub endpoint: Endpoint,
    /// A mapping, or an expression that gives one.
    pub headers: Option<Template>,
    /// As `headers`.
    pub query: Option<Template>,
    pub body: Option<Template>,
    pub output: HttpOutput,
    pub redirect: bool,
}

/// `call: openapi`.
#[derive(Debug, Clone)]
pub struct OpenApiOutbound {
    pub document: Endpoint,
    pub operation_id: Template,
    /// A mapping.
    pub parameters: Template,
    pub authentication: Option<Authentication>,
    pub output: HttpOutput,
    pub redirect: bool,
}

/// `call: grpc`.
#[derive(Debug, Clone)]
pub struct GrpcOutbound {
    pub proto: Endpoint,
    pub service: Template,
    pub host: Template,
    pub port: Option<u16>,
    pub method: Template,
    /// A mapping.
    pub arguments: Template,
    pub authentication: Option<Authentication>,
}

/// `call: a2a`.
#[derive(Debug, Clone)]
pub struct A2aOutbound {
    pub method: &'static str,
    pub agent: AgentSource,
    pub parameters: Option<Template>,
}

#[derive(Debug, Clone)]
pub enum AgentSource {
    Card(Endpoint),
    Server(Endpoint),
}

impl AgentSource {
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            AgentSource::Card(endpoint) | AgentSource::Server(endpoint) => endpoint,
        }
    }
}

/// `call: mcp`.
#[derive(Debug, Clone)]
pub struct McpOutbound {
    pub protocol_version: String,
    pub method: &'static str,
    pub parameters: Option<Template>,
    /// None: as long as the task may take. Computed when it is called.
    pub timeout: Option<TimeLimit>,
    pub transport: McpTransport,
    pub client: Option<McpClient>,
}

/// How a server of MCP is reached.
#[derive(Debug, Clone)]
pub enum McpTransport {
    Http {
        endpoint: Endpoint,
        headers: Option<Template>,
    },
    /// Its process, in the sandbox of the task.
    Stdio {
        command: Template,
        arguments: Vec<Template>,
        environment: BTreeMap<String, Template>,
    },
}

impl McpTransport {
    fn templates(&self) -> Vec<&Template> {
        match self {
            McpTransport::Http { endpoint, headers } => headers.iter().chain(endpoint.templates()).collect(),
            McpTransport::Stdio { command, arguments, environment } => {
                [command].into_iter().chain(arguments).chain(environment.values()).collect()
            }
        }
    }
}

#[derive(Debug, Clone)]
pub struct Endpoint {
    pub uri: UriSource,
    pub authentication: Option<Authentication>,
}

impl Endpoint {
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        let uri = match &self.uri {
            UriSource::Template(_) => None,
            UriSource::Expression(template) => Some(template),
        };
        uri.into_iter().chain(self.authentication.iter().flat_map(Authentication::templates))
    }

    /// Where it goes, unless that is computed.
    pub fn origin(&self) -> Option<Origin> {
        match &self.uri {
            UriSource::Template(template) => template.origin(),
            UriSource::Expression(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub enum UriSource {
    Template(UriTemplate),
    /// What it gives is a URI as it stands: braces in data are data.
    Expression(Template),
}

/// A URI with `{name}` for top-level keys of the task's input.
///
/// Source: RFC 6570, simple string expansion (level 1), which is what the
/// specification demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate {
    pub parts: Vec<UriPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UriPart {
    Literal(String),
    Variable(String),
}

impl UriTemplate {
    /// # Errors
    ///
    /// What is no template, or one of a higher level; said to people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (literal, braces) = rest.split_at(start);
            let end = braces.find('}').filter(|_| braces.starts_with('{'));
            let end = end.ok_or_else(|| format!("`{text}` has a brace without its partner"))?;
            let name = &braces[1..end];
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.') {
                return Err(format!("`{{{name}}}` is no simple expansion: only `{{name}}` is known here"));
            }
            if !literal.is_empty() {
                parts.push(UriPart::Literal(literal.to_owned()));
            }
            parts.push(UriPart::Variable(name.to_owned()));
            rest = &braces[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(UriPart::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The origin, if no variable is part of it.
    pub fn origin(&self) -> Option<Origin> {
        let Some(UriPart::Literal(start)) = self.parts.first() else { return None };
        let (origin, path) = origin::split_uri(start).ok()?;
        (!path.is_empty() || self.parts.len() == 1).then_some(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_template_has_its_origin_only_if_that_is_literal() {
        let cases = [
            ("https://pets.example/v2/pet/{petId}", Some("https://pets.example")),
            ("https://pets.example", Some("https://pets.example")),
            ("https://pets.example?x={x}", Some("https://pets.example")),
            ("https://pets.example{path}", None),
            ("https://{host}/v2", None),
            ("{base}/v2", None),
        ];
        for (text, origin) in cases {
            let found = UriTemplate::parse(text).unwrap().origin().map(|origin| origin.to_string());
            assert_eq!(found.as_deref(), origin, "{text}");
        }
    }

    #[test]
    fn higher_levels_of_uri_templates_are_refused() {
        for text in [
            "https://a/{?q}",
            "https://a/{+path}",
            "https://a/{#f}",
            "https://a/{x*}",
            "https://a/{",
            "https://a/}",
            "https://a/{}",
        ] {
            assert!(UriTemplate::parse(text).is_err(), "{text}");
        }
    }
}
