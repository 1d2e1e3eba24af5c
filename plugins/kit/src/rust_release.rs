//! Commands of the sandbox template `rust-release` 1.0.0.
//!
//! Written by `light-workflow template stubs rust-release`: run it again when the template changes.

use light_workflow_sdk::{ArtifactUri, CommandTemplate, Parameters, ToParameter};

/// Builds everything in the workspace, without network.
#[derive(Debug, Clone, PartialEq)]
pub struct CargoBuild {
    pub directory: String,
}

impl CommandTemplate for CargoBuild {
    const NAME: &'static str = "rust-release/cargo-build";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Downloads what Cargo.lock names. With cargo-package the only build command that reaches a registry.
///
/// It may reach `crates.demo.test:80`, `index.crates.io:443`, `static.crates.io:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct CargoFetch {
    pub directory: String,
}

impl CommandTemplate for CargoFetch {
    const NAME: &'static str = "rust-release/cargo-fetch";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What the workspace holds, as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct CargoMetadata {
    pub directory: String,
}

impl CommandTemplate for CargoMetadata {
    const NAME: &'static str = "rust-release/cargo-metadata";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Packages every crate that may be published and builds each package. A changed working tree fails.
///
/// It may reach `crates.demo.test:80`, `index.crates.io:443`, `static.crates.io:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct CargoPackage {
    pub directory: String,
}

impl CommandTemplate for CargoPackage {
    const NAME: &'static str = "rust-release/cargo-package";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Publishes one crate of a bundle, if it is byte for byte what was approved; exit 65 if it is not.
///
/// It may reach `crates.demo.test:80`.
#[derive(Debug, Clone, PartialEq)]
pub struct CargoPublish {
    pub crate_: String,
    pub digest: String,
    pub source: ArtifactUri,
    pub version: String,
}

impl CommandTemplate for CargoPublish {
    const NAME: &'static str = "rust-release/cargo-publish";
    const SECRETS: &'static [&'static str] = &["cargo-registry-token"];

    fn parameters(&self) -> Parameters {
        let all = [
            ("crate", self.crate_.to_parameter()),
            ("digest", self.digest.to_parameter()),
            ("source", self.source.to_parameter()),
            ("version", self.version.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Runs all tests of the workspace, without network.
#[derive(Debug, Clone, PartialEq)]
pub struct CargoTest {
    pub directory: String,
}

impl CommandTemplate for CargoTest {
    const NAME: &'static str = "rust-release/cargo-test";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The checked-out commit with its history as one file: what a publish starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct GitBundle {
    pub directory: String,
}

impl CommandTemplate for GitBundle {
    const NAME: &'static str = "rust-release/git-bundle";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Clones a branch or tag with its history; replaces what is there. The last line is the commit.
///
/// It may reach `git.demo.test:80`, `github.com:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct GitCheckout {
    pub directory: String,
    pub ref_: String,
    pub url: String,
}

impl CommandTemplate for GitCheckout {
    const NAME: &'static str = "rust-release/git-checkout";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
            ("ref", self.ref_.to_parameter()),
            ("url", self.url.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The last tag with a prefix, or an empty line; then the commits since it, without merges, newest first, at most 500.
#[derive(Debug, Clone, PartialEq)]
pub struct GitLog {
    pub directory: String,
    pub prefix: String,
}

impl CommandTemplate for GitLog {
    const NAME: &'static str = "rust-release/git-log";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
            ("prefix", self.prefix.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Branches and tags of a remote.
///
/// It may reach `git.demo.test:80`, `github.com:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct GitLsRemote {
    pub url: String,
}

impl CommandTemplate for GitLsRemote {
    const NAME: &'static str = "rust-release/git-ls-remote";

    fn parameters(&self) -> Parameters {
        let all = [
            ("url", self.url.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Pushes one annotated tag of a bundle's commit, never forced; exit 65 if the remote has it at another commit.
///
/// It may reach `git.demo.test:80`, `github.com:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct GitPushTag {
    pub commit: String,
    pub message: String,
    pub source: ArtifactUri,
    pub tag: String,
    pub url: String,
}

impl CommandTemplate for GitPushTag {
    const NAME: &'static str = "rust-release/git-push-tag";
    const SECRETS: &'static [&'static str] = &["git-credential"];

    fn parameters(&self) -> Parameters {
        let all = [
            ("commit", self.commit.to_parameter()),
            ("message", self.message.to_parameter()),
            ("source", self.source.to_parameter()),
            ("tag", self.tag.to_parameter()),
            ("url", self.url.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The index file of a crate, then a line with the HTTP status. 404: no such crate.
///
/// It may reach `crates.demo.test:80`, `index.crates.io:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryIndex {
    pub url: String,
}

impl CommandTemplate for RegistryIndex {
    const NAME: &'static str = "rust-release/registry-index";

    fn parameters(&self) -> Parameters {
        let all = [
            ("url", self.url.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// One line for each tool with its version.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolVersions;

impl CommandTemplate for ToolVersions {
    const NAME: &'static str = "rust-release/tool-versions";

    fn parameters(&self) -> Parameters {
        Parameters::new()
    }
}
