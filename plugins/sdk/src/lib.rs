//! Release steps for light-workflow.
//!
//! A step is a type: what it takes and returns are types too, and their JSON
//! schemas are derived from them. The bound on its host says which world it
//! belongs to, so that what the world does not have does not compile.
//!
//! ```
//! use light_workflow_sdk::prelude::*;
//!
//! /// What a task passes in `with`.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Input {
//!     version: String,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Output {
//!     tag: String,
//! }
//!
//! struct TagName;
//!
//! impl<H: PureHost> Step<H> for TagName {
//!     type Input = Input;
//!     type Output = Output;
//!     const NAME: &'static str = "tag-name";
//!     const SUMMARY: &'static str = "Says what the tag of a version is called";
//!     const IDEMPOTENT: bool = true;
//!
//!     fn plan(_: &Input) -> Result<Vec<Planned>, StepError> {
//!         Ok(Vec::new())
//!     }
//!
//!     fn execute(host: &mut H, input: Input) -> Result<Output, StepError> {
//!         host.log(Level::Info, "naming the tag");
//!         Ok(Output { tag: format!("v{}", input.version) })
//!     }
//! }
//!
//! light_workflow_sdk::export!(pure, TagName);
//!
//! # fn main() {
//! let output = Script::new().execute::<TagName>(json!({ "version": "1.2.0" }));
//! assert_eq!(output, Ok(json!({ "tag": "v1.2.0" })));
//! # }
//! ```
//!
//! The component imports exactly the functions that the step calls: the linker
//! drops the others.

mod command;
mod error;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
mod host;
mod run;
mod schema;
mod scripted;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use command::{
    Artifact, ArtifactUri, CommandResult, CommandTemplate, Invocation, Parameter, Parameters, Planned, Status,
    ToParameter,
};
pub use error::{CallError, Denial, Failure, StepError};
pub use host::{
    Answer, ArtifactStat, AskModel, BuildHost, DiagnoseHost, Level, Log, ProbeHost, PublishHost, PureHost, Question,
    ReadArtifacts, RunCommands, UseSecrets, WriteArtifacts,
};
pub use run::{execute, input, plan};
pub use schema::{Side, schema_of};
pub use scripted::{Asked, Script, captured, ended};
pub use {schemars, serde, serde_json};

/// What a step and its tests need, for a glob import.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};

    pub use crate::{
        Answer, Artifact, ArtifactUri, AskModel, BuildHost, CallError, CommandResult, CommandTemplate, DiagnoseHost,
        Invocation, Level, Log, Parameter, Planned, ProbeHost, PublishHost, PureHost, Question, ReadArtifacts,
        RunCommands, Script, Status, Step, StepError, UseSecrets, WriteArtifacts, captured, ended,
    };
}

/// A release step on a host that has what the bound on `H` says: [`PureHost`],
/// [`DiagnoseHost`], [`ProbeHost`], [`BuildHost`] or [`PublishHost`].
pub trait Step<H> {
    /// What a task passes in `with`.
    type Input: DeserializeOwned + JsonSchema;
    /// What the task's output is, before its `output.as`.
    type Output: Serialize + JsonSchema;

    /// As in `plugin.toml`.
    const NAME: &'static str;
    /// One line; as in `plugin.toml`.
    const SUMMARY: &'static str;
    /// Doing it twice is doing it once: the host may run it again after lost contact.
    const IDEMPOTENT: bool = false;

    /// The commands that this input would run, as far as it says. It has no
    /// effects; a step without commands returns none.
    fn plan(input: &Self::Input) -> Result<Vec<Planned>, StepError>;

    /// Does it.
    fn execute(host: &mut H, input: Self::Input) -> Result<Self::Output, StepError>;

    /// JSON schema (2020-12) of the input.
    fn input_schema() -> Value {
        schema_of::<Self::Input>(Side::Read)
    }

    /// JSON schema (2020-12) of the output.
    fn output_schema() -> Value {
        schema_of::<Self::Output>(Side::Written)
    }
}

/// Makes a component of a step: `export!(build, MyStep)`.
///
/// The world bounds what the step's host may be; a step that needs more does
/// not compile. Native builds have nothing to export: there it expands to
/// nothing.
#[macro_export]
macro_rules! export {
    ($world:ident, $step:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Host = $crate::guest::$world::Host;
            struct Component;

            impl $crate::guest::Guest for Component {
                fn describe() -> $crate::guest::Description {
                    $crate::guest::describe::<$step, Host>(env!("CARGO_PKG_VERSION"))
                }

                fn plan(input: String) -> Result<Vec<$crate::guest::PlannedCommand>, $crate::guest::StepError> {
                    $crate::guest::plan::<$step, Host>(&input)
                }

                fn execute(input: String) -> Result<String, $crate::guest::StepError> {
                    $crate::guest::execute::<$step, Host>(&mut $crate::guest::$world::host(), &input)
                }
            }

    $crate::guest::export_component!(Component with_types_in $crate::guest::bindings);
        };
    };
}
