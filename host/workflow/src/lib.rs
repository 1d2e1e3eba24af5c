//! Definitions, history, decisions and policy.
//!
//! This crate is pure: it knows no clock, disk, network, database, runtime or
//! container. Time, identifiers and randomness are handed in; effects are
//! described as values that the worker carries out.

pub mod address;
pub mod approval;
pub mod asyncapi;
pub mod calls;
pub mod capability;
pub mod cloud_event;
pub mod command;
pub mod definition;
pub mod distribution;
pub mod documents;
pub mod effect;
pub mod engine;
pub mod event;
pub mod expression;
pub mod forecast;
pub mod ids;
pub mod image;
pub mod lifecycle;
pub mod located;
pub mod origin;
pub mod plan;
pub mod policy;
pub mod redaction;
pub mod request;
pub mod review;
pub mod schedule;
pub mod summary;

pub use cloud_event::CloudEvent;
pub use command::{Command, CommandResult, CommandStatus};
pub use effect::{Effect, EffectClass, EffectOutcome};
pub use event::{Event, Recorded};
pub use ids::*;
pub use origin::Origin;
