//! Outbound calls against servers on loopback, honest and hostile.

mod asyncapi;
mod authentication;
mod grpc;
mod hostile;
mod house;
mod http;
mod policy;
mod protocols;
mod registry;
