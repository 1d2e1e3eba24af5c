//! A server of MCP over its standard streams: a process in a sandbox, like any
//! command, which a program of ours asks one thing in there (`sandbox-dialogue`).
//! It outlives the host, is started at most once under its effect key, and ends
//! with its sandbox.

use std::collections::BTreeMap;

use serde_json::Value;
use workflow::calls::{Call, CallRequest, McpTransport, rpc_error};
use workflow::command::{CommandResult, McpAnswer, McpDialogue, McpTrouble};
use workflow::effect::{EffectClass, Fault, StandardError};
use workflow::{Command, CommandStatus, Digest, EffectKey, EffectOutcome, TemplateName};

use super::{Attempt, Hands};

/// A minute, as the host's own client has it.
const TIME_LIMIT_MS: u64 = 60_000;

/// From the server's limit to that of its sandbox, which knows less of what happened.
const GRACE_MS: u64 = 10_000;

/// What the sandbox's own `sandbox-enter` exits with when the program never ran.
const NEVER_RAN: std::ops::RangeInclusive<i32> = 125..=127;

/// What a server in a sandbox answered.
pub(crate) enum McpInSandbox {
    Result(Value),
    Fault(Fault),
    /// The whole attempt has this outcome.
    Ended(EffectOutcome),
}

impl McpInSandbox {
    /// As for an answer over HTTP: it becomes part of the history.
    pub const ANSWER_BYTES_MAX: u64 = 4 << 20;

    /// `server` asked this, once.
    pub fn command(server: Command, dialogue: McpDialogue) -> Command {
        let time_limit_ms = dialogue.time_limit_ms.saturating_add(GRACE_MS);
        Command { stdin: None, dialogue: Some(Box::new(dialogue)), time_limit_ms, ..server }
    }
}

impl Hands {
    /// `call: mcp` over stdio; none if it is another call.
    pub(super) async fn call_mcp_in_sandbox(&self, attempt: &Attempt, call: &Call) -> Option<EffectOutcome> {
        let CallRequest::Mcp(mcp) = &call.request else { return None };
        let McpTransport::Stdio { command } = &mcp.transport else { return None };
        let dialogue = McpDialogue {
            protocol_version: mcp.protocol_version.clone(),
            client: mcp.client.clone(),
            method: mcp.method.clone(),
            parameters: mcp.parameters.clone(),
            time_limit_ms: if call.time_limit_ms == 0 { TIME_LIMIT_MS } else { call.time_limit_ms },
            answer_bytes_max: McpInSandbox::ANSWER_BYTES_MAX,
        };
        let command = McpInSandbox::command((**command).clone(), dialogue);
        Some(match self.ask_mcp_in_sandbox(&attempt.key, &command, &attempt.templates, call.class()).await {
            McpInSandbox::Result(output) => EffectOutcome::Output { output },
            McpInSandbox::Fault(error) => EffectOutcome::Faulted { error },
            McpInSandbox::Ended(outcome) => outcome,
        })
    }

    /// Starts the server, or goes on with the one that an earlier host started.
    ///
    /// `class`: what may be done when the request was on its way and no answer came.
    pub(crate) async fn ask_mcp_in_sandbox(
        &self,
        key: &EffectKey,
        command: &Command,
        templates: &BTreeMap<TemplateName, Digest>,
        class: EffectClass,
    ) -> McpInSandbox {
        let result = match self.exec(key, command, templates).await {
            Ok(result) => result,
            Err(EffectOutcome::Faulted { error }) => return McpInSandbox::Fault(error),
            Err(outcome) => return McpInSandbox::Ended(outcome),
        };
        let (why, detail, asked) = match self.answer_of(&result).await {
            Some(McpAnswer::Result(value)) => return McpInSandbox::Result(value),
            Some(McpAnswer::Refused { code, message }) => return McpInSandbox::Fault(rpc_error(code, &message)),
            Some(McpAnswer::Broken { why, detail, asked }) => (why, detail, asked),
            // The sandbox ended before the one who asks could say anything.
            None => {
                let why = match result.status {
                    CommandStatus::TimedOut => McpTrouble::Silent,
                    CommandStatus::Succeeded
                    | CommandStatus::Failed
                    | CommandStatus::Killed
                    | CommandStatus::PolicyViolation => McpTrouble::Gone,
                };
                let ran = !result.exit_code.is_some_and(|code| NEVER_RAN.contains(&code));
                (why, format!("its sandbox ended: {}", result.summary), ran)
            }
        };
        let detail = format!("the MCP server `{}` gave no answer: {detail}", result.command);
        let may_be_repeated = match class {
            EffectClass::Pure | EffectClass::Idempotent => true,
            EffectClass::Reconcilable | EffectClass::Manual => false,
        };
        if asked && !may_be_repeated {
            return McpInSandbox::Ended(EffectOutcome::Unknown { detail });
        }
        McpInSandbox::Fault(match why {
            McpTrouble::NotStarted => StandardError::Configuration.fault(detail),
            McpTrouble::Silent => StandardError::Timeout.fault(detail),
            McpTrouble::OtherVersion | McpTrouble::Garbage | McpTrouble::Flood | McpTrouble::Gone => {
                StandardError::Communication.fault(detail)
            }
        })
    }

    /// What the one who asked wrote; none if it did not come to that.
    async fn answer_of(&self, result: &CommandResult) -> Option<McpAnswer> {
        // Escapes of JSON may double what the server said.
        let bytes = self.store.read_artifact(&result.stdout_ref, 0, 2 * McpInSandbox::ANSWER_BYTES_MAX).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}
