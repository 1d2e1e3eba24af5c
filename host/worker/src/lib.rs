//! Claims instances, carries out their effects, appends what happened.
//!
//! The worker decides nothing: [`workflow::engine`] does. It holds leases on
//! shards, drives each of their instances, runs commands through a sandbox
//! provider and plugins through the plugin host, and writes every outcome under
//! its lease. It meets the API only in the store.

mod act;
mod alongside;
mod artifacts;
mod asking;
mod clock;
mod definitions;
mod drive;
mod host_calls;
mod images;
mod plugins;
mod replay;
mod run;
mod schedule;
mod scheduled;
mod secrets;
mod services;
mod summary;

pub use act::{Act, Attempt, Hands, Interrupted, Journal, JournalEntry, Running};
pub use alongside::alongside;
pub use clock::{Clock, SystemClock};
pub use definitions::{DefinitionError, Definitions};
pub use drive::{DriveError, Driver, projection};
pub use images::{ImageRules, Images, NoImage, RegistryRules};
pub use plugins::{DistributionError, InstalledPlugin, PluginCatalog, PluginCatalogError, distribution_of};
pub use schedule::{Worker, WorkerOptions};
pub use scheduled::{NotScheduled, ScheduledStart, StartScheduled, start_due};
pub use secrets::{MissingSecret, Secrets};
pub use services::{McpPlace, McpServer, Model, Service, Services};
pub use summary::keep_summary;
