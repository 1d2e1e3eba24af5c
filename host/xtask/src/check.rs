//! What has to hold before work is shared.

use anyhow::Context;
use xshell::{Shell, cmd};

use crate::{say, setup, test};

pub fn run(shell: &Shell) -> anyhow::Result<()> {
    say("format");
    cmd!(shell, "cargo fmt --all --check").quiet().run().context("run: cargo fmt --all")?;
    say("clippy, warnings denied");
    cmd!(shell, "cargo clippy --quiet --workspace --all-targets -- -D warnings").quiet().run()?;
    setup::cargo_tool(shell, "cargo-deny")?;
    say("deny: bans, licences, sources");
    cmd!(shell, "cargo deny --log-level error check bans licenses sources").quiet().run()?;
    say("docs, warnings denied");
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --quiet --workspace --no-deps --document-private-items").quiet().run()?;
    drop(_flags);
    test::run(shell, &[])
}
