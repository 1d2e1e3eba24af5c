//! Calls every function of version 0.1.0 once and says what each answered.

#![cfg(target_arch = "wasm32")]

/// Generated from the frozen package: it passes pointers over the component's border.
#[allow(unsafe_code, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/released/0.1.0", world: "publish" });
}

use bindings::exports::lightapi::release::step::{Description, Guest, PlannedCommand};
use bindings::lightapi::release::types::{CallError, StepError};
use bindings::lightapi::release::{artifacts_read, artifacts_write, log, sandbox, sandbox_secret, secrets};

struct Released;

impl Guest for Released {
    fn describe() -> Description {
        Description {
            name: "released".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "Calls everything".to_owned(),
            input_schema: "true".to_owned(),
            output_schema: "true".to_owned(),
            idempotent: true,
        }
    }

    fn plan(_input: String) -> Result<Vec<PlannedCommand>, StepError> {
        let command = "rust-release/cargo-build".to_owned();
        Ok(vec![PlannedCommand { command, parameters: "{}".to_owned(), why: "it builds".to_owned() }])
    }

    fn execute(_input: String) -> Result<String, StepError> {
        log::emit(log::Level::Info, "calling everything", &[]);
        let said = everything().map_err(|error| match error {
            CallError::Denied(denial) => StepError::Denied(denial),
            CallError::Invalid(detail) | CallError::NotFound(detail) | CallError::Quota(detail) => {
                StepError::NeedsHuman(detail)
            }
            CallError::Unavailable(detail) => StepError::Transient(detail),
        })?;
        Ok(format!("{said:?}"))
    }
}

fn everything() -> Result<String, CallError> {
    let parameters = [("profile".to_owned(), sandbox::Parameter::Text("release".to_owned()))];
    let built = sandbox::exec("rust-release/cargo-build", &parameters)?;
    let stat = artifacts_read::stat("artifact://i/t/1/x")?;
    let bytes = artifacts_read::read("artifact://i/t/1/x", 0, 16)?;
    let stored = artifacts_write::put("report.json", "application/json", b"{}")?;
    let secret = secrets::acquire("token")?;
    let published = sandbox_secret::exec_with_secrets("rust-release/cargo-publish", &[], &[&secret])?;
    let (size, read) = (stat.size_bytes, bytes.len());
    Ok(format!("{}; {size}; {read}; {stored}; {}; {}", built.summary, secret.name(), published.summary))
}

/// The generated exports take pointers.
#[allow(unsafe_code)]
mod exported {
    use super::Released;
    super::bindings::export!(Released with_types_in super::bindings);
}
