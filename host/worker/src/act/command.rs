//! `run.shell` and `run.script`: one command in a sandbox.

use std::collections::BTreeMap;
use std::error::Error;

use sandbox::{ExecError, ExecRequest, SecretValue};
use tracing::warn;
use workflow::command::CommandResult;
use workflow::effect::{Fault, OWN_ERRORS};
use workflow::{Command, EffectKey, EffectOutcome, SecretName};

use super::{Hands, configuration_fault};
use crate::artifacts;

impl Hands {
    pub(super) async fn run_command(&self, key: &EffectKey, command: &Command) -> Option<EffectOutcome> {
        Some(match self.exec(key, command).await {
            Ok(result) => EffectOutcome::Command { result: Box::new(result) },
            Err(outcome) => outcome,
        })
    }

    /// Runs a command, or goes on with it, and keeps its files. `Err` is the
    /// outcome of an attempt that has no result.
    pub(crate) async fn exec(&self, key: &EffectKey, command: &Command) -> Result<CommandResult, EffectOutcome> {
        let line = self.redacted(&command.line())?;
        let mut secrets: BTreeMap<SecretName, SecretValue> = BTreeMap::new();
        for name in command.secrets.values() {
            let value = self.secrets.value(name).map_err(|error| configuration_fault(chain(&error)))?;
            secrets.insert(name.clone(), value);
        }
        let inputs = artifacts::inputs(self.store.as_ref(), command)
            .await
            .map_err(|error| configuration_fault(chain(&error)))?;
        let also_redact = self.secrets.all_values().into_iter().map(|(_, value)| value).collect();
        let request = ExecRequest { key: key.clone(), command: command.clone(), secrets, inputs, also_redact };
        let running = self.running.enter(key);
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
        // The bytes are in the spool until the result is recorded, so a failing
        // store costs nothing but another look at the same outcome.
        artifacts::keep(self.store.as_ref(), key, line, outcome)
            .await
            .map_err(|error| EffectOutcome::Faulted { error: not_kept(&error) })
    }
}

fn not_started(error: &ExecError) -> Fault {
    Fault {
        kind: format!("{OWN_ERRORS}sandbox-not-started"),
        status: 503,
        title: Some("No sandbox could be started".to_owned()),
        detail: Some(chain(error)),
        instance: None,
    }
}

fn not_kept(error: &store::StoreError) -> Fault {
    Fault {
        kind: format!("{OWN_ERRORS}artifact-not-kept"),
        status: 500,
        title: Some("A file of the command could not be kept".to_owned()),
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
