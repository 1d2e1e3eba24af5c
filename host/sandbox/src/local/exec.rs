//! The host's side of one command: start a supervisor, or wait for one that is
//! at work, and read the outcome.

use std::fs::{self, File};
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use workflow::TemplateName;
use workflow::command::{Container, SandboxMode};

use super::Local;
use super::baggage::Baggage;
use super::spool::{Spool, State};
use super::supervisor::Report;
use super::wire::{Spec, SpecImage, SpecLimits};
use crate::{ExecError, ExecOutcome, ExecRequest, Rootfs, Template, launcher};

/// How often a supervisor that this process did not start is looked at.
const ATTACHED_POLL: Duration = Duration::from_millis(20);

/// Supervisors that may die before they take over, until we give up.
const STARTS_MAX: u32 = 3;

impl Local {
    pub(super) async fn exec_or_attach(&self, request: ExecRequest) -> Result<ExecOutcome, ExecError> {
        let spool = Spool::of(&self.config.root, &request.key);
        let cannot_start = |detail: String| ExecError::Start { template: request.command.template.clone(), detail };
        let mut starts = 0;
        let mut seen = false;
        loop {
            let state = spool.state().map_err(|error| ExecError::OutcomeUnknown {
                detail: format!("failed to read `{}`: {error}", spool.folder().display()),
            })?;
            match state {
                State::Finished(outcome) => return Ok(*outcome),
                State::Running => {
                    seen = true;
                    tokio::time::sleep(ATTACHED_POLL).await;
                }
                State::Interrupted => {
                    return Err(ExecError::OutcomeUnknown {
                        detail: "its supervisor ended without an outcome".to_owned(),
                    });
                }
                // It looks as if it had never been, and it was.
                State::Fresh if seen && !spool.folder().is_dir() => {
                    return Err(ExecError::OutcomeUnknown { detail: "its spool was removed meanwhile".to_owned() });
                }
                State::Fresh if starts == STARTS_MAX => {
                    let log = fs::read_to_string(spool.folder().join("supervisor.log")).unwrap_or_default();
                    return Err(cannot_start(format!("{starts} supervisors ended at once: {}", log.trim())));
                }
                State::Fresh => {
                    let spec = self.spec(&request, &spool)?;
                    if spec.image.is_none() {
                        self.require_tools(&request.command.template).await?;
                    }
                    match self
                        .supervise(&spool, &request, &spec)
                        .await
                        .map_err(|error| cannot_start(error.to_string()))?
                    {
                        Some(Report::Refused) => {
                            let refusal = spool.refusal().map(|refusal| refusal.detail);
                            return Err(cannot_start(refusal.unwrap_or_else(|| "no reason was given".to_owned())));
                        }
                        Some(Report::Busy) => tokio::time::sleep(ATTACHED_POLL).await,
                        Some(Report::Done | Report::Lost) | None => {
                            seen = true;
                            starts += 1;
                        }
                    }
                }
            }
        }
    }

    /// Starts a supervisor and waits for its end. It goes on if this future is dropped.
    async fn supervise(&self, spool: &Spool, request: &ExecRequest, spec: &Spec) -> io::Result<Option<Report>> {
        spool.create()?;
        let log = File::create(spool.folder().join("supervisor.log"))?;
        let mut supervisor = tokio::process::Command::new(&self.config.launcher)
            .args(&self.config.launcher_arguments)
            .arg(launcher::SUPERVISOR)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        // While it starts. Without a whole spec it does nothing.
        spool.claim(&request.key, &request.command)?;
        let text = serde_json::to_vec(spec)?;
        if let Some(mut pipe) = supervisor.stdin.take() {
            // One that has ended at once says why in its own way.
            let _ = pipe.write_all(&text).await;
        }
        let reports = [Report::Done, Report::Refused, Report::Busy, Report::Lost];
        let code = supervisor.wait().await?.code();
        Ok(reports.into_iter().find(|report| Some(*report as i32) == code))
    }

