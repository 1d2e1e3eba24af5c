//! The page between a component's border and the plain types: bindings,
//! conversions, and one host for each world.
//!
//! Every conversion is a function of its own, called statically: what a step
//! does not call, the linker drops, and the component does not import it.

/// Generated from `wit/release.wit`: it passes pointers over the component's border.
#[allow(unsafe_code, clippy::all, missing_docs)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "publish",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "light_workflow_sdk::guest::bindings",
    });
}

/// What came after the oldest release of the package. A component imports the
/// older functions by their older version, so it needs the newer host only if it
/// calls something newer.
#[allow(unsafe_code, clippy::all, missing_docs)]
mod newer {
    wit_bindgen::generate!({
        inline: "package light-workflow:sdk; world newer { import lightapi:release/model@0.1.1; }",
        path: "wit-next",
        world: "light-workflow:sdk/newer",
        with: {
            "lightapi:release/types@0.1.1": crate::guest::bindings::lightapi::release::types,
            "lightapi:release/model@0.1.1": generate,
        },
    });
}

use bindings::lightapi::release::{artifacts_read, artifacts_write, log, sandbox, sandbox_secret, secrets, types};

pub use bindings::export_component;
pub use bindings::exports::lightapi::release::step::{Description, Guest, PlannedCommand};
pub use bindings::lightapi::release::types::StepError;

use crate::{
    Answer, Artifact, ArtifactStat, CallError, CommandResult, Denial, Level, Parameter, Question, Status, Step,
};

pub fn describe<S: Step<H>, H>(version: &str) -> Description {
    Description {
        name: S::NAME.to_owned(),
        version: version.to_owned(),
        summary: S::SUMMARY.to_owned(),
        input_schema: S::input_schema().to_string(),
        output_schema: S::output_schema().to_string(),
        idempotent: S::IDEMPOTENT,
    }
}

pub fn plan<S: Step<H>, H>(input: &str) -> Result<Vec<PlannedCommand>, StepError> {
    keep_panic_text();
    let planned = crate::plan::<S, H>(input).map_err(step_error)?;
    let convert = |planned: crate::Planned| PlannedCommand {
        command: planned.command,
        parameters: planned.parameters.to_string(),
        why: planned.why,
    };
    Ok(planned.into_iter().map(convert).collect())
}

pub fn execute<S: Step<H>, H>(host: &mut H, input: &str) -> Result<String, StepError> {
    keep_panic_text();
    Ok(crate::execute::<S, H>(host, input).map_err(step_error)?.to_string())
}

/// A panic's text is lost unless it reaches the log before the trap.
fn keep_panic_text() {
    std::panic::set_hook(Box::new(|panic| log::emit(log::Level::Error, &panic.to_string(), &[])));
}

/// The host of one world: it has the capabilities of that world and no others.
macro_rules! world {
    ($world:ident: $($capability:ident)*) => {
        pub mod $world {
            pub struct Host(());

            pub fn host() -> Host {
                Host(())
            }

            $(super::$capability!(Host);)*
        }
    };
}

macro_rules! logs {
    ($host:ty) => {
        impl crate::Log for $host {
            fn log_with(&mut self, level: crate::Level, message: &str, fields: &[(&str, &str)]) {
                super::emit(level, message, fields);
            }
        }
    };
}

