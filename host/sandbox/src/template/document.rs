//! The TOML of a template as it is written, before anything is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};
use workflow::command::SandboxMode;
use workflow::{SecretName, TemplateName};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub name: Spanned<TemplateName>,
    pub version: String,
    pub summary: String,
    pub rootfs: Spanned<RootfsDocument>,
    #[serde(default)]
    pub tools: BTreeMap<String, semver::VersionReq>,
    #[serde(default)]
    pub limits: super::Limits,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub egress: Vec<Spanned<String>>,
    #[serde(default)]
    pub commands: BTreeMap<String, Spanned<CommandDocument>>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RootfsDocument {
    Host {},
    Container {},
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandDocument {
    #[serde(default)]
    pub summary: String,
    pub argv: Vec<Spanned<Value>>,
    pub mode: Option<SandboxMode>,
    pub working_directory: Option<Spanned<String>>,
    pub time_limit_seconds: Option<Spanned<u64>>,
    #[serde(default)]
    pub environment: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub egress: Vec<Spanned<String>>,
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretName>,
    #[serde(default)]
    pub inputs: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub capture: Vec<Spanned<String>>,
    #[serde(default)]
    pub parameters: BTreeMap<String, Spanned<ParameterDocument>>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ParameterDocument {
    Text {
        pattern: String,
        #[serde(default = "length_max")]
        length_max: usize,
        #[serde(default = "yes")]
        required: bool,
        #[serde(default)]
        leading_dash: bool,
        #[serde(default)]
        path: bool,
    },
    Texts {
        pattern: String,
        #[serde(default = "length_max")]
        length_max: usize,
        items_max: usize,
        #[serde(default = "yes")]
        required: bool,
        #[serde(default)]
        leading_dash: bool,
        #[serde(default)]
        path: bool,
    },
    Flag {},
    Integer {
        min: i64,
        max: i64,
        #[serde(default = "yes")]
        required: bool,
    },
    Artifact {
        #[serde(default = "yes")]
        required: bool,
    },
}

fn yes() -> bool {
    true
}

/// A text parameter's longest value, in bytes, unless the template says less or more.
fn length_max() -> usize {
    1024
}
