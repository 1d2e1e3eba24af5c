//! What past runs used of what they were granted, from their histories alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, Recorded};
use crate::ids::HttpOrigin;

/// How often something was used, and how often it was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub used: u64,
    pub denied: u64,
}

/// Host calls of past runs by definition, task, capability and subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    instances: u64,
    counts: BTreeMap<Key, Count>,
    /// How often each task ran.
    attempts: BTreeMap<(String, String), u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    definition: String,
    reference: String,
    capability: String,
    subject: String,
}

impl Usage {
    /// Capabilities whose calls are in the history one by one.
    pub const RECORDED: [&'static str; 6] = ["sandbox", "secrets", "run", "model", "mcp", "http"];

    /// Takes up the history of one instance.
    pub fn add(&mut self, history: &[Recorded]) {
        let Some(Event::InstanceStarted { definition_name, .. }) = history.first().map(|first| &first.event) else {
            return;
        };
        self.instances += 1;
        for recorded in history {
            self.event(definition_name, &recorded.event);
        }
    }

    /// How many instances were taken up.
    pub fn instances(&self) -> u64 {
        self.instances
    }

    /// How often a task's effect was tried.
    pub fn attempts(&self, definition: &str, reference: &str) -> u64 {
        self.attempts.get(&(definition.to_owned(), reference.to_owned())).copied().unwrap_or_default()
    }

    pub fn count(&self, definition: &str, reference: &str, capability: &str, subject: &str) -> Count {
        let key = Key {
            definition: definition.to_owned(),
            reference: reference.to_owned(),
            capability: capability.to_owned(),
            subject: subject.to_owned(),
        };
        self.counts.get(&key).copied().unwrap_or_default()
    }

    /// What a task was refused: capability, subject, how often.
    pub fn denials(&self, definition: &str, reference: &str) -> Vec<(&str, &str, u64)> {
        let of_task = self.counts.iter().filter(|(key, _)| key.definition == definition && key.reference == reference);
        of_task
            .filter(|(_, count)| count.denied > 0)
            .map(|(key, count)| (key.capability.as_str(), key.subject.as_str(), count.denied))
            .collect()
    }

    fn event(&mut self, definition: &str, event: &Event) {
        let Some(reference) = event.path().map(crate::ids::TaskPath::reference) else { return };
        if let Event::AttemptStarted { .. } = event {
            *self.attempts.entry((definition.to_owned(), reference.clone())).or_default() += 1;
        }
        if let Event::CommandStarted { command, .. } = event {
            if let Some(name) = &command.command_name {
                self.note(definition, &reference, "sandbox", name.as_str()).used += 1;
            }
            for secret in command.secrets.values() {
                self.note(definition, &reference, "secrets", secret.as_str()).used += 1;
            }
        }
        if let Event::HostCallCompleted { request, answer, .. } = event {
            let Some((capability, subject)) = asked_for(request) else { return };
            let count = self.note(definition, &reference, capability, &subject);
            match answer.get("denied") {
                Some(_) => count.denied += 1,
                None => count.used += 1,
            }
        }
    }

    fn note(&mut self, definition: &str, reference: &str, capability: &str, subject: &str) -> &mut Count {
        // A command that holds secrets is granted as any other.
        let capability = if capability == "sandbox-secret" { "sandbox" } else { capability };
        let key = Key {
            definition: definition.to_owned(),
            reference: reference.to_owned(),
            capability: capability.to_owned(),
            subject: subject.to_owned(),
        };
        self.counts.entry(key).or_default()
    }
}

/// Capability and subject of a host call, as grants name them.
fn asked_for(request: &Value) -> Option<(&str, String)> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let subject = text("subject")?;
    match (text("capability"), text("call")) {
        (Some(capability), _) => Some((capability, subject.to_owned())),
        (None, Some("ask-model")) => Some(("model", subject.to_owned())),
        (None, Some("call-tool")) => Some(("mcp", subject.to_owned())),
        (None, Some("fetch")) => Some(("http", HttpOrigin::of_url(subject)?.to_string())),
        // Artifacts are read and stored under more names than anybody grants.
        (None, _) => None,
    }
}
