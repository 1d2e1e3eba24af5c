//! Generated from `wit/release.wit`, and the conversions to our own types.
//!
//! No plugin has the world `every-capability`: it is the union of all worlds,
//! so that its bindings serve each of them; what is linked is decided in
//! [`crate::link`].

// The generated code implements wasmtime's unsafe lifting and lowering traits.
#![allow(unsafe_code)]

use workflow::{ArtifactUri, CommandResult, CommandStatus};

use crate::host_calls::{self, HostCallError};

wasmtime::component::bindgen!({
    inline: "
        package lightapi:host;
        world every-capability {
            include lightapi:release/publish@0.1.1;
            include lightapi:release/probe@0.1.1;
            include lightapi:release/diagnose@0.1.1;
        }
    ",
    path: "../../wit",
    world: "lightapi:host/every-capability",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "lightapi:release/secrets.secret": crate::state::SecretHandle },
});

pub use exports::lightapi::release::step;
pub use lightapi::release::{
    artifacts_read, artifacts_write, http, log, mcp, model, sandbox, sandbox_secret, secrets, types,
};

impl From<host_calls::Denial> for types::Denial {
    fn from(denial: host_calls::Denial) -> Self {
        Self { capability: denial.capability, subject: denial.subject, reason: denial.reason }
    }
}

impl From<http::Method> for host_calls::HttpMethod {
    fn from(method: http::Method) -> Self {
        match method {
            http::Method::Get => Self::Get,
            http::Method::Head => Self::Head,
        }
    }
}

impl From<host_calls::HttpResponse> for http::Response {
    fn from(response: host_calls::HttpResponse) -> Self {
        Self { status: response.status, headers: response.headers, body: response.body }
    }
}

impl From<host_calls::ToolAnswer> for mcp::ToolAnswer {
    fn from(answer: host_calls::ToolAnswer) -> Self {
        Self {
            is_error: answer.is_error,
            content: serde_json::Value::Array(answer.content).to_string(),
            structured: answer.structured.map(|structured| structured.to_string()),
        }
    }
}

impl From<host_calls::ModelAnswer> for model::Answer {
    fn from(answer: host_calls::ModelAnswer) -> Self {
        Self {
            value: answer.value.to_string(),
            model: answer.model,
            question_tokens: answer.question_tokens,
            answer_tokens: answer.answer_tokens,
        }
    }
}

impl From<log::Level> for host_calls::LogLevel {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
            log::Level::Error => Self::Error,
        }
    }
}

/// The answer for the plugin; none when the whole call ends ([`HostCallError::Interrupted`]).
pub fn call_error(error: HostCallError) -> Option<types::CallError> {
    Some(match error {
        HostCallError::Invalid(detail) => types::CallError::Invalid(detail),
        HostCallError::NotFound(what) => types::CallError::NotFound(what),
        HostCallError::Quota(detail) => types::CallError::Quota(detail),
        HostCallError::Unavailable(detail) => types::CallError::Unavailable(detail),
        HostCallError::Denied(denial) => types::CallError::Denied(denial.into()),
        HostCallError::Interrupted => return None,
    })
}

/// Fails on an artifact reference that is none: the call is invalid then.
pub fn parameter(parameter: sandbox::Parameter) -> Result<host_calls::Parameter, String> {
    Ok(match parameter {
        sandbox::Parameter::Text(text) => host_calls::Parameter::Text(text),
        sandbox::Parameter::Flag(flag) => host_calls::Parameter::Flag(flag),
        sandbox::Parameter::Integer(integer) => host_calls::Parameter::Integer(integer),
        sandbox::Parameter::Texts(texts) => host_calls::Parameter::Texts(texts),
        sandbox::Parameter::Artifact(uri) => {
            host_calls::Parameter::Artifact(ArtifactUri::new(uri).map_err(|error| error.to_string())?)
        }
    })
}

impl From<CommandResult> for sandbox::CommandResult {
    fn from(result: CommandResult) -> Self {
        let artifact = |artifact: workflow::command::Artifact| sandbox::Artifact {
            uri: artifact.uri.into(),
            digest: artifact.digest.into(),
            size_bytes: artifact.size_bytes,
        };
        Self {
            status: match result.status {
                CommandStatus::Succeeded => sandbox::CommandStatus::Succeeded,
                CommandStatus::Failed => sandbox::CommandStatus::Failed,
                CommandStatus::TimedOut => sandbox::CommandStatus::TimedOut,
                CommandStatus::Killed => sandbox::CommandStatus::Killed,
                CommandStatus::PolicyViolation => sandbox::CommandStatus::PolicyViolation,
            },
            exit_code: result.exit_code,
            duration_ms: result.duration_ms,
            summary: result.summary,
            stdout: result.stdout_ref.into(),
            stderr: result.stderr_ref.into(),
            stdout_excerpt: result.stdout_excerpt,
            stderr_excerpt: result.stderr_excerpt,
            artifacts: result.artifacts.into_iter().map(artifact).collect(),
            changed_files: result.changed_files,
        }
    }
}
