//! Secrets by their names: in `security.secrets`, in `use`, and as `${ $secrets.NAME }`.
//!
//! The last is read here, in the few places where it may stand, and becomes a
//! name. An expression anywhere else that has `$secrets` in it does not compile.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{LightMetadata, Run};
use super::super::secrets::{MaybeSecret, variable_name};
use super::tasks::Context;
use super::{light, values};
use crate::expression::Template;
use crate::ids::SecretName;
use crate::located::{Field, closest};

/// The names in `use.secrets`; none if the definition does not list them.
pub type Declared<'d> = Option<&'d BTreeSet<SecretName>>;

/// A secret that `use.secrets` names, if it names any.
pub fn named(field: &Field, declared: Declared) -> Option<SecretName> {
    let name = field.name::<SecretName>()?;
    match declared {
        Some(declared) => listed(field, name, declared),
        None => Some(name),
    }
}

/// A text, an expression, or `${ $secrets.NAME }` with a name that `use.secrets` has.
pub fn text_or_secret(field: &Field, declared: Declared) -> Option<MaybeSecret> {
    let Some(name) = field.problems.dialect.get().secret_named_by(field.text()?) else {
        return values::text_template(field).map(MaybeSecret::Text);
    };
    match SecretName::new(name) {
        Ok(name) => listed(field, name, declared.unwrap_or(&BTreeSet::new())).map(MaybeSecret::Secret),
        Err(error) => {
            field.error(format!("`{}`: {error}", field.label), None);
            None
        }
    }
}

fn listed(field: &Field, name: SecretName, declared: &BTreeSet<SecretName>) -> Option<SecretName> {
    if declared.contains(&name) {
        return Some(name);
    }
    if !field.problems.is_full() {
        let help = match closest(name.as_str(), declared.iter().map(SecretName::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("add `{name}` to `use.secrets`"),
        };
        field.error(format!("`{}`: `use.secrets` does not name `{name}`", field.label), Some(&help));
    }
    None
}

/// Variables of a process: texts, and secrets.
pub type Variables = (BTreeMap<String, Template>, BTreeMap<String, SecretName>);

pub fn variables(field: &Field, declared: Declared) -> Option<Variables> {
    let mut variables = Variables::default();
    for (name, value) in field.each_entry(|_, value| text_or_secret(value, declared))? {
        match value {
            MaybeSecret::Text(template) => drop(variables.0.insert(name, template)),
            MaybeSecret::Secret(secret) => drop(variables.1.insert(name, secret)),
        }
    }
    Some(variables)
}

/// The same as if `security.secrets` named what `environment` of a process names.
pub fn held(mut light: LightMetadata, run: &Run, task: &Field, context: Context) -> LightMetadata {
    let environments = ["shell", "script", "container"].map(|kind| format!("/run/{kind}/environment"));
    let Some(environment) = environments.iter().find_map(|pointer| task.node.at(pointer)) else { return light };
    let environment = Field::root(environment, task.problems);
    if !run.secrets.is_empty() {
        let help = "add `sandbox: { mode: per-task, reason: … }` to `metadata.lightWorkflow.security` of the task";
        light::refuse_shared_sandbox(&environment, light.mode.or(context.security.mode), help);
    }
    light.secrets.extend(run.secrets.values().cloned());
    for other in light.secrets.iter().filter(|name| !run.secrets.values().any(|chosen| chosen == *name)) {
        let variable = variable_name(other);
        if run.secrets.contains_key(&variable) {
            let message = format!("`{variable}` is the variable of secret `{other}`, which `security.secrets` names");
            environment.error(message, Some("choose another name for one of the two"));
        }
    }
    light
}
