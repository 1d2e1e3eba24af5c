//! `run.shell` and `run.script`: one command in a sandbox.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use sandbox::{ExecError, ExecOutcome, ExecRequest, SecretValue, Template};
use tracing::warn;
use workflow::command::CommandResult;
use workflow::effect::{Fault, OWN_ERRORS};
use workflow::{Command, Digest, EffectKey, EffectOutcome, SecretName, TemplateName};

use super::{Hands, configuration_fault};
use crate::artifacts;

impl Hands {
    pub(super) async fn run_command(
        &self,
        key: &EffectKey,
        command: &Command,
        templates: &BTreeMap<TemplateName, Digest>,
    ) -> Option<EffectOutcome> {
        Some(match self.exec(key, command, templates).await {
            Ok(result) => EffectOutcome::Command { result: Box::new(result) },
            Err(outcome) => outcome,
        })
    }

    /// Runs a command, or goes on with it, and keeps its files. `Err` is the
    /// outcome of an attempt that has no result.
    pub(crate) async fn exec(
        &self,
        key: &EffectKey,
        command: &Command,
        templates: &BTreeMap<TemplateName, Digest>,
    ) -> Result<CommandResult, EffectOutcome> {
        let running = self.running.enter(key);
        let line = self.redacted(&command.line())?;
        // What an earlier host started needs nothing any more, and must not be
        // said to have failed because something it needed then is gone now.
        let request = if self.provider.knows(key).await {
            ExecRequest {
                key: key.clone(),
                command: command.clone(),
                secrets: BTreeMap::new(),
                inputs: BTreeMap::new(),
                also_redact: Vec::new(),
            }
        } else {
            self.unchanged(&command.template, templates).map_err(configuration_fault)?;
            if let Some(container) = &command.container
                // Of its own: ten thousand commands that wait need no room for it.
                && let Err(error) = Box::pin(self.images.fetch(&container.image)).await
            {
                // A registry may say back what it was told.
                let outcome = EffectOutcome::Faulted { error: error.fault() };
                return Err(self.without_secrets(outcome, &[]).unwrap_or_else(|outcome| outcome));
            }
            self.request(key, command).await.map_err(configuration_fault)?
        };
        if self.running.is_stopped(key) {
            return Err(EffectOutcome::Unknown { detail: "it was stopped before it began".to_owned() });
        }
        let outcome = match self.provider.exec(request).await {
            Ok(outcome) => outcome,
            Err(error @ ExecError::OutcomeUnknown { .. }) => {
                warn!(effect.key = ?key, error = chain(&error), "Lost a command");
                return Err(EffectOutcome::Unknown { detail: chain(&error) });
            }
            Err(error @ (ExecError::Unsupported { .. } | ExecError::Start { .. })) => {
                return Err(EffectOutcome::Faulted { error: not_started(&error) });
            }
        };
        drop(running);
        self.keep(key, line, outcome).await
    }

    /// All that a command needs to start.
    async fn request(&self, key: &EffectKey, command: &Command) -> Result<ExecRequest, String> {
        let mut secrets: BTreeMap<SecretName, SecretValue> = BTreeMap::new();
        for name in command.secrets.values() {
            let value = self.secrets.value(name).map_err(|error| chain(&error))?;
            secrets.insert(name.clone(), value);
        }
        let inputs = artifacts::inputs(self.store.as_ref(), command).await.map_err(|error| chain(&error))?;
        let all = self.secrets.all_values().map_err(|error| chain(&error))?;
        let also_redact = all.into_iter().map(|(_, value)| value).collect();
        Ok(ExecRequest { key: key.clone(), command: command.clone(), secrets, inputs, also_redact })
    }

    /// People approved the commands of the templates that the instance started with.
    pub(crate) fn unchanged(
        &self,
        name: &TemplateName,
        templates: &BTreeMap<TemplateName, Digest>,
    ) -> Result<(), String> {
        let before = templates.get(name);
        let now = self.templates.get(name).map(Template::digest);
        if before.is_some() && before == now {
            return Ok(());
        }
        let show = |digest: Option<&Digest>| digest.map_or_else(|| "none".to_owned(), ToString::to_string);
        Err(format!(
            "sandbox template `{name}` is not the one this instance started with ({} then, {} now); \
             restore it, or cancel the instance and start again",
            show(before),
            show(now)
        ))
    }

    /// The spool holds the bytes until the result is recorded, so a store that
    /// fails for a moment costs another look at the same outcome.
    async fn keep(&self, key: &EffectKey, line: String, outcome: ExecOutcome) -> Result<CommandResult, EffectOutcome> {
        let mut tries = 1;
        loop {
            match artifacts::keep(self.store.as_ref(), key, line.clone(), outcome.clone()).await {
                Ok(result) => return Ok(result),
                Err(error) if tries < KEEP_TRIES => {
                    warn!(effect.key = ?key, error = chain(&error), "Keeping the files of a command failed");
                    tries += 1;
                    tokio::time::sleep(KEEP_PAUSE).await;
                }
                Err(error) => {
                    let detail = format!("it ended, and its files could not be kept: {}", chain(&error));
                    return Err(EffectOutcome::Unknown { detail });
                }
            }
        }
    }
}

/// Half a minute: longer than a disk that is being tidied, shorter than a person waits.
const KEEP_TRIES: u32 = 10;
const KEEP_PAUSE: Duration = Duration::from_secs(3);

fn not_started(error: &ExecError) -> Fault {
    Fault {
        kind: format!("{OWN_ERRORS}sandbox-not-started"),
        status: 503,
        title: Some("No sandbox could be started".to_owned()),
        detail: Some(chain(error)),
        instance: None,
    }
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
