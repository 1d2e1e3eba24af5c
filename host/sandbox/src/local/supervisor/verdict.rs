//! From what happened to the outcome that is stored.

use std::io;

use jiff::Timestamp;
use workflow::CommandStatus;
use workflow::redaction::Redactor;

use super::super::output;
use super::super::spool::Spool;
use super::super::wire::Spec;
use crate::{Captured, EgressDecision, ExecOutcome};

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Signaled(i32),
    /// We ended it.
    Cut(Cut),
    /// Cancelled before it started.
    CancelledBefore,
    NothingRan(String),
    /// Init went away without a word.
    Unknown,
}

/// Why we ended a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    TimeLimit { limit_ms: u64 },
    Output { stream: &'static str, limit_bytes: u64 },
    Workspace { limit_bytes: u64 },
    Cancelled,
    NotReady,
}

/// All that is known of a command that is over.
#[derive(Debug, Clone)]
pub struct Story {
    pub end: End,
    pub started_at: Timestamp,
    pub completed_at: Timestamp,
    pub out_of_memory: bool,
    pub egress: Vec<EgressDecision>,
    pub changed_files: Vec<String>,
    pub captured: Vec<Captured>,
    /// What capture did not keep, and why.
    pub left_out: Vec<String>,
}

impl Story {
    pub fn new(end: End) -> Self {
        let now = Timestamp::now();
        Self {
            end,
            started_at: now,
            completed_at: now,
            out_of_memory: false,
            egress: Vec::new(),
            changed_files: Vec::new(),
            captured: Vec::new(),
            left_out: Vec::new(),
        }
    }

    pub fn outcome(self, spec: &Spec, spool: &Spool, redactor: &Redactor) -> io::Result<ExecOutcome> {
        let clean = |text: String| redactor.redact(&text).into_string();
        let (status, exit_code, mut summary) = self.verdict(spec.limits.memory_bytes);
        if !self.left_out.is_empty() {
            summary = format!("{summary}; not kept: {}", self.left_out.join(", "));
        }
        Ok(ExecOutcome {
            status,
            exit_code,
            summary: clean(summary),
            started_at: self.started_at,
            completed_at: self.completed_at,
            stdout: spool.stdout(),
            stderr: spool.stderr(),
            stdout_excerpt: output::excerpt(&spool.stdout())?,
            stderr_excerpt: output::excerpt(&spool.stderr())?,
            captured: self.captured,
            changed_files: self.changed_files.into_iter().map(clean).collect(),
            sandbox_digest: spec.sandbox_digest.clone(),
            egress: self
                .egress
                .into_iter()
                .map(|decision| EgressDecision {
                    target: clean(decision.target),
                    reason: clean(decision.reason),
                    allowed: decision.allowed,
                })
                .collect(),
        })
    }

    /// Status, exit code if it ended by itself, and the line for people.
    fn verdict(&self, memory_bytes: u64) -> (CommandStatus, Option<i32>, String) {
        let memory = format!("out of memory (limit {} MiB)", memory_bytes >> 20);
        let (code, how) = match &self.end {
            End::Exited(0) => return (CommandStatus::Succeeded, Some(0), "exit code 0".to_owned()),
            End::Exited(code) => (Some(*code), format!("exit code {code}")),
            End::Signaled(signal) => (None, format!("killed by signal {signal}{}", signal_name(*signal))),
            End::Unknown => (None, "killed".to_owned()),
            End::CancelledBefore => {
                return (CommandStatus::Killed, None, "cancelled before it started".to_owned());
            }
            End::NothingRan(detail) => return (CommandStatus::Failed, None, detail.clone()),
            End::Cut(cut) => {
                let status = match cut {
                    Cut::TimeLimit { .. } => CommandStatus::TimedOut,
                    Cut::Output { .. } | Cut::Workspace { .. } | Cut::Cancelled | Cut::NotReady => {
                        CommandStatus::Killed
                    }
                };
                return (status, None, cut.summary());
            }
        };
        if self.out_of_memory {
            return (CommandStatus::Killed, code, format!("{how}: {memory}"));
        }
        if let Some(denied) = self.egress.iter().find(|decision| !decision.allowed) {
            let summary = format!("{how}: egress to `{}` was refused: {}", denied.target, denied.reason);
            return (CommandStatus::PolicyViolation, code, summary);
        }
        (CommandStatus::Failed, code, how)
    }
}

impl Cut {
    fn summary(&self) -> String {
        match self {
            Self::TimeLimit { limit_ms } if limit_ms % 1000 == 0 => {
                format!("killed: it ran longer than its {} s", limit_ms / 1000)
            }
            Self::TimeLimit { limit_ms } => format!("killed: it ran longer than its {limit_ms} ms"),
            Self::Output { stream, limit_bytes } => {
                format!("killed: more than {} MiB of output, the last of it on {stream}", limit_bytes >> 20)
            }
            Self::Workspace { limit_bytes } => {
                format!("killed: workspace and home hold more than {} MiB", limit_bytes >> 20)
            }
            Self::Cancelled => "killed: cancelled".to_owned(),
            Self::NotReady => "killed: the sandbox did not get ready".to_owned(),
        }
    }
}

/// The signals that say something about a program.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => " (SIGABRT)",
        libc::SIGBUS => " (SIGBUS)",
        libc::SIGILL => " (SIGILL)",
        libc::SIGKILL => " (SIGKILL)",
        libc::SIGSEGV => " (SIGSEGV)",
        libc::SIGTERM => " (SIGTERM)",
        libc::SIGXFSZ => " (SIGXFSZ: a file grew over its limit)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(end: End, out_of_memory: bool, denied: bool) -> (CommandStatus, Option<i32>, String) {
        let decision = EgressDecision { target: "a:1".to_owned(), allowed: !denied, reason: "not listed".to_owned() };
        Story { out_of_memory, egress: vec![decision], ..Story::new(end) }.verdict(256 << 20)
    }

    #[test]
    fn the_status_says_who_ended_a_command_and_why() {
        use CommandStatus::*;
        for (end, out_of_memory, denied, status, code, summary) in [
            (End::Exited(0), true, true, Succeeded, Some(0), "exit code 0"),
            (End::Exited(3), false, false, Failed, Some(3), "exit code 3"),
            (
                End::Exited(3),
                false,
                true,
                PolicyViolation,
                Some(3),
                "exit code 3: egress to `a:1` was refused: not listed",
            ),
            (End::Signaled(11), false, false, Failed, None, "killed by signal 11 (SIGSEGV)"),
            (
                End::Signaled(9),
                true,
                false,
                Killed,
                None,
                "killed by signal 9 (SIGKILL): out of memory (limit 256 MiB)",
            ),
            (
                End::Cut(Cut::TimeLimit { limit_ms: 1500 }),
                false,
                false,
                TimedOut,
                None,
                "killed: it ran longer than its 1500 ms",
            ),
            (End::Cut(Cut::Cancelled), false, true, Killed, None, "killed: cancelled"),
        ] {
            assert_eq!(verdict(end, out_of_memory, denied), (status, code, summary.to_owned()));
        }
    }
}
