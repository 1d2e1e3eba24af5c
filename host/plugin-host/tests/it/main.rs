//! Real components on a scripted host.

mod bundled;
mod common;
mod grants;
mod limits;
mod loading;
mod outcomes;
mod released;
