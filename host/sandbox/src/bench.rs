//! How long sandboxes take: for `cargo xtask bench sandbox`.

use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use workflow::command::SandboxMode;
use workflow::{Command, EffectKey, InstanceId, TaskPath, TemplateName};

use crate::{ExecError, ExecRequest, Provider};

/// Times of each round, in the order they were taken. All in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Report {
    /// `bwrap true` with a read-only root and no network: the least there is.
    pub bare_bwrap_ms: Vec<f64>,
    /// From the call to the first process of a session that did not exist.
    pub fresh_first_process_ms: Vec<f64>,
    /// From the call to the recorded outcome of the same command.
    pub fresh_outcome_ms: Vec<f64>,
    /// From the call to the first process, in a session that exists.
    pub exec_first_process_ms: Vec<f64>,
    /// From the call to the recorded outcome, in a session that exists.
    pub exec_outcome_ms: Vec<f64>,
}

impl Report {
    /// Name and median of each series.
    pub fn medians(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("bare bwrap", median(&self.bare_bwrap_ms)),
            ("fresh session to first process", median(&self.fresh_first_process_ms)),
            ("fresh session to outcome", median(&self.fresh_outcome_ms)),
            ("exec in a session to first process", median(&self.exec_first_process_ms)),
            ("exec in a session to outcome", median(&self.exec_outcome_ms)),
        ]
    }
}

/// The middle of some times; not a number if there are none.
pub fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// Runs `true` in turns bare, in a fresh session and in one that exists, so
/// that a noisy machine is noisy for all. `template` has the rootfs `host`.
pub async fn bench(provider: &dyn Provider, template: &TemplateName, rounds: u32) -> Result<Report, ExecError> {
    let mut report = Report::default();
    let kept = instance("bench-kept");
    once(provider, template, &kept, 0).await?;
    for round in 1..=rounds {
        report.bare_bwrap_ms.extend(bare(Path::new("/usr/bin/bwrap")));
        let fresh = instance(&format!("bench-{round}"));
        let (first, outcome) = once(provider, template, &fresh, round).await?;
        report.fresh_first_process_ms.push(first);
        report.fresh_outcome_ms.push(outcome);
        provider.close_session(&fresh).await;
        let (first, outcome) = once(provider, template, &kept, round).await?;
        report.exec_first_process_ms.push(first);
        report.exec_outcome_ms.push(outcome);
    }
    provider.close_session(&kept).await;
    Ok(report)
}

fn instance(name: &str) -> InstanceId {
    InstanceId::new(name).expect("a label")
}

/// Milliseconds to the start of `true`, and to its outcome.
async fn once(
    provider: &dyn Provider,
    template: &TemplateName,
    instance: &InstanceId,
    round: u32,
) -> Result<(f64, f64), ExecError> {
    let key = EffectKey {
        instance: instance.clone(),
        path: TaskPath::root().child("do", 0, "bench"),
        attempt: 1,
        sequence: round,
    };
    let command = Command {
        template: template.clone(),
        command_name: None,
        dialogue: None,
        container: None,
        mode: SandboxMode::WorkflowSession,
        argv: vec!["true".to_owned()],
        environment: Default::default(),
        stdin: None,
        working_directory: String::new(),
        egress: Vec::new(),
        secrets: Default::default(),
        inputs: Default::default(),
        capture: Vec::new(),
        time_limit_ms: 0,
    };
    let request = ExecRequest {
        key: key.clone(),
        command,
        secrets: Default::default(),
        inputs: Default::default(),
        also_redact: Vec::new(),
    };
    let (called_at, clock) = (Timestamp::now(), Instant::now());
    let outcome = provider.exec(request).await?;
    let whole = clock.elapsed();
    provider.discard(&key).await;
    let first = Duration::try_from(outcome.started_at.duration_since(called_at)).unwrap_or_default();
    Ok((milliseconds(first), milliseconds(whole)))
}

fn bare(bwrap: &Path) -> Option<f64> {
    let clock = Instant::now();
    let mut command = Process::new(bwrap);
    command.args(["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--ro-bind", "/", "/"]);
    command.args(["--proc", "/proc", "--dev", "/dev", "--", "/usr/bin/true"]).stdin(Stdio::null());
    let status = command.status().ok()?;
    status.success().then(|| milliseconds(clock.elapsed()))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