    fn spec(&self, request: &ExecRequest, spool: &Spool) -> Result<Spec, ExecError> {
        let command = &request.command;
        let cannot_start = |detail: String| ExecError::Start { template: command.template.clone(), detail };
        let template = self.config.templates.get(&command.template);
        let template = template.ok_or_else(|| cannot_start("there is no such template".to_owned()))?;
        let image = match (&command.container, template.rootfs()) {
            (Some(container), _) => Some(self.image(container, &command.template)?),
            (None, Rootfs::Host) => None,
            (None, Rootfs::Container) => {
                return Err(ExecError::Unsupported {
                    what: format!("template `{}` has no root file system of its own", command.template),
                    remedy: "name another template, or use `run.container`, which brings one".to_owned(),
                });
            }
        };
        let bwrap = self.bwrap().ok_or_else(|| ExecError::Unsupported {
            what: "bubblewrap is not installed, and nothing runs without a sandbox".to_owned(),
            remedy: "apt-get install bubblewrap".to_owned(),
        })?;
        match command.mode {
            SandboxMode::WorkflowSession if !command.secrets.is_empty() || !request.secrets.is_empty() => {
                return Err(cannot_start("secrets go to per-task sandboxes only".to_owned()));
            }
            SandboxMode::WorkflowSession | SandboxMode::PerTask => {}
        }
        if let Some(target) = command.egress.iter().find(|target| !template.egress().contains(*target)) {
            return Err(cannot_start(format!("egress to `{target}` is not in the template's own")));
        }
        if command.argv.is_empty() {
            return Err(cannot_start("the command is empty".to_owned()));
        }
        let slug = spool.slug();
        Ok(Spec {
            root: self.config.root.clone(),
            instance: request.key.instance.clone(),
            cgroup: self.cgroup_name(&slug),
            slug,
            command: command.clone(),
            limits: limits(template, command.time_limit_ms),
            environment: template.environment().clone(),
            secrets: request.secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
            also_redact: request.also_redact.iter().map(|value| value.expose().to_owned()).collect(),
            inputs: request.inputs.clone(),
            resolve: self.config.resolve.clone(),
            uid: self.config.uid,
            gid: self.config.gid,
            bwrap,
            launcher: self.config.launcher.clone(),
            launcher_arguments: self.config.launcher_arguments.clone(),
            toolchain: self.rootfs.toolchain.clone(),
            sandbox_digest: match &command.container {
                Some(container) => container.image.id.clone(),
                None => self.rootfs.digest.clone(),
            },
            image,
        })
    }

    /// What a command in an image runs in; the image is here by now.
    fn image(&self, container: &Container, template: &TemplateName) -> Result<SpecImage, ExecError> {
        let cannot_start = |detail: String| ExecError::Start { template: template.clone(), detail };
        let id = &container.image.id;
        let unpacked = self.images.unpacked(id);
        let unpacked = unpacked.ok_or_else(|| cannot_start(format!("image `{id}` is not unpacked on this host")))?;
        let baggage = match self.baggage.get() {
            Some(baggage) => baggage.clone(),
            None => {
                let found = Baggage::of(&self.config.launcher).map_err(|error| {
                    let launcher = self.config.launcher.display();
                    cannot_start(format!("failed to find out which libraries `{launcher}` needs: {error}"))
                })?;
                self.baggage.get_or_init(|| found).clone()
            }
        };
        let host_name = container.host_name.clone();
        Ok(SpecImage { root: unpacked.root, says: unpacked.says, host_name, baggage })
    }
}

/// The template's limits; a command may only have less time.
fn limits(template: &Template, time_limit_ms: u64) -> SpecLimits {
    let limits = template.limits();
    let template_ms = u64::try_from(limits.time_limit().as_millis()).unwrap_or(u64::MAX);
    SpecLimits {
        time_limit_ms: if time_limit_ms == 0 { template_ms } else { time_limit_ms.min(template_ms) },
        memory_bytes: limits.memory_bytes(),
        processes: limits.processes,
        output_bytes: limits.output_bytes(),
        file_size_bytes: limits.file_size_bytes(),
        workspace_bytes: limits.workspace_bytes(),
    }
}
