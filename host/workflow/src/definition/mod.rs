//! A workflow definition: Serverless Workflow DSL 1.0.3, plus `ask` and
//! `assert`, plus `metadata.lightWorkflow`.

pub mod model;

pub use model::*;
