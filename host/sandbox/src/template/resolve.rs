//! From a command template and values to a command.

use std::collections::BTreeMap;

use workflow::command::SandboxMode;
use workflow::{Command, CommandName, TemplateName};

use super::parameter::ParameterValue;
use super::pattern::Values;
use super::{CommandTemplate, Template};

/// Why no command was made. Nothing ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no sandbox template `{template}`; there are {}", names(known))]
    UnknownTemplate { template: TemplateName, known: Vec<TemplateName> },
    #[error("there is no command `{command}`; the template has {}", names(known))]
    UnknownCommand { command: CommandName, known: Vec<String> },
    #[error("command `{command}` has no parameter `{parameter}`; it has {}", names(known))]
    UnknownParameter { command: CommandName, parameter: String, known: Vec<String> },
    #[error("command `{command}` needs parameter `{parameter}`")]
    Missing { command: CommandName, parameter: String },
    #[error("parameter `{parameter}` of command `{command}` {detail}")]
    Invalid { command: CommandName, parameter: String, detail: String },
    #[error("command `{command}` runs in mode {} only", mode.name())]
    Mode { command: CommandName, mode: SandboxMode },
}

fn names<T: std::fmt::Display>(known: &[T]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Template {
    /// The command that this template makes of `parameters`, each of which is
    /// checked. No value goes through a shell of ours, and none chooses the program.
    pub fn resolve(
        &self,
        name: &CommandName,
        parameters: &BTreeMap<String, ParameterValue>,
        mode: SandboxMode,
    ) -> Result<Command, ResolveError> {
        let short = name.as_str().split_once('/').map(|(template, command)| (template == self.name.as_str(), command));
        let found = short.filter(|(ours, _)| *ours).and_then(|(_, command)| self.commands.get(command));
        let Some(template) = found else {
            return Err(ResolveError::UnknownCommand {
                command: name.clone(),
                known: self.commands.keys().cloned().collect(),
            });
        };
        if let Some(only) = template.mode.filter(|only| *only != mode) {
            return Err(ResolveError::Mode { command: name.clone(), mode: only });
        }
        let values = template.values(name, parameters)?;
        let mut argv = Vec::with_capacity(template.argv.len());
        for item in &template.argv {
            item.append(&values, &mut argv);
        }
        let inputs = template.inputs.iter().filter_map(|(path, parameter)| match values.get(parameter.as_str()) {
            Some(ParameterValue::Artifact(uri)) => Some((path.clone(), uri.clone())),
            Some(_) | None => None,
        });
        let environment = template.environment.iter().map(|(name, text)| (name.clone(), text.filled(&values)));
        let seconds = template.time_limit_seconds.unwrap_or(self.limits.time_limit_seconds);
        Ok(Command {
            template: self.name.clone(),
            command_name: Some(name.clone()),
            dialogue: None,
            container: None,
            mode,
            argv,
            environment: environment.collect(),
            stdin: None,
            working_directory: template.working_directory.filled(&values),
            egress: template.egress.iter().cloned().collect(),
            secrets: template.secrets.clone(),
            inputs: inputs.collect(),
            capture: template.capture.iter().map(|glob| glob.filled(&values)).collect(),
            time_limit_ms: seconds.saturating_mul(1000),
        })
    }
}

impl CommandTemplate {
    /// The given values, each checked, and none missing.
    fn values<'a>(
        &self,
        command: &CommandName,
        given: &'a BTreeMap<String, ParameterValue>,
    ) -> Result<Values<'a>, ResolveError> {
        let mut values = Values::new();
        for (name, value) in given {
            let Some(parameter) = self.parameters.get(name) else {
                return Err(ResolveError::UnknownParameter {
                    command: command.clone(),
                    parameter: name.clone(),
                    known: self.parameters.keys().cloned().collect(),
                });
            };
            parameter.check(value).map_err(|detail| ResolveError::Invalid {
                command: command.clone(),
                parameter: name.clone(),
                detail,
            })?;
            values.insert(name, value);
        }
        let missing = self.parameters.iter().find(|(name, parameter)| parameter.required && !given.contains_key(*name));
        match missing {
            Some((name, _)) => Err(ResolveError::Missing { command: command.clone(), parameter: name.clone() }),
            None => Ok(values),
        }
    }
}
