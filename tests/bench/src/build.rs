//! What must be built before it can be measured: components.

// A benchmark builds its own subjects; nothing of a release runs here.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Folders below `plugins/`, in the order of their names.
pub const BUNDLED: [&str; 8] =
    ["cargo", "cargo-publish", "config-profile", "diagnose", "maven", "preflight", "release-notes", "verify"];

/// Does on request what the tests need; `five` makes five host calls.
pub const EVIL: &str = "evil";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Cargo's target folder: of this checkout, unless the environment names another.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The components by name, built from the sources of this checkout.
pub fn components() -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let names: Vec<&str> = BUNDLED.into_iter().chain([EVIL]).collect();
    let root = root().canonicalize().context("failed to find the checkout")?;
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cargo"),
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-unknown-unknown", "--lib"]);
    cargo.args(names.iter().flat_map(|name| ["-p".to_owned(), format!("{name}-plugin")]));
    cargo.arg("--target-dir").arg(target()).current_dir(&root);
    // The flags of `cargo xtask plugins`, so that neither build undoes the other.
    let flags = plugin_host::reproducible_rustflags(&root, &cargo_home);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
    ensure!(cargo.status().context("failed to start cargo")?.success(), "the plugins do not build");
    let component = |name| {
        let file = format!("wasm32-unknown-unknown/plugin/{}_plugin.wasm", str::replace(name, "-", "_"));
        let module = std::fs::read(target().join(file)).with_context(|| format!("failed to read plugin `{name}`"))?;
        Ok((name, plugin_host::encode(&module)?))
    };
    names.into_iter().map(component).collect()
}
