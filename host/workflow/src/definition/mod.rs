//! A workflow definition: Serverless Workflow DSL 1.0.3, plus `ask` and
//! `assert`, plus `metadata.lightWorkflow`.
//!
//! [`parse()`] makes one from YAML and finds every problem at once; what is left
//! to check needs to know more than the text: [`check_plugins`].

mod approved;
pub mod asyncapi;
pub mod authentication;
mod calls;
mod check;
mod circles;
mod consumption;
mod cron;
pub(crate) mod detached;
mod duration;
mod error_type;
mod holes;
mod listen;
pub mod model;
pub mod outbound;
mod parse;
mod plans;
mod schedule;
pub mod secrets;
mod variables;

pub use approved::tasks_with_secrets_before_an_approval;
pub use authentication::{
    Authentication, Bearer, ClientAuthentication, Credentials, Grant, Login, OAuth2, OAuth2Client, OAuth2Endpoints,
    OAuth2Token, TokenEncoding,
};
pub use calls::{PluginFacts, check_calls, plugins_called};
pub use check::{check_plugins, each_task, problem_at, warnings, workflows_run};
pub use consumption::{Correlation, EventConsumption, EventFilter, Until};
pub use cron::{Cron, CronError};
pub use duration::{DURATION_MAX, DurationError, parse_duration};
pub use error_type::canonical_error_type;
pub use listen::{Foreach, Listen, ReadAs};
pub use model::*;
pub use parse::{Reading, as_json, parse, read};
pub use schedule::Schedule;

use check::targets;

pub use crate::located::{Problem, Severity};
