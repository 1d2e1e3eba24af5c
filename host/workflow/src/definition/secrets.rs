//! Secrets by their names: where a definition may name one in place of a text.

use std::collections::{BTreeMap, BTreeSet};

use crate::expression::Template;
use crate::ids::SecretName;

/// A field that may be `${ $secrets.NAME }`.
#[derive(Debug, Clone, PartialEq)]
pub enum MaybeSecret {
    /// A text or an expression: what it gives is kept in the history.
    Text(Template),
    /// The value takes its place where the request is made, or the process is started.
    Secret(SecretName),
}

impl MaybeSecret {
    pub fn template(&self) -> Option<&Template> {
        match self {
            MaybeSecret::Text(template) => Some(template),
            MaybeSecret::Secret(_) => None,
        }
    }

    pub fn secret(&self) -> Option<&SecretName> {
        match self {
            MaybeSecret::Text(_) => None,
            MaybeSecret::Secret(name) => Some(name),
        }
    }
}

/// The secrets that a process holds, by the variables that it sees them in: those
/// that were `chosen`, and for the other secrets one that follows from the name.
pub fn variables(
    secrets: &BTreeSet<SecretName>,
    chosen: &BTreeMap<String, SecretName>,
) -> BTreeMap<String, SecretName> {
    let of_names = secrets.iter().filter(|secret| !chosen.values().any(|named| named == *secret));
    let of_names = of_names.map(|secret| (variable_name(secret), secret.clone()));
    let chosen = chosen.iter().filter(|(_, secret)| secrets.contains(secret));
    of_names.chain(chosen.map(|(variable, secret)| (variable.clone(), secret.clone()))).collect()
}

/// `github-release-token` is `GITHUB_RELEASE_TOKEN` in the sandbox.
pub fn variable_name(secret: &SecretName) -> String {
    secret.as_str().to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
