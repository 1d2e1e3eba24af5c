//! Sandboxes of the local provider, next to bare bubblewrap in the same rounds.

use std::fs;
use std::sync::Arc;

use anyhow::Context as _;
use sandbox::{Local, LocalConfig, Templates};
use workflow::TemplateName;

use crate::machine::{Machine, median, percentile};
use crate::report::{Figure, figure};

/// Sandboxes in one round of the others' size.
const SANDBOXES_PER_ROUND: u32 = 20;

const TEMPLATE: &str = r#"
name = "bench"
version = "1"
summary = "The machine's own programs, for `cargo xtask bench sandbox`."

[rootfs]
kind = "host"

[limits]
time_limit_seconds = 60
memory_mib = 512
processes = 64
output_mib = 1
"#;

pub async fn measure(machine: &Machine, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let folder = machine.data("templates");
    fs::create_dir_all(folder.join("bench"))?;
    fs::write(folder.join("bench/template.toml"), TEMPLATE)?;
    let templates = Arc::new(Templates::load(&folder).context("failed to load the template")?);
    let launcher = std::env::current_exe().context("failed to find this program")?;
    let provider = Local::new(LocalConfig::new(machine.data("sandboxes"), templates, launcher))?;
    let template = TemplateName::new("bench").context("a template's name")?;
    let times = sandbox::bench::bench(&provider, &template, rounds * SANDBOXES_PER_ROUND)
        .await
        .context("failed to run `true` in a sandbox; `light-workflow doctor` says what this machine lacks")?;
    let bare = median(&times.bare_bwrap_ms);
    let fresh = median(&times.fresh_first_process_ms);
    let exec = median(&times.exec_first_process_ms);
    Ok(vec![
        figure("bareBwrap.p50", bare, "ms"),
        figure("freshSession.firstProcess.p50", fresh, "ms").at_most(30.0),
        figure("freshSession.firstProcess.p99", percentile(&times.fresh_first_process_ms, 99.0), "ms"),
        figure("freshSession.outcome.p50", median(&times.fresh_outcome_ms), "ms"),
        figure("freshSession.ratioToBareBwrap", fresh / bare, ""),
        figure("execInSession.firstProcess.p50", exec, "ms").at_most(8.0),
        figure("execInSession.firstProcess.p99", percentile(&times.exec_first_process_ms, 99.0), "ms"),
        figure("execInSession.outcome.p50", median(&times.exec_outcome_ms), "ms"),
        figure("execInSession.ratioToBareBwrap", exec / bare, ""),
    ])
}
