//! Secret values: read when a command needs them, held in memory only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sandbox::SecretValue;
use workflow::SecretName;

/// Where the operator keeps the value of each secret.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    files: BTreeMap<SecretName, PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum MissingSecret {
    #[error(
        "secret `{name}` is not configured; add `{name} = {{ file = \"…\" }}` to [secrets] of the host's configuration"
    )]
    Unknown { name: SecretName },
    #[error("failed to read secret `{name}` from `{}`", path.display())]
    Unreadable {
        name: SecretName,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Secrets {
    pub fn from_files(files: BTreeMap<SecretName, PathBuf>) -> Self {
        Self { files }
    }

    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.files.keys()
    }

    /// The value without its trailing line end.
    pub fn value(&self, name: &SecretName) -> Result<SecretValue, MissingSecret> {
        let path = self.files.get(name).ok_or_else(|| MissingSecret::Unknown { name: name.clone() })?;
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(SecretValue::new(text.trim_end_matches(['\r', '\n']))),
            Err(source) => Err(MissingSecret::Unreadable { name: name.clone(), path: path.clone(), source }),
        }
    }

    /// Every value: what output is redacted of, whoever printed it. One that
    /// cannot be read is an error, since it could not be redacted either.
    pub fn all_values(&self) -> Result<Vec<(SecretName, SecretValue)>, MissingSecret> {
        self.files.keys().map(|name| Ok((name.clone(), self.value(name)?))).collect()
    }
}
