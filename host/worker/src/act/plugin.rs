//! `call: PLUGIN`: a component runs, and its host calls are journaled.

use std::time::Duration;

use plugin_host::{Call, CallError, LimitReached, Plugin, Surroundings};
use store::{ArtifactBytes, NewArtifact};
use tokio::time::{Instant, timeout_at};
use workflow::capability::{Limits, Planned};
use workflow::command::PlannedCommand;
use workflow::effect::{EffectClass, Fault, OWN_ERRORS, StandardError};
use workflow::event::Event;
use workflow::plan;
use workflow::{Effect, EffectKey, EffectOutcome};

use super::{Attempt, Hands, Journal, command::chain};
use crate::artifacts;
use crate::host_calls::Side;
use crate::replay::lost_call;

impl Hands {
    pub(super) async fn call_plugin(&self, attempt: Attempt, journal: Journal) -> Option<EffectOutcome> {
        let Effect::Plugin { plugin, digest, input, grants, mode, .. } = &attempt.effect else {
            unreachable!("`act` gives this function plugin effects only");
        };
        if let Some(detail) = lost_call(&attempt.calls) {
            return Some(EffectOutcome::Unknown { detail });
        }
        let component = match self.plugins.plugin(&self.plugin_host, plugin, digest).await {
            Ok(component) => component,
            Err(error) => return Some(faulted("plugin-not-loaded", 500, chain(&error))),
        };
        let plan = match self.planned(&attempt, &component, &journal).await {
            Ok(plan) => plan,
            Err(outcome) => return outcome,
        };
        let surroundings = Surroundings::of(&attempt.key, attempt.started_at);
        let side = Side::new(self.clone(), &attempt, *mode, journal).held_to(plan);
        let ms_max = Limits::of(&grants.limits).wall_time_ms_max;
        let deadline = Instant::now() + Duration::from_millis(ms_max);
        let late = CallError::Limit { plugin: plugin.to_string(), limit: LimitReached::WallTime { ms_max } };
        // What was under way when the time was up.
        let mut cut_off = None;
        let ended = loop {
            let call = Call { grants, surroundings, input: input.clone() };
            let run = self.plugin_host.execute(&component, call, Box::new(side.for_a_run()));
            let Ok(ended) = timeout_at(deadline, run).await else {
                cut_off = Some(side.stop().await);
                break Err(late);
            };
            let Some(parked) = side.parked() else { break ended };
            // The component gave up its instance. It runs again from its start and is
            // answered from the journal until it comes here again.
            match timeout_at(deadline, side.wait_for(parked)).await {
                Ok(Ok(())) => {}
                Ok(Err(outcome)) => return outcome,
                Err(_) => {
                    cut_off = Some(side.stop().await);
                    break Err(late);
                }
            }
        };
        if !matches!(ended, Err(CallError::Interrupted)) && cut_off.is_none() {
            side.came_to_its_end();
        }
        let ended_early = side.ended();
        if matches!(ended, Err(CallError::Interrupted)) && ended_early.is_none() {
            return None;
        }
        if let Err(outcome) = self.keep_log(&attempt.key, side.logged()).await {
            return Some(outcome);
        }
        if ended_early.is_some() {
            return ended_early;
        }
        if let Some(under_way) = cut_off.filter(|under_way| !under_way.is_empty())
            && matches!(attempt.effect.class(), EffectClass::Reconcilable | EffectClass::Manual)
        {
            let detail = format!("the step's {ms_max} ms were over while it waited for {}", under_way.join(", "));
            return Some(EffectOutcome::Unknown { detail });
        }
        match ended {
            Ok(output) => Some(EffectOutcome::Output { output }),
            Err(CallError::Interrupted) => None,
            Err(error) => Some(outcome_of(error)),
        }
    }
}

