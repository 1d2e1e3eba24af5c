//! The launcher alone, for tests of this crate: the product's binary begins
//! with the same call.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::launcher::run_if_requested(std::env::args_os()).unwrap_or_else(|| {
        eprintln!("this program is started by the sandbox provider, not by people");
        ExitCode::from(2)
    })
}
