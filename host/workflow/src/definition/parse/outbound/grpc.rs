//! `call: grpc`.

use serde_json::json;

use super::super::super::outbound::{GrpcOutbound, Outbound};
use super::super::tasks::Context;
use super::super::values;
use super::{authentication, parameters, resource};
use crate::expression::Template;
use crate::located::Field;
use crate::origin::{Origin, OriginScheme};

pub fn with(field: &Field, context: Context) -> Option<Outbound> {
    let [proto, service, method, arguments] = field.fields(["proto", "service", "method", "arguments"])?;
    let proto = proto.required(|field| resource(field, context));
    let method = method.required(values::text_template);
    let arguments = arguments.or(Template::literal(json!({})), parameters);
    let service = service.required(|field| {
        let [name, host, port, authentication] = field.fields(["name", "host", "port", "authentication"])?;
        let name = name.required(values::text_template);
        let host = host.required(self::host);
        let port = port.optional(|field| field.integer(1, u64::from(u16::MAX)));
        let authentication = authentication.optional(|field| self::authentication(field, context));
        let port = port?.map(|port| u16::try_from(port).unwrap_or(u16::MAX));
        Some((name?, host?, port, authentication?))
    });
    let (name, host, port, authentication) = service?;
    Some(Outbound::Grpc(GrpcOutbound {
        proto: proto?,
        service: name,
        host,
        port,
        method: method?,
        arguments: arguments?,
        authentication,
    }))
}

/// A name or an address; what an expression gives is looked at when it is called.
fn host(field: &Field) -> Option<Template> {
    let host = values::text_template(field)?;
    if host.is_literal()
        && let Err(error) = Origin::new(OriginScheme::Https, field.text_some()?, 443)
    {
        field.error(format!("`{}`: {error}", field.label), Some("write the host alone, and `port` beside it"));
        return None;
    }
    Some(host)
}