impl Hands {
    /// The plan that this attempt is held to; none if any granted command may run.
    /// One that differs from what a person approved ends the attempt.
    ///
    /// Where the grants ask for a plan it is in the history before the step
    /// runs; after a restart the recorded one counts. `Err` ends the attempt.
    async fn planned(
        &self,
        attempt: &Attempt,
        component: &Plugin,
        journal: &Journal,
    ) -> Result<Option<Vec<PlannedCommand>>, Option<EffectOutcome>> {
        let Effect::Plugin { input, grants, approved, .. } = &attempt.effect else { return Ok(None) };
        let wanted = grants.sandbox.as_ref().map_or(Planned::Free, |grant| grant.planned);
        if wanted == Planned::Free {
            return Ok(None);
        }
        let recorded = attempt.calls.iter().find_map(|event| {
            if let Event::CommandsPlanned { commands, .. } = event { Some(commands.clone()) } else { None }
        });
        let commands = match recorded {
            Some(commands) => commands,
            None => {
                let commands = self.plugin_host.plan(component, input).await.map_err(|error| match error {
                    CallError::Interrupted => None,
                    error => Some(outcome_of(error)),
                })?;
                let event = Event::CommandsPlanned {
                    path: attempt.key.path.clone(),
                    attempt: attempt.key.attempt,
                    commands: commands.clone(),
                };
                journal.record(event).await.map_err(|_| None)?;
                commands
            }
        };
        if let Some(approved) = approved.as_ref().filter(|approved| **approved != commands) {
            return Err(Some(faulted("plan-not-approved", 403, difference(approved, &commands))));
        }
        Ok((wanted == Planned::Strict).then_some(commands))
    }

    /// Keeps what the component logged beside the other artifacts of its attempt.
    async fn keep_log(&self, key: &EffectKey, logged: Vec<String>) -> Result<(), EffectOutcome> {
        let lines = logged.join("\n");
        if lines.is_empty() {
            return Ok(());
        }
        let text = self.redacted(&format!("{lines}\n"))?;
        let kept = async {
            let uri = artifacts::uri(key, "plugin.log.jsonl")?;
            let media_type = "application/x-ndjson".to_owned();
            let new = NewArtifact { uri, instance: key.instance.clone(), media_type };
            self.store.put_artifact(new, ArtifactBytes::Memory(text.into_bytes())).await
        };
        kept.await.map(drop).map_err(|error| faulted("artifact-not-kept", 500, chain(&error)))
    }
}

/// Two plans of one step, for whoever has to find out why they are two.
fn difference(approved: &[PlannedCommand], planned: &[PlannedCommand]) -> String {
    let shown = |commands: &[PlannedCommand]| match plan::lines(commands) {
        lines if lines.is_empty() => "nothing".to_owned(),
        lines => lines.join("; "),
    };
    format!("a person approved: {}. It would now run: {}", shown(approved), shown(planned))
}

/// How each way to end routes on: `transient` is retried by a definition's
/// `try`, the others name what a person or a diagnosis needs.
pub(super) fn outcome_of(error: CallError) -> EffectOutcome {
    let text = chain(&error);
    match error {
        CallError::InvalidInput(detail) => EffectOutcome::Faulted { error: StandardError::Validation.fault(detail) },
        CallError::Denied(denial) => {
            faulted("denied", 403, format!("{} `{}`: {}", denial.capability, denial.subject, denial.reason))
        }
        CallError::Transient(detail) => faulted("transient", 503, detail),
        CallError::Failed(failure) => {
            let mut detail = failure.summary;
            if let Some(code) = failure.exit_code {
                detail += &format!("; exit code {code}");
            }
            if !failure.logs.is_empty() {
                let logs: Vec<_> = failure.logs.iter().map(ToString::to_string).collect();
                detail += &format!("; logs: {}", logs.join(", "));
            }
            faulted("step-failed", 500, detail)
        }
        CallError::NeedsHuman(detail) => faulted("needs-human", 500, detail),
        CallError::Refused(_) => faulted("not-granted", 403, text),
        CallError::Trapped { .. } => faulted("plugin-trapped", 500, text),
        CallError::Limit { .. } => faulted("plugin-limit", 500, text),
        CallError::Interrupted => unreachable!("an interrupted call has no outcome"),
    }
}

pub(super) fn faulted(slug: &str, status: u16, detail: String) -> EffectOutcome {
    let kind = format!("{OWN_ERRORS}{slug}");
    EffectOutcome::Faulted { error: Fault { kind, status, title: None, detail: Some(detail), instance: None } }
}
