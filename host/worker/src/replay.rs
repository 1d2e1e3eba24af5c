//! What the history says about the host calls of an attempt: a component that
//! runs again is answered from here, as long as it asks the same.

use std::collections::BTreeMap;

use plugin_host::{CallSite, Denial, HostCallError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use workflow::command::{Command, CommandResult};
use workflow::event::{Event, Fingerprint};
use workflow::{Digest, EffectKey};

/// A host call as the journal knows it: name, subject, parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// `exec`, `put-artifact`
    pub call: &'static str,
    /// A command, a name, a URL.
    pub subject: String,
    pub parameters: Value,
}

impl Request {
    pub fn name(&self) -> String {
        format!("{} {}", self.call, self.subject)
    }

    /// The plugin builds the same parameters in the same order, so their text is the same.
    pub fn digest(&self) -> Digest {
        Digest::of(json!([self.call, self.subject, self.parameters]).to_string().as_bytes())
    }

    pub fn fingerprint(&self, site: CallSite, engine: &str) -> Fingerprint {
        Fingerprint { request: self.digest(), fuel: site.fuel, engine: engine.to_owned() }
    }
}

/// The component did not ask, on its second run, what it asked on its first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Divergence {
    #[error("host call {sequence} was `{before}` and is `{now}` now")]
    Other { sequence: u32, before: String, now: String },
    #[error("host call {sequence} is `{call}` again, with other parameters")]
    Parameters { sequence: u32, call: String },
    #[error("host call {sequence}, `{call}`, came after {before} units of fuel and comes after {now} now")]
    Fuel { sequence: u32, call: String, before: u64, now: u64 },
    #[error("it ended before host call {sequence}, `{before}`, which it made the first time")]
    Ended { sequence: u32, before: String },
}

/// A command whose start is recorded, and maybe its end.
#[derive(Debug)]
pub(crate) struct RecordedCommand {
    pub command: Command,
    pub result: Option<CommandResult>,
    fingerprint: Option<Fingerprint>,
}

#[derive(Debug)]
struct RecordedAnswer {
    request: Value,
    answer: Value,
    fingerprint: Option<Fingerprint>,
}

/// A tool's process whose start is recorded, and not what it answered.
#[derive(Debug)]
struct RecordedProcess {
    /// `docs/search`
    subject: String,
    command: Command,
    fingerprint: Option<Fingerprint>,
}

impl RecordedProcess {
    fn name(&self) -> String {
        format!("call-tool {}", self.subject)
    }
}

/// The journal of one attempt so far, by the number of the call.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    commands: BTreeMap<u32, RecordedCommand>,
    answers: BTreeMap<u32, RecordedAnswer>,
    /// Processes in sandboxes that answer a call, until its answer is recorded.
    started: BTreeMap<u32, RecordedProcess>,
    engine: String,
}

impl Replay {
    /// `engine` counts the fuel of this run: what another one counted is not compared.
    pub fn of(events: &[Event], engine: &str) -> Self {
        let mut replay = Self { engine: engine.to_owned(), ..Self::default() };
        for event in events {
            match event {
                Event::CommandStarted { sequence, command, fingerprint, .. } => {
                    let (command, fingerprint) = ((**command).clone(), fingerprint.clone());
                    replay.commands.insert(*sequence, RecordedCommand { command, result: None, fingerprint });
                }
                Event::CommandCompleted { sequence, result, .. } => {
                    if let Some(recorded) = replay.commands.get_mut(sequence) {
                        recorded.result = Some((**result).clone());
                    }
                }
                Event::HostCallCompleted { sequence, request, answer, fingerprint, .. } => {
                    let (request, answer, fingerprint) = (request.clone(), answer.clone(), fingerprint.clone());
                    replay.answers.insert(*sequence, RecordedAnswer { request, answer, fingerprint });
                    replay.started.remove(sequence);
                }
                Event::CallStarted { sequence, subject, command: Some(command), fingerprint, .. } => {
                    let (command, fingerprint) = ((**command).clone(), fingerprint.clone());
                    let subject = subject.clone().unwrap_or_default();
                    replay.started.insert(*sequence, RecordedProcess { subject, command, fingerprint });
                }
                // An attempt keeps its host calls and nothing else.
                _ => {}
            }
        }
        replay
    }

    /// The command that was started at this place.
    pub fn command(&mut self, site: CallSite, request: &Request) -> Result<Option<RecordedCommand>, Divergence> {
        if let Some(answered) = self.answers.get(&site.sequence) {
            return Err(other(site, answered.name(), request));
        }
        if let Some(started) = self.started.get(&site.sequence) {
            return Err(other(site, started.name(), request));
        }
        let Some(recorded) = self.commands.remove(&site.sequence) else {
            return Ok(None);
        };
        let before = command_name(&recorded.command);
        if before != request.name() {
            return Err(other(site, before, request));
        }
        self.same(site, request, recorded.fingerprint.as_ref())?;
        Ok(Some(recorded))
    }