macro_rules! reads {
    ($host:ty) => {
        impl crate::ReadArtifacts for $host {
            fn stat(&mut self, uri: &str) -> Result<crate::ArtifactStat, crate::CallError> {
                super::stat(uri)
            }

            fn read(&mut self, uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, crate::CallError> {
                super::read(uri, offset, length)
            }
        }
    };
}

macro_rules! asks {
    ($host:ty) => {
        impl crate::AskModel for $host {
            fn ask(&mut self, question: &crate::Question) -> Result<crate::Answer, crate::CallError> {
                super::ask(question)
            }
        }
    };
}

macro_rules! runs {
    ($host:ty) => {
        impl crate::RunCommands for $host {
            fn exec(
                &mut self,
                command: &str,
                parameters: &[(&str, crate::Parameter)],
            ) -> Result<crate::CommandResult, crate::CallError> {
                super::exec(command, parameters)
            }
        }
    };
}

macro_rules! writes {
    ($host:ty) => {
        impl crate::WriteArtifacts for $host {
            fn put(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Result<String, crate::CallError> {
                super::put(name, media_type, bytes)
            }
        }
    };
}

macro_rules! uses_secrets {
    ($host:ty) => {
        impl crate::UseSecrets for $host {
            fn exec_with_secrets(
                &mut self,
                command: &str,
                parameters: &[(&str, crate::Parameter)],
                secrets: &[&str],
            ) -> Result<crate::CommandResult, crate::CallError> {
                super::exec_with_secrets(command, parameters, secrets)
            }
        }
    };
}

use {asks, logs, reads, runs, uses_secrets, writes};

world!(pure: logs);
world!(diagnose: logs reads asks);
world!(probe: logs reads runs);
world!(build: logs reads runs writes);
world!(publish: logs reads runs writes uses_secrets);

fn emit(level: Level, message: &str, fields: &[(&str, &str)]) {
    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    let fields: Vec<_> = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    log::emit(level, message, &fields);
}

fn stat(uri: &str) -> Result<ArtifactStat, CallError> {
    let stat = artifacts_read::stat(uri).map_err(call_error)?;
    Ok(ArtifactStat { size_bytes: stat.size_bytes, digest: stat.digest, media_type: stat.media_type })
}

fn read(uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, CallError> {
    artifacts_read::read(uri, offset, length).map_err(call_error)
}

fn ask(question: &Question) -> Result<Answer, CallError> {
    use newer::lightapi::release::model;
    let asked = model::Question {
        model: question.model.clone(),
        prompt: question.prompt.clone(),
        evidence: question.evidence.clone(),
        answer_schema: question.answer_schema.to_string(),
        answer_tokens_max: question.answer_tokens_max,
    };
    let answer = model::ask(&asked).map_err(call_error)?;
    let value = serde_json::from_str(&answer.value);
    let value = value.map_err(|error| CallError::Unavailable(format!("the model's answer is not JSON: {error}")))?;
    Ok(Answer { value, model: answer.model })
}

fn exec(command: &str, parameters: &[(&str, Parameter)]) -> Result<CommandResult, CallError> {
    sandbox::exec(command, &to_parameters(parameters)).map(result).map_err(call_error)
}

fn put(name: &str, media_type: &str, bytes: &[u8]) -> Result<String, CallError> {
    artifacts_write::put(name, media_type, bytes).map_err(call_error)
}

fn exec_with_secrets(
    command: &str,
    parameters: &[(&str, Parameter)],
    names: &[&str],
) -> Result<CommandResult, CallError> {
    let held: Vec<secrets::Secret> =
        names.iter().map(|name| secrets::acquire(name)).collect::<Result<_, _>>().map_err(call_error)?;
    let held: Vec<&secrets::Secret> = held.iter().collect();
    sandbox_secret::exec_with_secrets(command, &to_parameters(parameters), &held).map(result).map_err(call_error)
}

fn to_parameters(parameters: &[(&str, Parameter)]) -> Vec<(String, sandbox::Parameter)> {
    let convert = |value: &Parameter| match value {
        Parameter::Text(text) => sandbox::Parameter::Text(text.clone()),
        Parameter::Flag(flag) => sandbox::Parameter::Flag(*flag),
        Parameter::Integer(number) => sandbox::Parameter::Integer(*number),
        Parameter::Artifact(uri) => sandbox::Parameter::Artifact(uri.clone()),
        Parameter::Texts(texts) => sandbox::Parameter::Texts(texts.clone()),
    };
    parameters.iter().map(|(name, value)| ((*name).to_owned(), convert(value))).collect()
}

fn result(result: sandbox::CommandResult) -> CommandResult {
    let artifact = |artifact: sandbox::Artifact| Artifact {
        uri: artifact.uri,
        digest: artifact.digest,
        size_bytes: artifact.size_bytes,
    };
    CommandResult {
        status: match result.status {
            sandbox::CommandStatus::Succeeded => Status::Succeeded,
            sandbox::CommandStatus::Failed => Status::Failed,
            sandbox::CommandStatus::TimedOut => Status::TimedOut,
            sandbox::CommandStatus::Killed => Status::Killed,
            sandbox::CommandStatus::PolicyViolation => Status::PolicyViolation,
        },
        exit_code: result.exit_code,
        duration_ms: result.duration_ms,
        summary: result.summary,
        stdout: result.stdout,
        stderr: result.stderr,
        stdout_excerpt: result.stdout_excerpt,
        stderr_excerpt: result.stderr_excerpt,
        artifacts: result.artifacts.into_iter().map(artifact).collect(),
        changed_files: result.changed_files,
    }
}

fn call_error(error: types::CallError) -> CallError {
    match error {
        types::CallError::Denied(denial) => {
            CallError::Denied(Denial { capability: denial.capability, subject: denial.subject, reason: denial.reason })
        }
        types::CallError::Invalid(detail) => CallError::Invalid(detail),
        types::CallError::NotFound(what) => CallError::NotFound(what),
        types::CallError::Quota(detail) => CallError::Quota(detail),
        types::CallError::Unavailable(detail) => CallError::Unavailable(detail),
    }
}

fn step_error(error: crate::StepError) -> StepError {
    match error {
        crate::StepError::InvalidInput(detail) => StepError::InvalidInput(detail),
        crate::StepError::Denied(denial) => StepError::Denied(types::Denial {
            capability: denial.capability,
            subject: denial.subject,
            reason: denial.reason,
        }),
        crate::StepError::Transient(detail) => StepError::Transient(detail),
        crate::StepError::Failed(failure) => StepError::Failed(types::Failure {
            summary: failure.summary,
            exit_code: failure.exit_code,
            logs: failure.logs,
        }),
        crate::StepError::NeedsHuman(detail) => StepError::NeedsHuman(detail),
    }
}
