//! Benchmarks of the house, as ratios in one run: `cargo xtask bench SUITE`.
//!
//! A missed target is printed, not an error: times are the machine's.

mod build;
mod engine;
mod machine;
mod plugins;
mod redaction;
mod report;
mod sandboxes;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use machine::Machine;
use report::Report;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Suite {
    /// Workflows through the worker and the store on disk.
    Engine,
    /// Calls of components, their audit and their loading.
    Plugins,
    /// Fresh sandboxes and commands in them.
    Sandbox,
    /// Exact secrets removed from a stream.
    Redaction,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Measures one suite.
#[derive(Debug, Parser)]
struct Options {
    suite: Suite,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Interleaved rounds; a figure is the median of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

fn main() -> ExitCode {
    // The launcher of the sandbox suite is this program, as the product's is its own.
    if let Some(code) = sandbox::launcher::run_if_requested(std::env::args_os()) {
        return code;
    }
    let options = Options::parse();
    match measure(&options) {
        Ok(report) => {
            match options.format {
                Format::Text => print!("{report}"),
                Format::Json => println!("{:#}", report.json()),
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("failed to measure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> anyhow::Result<Report> {
    let machine = Machine::prepare()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("failed to start tokio")?;
    let rounds = options.rounds;
    let figures = match options.suite {
        Suite::Engine => runtime.block_on(engine::measure(&machine, rounds))?,
        Suite::Plugins => plugins::measure(&machine, &runtime, rounds)?,
        Suite::Sandbox => runtime.block_on(sandboxes::measure(&machine, rounds))?,
        Suite::Redaction => redaction::measure(rounds),
    };
    let suite = options.suite.to_possible_value().context("every suite has a name")?;
    Report::new(suite.get_name(), &machine, figures)
}