    /// The answer that was given at this place.
    pub fn answer<T: DeserializeOwned>(
        &mut self,
        site: CallSite,
        request: &Request,
    ) -> Result<Option<Result<T, HostCallError>>, Divergence> {
        if let Some(started) = self.commands.get(&site.sequence) {
            return Err(other(site, command_name(&started.command), request));
        }
        // The one who asked is given what its process answers: `started`.
        if let Some(started) = self.started.get(&site.sequence).filter(|started| started.name() != request.name()) {
            return Err(other(site, started.name(), request));
        }
        let Some(recorded) = self.answers.remove(&site.sequence) else {
            return Ok(None);
        };
        let before = recorded.name();
        let Some(answer) = answer_of(&recorded.answer).filter(|_| before == request.name()) else {
            return Err(other(site, before, request));
        };
        self.same(site, request, recorded.fingerprint.as_ref())?;
        Ok(Some(answer))
    }

    /// The process that was started to answer the call at this place.
    pub fn started(&mut self, site: CallSite, request: &Request) -> Result<Option<Command>, Divergence> {
        let Some(recorded) = self.started.get(&site.sequence) else {
            return Ok(None);
        };
        if recorded.name() != request.name() {
            return Err(other(site, recorded.name(), request));
        }
        self.same(site, request, recorded.fingerprint.as_ref())?;
        Ok(self.started.remove(&site.sequence).map(|recorded| recorded.command))
    }

    /// The refusal that was given at this place. Policy is not asked again.
    pub fn denial(&mut self, site: CallSite, capability: &str, subject: &str) -> Result<Option<Denial>, Divergence> {
        let Some(recorded) = self.answers.get(&site.sequence) else {
            return Ok(None);
        };
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(reason) = text(&recorded.answer, "denied") else {
            return Ok(None);
        };
        let before = (text(&recorded.request, "capability"), text(&recorded.request, "subject"));
        let request = denied_request(capability, subject);
        if before != (Some(capability.to_owned()), Some(subject.to_owned())) {
            return Err(other(site, recorded.name(), &request));
        }
        let recorded = self.answers.remove(&site.sequence);
        self.same(site, &request, recorded.and_then(|recorded| recorded.fingerprint).as_ref())?;
        Ok(Some(Denial { capability: capability.to_owned(), subject: subject.to_owned(), reason }))
    }

    /// Whether something else than a refusal is recorded at this place: it was allowed then.
    pub fn was_allowed(&self, sequence: u32) -> bool {
        self.commands.contains_key(&sequence)
            || self.answers.contains_key(&sequence)
            || self.started.contains_key(&sequence)
    }

    /// The component ended: all that is recorded must have been asked again.
    pub fn ended(&self) -> Result<(), Divergence> {
        let command = self.commands.iter().next().map(|(sequence, call)| (*sequence, command_name(&call.command)));
        let answer = self.answers.iter().next().map(|(sequence, call)| (*sequence, call.name()));
        let process = self.started.iter().next().map(|(sequence, started)| (*sequence, started.name()));
        match command.into_iter().chain(answer).chain(process).min() {
            Some((sequence, before)) => Err(Divergence::Ended { sequence, before }),
            None => Ok(()),
        }
    }

    fn same(&self, site: CallSite, request: &Request, before: Option<&Fingerprint>) -> Result<(), Divergence> {
        // A history of an earlier version has none.
        let Some(before) = before else {
            return Ok(());
        };
        let (sequence, call) = (site.sequence, request.name());
        if before.request != request.digest() {
            return Err(Divergence::Parameters { sequence, call });
        }
        if before.engine == self.engine && before.fuel != site.fuel {
            return Err(Divergence::Fuel { sequence, call, before: before.fuel, now: site.fuel });
        }
        Ok(())
    }
}

impl RecordedAnswer {
    fn name(&self) -> String {
        let text = |key: &str| self.request.get(key).and_then(Value::as_str).unwrap_or_default();
        let call = if text("call").is_empty() { text("capability") } else { text("call") };
        format!("{call} {}", text("subject"))
    }
}

fn other(site: CallSite, before: String, request: &Request) -> Divergence {
    Divergence::Other { sequence: site.sequence, before, now: request.name() }
}

fn command_name(command: &Command) -> String {
    format!("exec {}", command.command_name.as_ref().map(ToString::to_string).unwrap_or_default())
}

/// What was refused, for the fingerprint of a denial.
pub(crate) fn denied_request(capability: &str, subject: &str) -> Request {
    Request { call: "denied", subject: format!("{capability} {subject}"), parameters: Value::Null }
}

/// A call of the host's client that was about to be sent, and whose answer no
/// host received: nobody knows whether it happened.
pub(crate) fn lost_call(events: &[Event]) -> Option<String> {
    let is_answered = |number: u32| {
        let mut calls = events.iter();
        calls.any(|event| matches!(event, Event::HostCallCompleted { sequence, .. } if *sequence == number))
    };
    events.iter().find_map(|event| match event {
        Event::CallStarted { sequence, subject, command: None, .. } if !is_answered(*sequence) => {
            let subject = subject.as_deref().unwrap_or("a call");
            Some(format!("the host ended after host call {sequence}, `{subject}`, may have been sent"))
        }
        _ => None,
    })
}

