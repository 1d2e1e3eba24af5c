//! `call: http` and kin: one file per protocol, and what they share.

mod a2a;
mod asyncapi;
mod grpc;
mod http;
mod mcp;
mod openapi;

use super::super::authentication::{Authentication, Grant};
use super::super::model::TaskKind;
use super::super::outbound::{Endpoint, Outbound, UriPart, UriSource, UriTemplate};
use super::tasks::Context;
use super::{authentication, values};
use crate::expression::Template;
use crate::located::{Field, NodeValue};
use crate::origin;

/// The protocols of the specification that this host speaks itself.
pub const PROTOCOLS: [&str; 6] = ["http", "grpc", "openapi", "asyncapi", "a2a", "mcp"];

/// `with` of `call: PROTOCOL`.
pub fn outbound(task: &Field, call: &Field, protocol: &str, context: Context) -> Option<TaskKind> {
    let read: fn(&Field, Context) -> Option<Outbound> = match protocol {
        "http" => http::with,
        "openapi" => openapi::with,
        "a2a" => a2a::with,
        "mcp" => mcp::with,
        "grpc" => grpc::with,
        "asyncapi" => asyncapi::with,
        _ => return call.unsupported(&format!("`call: {protocol}`")),
    };
    let with = task.slot("with").required(|with| read(with, context));
    with.map(|outbound| TaskKind::Outbound(Box::new(outbound)))
}

/// A URI, a URI template, an expression, or a mapping of one of them and `authentication`.
fn endpoint(field: &Field, context: Context) -> Option<Endpoint> {
    match &field.node.value {
        NodeValue::Map(_) => {
            let [uri, authentication] = field.fields(["uri", "authentication"])?;
            let uri = uri.required(uri_source);
            let authentication = authentication.optional(|field| self::authentication(field, context));
            Some(Endpoint { uri: uri?, authentication: authentication? })
        }
        _ => Some(Endpoint { uri: uri_source(field)?, authentication: None }),
    }
}

/// A policy that this host can act on by itself.
fn authentication(field: &Field, context: Context) -> Option<Authentication> {
    let policy = authentication::referenceable(field, context.uses)?;
    let why = match policy.grant() {
        Some(Grant::AuthorizationCode) => "needs a person with a browser",
        Some(Grant::RefreshToken) => "needs a token for which the language has no field",
        Some(Grant::ClientCredentials | Grant::Password | Grant::TokenExchange) | None => return Some(policy),
    };
    field.error(
        format!("`{}`: this grant {why}", field.label),
        Some("use `client_credentials`, `password` or a token exchange"),
    );
    None
}

/// An external resource: a document by `http`, `https`, or `file` below a folder of the operator.
fn resource(field: &Field, context: Context) -> Option<Endpoint> {
    let [name, endpoint] = field.fields(["name", "endpoint"])?;
    let name = name.optional(Field::text_some);
    let endpoint = endpoint.required(|field| match &field.node.value {
        NodeValue::Text(text) if text.starts_with("file://") => {
            let uri = UriTemplate { parts: vec![UriPart::Literal(text.clone())] };
            Some(Endpoint { uri: UriSource::Template(uri), authentication: None })
        }
        _ => self::endpoint(field, context),
    });
    name?;
    endpoint
}

/// A mapping, or an expression that gives one.
fn parameters(field: &Field) -> Option<Template> {
    match &field.node.value {
        NodeValue::Map(_) => values::template(field),
        NodeValue::Text(_) if values::has_expression(field.node) => values::template(field),
        _ => {
            field.error(format!("`{}` must be a mapping or an expression", field.label), None);
            None
        }
    }
}

fn uri_source(field: &Field) -> Option<UriSource> {
    let text = field.text_some()?.trim();
    if values::has_expression(field.node) {
        return values::text_template(field).map(UriSource::Expression);
    }
    // Says what is only half an expression.
    values::text_template(field)?;
    if text.contains("${") {
        if !field.problems.has_error_at(field.node) {
            let help = "make the whole text an expression, or write `{name}` for a part of it";
            field.error(format!("`{}`: `{text}` is only partly an expression", field.label), Some(help));
        }
        return None;
    }
    let template = match UriTemplate::parse(text) {
        Ok(template) => template,
        Err(detail) => {
            field.error(format!("`{}`: {detail}", field.label), Some("write the query into `query`"));
            return None;
        }
    };
    // What can be said of the beginning is said now; the rest when it is computed.
    if let [UriPart::Literal(uri)] = &template.parts[..]
        && let Err(error) = origin::split_uri(uri)
    {
        field.error(format!("`{}`: {error}", field.label), None);
        return None;
    }
    Some(UriSource::Template(template))
}

/// A mapping of names to texts, or an expression that gives one.
fn mapping(field: &Field) -> Option<Template> {
    match &field.node.value {
        NodeValue::Map(_) => {
            values::named_text_templates(field)?;
            values::template(field)
        }
        NodeValue::Text(_) if values::has_expression(field.node) => values::template(field),
        _ => {
            field.error(format!("`{}` must be a mapping or an expression", field.label), None);
            None
        }
    }
}
