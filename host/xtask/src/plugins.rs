//! Builds the bundled plugins: core modules by cargo, components by our own encoder.

use std::path::{Path, PathBuf};

use anyhow::Context;
use xshell::{Shell, cmd};

use crate::{program, root, say, target};

/// What the demonstration needs of the host.
pub const BINARIES: [&str; 4] = ["-p", "light-workflow", "-p", "fixtures"];

/// Folder below `plugins/`, which is also the plugin's name.
pub const BUNDLED: [&str; 8] =
    ["cargo", "cargo-publish", "config-profile", "diagnose", "maven", "preflight", "release-notes", "verify"];

/// `host` is what to build beside them, as arguments of `cargo build`: the
/// binary encodes the components, and tests build everything anyway, with
/// other features of the same dependencies.
pub fn build(shell: &Shell, host: &[&str]) -> anyhow::Result<()> {
    let missing = BUNDLED.iter().find(|name| !root().join("plugins").join(name).is_dir());
    if let Some(name) = missing {
        anyhow::bail!("there is no folder plugins/{name}");
    }
    say("building the bundled plugins");
    // Panic messages name source files: with fixed paths the same compiler gives the same bytes.
    let cargo_home = cargo_home()?;
    let flags = format!(
        "--remap-path-prefix={}=/workspace --remap-path-prefix={}=/cargo",
        root().display(),
        cargo_home.display()
    );
    let reproducible = shell.push_env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
    let packages: Vec<String> = BUNDLED.iter().flat_map(|name| ["-p".to_owned(), format!("{name}-plugin")]).collect();
    cmd!(shell, "cargo build --quiet --profile plugin --target wasm32-unknown-unknown --lib {packages...}")
        .run()
        .context("failed to build the plugins")?;
    drop(reproducible);
    cmd!(shell, "cargo build --quiet {host...}").run().context("failed to build the host")?;
    let out = target().join("plugins");
    let encoder = program("light-workflow");
    shell.create_dir(&out)?;
    for name in BUNDLED {
        let file = format!("{}_plugin.wasm", name.replace('-', "_"));
        let module = target().join("wasm32-unknown-unknown/plugin").join(file);
        let component = out.join(format!("{name}.wasm"));
        cmd!(shell, "{encoder} plugin encode {module} --output {component}")
            .quiet()
            .run()
            .with_context(|| format!("failed to encode plugin `{name}`"))?;
    }
    approve_local_build(shell, &out)
}

/// The lock that this build runs under: `target/plugins/plugins.lock`.
///
/// `plugins/plugins.lock` approves the bytes that reviewers saw. Another compiler
/// makes other bytes of the same sources; whoever builds them here approves
/// them, for this machine only, with the powers of the review and no more.
fn approve_local_build(shell: &Shell, out: &Path) -> anyhow::Result<()> {
    let mut lock = shell.read_file(root().join("plugins/plugins.lock"))?;
    for name in BUNDLED {
        let component = out.join(format!("{name}.wasm"));
        let sum = cmd!(shell, "sha256sum {component}").quiet().read()?;
        let digest = format!("sha256:{}", sum.split_whitespace().next().unwrap_or_default());
        let entry =
            lock.find(&format!("name = \"{name}\"")).with_context(|| format!("plugins.lock has no entry `{name}`"))?;
        let at = entry
            + lock[entry..]
                .find("sha256:")
                .with_context(|| format!("plugin `{name}` has no digest in plugins.lock"))?;
        let end = at + digest.len();
        if lock.get(at..end) != Some(digest.as_str()) {
            say(&format!(
                "plugin `{name}` differs from the reviewed bytes (another compiler?): approved for this machine"
            ));
            lock.replace_range(at..end, &digest);
        }
    }
    Ok(shell.write_file(out.join("plugins.lock"), lock)?)
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(home) => Ok(home.into()),
        None => Ok(PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cargo")),
    }
}
