//! From a planned command, whose parameters are JSON, to what would run.

use std::collections::BTreeMap;

use serde_json::Value;
use workflow::command::SandboxMode;
use workflow::{ArtifactUri, Command, CommandName};

use super::parameter::{ParameterKind, ParameterValue};
use super::{ResolveError, Templates};

impl Templates {
    /// As [`Templates::resolve`], of an object: parameter name to value.
    pub fn resolve_planned(
        &self,
        name: &CommandName,
        parameters: &Value,
        mode: SandboxMode,
    ) -> Result<Command, ResolveError> {
        let (template, command) = name.as_str().split_once('/').unwrap_or_default();
        let found = self.iter().find(|found| found.name().as_str() == template);
        let declared = found.and_then(|found| found.commands().get(command));
        let mut values = BTreeMap::new();
        for (parameter, value) in parameters.as_object().into_iter().flatten() {
            let kind = declared.and_then(|command| command.parameters.get(parameter)).map(|declared| &declared.kind);
            let value = of_json(value, kind).ok_or_else(|| ResolveError::Invalid {
                command: name.clone(),
                parameter: parameter.clone(),
                detail: format!("is {value}, which no parameter can be"),
            })?;
            values.insert(parameter.clone(), value);
        }
        self.resolve(name, &values, mode)
    }
}

/// A reference is a text in JSON: what the template declares tells them apart.
fn of_json(value: &Value, kind: Option<&ParameterKind>) -> Option<ParameterValue> {
    match (value, kind) {
        (Value::String(text), Some(ParameterKind::Artifact)) => {
            ArtifactUri::new(text.as_str()).ok().map(ParameterValue::Artifact)
        }
        (Value::String(text), _) => Some(ParameterValue::Text(text.clone())),
        (Value::Bool(flag), _) => Some(ParameterValue::Flag(*flag)),
        (Value::Number(number), _) => number.as_i64().map(ParameterValue::Integer),
        (Value::Array(items), _) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map(ParameterValue::Texts)
        }
        (Value::Null | Value::Object(_), _) => None,
    }
}