/// Commands and calls that were begun and whose end is not recorded, by number.
pub(crate) fn in_flight(events: &[Event]) -> BTreeMap<u32, String> {
    let mut open = BTreeMap::new();
    for event in events {
        match event {
            Event::CommandStarted { sequence, command, .. } => {
                open.insert(*sequence, command_name(command));
            }
            Event::CallStarted { sequence, subject, .. } => {
                open.insert(*sequence, subject.clone().unwrap_or_else(|| "a call".to_owned()));
            }
            Event::CommandCompleted { sequence, .. } | Event::HostCallCompleted { sequence, .. } => {
                open.remove(sequence);
            }
            // An attempt keeps its host calls and nothing else.
            _ => {}
        }
    }
    open
}

/// The form of an answer in the history.
pub(crate) fn answer_value<T: Serialize>(answer: &Result<T, HostCallError>) -> Value {
    match answer {
        Ok(value) => json!({ "ok": value }),
        Err(HostCallError::Invalid(detail)) => json!({ "invalid": detail }),
        Err(HostCallError::NotFound(what)) => json!({ "notFound": what }),
        Err(HostCallError::Quota(detail)) => json!({ "quota": detail }),
        Err(HostCallError::Unavailable(detail)) => json!({ "unavailable": detail }),
        Err(HostCallError::Denied(denial)) => json!({ "denied": denial.reason }),
        Err(HostCallError::Interrupted) => Value::Null,
    }
}

fn answer_of<T: DeserializeOwned>(value: &Value) -> Option<Result<T, HostCallError>> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = || value.as_str().map(str::to_owned);
    Some(match kind.as_str() {
        "ok" => Ok(serde_json::from_value(value.clone()).ok()?),
        "invalid" => Err(HostCallError::Invalid(text()?)),
        "notFound" => Err(HostCallError::NotFound(text()?)),
        "quota" => Err(HostCallError::Quota(text()?)),
        "unavailable" => Err(HostCallError::Unavailable(text()?)),
        _ => return None,
    })
}

/// The event of an answer that is not a command's.
pub(crate) fn answered(key: &EffectKey, request: Value, answer: Value, fingerprint: Fingerprint) -> Event {
    Event::HostCallCompleted {
        path: key.path.clone(),
        attempt: key.attempt,
        sequence: key.sequence,
        request,
        answer,
        fingerprint: Some(fingerprint),
    }
}

#[cfg(test)]
mod tests {
    use workflow::TaskPath;
    use workflow::command::SandboxMode;

    use super::*;

    fn request(call: &'static str, subject: &str, parameter: u32) -> Request {
        Request { call, subject: subject.to_owned(), parameters: json!(parameter) }
    }

    /// A host died while the process of `docs/search` was at work.
    fn with_a_process(site: CallSite) -> Replay {
        let command = Command {
            template: "tools".parse().unwrap(),
            command_name: None,
            mode: SandboxMode::PerTask,
            argv: vec!["server".to_owned()],
            environment: BTreeMap::new(),
            stdin: None,
            working_directory: String::new(),
            egress: Vec::new(),
            secrets: BTreeMap::new(),
            inputs: BTreeMap::new(),
            capture: Vec::new(),
            time_limit_ms: 0,
            dialogue: None,
            container: None,
        };
        let started = Event::CallStarted {
            path: TaskPath::root(),
            attempt: 1,
            sequence: site.sequence,
            subject: Some("docs/search".to_owned()),
            command: Some(Box::new(command)),
            fingerprint: Some(request("call-tool", "docs/search", 1).fingerprint(site, "engine")),
        };
        Replay::of(&[started], "engine")
    }

    #[test]
    fn only_the_call_that_started_a_process_gets_its_answer() {
        let site = CallSite { sequence: 5, fuel: 100 };
        let same = request("call-tool", "docs/search", 1);
        assert!(with_a_process(site).started(site, &same).unwrap().is_some());
        for other in [request("call-tool", "docs/delete", 1), request("call-tool", "docs/search", 2)] {
            assert!(with_a_process(site).started(site, &other).is_err(), "{other:?}");
        }
        let later = CallSite { fuel: 101, ..site };
        assert!(matches!(with_a_process(site).started(later, &same), Err(Divergence::Fuel { .. })));
        let exec = request("exec", "rust-release/cargo-publish", 1);
        assert!(matches!(with_a_process(site).command(site, &exec), Err(Divergence::Other { .. })));
        let fetch = request("fetch", "https://example.com", 1);
        assert!(matches!(with_a_process(site).answer::<Value>(site, &fetch), Err(Divergence::Other { .. })));
        assert!(matches!(with_a_process(site).ended(), Err(Divergence::Ended { sequence: 5, .. })));
    }
}
