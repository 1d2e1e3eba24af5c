//! Every endpoint over the real engine and a store in memory. `house` knows
//! the API; the tests are data.

mod artifacts_and_logs;
mod audit;
mod cloud_events;
mod errors;
mod events;
mod house;
mod human_tasks;
mod openapi;
mod releases;
mod tokens;
mod wrong_input;
