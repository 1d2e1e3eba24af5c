//! `call: http` and kin: the host itself asks another system.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use calls::{Interrupted, Performed, Side, Unrecorded};
use serde_json::{Value, json};
use workflow::calls::Call;
use workflow::effect::{VALUE_DEPTH_MAX, depth};
use workflow::event::Event;
use workflow::redaction::Redactor;
use workflow::{EffectKey, EffectOutcome, SecretName};

use super::{Attempt, Hands, Journal, chain, configuration_fault};

impl Hands {
    pub(super) async fn call_out(&self, attempt: &Attempt, call: &Call, journal: Journal) -> Option<EffectOutcome> {
        if let Some(outcome) = self.call_mcp_in_sandbox(attempt, call).await {
            return Some(outcome);
        }
        if attempt.calls.iter().any(|event| matches!(event, Event::CallStarted { .. })) {
            // An earlier host was about to send it, and nobody knows how far it came.
            let detail = "the host ended after the request may have been sent".to_owned();
            return Some(EffectOutcome::Unknown { detail });
        }
        // Before anything is sent: what could not be redacted must not come in.
        if let Err(outcome) = self.redactor() {
            return Some(outcome);
        }
        let side = Sending { hands: self, key: &attempt.key, journal, taken: Mutex::new(taken(&attempt.calls)) };
        let Performed { outcome, used } = self.client.perform(call, &attempt.approved_calls, &side).await;
        Some(self.without_secrets(outcome?, &used).unwrap_or_else(|outcome| outcome))
    }

    /// The outcome without any secret of this host, and without what was made of them.
    pub(crate) fn without_secrets(
        &self,
        outcome: EffectOutcome,
        used: &[(String, String)],
    ) -> Result<EffectOutcome, EffectOutcome> {
        let secrets = self.secrets.all_values().map_err(|error| configuration_fault(chain(&error)))?;
        let whole = secrets.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let parts = used.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let redactor = Redactor::new(whole.chain(parts)).map_err(|error| configuration_fault(error.to_string()))?;
        let clean = |text: String| redactor.redact(&text).into_string();
        Ok(match outcome {
            EffectOutcome::Output { output } => EffectOutcome::Output { output: redactor.redact_json(&output) },
            EffectOutcome::Faulted { mut error } => {
                error.title = error.title.map(clean);
                error.detail = error.detail.map(clean);
                EffectOutcome::Faulted { error }
            }
            EffectOutcome::Unknown { detail } => EffectOutcome::Unknown { detail: clean(detail) },
            command @ EffectOutcome::Command { .. } => command,
        })
    }
}

/// What a subscription took in an attempt so far, batch by batch.
fn taken(calls: &[Event]) -> Vec<Value> {
    let batch = |event: &Event| match event {
        Event::HostCallCompleted { answer, .. } => Some(answer.clone()),
        _ => None,
    };
    calls.iter().filter_map(batch).collect()
}

/// The host around one call.
struct Sending<'a> {
    hands: &'a Hands,
    key: &'a EffectKey,
    journal: Journal,
    taken: Mutex<Vec<Value>>,
}

#[async_trait]
impl Side for Sending<'_> {
    async fn sending(&self) -> Result<(), Interrupted> {
        let event = Event::CallStarted {
            path: self.key.path.clone(),
            attempt: self.key.attempt,
            sequence: 0,
            subject: None,
            command: None,
            fingerprint: None,
        };
        self.journal.record(event).await.map_err(|_| Interrupted)
    }

    fn secret(&self, name: &SecretName) -> Result<String, String> {
        match self.hands.secrets.value(name) {
            Ok(value) => Ok(value.expose().to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }

    fn taken(&self) -> Vec<Value> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn took(&self, messages: &Value, used: &[(String, String)]) -> Result<(), Unrecorded> {
        let clean = match self.hands.without_secrets(EffectOutcome::Output { output: messages.clone() }, used) {
            Ok(EffectOutcome::Output { output }) => readable(output)?,
            Ok(_) | Err(_) => return Err(Unrecorded::Refused("what came could not be redacted".to_owned())),
        };
        let sequence = self.taken().len() + 1;
        let event = Event::HostCallCompleted {
            path: self.key.path.clone(),
            attempt: self.key.attempt,
            sequence: u32::try_from(sequence).unwrap_or(u32::MAX),
            request: json!({ "subscription": sequence }),
            answer: clean.clone(),
            fingerprint: None,
        };
        self.journal.record(event).await.map_err(|_| Unrecorded::Interrupted)?;
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(clean);
        Ok(())
    }
}

/// What is recorded must be read again.
fn readable(messages: Value) -> Result<Value, Unrecorded> {
    match depth(&messages) > VALUE_DEPTH_MAX {
        true => Err(Unrecorded::Refused(format!("a message is nested deeper than {VALUE_DEPTH_MAX} levels"))),
        false => Ok(messages),
    }
}
