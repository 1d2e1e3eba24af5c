//! `cargo xtask`: set-up, checks, the demonstration and the benchmarks.

mod bench;
mod check;
mod demo;
mod plugins;
mod setup;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use xshell::Shell;

const HELP: &str = "\
cargo xtask demo [--yes]   set up, build, and release a Cargo workspace to a local registry
cargo xtask test [ARGS]    set up, build, and run all tests (ARGS go to cargo nextest; --all: also the steps in
                           JavaScript and Python, whose tools come from npm and PyPI)
cargo xtask check          what has to hold before work is shared: format, clippy, deny, docs, tests
cargo xtask bench SUITE [--format json]   engine, plugins, sandbox or redaction
cargo xtask setup          install what the others need (they do it themselves)
cargo xtask plugins        build the bundled plugins into target/plugins
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let done = Shell::new().map_err(anyhow::Error::from).and_then(|shell| {
        shell.change_dir(root());
        match arguments.first().map(String::as_str) {
            Some("demo") => demo::run(&shell, rest),
            Some("test") => test::run(&shell, rest),
            Some("check") => check::run(&shell),
            Some("bench") => bench::run(&shell, rest),
            Some("setup") => setup::run(&shell).and_then(|()| setup::servers(&shell)),
            Some("plugins") => plugins::build(&shell, &plugins::BINARIES),
            Some("help" | "--help" | "-h") | None => {
                print!("{HELP}");
                Ok(())
            }
            Some(other) => anyhow::bail!("there is no task `{other}`\n\n{HELP}"),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("xtask lies two folders below the root")
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A program of ours, as `cargo build` leaves it.
fn program(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Says what comes next, so that a silence is never a riddle.
fn say(message: &str) {
    eprintln!("==> {message}");
}
