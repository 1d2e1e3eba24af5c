//! The only wasmtime: engine, linker, limits, grants.
//!
//! A plugin is a component that exports `lightapi:release/step` (see
//! `wit/release.wit`). [`inspect()`] reads its capabilities from the bytes
//! without compiling anything; [`PluginHost::load`] compiles it once and keeps
//! the result in a store of our own; [`PluginHost::execute`] runs it in a fresh
//! instance with exactly the interfaces that were granted.
//!
//! > **Invariant:** `plugin-host` cannot act. It has no path to a command, a
//! > file of the release or a secret's value; every effect is a method of
//! > [`HostCalls`], which the worker implements. The one process it starts is
//! > its own [`compiler`], which is given bytes and gives bytes back.

mod baseline;
mod bindings;
mod call;
pub mod compiler;
mod description;
mod encode;
mod engine;
mod facts;
mod host_calls;
mod inspect;
mod interface;
mod lane;
mod link;
mod load;
pub mod measure;
mod precompiled;
mod shape;
mod state;
mod surroundings;
mod texts;
mod trap;

pub use call::{Call, CallError, Description, LimitReached, StepFailure};
pub use description::{DescriptionError, description_of, with_description};
pub use encode::{EncodeError, encode, reproducible_rustflags};
pub use engine::{HostConfig, PluginHost, StartError, TooLittle, instances_here, instances_within};
pub use facts::component_facts;
pub use host_calls::{
    ArtifactStat, CallSite, Denial, HostCallError, HostCalls, HttpMethod, HttpRequest, HttpResponse, LogLevel,
    ModelAnswer, ModelQuestion, Parameter, Recorded, ToolAnswer,
};
pub use inspect::{ComponentClass, ImportProblem, InspectError, Inspection, inspect};
pub use interface::{Interface, MissingGrant, MissingGrants, OverGrant, package_offered};
pub use load::{LoadError, Plugin, WithDescriptionError};
pub use precompiled::Provenance;
pub use surroundings::Surroundings;
pub use workflow::command::PlannedCommand;
