//! What each kind of task decides, one family a file.

pub(super) mod ask;
pub(super) mod assert;
mod asyncapi;
pub(super) mod children;
pub(super) mod effects;
pub(super) mod emit;
pub(super) mod extensions;
pub(super) mod failures;
pub(super) mod flow;
pub(super) mod forks;
pub(super) mod listen;
pub(super) mod loops;
pub(super) mod outbound;
pub(super) mod plans;
pub(super) mod tries;
pub(super) mod wait;
