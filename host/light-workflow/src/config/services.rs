//! `[models]` and `[mcp]`: what plugins may ask beyond their release.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sandbox::{ParameterValue, Templates};
use serde::Deserialize;
use worker::{McpPlace, Service, Services};
use workflow::command::SandboxMode;
use workflow::origin::OriginScheme;
use workflow::{CommandName, McpTool, Origin, SecretName};

use super::Config;
use crate::output::Failure;

/// The path of most services that offer this API.
const CHAT_COMPLETIONS: &str = "/v1/chat/completions";

/// `[models.NAME]`: a chat completions API in the form that OpenAI made common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    /// `https://models.example.com`; `[calls]` must approve it.
    pub origin: Origin,
    /// [default: `/v1/chat/completions`]
    pub path: Option<String>,
    /// As the service calls it.
    pub model: String,
    /// Sent as a bearer token.
    pub secret: Option<SecretName>,
    /// [default: 120]
    pub time_limit_seconds: Option<u64>,
}

/// `[mcp.NAME]`: a service elsewhere (`origin`), or a process in a sandbox (`command`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct McpServer {
    /// `https://tools.example.com`; `[calls]` must approve it.
    pub origin: Option<Origin>,
    /// [default: `/mcp`]
    pub path: Option<String>,
    /// Sent as a bearer token.
    pub secret: Option<SecretName>,
    /// `template/command` that starts a server which speaks over its standard streams.
    pub command: Option<CommandName>,
    /// What the command's parameters are.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Of one call of a tool [default: 60].
    pub time_limit_seconds: Option<u64>,
}

/// A value for a parameter of a command template.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    Text(String),
    Flag(bool),
    Integer(i64),
    Texts(Vec<String>),
}

/// The first part of `server/tool`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerName(String);

impl TryFrom<String> for ServerName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match McpTool::new(format!("{name}/tool")) {
            Ok(_) => Ok(Self(name)),
            Err(_) => Err(format!("`{name}` cannot name an MCP server: use lower case, digits and `-`")),
        }
    }
}

/// What the worker gets; all that cannot work is refused now.
pub fn services(config: &Config, approved: &BTreeSet<Origin>, templates: &Templates) -> Result<Services, Failure> {
    let reading = Reading { config, approved, templates };
    let models = config.models.iter().map(|(name, model)| {
        let place = format!("[models.{name}]");
        let path = model.path.as_deref().unwrap_or(CHAT_COMPLETIONS);
        let service = reading.service(&place, &model.origin, path, model.secret.as_ref())?;
        let time_limit = Duration::from_secs(model.time_limit_seconds.unwrap_or(120));
        Ok((name.clone(), worker::Model { service, name: model.model.clone(), time_limit }))
    });
    let servers = config.mcp.iter().map(|(name, server)| {
        let place = reading.mcp_place(&format!("[mcp.{}]", name.0), server)?;
        let time_limit = Duration::from_secs(server.time_limit_seconds.unwrap_or(60));
        Ok((name.0.clone(), worker::McpServer { place, time_limit }))
    });
    let (models, mcp_servers) = (models.collect::<Result<_, String>>(), servers.collect::<Result<_, String>>());
    Ok(Services {
        models: models.map_err(Failure::used_wrongly)?,
        mcp_servers: mcp_servers.map_err(Failure::used_wrongly)?,
    })
}

struct Reading<'a> {
    config: &'a Config,
    approved: &'a BTreeSet<Origin>,
    templates: &'a Templates,
}

impl Reading<'_> {
    fn service(
        &self,
        place: &str,
        origin: &Origin,
        path: &str,
        secret: Option<&SecretName>,
    ) -> Result<Service, String> {
        if !self.approved.contains(origin) {
            return Err(format!(
                "{place}: `{origin}` is not approved; add it to `[calls] allow` or `[calls] internal`"
            ));
        }
        if !OriginScheme::WEB.contains(&origin.scheme()) {
            return Err(format!("{place}: `{origin}` is no origin of HTTP; write `https://…` or `http://…`"));
        }
        if !path.starts_with('/') || path.contains('#') {
            return Err(format!("{place}: `path` is `{path}`, and must begin with `/` and have no fragment"));
        }
        if let Some(secret) = secret.filter(|secret| !self.config.secrets.contains_key(*secret)) {
            return Err(format!("{place}: there is no secret `{secret}` in [secrets]"));
        }
        Ok(Service { origin: origin.clone(), path: path.to_owned(), secret: secret.cloned() })
    }

    fn mcp_place(&self, place: &str, server: &McpServer) -> Result<McpPlace, String> {
        match (&server.origin, &server.command) {
            (Some(origin), None) if server.parameters.is_empty() => {
                let path = server.path.as_deref().unwrap_or("/mcp");
                self.service(place, origin, path, server.secret.as_ref()).map(McpPlace::Remote)
            }
            (None, Some(command)) if server.path.is_none() && server.secret.is_none() => {
                let parameters: BTreeMap<String, ParameterValue> =
                    server.parameters.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
                self.templates
                    .resolve(command, &parameters, SandboxMode::PerTask)
                    .map_err(|error| format!("{place}: {error}"))?;
                Ok(McpPlace::Sandbox { command: command.clone(), parameters })
            }
            _ => Err(format!(
                "{place}: write either `origin` (with `path` and `secret`) for a server elsewhere, \
                 or `command` (with `parameters`) for one in a sandbox"
            )),
        }
    }
}

impl From<Parameter> for ParameterValue {
    fn from(parameter: Parameter) -> Self {
        match parameter {
            Parameter::Text(text) => ParameterValue::Text(text),
            Parameter::Flag(flag) => ParameterValue::Flag(flag),
            Parameter::Integer(number) => ParameterValue::Integer(number),
            Parameter::Texts(texts) => ParameterValue::Texts(texts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let config: Config = toml::from_str(text).unwrap();
        let approved = ["https://tools.example.com".parse().unwrap()].into();
        match services(&config, &approved, &Templates::default()) {
            Ok(services) => format!("{} {}", services.models.len(), services.mcp_servers.len()),
            Err(failure) => failure.to_string().trim_start_matches("error: ").to_owned(),
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_place() {
        let cases = [
            ("[mcp.docs]\norigin = \"https://tools.example.com\"", "0 1"),
            ("[models.default]\norigin = \"https://tools.example.com\"\nmodel = \"m\"", "1 0"),
            (
                "[models.default]\norigin = \"https://other.example.com\"\nmodel = \"m\"",
                "[models.default]: `https://other.example.com` is not approved; add it to `[calls] allow` or `[calls] internal`",
            ),
            (
                "[mcp.docs]\norigin = \"https://tools.example.com\"\nsecret = \"key\"",
                "[mcp.docs]: there is no secret `key` in [secrets]",
            ),
            (
                "[mcp.docs]\norigin = \"https://tools.example.com\"\npath = \"mcp\"",
                "[mcp.docs]: `path` is `mcp`, and must begin with `/` and have no fragment",
            ),
            (
                "[mcp.docs]",
                "[mcp.docs]: write either `origin` (with `path` and `secret`) for a server elsewhere, or `command` (with `parameters`) for one in a sandbox",
            ),
            (
                "[mcp.docs]\ncommand = \"tools/docs\"",
                "[mcp.docs]: there is no sandbox template `tools`; there are none",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(wrong(text), expected, "{text}");
        }
        assert!(toml::from_str::<Config>("[mcp.\"a/b\"]\norigin = \"https://tools.example.com\"").is_err());
    }
}
