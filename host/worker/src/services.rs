//! Models and MCP servers that the operator configured for plugins.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox::ParameterValue;
use workflow::calls::{Authentication, AuthenticationProperties, AuthenticationScheme, CallEndpoint};
use workflow::{CommandName, ModelName, Origin, SecretName};

/// By the names that grants use. Nothing in it: such calls are `unavailable`.
#[derive(Debug, Clone, Default)]
pub struct Services {
    pub models: BTreeMap<ModelName, Model>,
    /// The first part of `server/tool`.
    pub mcp_servers: BTreeMap<String, McpServer>,
}

/// A language model behind a chat completions API in the form that OpenAI made common.
#[derive(Debug, Clone)]
pub struct Model {
    pub service: Service,
    /// As its API calls it; people and plugins say another name.
    pub name: String,
    pub time_limit: Duration,
}

/// A server of MCP.
#[derive(Debug, Clone)]
pub struct McpServer {
    pub place: McpPlace,
    /// From the greeting to the answer.
    pub time_limit: Duration,
}

#[derive(Debug, Clone)]
pub enum McpPlace {
    /// Elsewhere, over HTTP.
    Remote(Service),
    /// A process in a sandbox of its own, made for one call: this command with these parameters.
    Sandbox { command: CommandName, parameters: BTreeMap<String, ParameterValue> },
}

/// Something that the host's own client asks, where `[calls]` approves its origin.
#[derive(Debug, Clone)]
pub struct Service {
    pub origin: Origin,
    /// With its leading slash.
    pub path: String,
    /// Sent as a bearer token.
    pub secret: Option<SecretName>,
}

impl Service {
    pub(crate) fn endpoint(&self) -> CallEndpoint {
        let authentication = self.secret.as_ref().map(|name| Authentication {
            scheme: AuthenticationScheme::Bearer,
            properties: AuthenticationProperties::Secret(name.clone()),
        });
        CallEndpoint { uri: format!("{}{}", self.origin, self.path), authentication }
    }
}
