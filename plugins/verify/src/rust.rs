//! A crate in the index of its registry, and a tag on its remote.

use std::collections::{BTreeMap, btree_map};

use light_workflow_sdk::{Invocation, ProbeHost, StepError};
use schemars::JsonSchema;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use step_kit::git;
use step_kit::index::{self, Dependency, Entry};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Crate {
    registry_index: String,
    #[serde(rename = "crate")]
    name: String,
    version: String,
    /// Of the packaged `.crate` file: `sha256:` and 64 hex digits.
    digest: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    url: String,
    tag: String,
    commit: String,
}

/// Whether the registry has a version. What it has is what was approved, or there is no answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundCrate {
    /// False only if the registry said that the version is not there.
    found: bool,
    #[serde(rename = "crate")]
    name: String,
    version: String,
}

/// A crate that is public with the bytes that were approved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PublishedCrate {
    #[serde(rename = "crate")]
    name: String,
    version: String,
    digest: String,
    /// Always false: what is yanked is not published.
    yanked: bool,
    /// Where the index has it.
    index: String,
    dependencies: Vec<FoundDependency>,
}

/// A tag that is public at the commit that was released.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PublishedTag {
    tag: String,
    commit: String,
    url: String,
}

/// A dependency in the same registry, and the newest version there that fits.
#[derive(Debug, Serialize, JsonSchema)]
struct FoundDependency {
    name: String,
    requirement: String,
    found: String,
}

const WHY: &str = "the registry says what was published";
const WHY_DEPENDENCY: &str = "what it depends on must be there too";

impl Crate {
    pub fn command(&self) -> Invocation {
        index::look_up(&self.registry_index, &self.name, WHY)
    }

