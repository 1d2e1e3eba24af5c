//! A tool of an MCP server: elsewhere over HTTP, or a process in a sandbox.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_host::{HostCallError, ToolAnswer};
use sandbox::ParameterValue;
use serde_json::{Value, json};
use workflow::calls::{CallRequest, MCP_VERSION, McpCall, McpClient, McpTransport};
use workflow::command::{McpDialogue, SandboxMode};
use workflow::effect::EffectClass;
use workflow::event::{Event, Fingerprint};
use workflow::{Command, CommandName, EffectKey, McpTool};

use super::model::configured;
use super::{Asked, Unanswered};
use crate::act::McpInSandbox;
use crate::host_calls::Side;
use crate::services::{McpPlace, McpServer, Service};

/// A tool may do anything; only its server's operator knows.
const CLASS: EffectClass = EffectClass::Reconcilable;

impl Side {
    /// `started`: the process that an earlier host started for this call;
    /// `fingerprint`: of the call, for the record of a process that is started now.
    pub(crate) async fn call_tool(
        &self,
        key: &EffectKey,
        tool: &McpTool,
        arguments: Value,
        started: Option<Command>,
        fingerprint: Fingerprint,
    ) -> Result<ToolAnswer, HostCallError> {
        let parameters = json!({ "name": tool.tool(), "arguments": arguments });
        let answered = match started {
            Some(command) => self.in_sandbox(key, &command).await,
            None => {
                let Some(server) = self.hands.services.mcp_servers.get(tool.server()).cloned() else {
                    let known = self.hands.services.mcp_servers.keys();
                    let text =
                        format!("this host has no MCP server `{}`; {}", tool.server(), configured(known, "[mcp]"));
                    return Err(HostCallError::Unavailable(text));
                };
                match &server.place {
                    McpPlace::Remote(service) => self.remote(key, service, tool, parameters, server.time_limit).await,
                    McpPlace::Sandbox { command, parameters: of_command } => {
                        let command = self.command(&server, command, of_command, parameters)?;
                        let event = Event::CallStarted {
                            path: key.path.clone(),
                            attempt: key.attempt,
                            sequence: key.sequence,
                            subject: Some(tool.to_string()),
                            command: Some(Box::new(command.clone())),
                            fingerprint: Some(fingerprint),
                        };
                        self.record(event).await.map_err(|_| HostCallError::Interrupted)?;
                        self.in_sandbox(key, &command).await
                    }
                }
            }
        };
        let what = format!("tool `{tool}`");
        match answered {
            Ok(result) => read(&result).map_err(|detail| HostCallError::Unavailable(format!("{what} {detail}"))),
            Err(Unanswered::Fault(fault)) if Unanswered::is_rpc_error(&fault) => {
                Err(HostCallError::Invalid(format!("{what} does not take this: {}", fault.detail.unwrap_or_default())))
            }
            Err(Unanswered::Fault(fault)) if Unanswered::is_refusal(&fault) => {
                let reason = fault.detail.unwrap_or_default();
                Err(HostCallError::Unavailable(format!("{what} cannot be reached from this host: {reason}")))
            }
            Err(unanswered) => Err(self.unanswered(&what, unanswered)),
        }
    }

    async fn remote(
        &self,
        key: &EffectKey,
        service: &Service,
        tool: &McpTool,
        parameters: Value,
        time_limit: Duration,
    ) -> Result<Value, Unanswered> {
        let request = CallRequest::Mcp(Box::new(McpCall {
            protocol_version: MCP_VERSION.to_owned(),
            method: "tools/call".to_owned(),
            parameters,
            transport: McpTransport::Http { endpoint: service.endpoint(), headers: Vec::new() },
            client: McpClient::own(),
        }));
        self.ask(key, Asked { service, request, class: CLASS, time_limit, subject: tool.to_string() }).await
    }

    /// The server's process, in a sandbox of its own.
    fn command(
        &self,
        server: &McpServer,
        name: &CommandName,
        of_command: &BTreeMap<String, ParameterValue>,
        parameters: Value,
    ) -> Result<Command, HostCallError> {
        let resolved = self.hands.templates.resolve(name, of_command, SandboxMode::PerTask);
        let command = resolved.map_err(|error| {
            HostCallError::Unavailable(format!("the MCP server's command `{name}` cannot be made: {error}"))
        })?;
        let time_limit_ms = u64::try_from(server.time_limit.as_millis()).unwrap_or(u64::MAX);
        Ok(McpInSandbox::command(
            command,
            McpDialogue {
                protocol_version: MCP_VERSION.to_owned(),
                client: McpClient::own(),
                method: "tools/call".to_owned(),
                parameters,
                time_limit_ms,
                answer_bytes_max: McpInSandbox::ANSWER_BYTES_MAX,
            },
        ))
    }

    async fn in_sandbox(&self, key: &EffectKey, command: &Command) -> Result<Value, Unanswered> {
        let answered = self.hands.ask_mcp_in_sandbox(key, command, &self.templates, CLASS).await;
        match answered {
            McpInSandbox::Result(value) => Ok(value),
            McpInSandbox::Fault(fault) => Err(Unanswered::Fault(fault)),
            McpInSandbox::Ended(outcome) => Err(Unanswered::Ended(outcome)),
        }
    }
}

/// The result of `tools/call`.
fn read(result: &Value) -> Result<ToolAnswer, &'static str> {
    let content = result["content"].as_array().ok_or("answered without `content`")?;
    let structured = result.get("structuredContent").filter(|value| value.is_object());
    Ok(ToolAnswer {
        is_error: result["isError"].as_bool().unwrap_or(false),
        content: content.clone(),
        structured: structured.cloned(),
    })
}
