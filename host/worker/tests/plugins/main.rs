//! Real components under the worker's host calls, on a machine that can die
//! between any two steps and where commands can take for ever.

mod divergence;
mod loading;
mod machine;
mod plans;
mod sweep;
mod waiting;
mod world;