    /// Answers before a send. A registry that cannot say is an error and no absence:
    /// what may be there is not sent again.
    pub fn find(&self, host: &mut impl ProbeHost) -> Result<FoundCrate, StepError> {
        let found = self.entry(host)?.is_some();
        Ok(FoundCrate { found, name: self.name.clone(), version: self.version.clone() })
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<PublishedCrate, StepError> {
        let Crate { name, version, digest, .. } = self;
        let Some(entry) = self.entry(host)? else {
            // An index may lag behind its upload.
            return Err(StepError::Transient(format!("{name} {version} is not in the index yet")));
        };
        let dependencies = self.dependencies(host, &entry)?;
        Ok(PublishedCrate {
            name: name.clone(),
            version: version.clone(),
            digest: digest.clone(),
            yanked: false,
            index: index::url(&self.registry_index, name),
            dependencies,
        })
    }

    /// The version in the index with the approved bytes; none if the registry does not have it.
    fn entry(&self, host: &mut impl ProbeHost) -> Result<Option<Entry>, StepError> {
        let Crate { name, version, digest, .. } = self;
        let entries = index::versions(host, &self.registry_index, name, WHY)?;
        let Some(entry) = entries.into_iter().find(|entry| entry.vers == *version) else { return Ok(None) };
        let published = format!("sha256:{}", entry.cksum.to_ascii_lowercase());
        if published != *digest {
            return Err(StepError::failed(format!(
                "{name} {version} is published with digest {published}, but {digest} was packaged"
            )));
        }
        if entry.yanked {
            return Err(StepError::failed(format!("{name} {version} is published and yanked")));
        }
        Ok(Some(entry))
    }

    /// A crate that cannot be resolved is not released, so what it needs must be there too.
    fn dependencies(&self, host: &mut impl ProbeHost, entry: &Entry) -> Result<Vec<FoundDependency>, StepError> {
        let here =
            |dependency: &&Dependency| dependency.registry.is_none() && dependency.kind.as_deref() != Some("dev");
        let mut found = Vec::new();
        // One crate is often needed twice, for a build script or another target: it is looked up once.
        let mut known = BTreeMap::<&str, Vec<Entry>>::new();
        for dependency in entry.deps.iter().filter(here) {
            let name = dependency.package.as_ref().unwrap_or(&dependency.name);
            let versions = match known.entry(name) {
                btree_map::Entry::Occupied(versions) => versions.into_mut(),
                btree_map::Entry::Vacant(place) => {
                    place.insert(index::versions(host, &self.registry_index, name, WHY_DEPENDENCY)?)
                }
            };
            let newest = newest(versions, &dependency.req);
            let Some(newest) = newest else {
                return Err(StepError::failed(format!(
                    "{} {} needs {name} {}, which the registry does not have",
                    self.name, self.version, dependency.req
                )));
            };
            found.push(FoundDependency {
                name: name.clone(),
                requirement: dependency.req.clone(),
                found: newest.to_string(),
            });
        }
        Ok(found)
    }
}

fn newest(entries: &[Entry], requirement: &str) -> Option<Version> {
    let requirement = VersionReq::parse(requirement).ok()?;
    let usable = entries.iter().filter(|entry| !entry.yanked).filter_map(|entry| Version::parse(&entry.vers).ok());
    usable.filter(|version| requirement.matches(version)).max()
}

impl Tag {
    pub fn command(&self) -> Invocation {
        git::ls_remote(&self.url, "the remote says which tags exist")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<PublishedTag, StepError> {
        let result = self.command().run(host)?;
        result.expect_success(&format!("list the references of {}", self.url))?;
        let remote = git::parse_ls_remote(&result.whole_stdout(host)?);
        let Tag { tag, commit, .. } = self;
        match remote.tags.get(tag) {
            Some(found) if found == commit => {
                Ok(PublishedTag { tag: tag.clone(), commit: commit.clone(), url: self.url.clone() })
            }
            Some(found) => Err(result.failure(format!("tag {tag} is at {found} on the remote, not at {commit}"))),
            None => Err(result.failure(format!("tag {tag} is not on the remote"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, ended, execute};
    use serde_json::{Value, json};

    use super::*;
    use crate::Verify;

    const SUM: &str = "00000000000000000000000000000000000000000000000000000000000000ab";

    fn index(answers: &[Value]) -> Script {
        let file = |line: &Value| match line {
            Value::Null => "\n404\n".to_owned(),
            line => format!("{line}\n\n200\n"),
        };
        Script::answering(answers.iter().map(|line| ("rust-release/registry-index", ended(0, &file(line), ""))))
    }

    fn app(yanked: bool) -> Value {
        json!({ "name": "app", "vers": "0.1.0", "cksum": SUM, "yanked": yanked, "deps": [
            { "name": "core", "req": "^0.1", "registry": null, "kind": "normal" },
            { "name": "serde", "req": "^1", "registry": "https://github.com/rust-lang/crates.io-index", "kind": "normal" },
            { "name": "probe", "req": "^9", "registry": null, "kind": "dev" },
        ] })
    }

    fn ask(operation: &str, script: &mut Script, digest: &str) -> Result<Value, StepError> {
        let input = json!({ "operation": operation, "registryIndex": "sparse+http://r/i/", "crate": "app", "version": "0.1.0", "digest": digest });
        execute::<Verify, _>(script, &input.to_string())
    }

    fn verify(script: &mut Script, digest: &str) -> Result<Value, StepError> {
        ask("crate", script, digest)
    }

    #[test]
    fn before_a_send_a_registry_that_cannot_say_is_no_absence() {
        let (right, wrong) = (format!("sha256:{SUM}"), format!("sha256:{}", SUM.replace("ab", "cd")));
        let answered = |stdout: &str| Script::answering([("rust-release/registry-index", ended(0, stdout, ""))]);
        let other = json!({ "name": "app", "vers": "0.0.9", "cksum": SUM, "deps": [] });
        let there = format!("{}\n\n200\n", app(false));
        // What is needed beside it is not asked for: it is about this version and its bytes.
        for (stdout, found) in
            [("\n404\n", false), ("\n410\n", false), (&format!("{other}\n\n200\n"), false), (&there, true)]
        {
            let output = ask("find-crate", &mut answered(stdout), &right).unwrap();
            assert_eq!(output, json!({ "found": found, "crate": "app", "version": "0.1.0" }), "{stdout}");
        }
        for status in [500, 502, 503, 504, 429, 408] {
            let error = ask("find-crate", &mut answered(&format!("\n{status}\n")), &right).unwrap_err();
            assert_eq!(error, StepError::Transient(format!("the registry answered {status} for `app`")));
        }
        for (stdout, digest) in
            [(there.as_str(), &wrong), (&format!("{}\n\n200\n", app(true)), &right), ("\n403\n", &right), ("", &right)]
        {
            let error = ask("find-crate", &mut answered(stdout), digest).unwrap_err();
            assert!(matches!(error, StepError::Failed(_)), "{stdout}: {error:?}");
        }
        // Curl's words for a name that is not found, a time that ran out, a transfer that broke off.
        for exit_code in [6, 7, 18, 28, 52, 56, 92] {
            let mut script =
                Script::answering([("rust-release/registry-index", ended(exit_code, "\n000\n", "curl: (x) no\n"))]);
            let error = ask("find-crate", &mut script, &right).unwrap_err();
            assert!(matches!(error, StepError::Transient(_)), "exit {exit_code}: {error:?}");
        }
    }

    #[test]
    fn a_crate_that_is_needed_twice_is_looked_up_once() {
        let need = |kind: &str| json!({ "name": "core", "req": "^0.1", "registry": null, "kind": kind });
        let app = json!({ "name": "app", "vers": "0.1.0", "cksum": SUM, "deps": [need("normal"), need("build")] });
        let core = json!({ "name": "core", "vers": "0.1.7", "cksum": SUM, "deps": [] });
        let mut script = index(&[app, core]);
        let output = verify(&mut script, &format!("sha256:{SUM}")).unwrap();
        assert_eq!((output["dependencies"].as_array().unwrap().len(), script.asked.len()), (2, 2));
    }

    #[test]
    fn the_index_is_compared_with_what_was_packaged() {
        let core = json!({ "name": "core", "vers": "0.1.7", "cksum": SUM, "deps": [] });
        let mut script = index(&[app(false), core]);
        let output = verify(&mut script, &format!("sha256:{SUM}")).unwrap();
        assert_eq!(output["dependencies"], json!([{ "name": "core", "requirement": "^0.1", "found": "0.1.7" }]));
        assert_eq!(script.asked[0].parameter("url"), "http://r/i/3/a/app");
    }

    #[test]
    fn another_digest_a_yank_and_a_missing_dependency_stop_the_release() {
        let right = format!("sha256:{SUM}");
        let wrong = format!("sha256:{}", SUM.replace("ab", "cd"));
        for (answers, digest, expected) in [
            (vec![app(false)], &wrong, "but sha256:"),
            (vec![app(true)], &right, "published and yanked"),
            (vec![app(false), Value::Null], &right, "app 0.1.0 needs core ^0.1, which the registry does not have"),
        ] {
            let error = verify(&mut index(&answers), digest).unwrap_err();
            assert!(matches!(&error, StepError::Failed(failure) if failure.summary.contains(expected)), "{error:?}");
        }
    }

    #[test]
    fn a_crate_that_is_not_visible_yet_is_asked_for_again() {
        let error = verify(&mut index(&[Value::Null]), &format!("sha256:{SUM}")).unwrap_err();
        assert_eq!(error, StepError::Transient("app 0.1.0 is not in the index yet".to_owned()));
    }

    #[test]
    fn a_tag_must_stand_at_the_released_commit() {
        let run = |stdout: &str| {
            let mut script = Script::answering([("rust-release/git-ls-remote", ended(0, stdout, ""))]);
            execute::<Verify, _>(
                &mut script,
                r#"{"operation":"tag","url":"http://g/d.git","tag":"v0.1.0","commit":"aa"}"#,
            )
        };
        assert!(run("ff\trefs/tags/v0.1.0\naa\trefs/tags/v0.1.0^{}\n").is_ok());
        for (stdout, expected) in
            [("ff\trefs/tags/v0.1.0\n", "is at ff"), ("aa\trefs/heads/main\n", "not on the remote")]
        {
            let error = run(stdout).unwrap_err();
            assert!(matches!(&error, StepError::Failed(failure) if failure.summary.contains(expected)), "{error:?}");
        }
    }
}
