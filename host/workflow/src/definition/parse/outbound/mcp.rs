//! `call: mcp`.

use super::super::super::outbound::{McpOutbound, Outbound};
use super::super::tasks::Context;
use super::super::values;
use super::{endpoint, mapping, parameters};
use crate::calls::McpClient;
use crate::located::Field;

/// The protocol that this host speaks, as the specification has it.
const VERSION: &str = "2025-06-18";

const METHODS: [&str; 7] = [
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
];

pub fn with(field: &Field, context: Context) -> Option<Outbound> {
    let [version, method, parameters, timeout, transport, client] =
        field.fields(["protocolVersion", "method", "parameters", "timeout", "transport", "client"])?;
    let version = version.or(VERSION, |field| field.choice(&[(VERSION, VERSION)]));
    let method = method.required(|field| field.choice(&METHODS.map(|method| (method, method))));
    let parameters = parameters.optional(self::parameters);
    let timeout = timeout.optional(values::duration);
    let client = client.optional(self::client);
    let transport = transport.required(|field| {
        let [http] = field.fields_refusing(["http"], &["stdio", "options"])?;
        if field.slot("stdio").is_given() && !http.is_given() {
            // Refused above, which says enough.
            return None;
        }
        http.required(|field| {
            let [endpoint, headers] = field.fields(["endpoint", "headers"])?;
            let endpoint = endpoint.required(|field| self::endpoint(field, context));
            let headers = headers.optional(mapping);
            Some((endpoint?, headers?))
        })
    });
    let (endpoint, headers) = transport?;
    Some(Outbound::Mcp(McpOutbound {
        protocol_version: version?.to_owned(),
        method: method?,
        parameters: parameters?,
        timeout: timeout?,
        endpoint,
        headers,
        client: client?,
    }))
}

fn client(field: &Field) -> Option<McpClient> {
    let [name, version, description] = field.fields(["name", "version", "description"])?;
    let name = name.required(Field::text_some);
    let version = version.required(Field::text_some);
    let _ = description.optional(Field::text_some);
    Some(McpClient { name: name?.to_owned(), version: version?.to_owned() })
}
