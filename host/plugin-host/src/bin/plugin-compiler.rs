//! The compiler's role alone, for the tests of this crate: in the product it is
//! `light-workflow` itself, started again.

use std::process::ExitCode;

fn main() -> ExitCode {
    plugin_host::compiler::run_if_requested(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
