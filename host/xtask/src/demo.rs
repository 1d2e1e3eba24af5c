//! The demonstration: a Cargo workspace is released to a registry and a Git
//! remote that live on this machine.

use std::io::{IsTerminal, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::{plugins, program, root, say, setup, target};

pub fn run(shell: &Shell, arguments: &[String]) -> anyhow::Result<()> {
    if let Some(unknown) = arguments.iter().find(|argument| *argument != "--yes") {
        bail!("`demo` takes no argument `{unknown}`; only `--yes`, which answers the approval");
    }
    let unattended = arguments.iter().any(|argument| argument == "--yes");
    if !unattended && !std::io::stdin().is_terminal() {
        bail!(
            "the demonstration asks for your approval on a terminal, and this is none; add `--yes` to approve at once"
        );
    }
    setup::run(shell)?;
    plugins::build(shell, &plugins::BINARIES)?;
    let folder = target().join("demo").join(timestamp(shell)?);
    shell.create_dir(&folder)?;
    say(&format!("setting the stage in {}: a Git remote and a Cargo registry on loopback", show(&folder)));
    let stage = Stage::start(&folder, unattended)?;
    let request = folder.join("release-request.json");
    let config = folder.join("light-workflow.toml");
    let data = folder.join("data");
    name_parts(shell, &config)?;
    say("releasing: light-workflow release start");
    let mut start = Command::new(program("light-workflow"));
    start.current_dir(root()).arg("--config").arg(&config).arg("--data").arg(&data);
    start.args(["release", "start"]).arg(&request);
    if unattended {
        start.arg("--yes");
    }
    let released = start.status().context("failed to run light-workflow")?;
    drop(stage);
    if !released.success() {
        bail!("the release ended with {released}");
    }
    let again = format!("{} --data {} release", show(&program("light-workflow")), show(&data));
    say(&format!("look closer: `{again} list`, `{again} show ID`, `{again} logs ID`"));
    Ok(())
}

/// Adds to the stage's configuration where this build's components and their lock are.
fn name_parts(shell: &Shell, config: &Path) -> anyhow::Result<()> {
    let components = target().join("plugins");
    let lock = components.join("plugins.lock");
    let text = shell.read_file(config)?;
    let paths = format!("\n[paths]\ncomponents = {components:?}\nlock = {lock:?}\n");
    Ok(shell.write_file(config, text + &paths)?)
}

/// The stage, as a process of its own that ends with us.
struct Stage(Child);

impl Stage {
    fn start(folder: &Path, unattended: bool) -> anyhow::Result<Self> {
        let mut stage = Command::new(program("demo-stage"));
        stage.arg("--dir").arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        if unattended {
            stage.arg("--no-human-approval");
        }
        let mut child = stage.spawn().context("failed to start demo-stage")?;
        let mut first = [0; 1];
        let ready = child.stdout.as_mut().map(|stdout| stdout.read_exact(&mut first));
        let stage = Self(child);
        match ready {
            Some(Ok(())) => Ok(stage),
            Some(Err(_)) | None => bail!("demo-stage ended before it was ready"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Closing its standard input ends it; the kill is for a stage that hangs.
        drop(self.0.stdin.take());
        for _ in 0..50 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn timestamp(shell: &Shell) -> anyhow::Result<String> {
    Ok(cmd!(shell, "date +%Y%m%d-%H%M%S").quiet().read()?)
}

fn show(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
