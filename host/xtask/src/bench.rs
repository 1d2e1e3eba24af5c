//! Benchmarks: built optimised, each suite a ratio in one run.

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::{plugins, setup};

const SUITES: [&str; 4] = ["engine", "plugins", "sandbox", "redaction"];

pub fn run(shell: &Shell, arguments: &[String]) -> anyhow::Result<()> {
    let Some(suite) = arguments.first().filter(|suite| SUITES.contains(&suite.as_str())) else {
        bail!("name a suite: {}", SUITES.join(", "));
    };
    if suite == "plugins" || suite == "sandbox" {
        setup::run(shell)?;
    }
    if suite == "plugins" {
        plugins::build(shell, &plugins::BINARIES)?;
    }
    cmd!(shell, "cargo run --quiet --release -p bench -- {arguments...}").quiet().run()?;
    Ok(())
}
