//! `plugin.toml`: what a plugin asks for, each with a reason.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Grants;
use crate::ids::PluginName;

/// A class of step, from the fewest powers to the most. Each has its world in
/// `wit/release.wit`, which says what it can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    Pure,
    Diagnose,
    Probe,
    Build,
    Publish,
}

impl World {
    /// Pure first, publish last. A model is for `diagnose`, requests are for
    /// `probe`, MCP tools for `build` and `publish`: the others cannot reach them.
    pub const ALL: [World; 5] = [World::Pure, World::Diagnose, World::Probe, World::Build, World::Publish];

    pub fn name(self) -> &'static str {
        match self {
            World::Pure => "pure",
            World::Diagnose => "diagnose",
            World::Probe => "probe",
            World::Build => "build",
            World::Publish => "publish",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a plugin says it needs. It grants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginManifest {
    pub name: PluginName,
    pub version: semver::Version,
    pub world: World,
    /// One line.
    pub summary: String,
    /// The most it can be granted.
    pub asks: Grants,
    /// Why, by the key of the ask: `sandbox`.
    pub reasons: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// With line and column, as the TOML reader gives them.
    #[error("{0}")]
    Toml(String),
    #[error("`asks.{key}` gives no reason; add `reason = \"…\"` for the reviewer")]
    NoReason { key: String },
    #[error("`asks.{key}` cannot be asked for: {detail}")]
    Ask { key: String, detail: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: PluginName,
    version: semver::Version,
    world: World,
    summary: String,
    #[serde(default)]
    asks: BTreeMap<String, toml::Table>,
}

impl PluginManifest {
    /// Reads a `plugin.toml`. An unknown field is an error: a power that the
    /// host does not know is not one it could bound.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let document: Document = toml::from_str(text).map_err(|error| ManifestError::Toml(error.to_string()))?;
        let (mut asked, mut reasons) = (toml::Table::new(), BTreeMap::new());
        for (key, mut ask) in document.asks {
            let reason = ask.remove("reason");
            let reason = reason.as_ref().and_then(toml::Value::as_str).map(str::trim).unwrap_or_default();
            if reason.is_empty() {
                return Err(ManifestError::NoReason { key });
            }
            reasons.insert(key.clone(), reason.to_owned());
            let alone = toml::Table::from_iter([(key.clone(), toml::Value::Table(ask.clone()))]);
            if let Err(error) = Grants::deserialize(alone) {
                return Err(ManifestError::Ask { key, detail: error.to_string().trim().replace('\n', " ") });
            }
            asked.insert(key, toml::Value::Table(ask));
        }
        let asks = Grants::deserialize(asked).map_err(|error| ManifestError::Toml(error.to_string()))?;
        let Document { name, version, world, summary, .. } = document;
        Ok(Self { name, version, world, summary, asks, reasons })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name = \"cargo\"\nversion = \"0.1.0\"\nworld = \"build\"\nsummary = \"Cargo\"\n";

    fn parse(asks: &str) -> Result<PluginManifest, ManifestError> {
        PluginManifest::parse(&format!("{HEAD}{asks}"))
    }

    #[test]
    fn an_ask_is_a_grant_with_a_reason() {
        let manifest =
            parse("[asks.sandbox]\nreason = \"builds\"\ncommands = [\"rust-release/cargo-build\"]\ncommands-max = 3\n")
                .unwrap();
        assert_eq!(manifest.asks.keys(), ["sandbox"]);
        assert_eq!(manifest.reasons["sandbox"], "builds");
        assert_eq!(manifest.asks.sandbox.unwrap().commands_max, 3);
    }

    #[test]
    fn what_cannot_be_bounded_is_an_error_that_says_where() {
        for (asks, expected) in [
            (
                "[asks.log]\nlines-max = 1\nbytes-max = 1\n",
                "`asks.log` gives no reason; add `reason = \"…\"` for the reviewer",
            ),
            (
                "[asks.shell]\nreason = \"x\"\nlines = []\n",
                "`asks.shell` cannot be asked for: unknown field `shell`, expected one of `log`, `artifacts-read`, `artifacts-write`, `sandbox`, `secrets`, `model`, `mcp`, `http`, `wasi-baseline`, `limits`",
            ),
            (
                "[asks.log]\nreason = \"x\"\nlines-max = 1\nbytes-max = 1\nlevels = 3\n",
                "`asks.log` cannot be asked for: unknown field `levels`, expected `lines-max` or `bytes-max`",
            ),
        ] {
            let error = parse(asks).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = PluginManifest::parse("name = \"x\"\nworld = \"root\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("unknown variant `root`"), "{error}");
        let error = parse("powers = 1\n").unwrap_err().to_string();
        assert!(error.contains("unknown field `powers`"), "{error}");
    }
}
