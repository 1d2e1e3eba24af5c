//! `light-workflow`: configuration, wiring, command line.

mod cli;
mod commands;
mod config;
mod documents;
mod follow;
mod host;
mod library;
mod output;
mod releases;
mod schedules;
mod stopping;

use std::process::ExitCode;

use clap::Parser;
use output::errln;

fn main() -> ExitCode {
    // A sandbox's supervisor and its first process are this binary too: they
    // must not start a runtime or read a configuration.
    if let Some(code) = sandbox::launcher::run_if_requested(std::env::args_os()) {
        return code;
    }
    // So is the compiler of plugins, which limits itself before it reads one.
    if let Some(code) = plugin_host::compiler::run_if_requested(std::env::args_os()) {
        return code;
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { output::USED_WRONGLY } else { output::DONE });
        }
    };
    output::log_to_stderr(cli.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            errln!("error: failed to start the runtime: {error}");
            return ExitCode::from(output::HOST_FAILED);
        }
    };
    let code = match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(failure) => {
            errln!("{}", output::plain(&failure.to_string()));
            failure.code
        }
    };
    // A thread that waits for a terminal's answer must not keep the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}
