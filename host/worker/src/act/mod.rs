//! Carrying out effects: one file per kind of effect.

mod call;
mod command;
mod mcp;
mod plans;
mod plugin;

pub(crate) use command::chain;
pub(crate) use mcp::McpInSandbox;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use plugin_host::PluginHost;
use sandbox::{Provider, Templates};
use store::SharedStore;
use tokio::sync::{mpsc, oneshot};
use workflow::effect::{StandardError, VALUE_DEPTH_MAX, depth};
use workflow::event::Event;
use workflow::redaction::Redactor;
use workflow::{Digest, Effect, EffectKey, EffectOutcome, InstanceId, Origin, TemplateName, Timestamp};

use crate::images::Images;
use crate::plugins::PluginCatalog;
use crate::secrets::Secrets;
use crate::services::Services;

/// An attempt whose intent is committed.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Sequence 0: the attempt's own effect.
    pub key: EffectKey,
    pub effect: Effect,
    /// When its intent was recorded.
    pub started_at: Timestamp,
    /// `CommandStarted`, `CommandCompleted`, `HostCallCompleted` and `CallStarted` of this attempt so far.
    pub calls: Vec<Event>,
    /// The sandbox templates that the instance's policy was made of.
    pub templates: BTreeMap<TemplateName, Digest>,
    /// Origins that the instance's policy lets outbound calls reach.
    pub approved_calls: BTreeSet<Origin>,
}

/// What a host does with attempts. The real one is [`Hands`]; simulations and
/// benchmarks bring one that only answers.
#[async_trait]
pub trait Act: Send + Sync + 'static {
    /// Carries out an attempt, or goes on with it where an earlier host left it.
    /// `None`: the host stops, and there is no outcome to record.
    async fn act(&self, attempt: Attempt, journal: Journal) -> Option<EffectOutcome>;
    /// The outcome is recorded: what was kept for a restart can go.
    async fn forget(&self, key: &EffectKey);
    /// Nobody waits for this attempt any more (its task timed out, its instance was cancelled).
    async fn stop(&self, key: &EffectKey);
    /// The instance is final.
    async fn close(&self, instance: &InstanceId);
}

/// Records events in the middle of an attempt.
#[derive(Debug, Clone)]
pub struct Journal {
    sender: mpsc::Sender<JournalEntry>,
}

/// An event and the one who waits until it is committed.
#[derive(Debug)]
pub struct JournalEntry {
    pub event: Event,
    pub committed: oneshot::Sender<()>,
}

/// The history cannot be written any more: the host stops or lost its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl Journal {
    pub fn new(sender: mpsc::Sender<JournalEntry>) -> Self {
        Self { sender }
    }

    /// Returns when the event is committed.
    pub async fn record(&self, event: Event) -> Result<(), Interrupted> {
        let (committed, wait) = oneshot::channel();
        self.sender.send(JournalEntry { event, committed }).await.map_err(|_| Interrupted)?;
        wait.await.map_err(|_| Interrupted)
    }
}

/// The effect keys of commands that run or are about to, and of those that must not start any more.
#[derive(Debug, Default)]
pub struct Running(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    running: BTreeSet<EffectKey>,
    stopped: BTreeSet<EffectKey>,
}

impl Running {
    /// Until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, key: &EffectKey) -> RunningGuard {
        self.keys().running.insert(key.clone());
        RunningGuard { running: self.clone(), key: key.clone() }
    }

    /// Stops the commands of an attempt: its own, or those of its plugin.
    fn stop_attempt(&self, attempt: &EffectKey) -> Vec<EffectKey> {
        let same = |key: &&EffectKey| {
            key.instance == attempt.instance && key.path == attempt.path && key.attempt == attempt.attempt
        };
        let mut keys = self.keys();
        let stopped: Vec<EffectKey> = keys.running.iter().filter(same).cloned().collect();
        keys.stopped.extend(stopped.iter().cloned());
        stopped
    }

    fn is_stopped(&self, key: &EffectKey) -> bool {
        self.keys().stopped.contains(key)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct RunningGuard {
    running: Arc<Running>,
    key: EffectKey,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        let mut keys = self.running.keys();
        keys.running.remove(&self.key);
        keys.stopped.remove(&self.key);
    }
}

