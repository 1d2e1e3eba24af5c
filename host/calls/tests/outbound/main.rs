//! Outbound calls against servers on loopback, honest and hostile.

mod asyncapi;
mod authentication;
#[path = "../../../workflow/tests/support/damage.rs"]
mod damage;
mod grpc;
mod hostile;
mod house;
mod http;
mod policy;
mod protocols;
mod registry;
