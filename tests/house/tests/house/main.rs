//! Tests of the whole house: real programs, real sandboxes, a real registry
//! and a real Git remote on loopback.

// The programs under test are started as a shell would start them.
#![allow(clippy::disallowed_methods)]

mod approved;
mod audit;
mod calls;
mod canary;
mod crash;
mod database;
mod every_kind;
mod every_way;
mod grants;
mod history;
mod http;
mod java;
mod left_alone;
mod leftovers;
mod manifests;
mod messages;
mod sandboxes;
mod scheduled;
mod second_run;
mod sent_once;
mod serve;
mod servers;
mod traces;
mod trouble;
mod world;
mod wrong_input;
