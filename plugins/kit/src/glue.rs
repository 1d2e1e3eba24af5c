//! The last page of a plugin: generated bindings and conversions, by world.

/// Exports a [`crate::Step`] as a component of world `build` or `publish`.
///
/// The arm decides the imports: `build` runs commands and reads artifacts,
/// `publish` runs commands with secrets and nothing else. A function that an
/// arm does not name is not imported, whatever the world offers.
#[macro_export]
macro_rules! export_step {
    (build, $step:ty) => {
        $crate::export_step!(@page "build", $step);

        impl $crate::Host for Component {
            fn exec(
                &mut self,
                command: &str,
                parameters: &[(&str, $crate::Parameter)],
            ) -> Result<$crate::CommandResult, $crate::CallError> {
                imported::sandbox::exec(command, &page::parameters(parameters)).map(page::result).map_err(page::call_error)
            }

            fn exec_with_secret(
                &mut self,
                command: &str,
                _parameters: &[(&str, $crate::Parameter)],
                _secret: &str,
            ) -> Result<$crate::CommandResult, $crate::CallError> {
                Err(page::not_in_world("sandbox-secret", command))
            }

            fn read(&mut self, uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, $crate::CallError> {
                imported::artifacts_read::read(uri, offset, length).map_err(page::call_error)
            }

            fn log(&mut self, level: $crate::Level, message: &str) {
                page::log(level, message);
            }
        }
    };
    (publish, $step:ty) => {
        $crate::export_step!(@page "publish", $step);

        impl $crate::Host for Component {
            fn exec(
                &mut self,
                command: &str,
                _parameters: &[(&str, $crate::Parameter)],
            ) -> Result<$crate::CommandResult, $crate::CallError> {
                Err(page::not_in_world("sandbox", command))
            }

            fn exec_with_secret(
                &mut self,
                command: &str,
                parameters: &[(&str, $crate::Parameter)],
                secret: &str,
            ) -> Result<$crate::CommandResult, $crate::CallError> {
                let secret = imported::secrets::acquire(secret).map_err(page::call_error)?;
                imported::sandbox_secret::exec_with_secrets(command, &page::parameters(parameters), &[&secret])
                    .map(page::result)
                    .map_err(page::call_error)
            }

            fn read(&mut self, uri: &str, _offset: u64, _length: u32) -> Result<Vec<u8>, $crate::CallError> {
                Err(page::not_in_world("artifacts-read", uri))
            }

            fn log(&mut self, level: $crate::Level, message: &str) {
                page::log(level, message);
            }
        }
    };
    (@page $world:literal, $step:ty) => {
        /// Generated from `wit/release.wit`: it passes pointers over the component's border.
        #[allow(unsafe_code, clippy::all)]
        mod bindings {
            wit_bindgen::generate!({ path: "../../wit", world: $world });
        }

        use bindings::lightapi::release as imported;

        struct Component;

        /// A panic's text is lost unless it reaches the log before the trap.
        fn keep_panic_text() {
            std::panic::set_hook(Box::new(|panic| {
                imported::log::emit(imported::log::Level::Error, &panic.to_string(), &[]);
            }));
        }

        impl bindings::exports::lightapi::release::step::Guest for Component {
            fn describe() -> bindings::exports::lightapi::release::step::Description {
                let about = <$step as $crate::Step>::about();
                bindings::exports::lightapi::release::step::Description {
                    name: about.name.to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    summary: about.summary.to_owned(),
                    input_schema: about.input_schema.to_owned(),
                    output_schema: about.output_schema.to_owned(),
                    idempotent: about.idempotent,
                }
            }

            fn plan(
                input: String,
            ) -> Result<Vec<bindings::exports::lightapi::release::step::PlannedCommand>, imported::types::StepError> {
                keep_panic_text();
                let planned = <$step as $crate::Step>::plan(&input).map_err(page::step_error)?;
                let convert = |planned: $crate::Planned| bindings::exports::lightapi::release::step::PlannedCommand {
                    command: planned.command,
                    parameters: planned.parameters.to_string(),
                    why: planned.why,
                };
                Ok(planned.into_iter().map(convert).collect())
            }

            fn execute(input: String) -> Result<String, imported::types::StepError> {
                keep_panic_text();
                let output = <$step as $crate::Step>::execute(&mut Component, &input).map_err(page::step_error)?;
                Ok(output.to_string())
            }
        }

        bindings::export!(Component with_types_in bindings);

        /// Conversions between the plain types and the generated ones.
        mod page {
            use super::imported::{log, sandbox, types};

            pub fn log(level: $crate::Level, message: &str) {
                let level = match level {
                    $crate::Level::Info => log::Level::Info,
                    $crate::Level::Warn => log::Level::Warn,
                };
                log::emit(level, message, &[]);
            }

            pub fn not_in_world(capability: &str, subject: &str) -> $crate::CallError {
                $crate::CallError::Denied($crate::Denial {
                    capability: capability.to_owned(),
                    subject: subject.to_owned(),
                    reason: concat!("the plugin is of world `", $world, "`").to_owned(),
                })
            }

            pub fn parameters(parameters: &[(&str, $crate::Parameter)]) -> Vec<(String, sandbox::Parameter)> {
                let convert = |value: &$crate::Parameter| match value {
                    $crate::Parameter::Text(text) => sandbox::Parameter::Text(text.clone()),
                    $crate::Parameter::Artifact(uri) => sandbox::Parameter::Artifact(uri.clone()),
                };
                parameters.iter().map(|(name, value)| ((*name).to_owned(), convert(value))).collect()
            }

            pub fn result(result: sandbox::CommandResult) -> $crate::CommandResult {
                let artifact = |artifact: sandbox::Artifact| $crate::Artifact {
                    uri: artifact.uri,
                    digest: artifact.digest,
                    size_bytes: artifact.size_bytes,
                };
                $crate::CommandResult {
                    status: match result.status {
                        sandbox::CommandStatus::Succeeded => $crate::Status::Succeeded,
                        sandbox::CommandStatus::Failed => $crate::Status::Failed,
                        sandbox::CommandStatus::TimedOut => $crate::Status::TimedOut,
                        sandbox::CommandStatus::Killed => $crate::Status::Killed,
                        sandbox::CommandStatus::PolicyViolation => $crate::Status::PolicyViolation,
                    },
                    exit_code: result.exit_code,
                    summary: result.summary,
                    stdout: result.stdout,
                    stderr: result.stderr,
                    stdout_excerpt: result.stdout_excerpt,
                    stderr_excerpt: result.stderr_excerpt,
                    artifacts: result.artifacts.into_iter().map(artifact).collect(),
                }
            }

            pub fn call_error(error: types::CallError) -> $crate::CallError {
                match error {
                    types::CallError::Denied(denial) => $crate::CallError::Denied($crate::Denial {
                        capability: denial.capability,
                        subject: denial.subject,
                        reason: denial.reason,
                    }),
                    types::CallError::Invalid(detail) => $crate::CallError::Invalid(detail),
                    types::CallError::NotFound(what) => $crate::CallError::NotFound(what),
                    types::CallError::Quota(detail) => $crate::CallError::Quota(detail),
                    types::CallError::Unavailable(detail) => $crate::CallError::Unavailable(detail),
                }
            }

            pub fn step_error(error: $crate::StepError) -> types::StepError {
                match error {
                    $crate::StepError::InvalidInput(detail) => types::StepError::InvalidInput(detail),
                    $crate::StepError::Denied(denial) => types::StepError::Denied(types::Denial {
                        capability: denial.capability,
                        subject: denial.subject,
                        reason: denial.reason,
                    }),
                    $crate::StepError::Transient(detail) => types::StepError::Transient(detail),
                    $crate::StepError::Failed(failure) => types::StepError::Failed(types::Failure {
                        summary: failure.summary,
                        exit_code: failure.exit_code,
                        logs: failure.logs,
                    }),
                    $crate::StepError::NeedsHuman(detail) => types::StepError::NeedsHuman(detail),
                }
            }
        }
    };
}
