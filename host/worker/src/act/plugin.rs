//! `call: PLUGIN`: a component runs, and its host calls are journaled.

use plugin_host::{Call, CallError, Surroundings};
use serde_json::json;
use store::{ArtifactBytes, NewArtifact};
use workflow::effect::{Fault, OWN_ERRORS, StandardError};
use workflow::{Effect, EffectKey, EffectOutcome};

use super::{Attempt, Hands, Journal, command::chain};
use crate::artifacts;
use crate::host_calls::{Ended, HostSide, Logged};

impl Hands {
    pub(super) async fn call_plugin(&self, attempt: Attempt, journal: Journal) -> Option<EffectOutcome> {
        let Effect::Plugin { plugin, digest, input, grants, mode, .. } = &attempt.effect else {
            unreachable!("`act` gives this function plugin effects only");
        };
        let component = match self.plugins.plugin(&self.plugin_host, plugin, digest).await {
            Ok(component) => component,
            Err(error) => return Some(faulted("plugin-not-loaded", 500, chain(&error))),
        };
        let ended_early = Ended::default();
        let side = HostSide::new(self.clone(), &attempt, *mode, journal, ended_early.clone());
        let logged = side.logged();
        let surroundings = Surroundings::of(&attempt.key, attempt.started_at);
        let call = Call { grants, surroundings, input: input.clone() };
        let ended = self.plugin_host.execute(&component, call, Box::new(side)).await;
        if matches!(ended, Err(CallError::Interrupted)) && ended_early.outcome().is_none() {
            return None;
        }
        if let Err(outcome) = self.keep_log(&attempt.key, &logged).await {
            return Some(outcome);
        }
        if let Some(outcome) = ended_early.outcome() {
            return Some(outcome);
        }
        match ended {
            Ok(output) => Some(EffectOutcome::Output { output }),
            Err(CallError::Interrupted) => None,
            Err(error) => Some(outcome_of(error)),
        }
    }
}

impl Hands {
    /// Keeps what the component logged beside the other artifacts of its attempt.
    async fn keep_log(&self, key: &EffectKey, logged: &Logged) -> Result<(), EffectOutcome> {
        let lines = logged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).join("\n");
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

/// How each way to end routes on: `transient` is retried by a definition's
/// `try`, the others name what a person or a diagnosis needs.
fn outcome_of(error: CallError) -> EffectOutcome {
    let text = chain(&error);
    match error {
        CallError::InvalidInput(detail) => EffectOutcome::Faulted { error: StandardError::Validation.fault(detail) },
        CallError::Denied(denial) => {
            faulted("denied", 403, format!("{} `{}`: {}", denial.capability, denial.subject, denial.reason))
        }
        CallError::Transient(detail) => faulted("transient", 503, detail),
        CallError::Failed(failure) => {
            let logs: Vec<_> = failure.logs.iter().map(ToString::to_string).collect();
            faulted(
                "step-failed",
                500,
                json!({ "summary": failure.summary, "exitCode": failure.exit_code, "logs": logs }).to_string(),
            )
        }
        CallError::NeedsHuman(detail) => faulted("needs-human", 500, detail),
        CallError::Refused(_) => faulted("not-granted", 403, text),
        CallError::Trapped { .. } => faulted("plugin-trapped", 500, text),
        CallError::Limit { .. } => faulted("plugin-limit", 500, text),
        CallError::Interrupted => unreachable!("an interrupted call has no outcome"),
    }
}

fn faulted(slug: &str, status: u16, detail: String) -> EffectOutcome {
    let kind = format!("{OWN_ERRORS}{slug}");
    EffectOutcome::Faulted { error: Fault { kind, status, title: None, detail: Some(detail), instance: None } }
}
