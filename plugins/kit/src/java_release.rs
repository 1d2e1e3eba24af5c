//! Commands of the sandbox template `java-release` 1.0.0.
//!
//! Written by `light-workflow template stubs java-release`: run it again when the template changes.

use light_workflow_sdk::{CommandTemplate, Parameters, ToParameter};

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
    const NAME: &'static str = "java-release/git-checkout";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
            ("ref", self.ref_.to_parameter()),
            ("url", self.url.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Compiles all modules and their tests, without network.
#[derive(Debug, Clone, PartialEq)]
pub struct MavenCompile {
    pub directory: String,
}

impl CommandTemplate for MavenCompile {
    const NAME: &'static str = "java-release/maven-compile";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Downloads what the build needs. The one build command that reaches a repository.
///
/// It may reach `maven.demo.test:80`, `repo.maven.apache.org:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct MavenFetch {
    pub directory: String,
}

impl CommandTemplate for MavenFetch {
    const NAME: &'static str = "java-release/maven-fetch";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Packages all modules, without network and without running their tests again.
#[derive(Debug, Clone, PartialEq)]
pub struct MavenPackage {
    pub directory: String,
}

impl CommandTemplate for MavenPackage {
    const NAME: &'static str = "java-release/maven-package";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Runs the tests of all modules, without network; a failed module does not hide the others.
#[derive(Debug, Clone, PartialEq)]
pub struct MavenTest {
    pub directory: String,
}

impl CommandTemplate for MavenTest {
    const NAME: &'static str = "java-release/maven-test";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Reads every POM and says which modules there are, in the order they are built.
#[derive(Debug, Clone, PartialEq)]
pub struct MavenValidate {
    pub directory: String,
}

impl CommandTemplate for MavenValidate {
    const NAME: &'static str = "java-release/maven-validate";

    fn parameters(&self) -> Parameters {
        let all = [
            ("directory", self.directory.to_parameter()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// SHA-256 and size of a file of a Maven repository, then a line with the HTTP status. 404: no such file.
///
/// It may reach `maven.demo.test:80`, `repo.maven.apache.org:443`.
#[derive(Debug, Clone, PartialEq)]
pub struct RepositoryFile {
    pub url: String,
}

impl CommandTemplate for RepositoryFile {
    const NAME: &'static str = "java-release/repository-file";

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
    const NAME: &'static str = "java-release/tool-versions";

    fn parameters(&self) -> Parameters {
        Parameters::new()
    }
}
