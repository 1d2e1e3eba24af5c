//! One component for each capability. Each imports its own interface and no
//! other, does what its input says, and answers with how the host answered:
//! `ok`, `denied`, `invalid: …`, `not-found`, `quota`, `unavailable`.
//!
//! The input is a JSON string of fields with a line each: the subject, then
//! `name=kind:value` for a parameter, `secret:name` for a secret, and `plan` if
//! the command is to be in the plan.

/// Makes a component of `fn(&[String]) -> Result<(), CallError>`; of another
/// world than `publish` with one interface.
#[macro_export]
macro_rules! probe {
    ($try:expr) => {
        /// Generated from `wit/release.wit`: it passes pointers over the component's border.
        #[allow(unsafe_code, clippy::all)]
        mod bindings {
            wit_bindgen::generate!({ path: "../../wit", world: "publish" });
        }

        #[allow(unused_imports, reason = "each probe uses one of them")]
        use bindings::lightapi::release::{artifacts_read, artifacts_write, log, sandbox, sandbox_secret, secrets};

        #[allow(dead_code, reason = "only commands have parameters")]
        fn parameters(fields: &[String]) -> Vec<(String, sandbox::Parameter)> {
            let given = fields.iter().filter_map(|field| field.split_once('='));
            let value = |text: &str| match text.split_once(':') {
                Some(("artifact", uri)) => sandbox::Parameter::Artifact(uri.to_owned()),
                Some((_, text)) => sandbox::Parameter::Text(text.to_owned()),
                None => sandbox::Parameter::Text(text.to_owned()),
            };
            given.map(|(name, text)| (name.to_owned(), value(text))).collect()
        }

        $crate::probe!(@guest $try);
    };
    ($world:tt, $interface:ident, $try:expr) => {
        /// Generated from `wit/release.wit`: it passes pointers over the component's border.
        #[allow(unsafe_code, clippy::all)]
        mod bindings {
            wit_bindgen::generate!({ path: "../../wit", world: $world });
        }

        use bindings::lightapi::release::$interface;

        $crate::probe!(@guest $try);
    };
    (@guest $try:expr) => {
        use bindings::exports::lightapi::release::step::{Description, Guest, PlannedCommand};
        use bindings::lightapi::release::types::{CallError, StepError};

        struct Probe;

        impl Guest for Probe {
            fn describe() -> Description {
                Description {
                    name: "probe".to_owned(),
                    version: "0.1.0".to_owned(),
                    summary: "Tries one capability".to_owned(),
                    input_schema: "{}".to_owned(),
                    output_schema: "{}".to_owned(),
                    idempotent: true,
                }
            }

            fn plan(input: String) -> Result<Vec<PlannedCommand>, StepError> {
                let fields: Vec<&str> = input.trim_matches('"').split("\\n").collect();
                if !fields.contains(&"plan") {
                    return Ok(Vec::new());
                }
                let pairs = fields.iter().filter_map(|field| field.split_once('='));
                let value = |text: &str| text.split_once(':').map_or(text, |(_, text)| text).to_owned();
                let members: Vec<_> = pairs.map(|(name, text)| format!("{name:?}:{:?}", value(text))).collect();
                let parameters = format!("{{{}}}", members.join(","));
                Ok(vec![PlannedCommand { command: fields[0].to_owned(), parameters, why: "it was told to".to_owned() }])
            }

            fn execute(input: String) -> Result<String, StepError> {
                let fields: Vec<String> = input.trim_matches('"').split("\\n").map(str::to_owned).collect();
                let attempt: fn(&[String]) -> Result<(), CallError> = $try;
                let said = match attempt(&fields) {
                    Ok(()) => "ok".to_owned(),
                    Err(CallError::Denied(denial)) => format!("denied {} {}", denial.capability, denial.subject),
                    Err(CallError::Invalid(detail)) => format!("invalid: {detail}"),
                    Err(CallError::NotFound(_)) => "not-found".to_owned(),
                    Err(CallError::Quota(_)) => "quota".to_owned(),
                    Err(CallError::Unavailable(_)) => "unavailable".to_owned(),
                };
                Ok(format!("{said:?}"))
            }
        }

        /// The generated exports take pointers.
        #[allow(unsafe_code)]
        mod exported {
            use super::Probe;
            super::bindings::export!(Probe with_types_in super::bindings);
        }
    };
}
