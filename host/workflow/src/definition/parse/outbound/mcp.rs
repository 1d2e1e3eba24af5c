//! `call: mcp`.

use std::collections::BTreeMap;

use super::super::super::outbound::{McpOutbound, McpTransport, Outbound};
use super::super::tasks::Context;
use super::super::{run, values};
use super::{endpoint, mapping, parameters};
use crate::calls::{MCP_VERSION, McpClient};
use crate::located::Field;

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
    let version = version.or(MCP_VERSION, |field| field.choice(&[(MCP_VERSION, MCP_VERSION)]));
    let method = method.required(|field| field.choice(&METHODS.map(|method| (method, method))));
    let parameters = parameters.optional(self::parameters);
    let timeout = timeout.optional(values::time_limit);
    let client = client.optional(self::client);
    let transport = transport.required(|field| self::transport(field, context));
    Some(Outbound::Mcp(McpOutbound {
        protocol_version: version?.to_owned(),
        method: method?,
        parameters: parameters?,
        timeout: timeout?,
        transport: transport?,
        client: client?,
    }))
}

fn transport(field: &Field, context: Context) -> Option<McpTransport> {
    let [http, stdio] = field.fields_refusing(["http", "stdio"], &["options"])?;
    match (http.given(), stdio.given()) {
        (Some(http), None) => {
            let [endpoint, headers] = http.fields(["endpoint", "headers"])?;
            let endpoint = endpoint.required(|field| self::endpoint(field, context));
            let headers = headers.optional(mapping);
            Some(McpTransport::Http { endpoint: endpoint?, headers: headers? })
        }
        (None, Some(stdio)) => {
            let [command, arguments, environment] = stdio.fields(["command", "arguments", "environment"])?;
            let command = command.required(values::text_template);
            let arguments = arguments.or(Vec::new(), values::text_templates);
            let environment = environment.or(BTreeMap::new(), run::environment);
            Some(McpTransport::Stdio { command: command?, arguments: arguments?, environment: environment? })
        }
        (Some(_), Some(_)) | (None, None) => {
            field.error("`transport` needs either `http` or `stdio`", Some("keep the one that the server speaks"));
            None
        }
    }
}

fn client(field: &Field) -> Option<McpClient> {
    let [name, version, description] = field.fields(["name", "version", "description"])?;
    let name = name.required(Field::text_some);
    let version = version.required(Field::text_some);
    let _ = description.optional(Field::text_some);
    Some(McpClient { name: name?.to_owned(), version: version?.to_owned() })
}