/// Real effects: sandboxes, plugins and outbound calls.
#[derive(Clone)]
pub struct Hands {
    pub store: SharedStore,
    pub provider: Arc<dyn Provider>,
    pub templates: Arc<Templates>,
    pub plugin_host: Arc<PluginHost>,
    pub plugins: Arc<PluginCatalog>,
    pub secrets: Arc<Secrets>,
    /// The way out of the host itself.
    pub client: Arc<calls::Client>,
    /// What `run.container` runs in.
    pub images: Arc<Images>,
    /// What plugins may ask beyond their release.
    pub services: Arc<Services>,
    /// Commands that run now, for [`Act::stop`].
    pub running: Arc<Running>,
}

#[async_trait]
impl Act for Hands {
    async fn act(&self, attempt: Attempt, journal: Journal) -> Option<EffectOutcome> {
        // On the heap: a step that waits needs no room for what others do.
        let outcome = match &attempt.effect {
            Effect::Command { command, .. } => {
                Box::pin(self.run_command(&attempt.key, command, &attempt.templates)).await
            }
            Effect::Plugin { .. } => self.call_plugin(attempt, journal).await,
            Effect::Plan { steps, not_known } => Box::pin(self.plan_steps(steps, not_known)).await,
            // The commit of its intent has started it; the engine does not give it out as open.
            Effect::Workflow { .. } => None,
            Effect::Call { call, .. } => Box::pin(self.call_out(&attempt, call, journal)).await,
            Effect::Echo { input } => Some(EffectOutcome::Output { output: input.clone() }),
        };
        outcome.map(readable)
    }

    async fn forget(&self, key: &EffectKey) {
        self.provider.discard(key).await;
    }

    async fn stop(&self, key: &EffectKey) {
        for command in self.running.stop_attempt(key) {
            self.provider.kill(&command).await;
        }
    }

    async fn close(&self, instance: &InstanceId) {
        self.provider.close_session(instance).await;
    }
}

impl Hands {
    /// Like [`Self::redacted`], for bytes that a plugin made.
    pub(crate) fn redacted_bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>, EffectOutcome> {
        let mut clean = Vec::with_capacity(bytes.len());
        let mut stream = self.redactor()?.stream();
        stream.push(&bytes, &mut clean);
        stream.finish(&mut clean);
        Ok(clean)
    }

    /// Removes every secret this host knows from a text of its own making.
    pub(crate) fn redacted(&self, text: &str) -> Result<String, EffectOutcome> {
        Ok(self.redactor()?.redact(text).into_string())
    }

    /// Like [`Self::redacted`], for a request of which every text is ours or a plugin's.
    pub(crate) fn redacted_json(&self, value: &serde_json::Value) -> Result<serde_json::Value, EffectOutcome> {
        Ok(self.redactor()?.redact_json(value))
    }

    /// Fails closed: without a redactor nothing is stored.
    fn redactor(&self) -> Result<Redactor, EffectOutcome> {
        let secrets = self.secrets.all_values().map_err(|error| configuration_fault(chain(&error)))?;
        let pairs = secrets.iter().map(|(name, value)| (name.as_str(), value.expose()));
        Redactor::new(pairs).map_err(|error| configuration_fault(error.to_string()))
    }
}

/// What is recorded must be read again; others decide what they answer.
fn readable(outcome: EffectOutcome) -> EffectOutcome {
    match outcome {
        EffectOutcome::Output { output } if depth(&output) > VALUE_DEPTH_MAX => {
            let detail = format!("the output is nested deeper than {VALUE_DEPTH_MAX} levels");
            EffectOutcome::Faulted { error: StandardError::Runtime.fault(detail) }
        }
        EffectOutcome::Command { .. }
        | EffectOutcome::Output { .. }
        | EffectOutcome::Faulted { .. }
        | EffectOutcome::Unknown { .. } => outcome,
    }
}

fn configuration_fault(detail: String) -> EffectOutcome {
    EffectOutcome::Faulted { error: StandardError::Configuration.fault(detail) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_output_that_could_not_be_read_again_is_a_fault() {
        let nested = |levels: usize| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        let output = |levels| readable(EffectOutcome::Output { output: nested(levels) });
        for (levels, is_output) in [(0, true), (VALUE_DEPTH_MAX, true), (VALUE_DEPTH_MAX + 1, false)] {
            assert_eq!(matches!(output(levels), EffectOutcome::Output { .. }), is_output, "{levels}");
        }
        // What is let through comes back from a history.
        let event = Event::HostCallCompleted {
            path: workflow::TaskPath::root(),
            attempt: 1,
            sequence: 1,
            request: Value::Null,
            answer: serde_json::json!({ "ok": nested(VALUE_DEPTH_MAX) }),
            fingerprint: None,
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
