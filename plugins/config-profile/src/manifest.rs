//! The manifest as the public repository keeps it: which configs and properties
//! a product's version has, and nothing of any tenant.
//!
//! The repository's own schema could not be read; this one follows the examples
//! of the portal's design, and `schema/manifest.json` is its JSON schema.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Config profiles of one runtime family, and the products that use them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    #[serde(default, rename = "$schema")]
    pub _schema: Option<String>,
    pub runtime_family: RuntimeFamily,
    /// Of a Java manifest: the framework's version.
    pub light4j_version: Option<String>,
    #[serde(default, rename = "releaseSet")]
    pub _release_set: Option<String>,
    #[serde(default)]
    pub profiles: Vec<Profile>,
    #[serde(default)]
    pub products: Vec<Product>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeFamily {
    Java,
    Rust,
}

impl RuntimeFamily {
    pub fn name(self) -> &'static str {
        match self {
            RuntimeFamily::Java => "java",
            RuntimeFamily::Rust => "rust",
        }
    }
}

/// The configs that a product has as of a contract version.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    pub profile_name: String,
    pub product_id: String,
    pub contract_version: String,
    #[serde(default, rename = "profileDesc")]
    pub _description: Option<String>,
    pub configs: Vec<Config>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// With or without `.yml`: `server` and `server.yml` are one config.
    pub config_name: String,
    pub properties: Properties,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Properties {
    All(All),
    Named(Vec<String>),
}

/// Every property that the config has.
#[derive(Debug, Deserialize, JsonSchema)]
pub enum All {
    #[serde(rename = "*")]
    All,
}

/// A released version of a product, and where its profile comes from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    pub product_id: String,
    pub product_version: String,
    /// `PRODUCT|CONTRACT VERSION` of a profile.
    pub config_profile_ref: Option<String>,
    /// The profile of an earlier version, with `add` and `remove`.
    pub inherit_from: Option<InheritFrom>,
    #[serde(default)]
    pub add: Vec<Config>,
    #[serde(default)]
    pub remove: Vec<Removal>,
    #[serde(default, rename = "releaseReason")]
    pub _release_reason: Option<String>,
    #[serde(default, rename = "artifactChanged")]
    pub _artifact_changed: Option<bool>,
    #[serde(default, rename = "sourceChanged")]
    pub _source_changed: Option<bool>,
    pub config_changed: Option<bool>,
    /// Configuration of the version before does not work with this one.
    pub break_config: Option<bool>,
    pub config_mapping_policy: Option<MappingPolicy>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InheritFrom {
    pub product_version: String,
}

/// A config that is no longer there, or some of its properties.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removal {
    pub config_name: String,
    /// Absent: all of it.
    pub properties: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MappingPolicy {
    InheritProfileFromPrevious,
}

/// Fields of a tenant. A public manifest that has one is not only wrong but a leak.
const TENANT_FIELDS: [&str; 8] =
    ["hostId", "hostOverrides", "productVersionId", "profileId", "configId", "propertyId", "adminUserId", "directAdd"];

/// Reads a manifest; the error says line and column.
pub fn parse(text: &str) -> Result<Manifest, (String, String)> {
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let whole = error.to_string();
        let problem = whole.strip_suffix(&format!(" at {place}")).unwrap_or(&whole);
        let leaks = TENANT_FIELDS.iter().any(|field| problem.starts_with(&format!("unknown field `{field}`")));
        let hint = if leaks { "; a tenant's data stays outside of the public repository" } else { "" };
        (place, format!("{problem}{hint}"))
    })
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Side, schema_of};

    use super::*;

    #[test]
    fn the_schema_for_the_public_repository_is_that_of_the_types() {
        let written: serde_json::Value = serde_json::from_str(include_str!("../schema/manifest.json")).unwrap();
        let derived = schema_of::<Manifest>(Side::Read);
        assert_eq!(written, derived, "schema/manifest.json must be:\n{derived:#}");
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_told_with_its_line() {
        for (text, expected) in [
            ("{\n  \"runtimeFamily\": \"go\"\n}", ("line 2 column 23", "unknown variant `go`")),
            ("{\n\"runtimeFamily\": \"java\",\n\"runtimeFamily\": \"rust\"}", ("line 3 column 15", "duplicate field")),
            (
                "{\"runtimeFamily\": \"java\",\n \"hostId\": \"x\"}",
                ("line 2 column 9", "a tenant's data stays outside"),
            ),
            ("{\"runtimeFamily\": \"java\"", ("line 1 column 24", "EOF")),
        ] {
            let (place, problem) = parse(text).unwrap_err();
            assert_eq!(place, expected.0, "{text}");
            assert!(problem.contains(expected.1), "{problem}");
        }
    }
}
