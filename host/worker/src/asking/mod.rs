//! What plugins ask beyond their release: models, tools of MCP servers, plain
//! requests. All of it goes through the host's own client, or into a sandbox.

mod fetch;
mod model;
mod tool;

use std::time::Duration;

use async_trait::async_trait;
use calls::{Interrupted, Performed};
use plugin_host::HostCallError;
use serde_json::Value;
use workflow::calls::{Call, CallRequest};
use workflow::effect::{EffectClass, Fault, OWN_ERRORS, StandardError};
use workflow::event::Event;
use workflow::{EffectKey, EffectOutcome, SecretName};

use crate::act::chain;
use crate::host_calls::Side;
use crate::services::Service;

/// What one call of the host's client is for a plugin.
struct Asked<'a> {
    service: &'a Service,
    request: CallRequest,
    class: EffectClass,
    time_limit: Duration,
    /// For the record of a request that must not be sent twice: `docs/search`.
    subject: String,
}

impl Side {
    /// Asks a service of the operator's configuration. Before a request that acts
    /// its intent is in the history; when its answer is lost the attempt ends as unknown.
    async fn ask(&self, key: &EffectKey, asked: Asked<'_>) -> Result<Value, Unanswered> {
        // Before anything is sent: what could not be redacted must not come in.
        self.hands.redacted("").map_err(Unanswered::Ended)?;
        let call = Call {
            request: asked.request,
            class: Some(asked.class),
            time_limit_ms: u64::try_from(asked.time_limit.as_millis()).unwrap_or(u64::MAX),
        };
        let approved = [asked.service.origin.clone()].into();
        let sending = Sending { side: self, key, subject: asked.subject };
        let Performed { outcome, used } = self.hands.client.perform(&call, &approved, &sending).await;
        let outcome = outcome.ok_or(Unanswered::Interrupted)?;
        match self.hands.without_secrets(outcome, &used).map_err(Unanswered::Ended)? {
            EffectOutcome::Output { output } => Ok(output),
            EffectOutcome::Faulted { error } => Err(Unanswered::Fault(error)),
            unknown @ (EffectOutcome::Unknown { .. } | EffectOutcome::Command { .. }) => {
                Err(Unanswered::Ended(unknown))
            }
        }
    }

    /// What a plugin is told of an answer that did not come.
    fn unanswered(&self, what: &str, unanswered: Unanswered) -> HostCallError {
        match unanswered {
            Unanswered::Fault(fault) => {
                let detail = fault.detail.unwrap_or(fault.kind);
                HostCallError::Unavailable(format!("{what} gave no answer: {detail}"))
            }
            Unanswered::Ended(outcome) => self.end(outcome),
            Unanswered::Interrupted => HostCallError::Interrupted,
        }
    }
}

/// Why a service gave no answer.
enum Unanswered {
    Fault(Fault),
    /// The whole attempt has this outcome.
    Ended(EffectOutcome),
    /// The host stops.
    Interrupted,
}

impl Unanswered {
    /// The other side answered, with an error of JSON-RPC.
    fn is_rpc_error(fault: &Fault) -> bool {
        fault.kind == format!("{OWN_ERRORS}rpc-error")
    }

    fn is_refusal(fault: &Fault) -> bool {
        fault.kind == StandardError::Authorization.kind()
    }
}

/// The host around one call of a plugin.
struct Sending<'a> {
    side: &'a Side,
    key: &'a EffectKey,
    subject: String,
}

#[async_trait]
impl calls::Side for Sending<'_> {
    async fn sending(&self) -> Result<(), Interrupted> {
        let event = Event::CallStarted {
            path: self.key.path.clone(),
            attempt: self.key.attempt,
            sequence: self.key.sequence,
            subject: Some(self.subject.clone()),
            command: None,
            fingerprint: None,
        };
        self.side.record(event).await.map_err(|_| Interrupted)
    }

    fn secret(&self, name: &SecretName) -> Result<String, String> {
        match self.side.hands.secrets.value(name) {
            Ok(value) => Ok(value.expose().to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }
}
