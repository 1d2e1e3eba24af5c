//! Builds the bundled plugins: core modules by cargo, components by our own encoder.

use anyhow::Context;
use xshell::{Shell, cmd};

use crate::{root, say};

/// Folder below `plugins/`, which is also the plugin's name.
pub const BUNDLED: [&str; 3] = ["cargo", "cargo-publish", "preflight"];

pub fn build(shell: &Shell) -> anyhow::Result<()> {
    let missing = BUNDLED.iter().find(|name| !root().join("plugins").join(name).is_dir());
    if let Some(name) = missing {
        anyhow::bail!("there is no folder plugins/{name}");
    }
    say("building the bundled plugins");
    let packages: Vec<String> = BUNDLED.iter().flat_map(|name| ["-p".to_owned(), format!("{name}-plugin")]).collect();
    cmd!(shell, "cargo build --quiet --profile plugin --target wasm32-unknown-unknown --lib {packages...}")
        .run()
        .context("failed to build the plugins")?;
    cmd!(shell, "cargo build --quiet -p light-workflow").run().context("failed to build light-workflow")?;
    let out = root().join("target/plugins");
    shell.create_dir(&out)?;
    for name in BUNDLED {
        let file = format!("{}_plugin.wasm", name.replace('-', "_"));
        let module = root().join("target/wasm32-unknown-unknown/plugin").join(file);
        let component = out.join(format!("{name}.wasm"));
        cmd!(shell, "target/debug/light-workflow plugin encode {module} --output {component}")
            .quiet()
            .run()
            .with_context(|| format!("failed to encode plugin `{name}`"))?;
    }
    Ok(())
}
