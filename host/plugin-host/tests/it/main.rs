//! Real components on a scripted host.

mod baseline;
mod bundled;
mod common;
mod compiling;
mod grants;
mod limits;
mod loading;
mod outcomes;
mod released;
