//! A file in a Maven repository, by the place that the repository's layout gives it.
//!
//! Source: “Maven Repository Layout” (default, version 2).

use light_workflow_sdk::{CommandTemplate, Invocation, ProbeHost, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use step_kit::curl;
use step_kit::java_release::RepositoryFile;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MavenFile {
    /// `https://repo.maven.apache.org/maven2`
    repository: String,
    group: String,
    artifact: String,
    version: String,
    /// `jar` if absent.
    extension: Option<String>,
    /// `sources` of `demo-1.0.0-sources.jar`.
    classifier: Option<String>,
    /// Of the packaged file: `sha256:` and 64 hex digits.
    digest: String,
}

/// A file that is public with the bytes that were approved.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedFile {
    group: String,
    artifact: String,
    version: String,
    url: String,
    digest: String,
    size_bytes: u64,
}

impl MavenFile {
    pub fn command(&self) -> Invocation {
        RepositoryFile { url: self.url() }.invocation("the repository says what was published")
    }

    /// `REPOSITORY/test/demo/demo-core/1.2.0/demo-core-1.2.0.jar`
    fn url(&self) -> String {
        let MavenFile { group, artifact, version, .. } = self;
        let base = self.repository.trim_end_matches('/');
        let classifier = self.classifier.as_ref().map_or_else(String::new, |name| format!("-{name}"));
        let extension = self.extension.as_deref().unwrap_or("jar");
        let folder = group.replace('.', "/");
        format!("{base}/{folder}/{artifact}/{version}/{artifact}-{version}{classifier}.{extension}")
    }

    pub fn execute(&self, host: &mut impl ProbeHost) -> Result<PublishedFile, StepError> {
        let result = self.command().run(host)?;
        let MavenFile { group, artifact, version, digest, .. } = self;
        let name = format!("{group}:{artifact}:{version}");
        curl::expect_answer(&result, &format!("ask the repository for {name}"))?;
        let mut lines = result.stdout_excerpt.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        match lines.next() {
            Some("200") => {}
            // A repository may show a file minutes after it took it.
            Some("404" | "410") => return Err(StepError::Transient(format!("{name} is not in the repository yet"))),
            Some(status) if curl::may_change(status) => {
                return Err(StepError::Transient(format!("the repository answered {status} for {name}")));
            }
            status => {
                let status = status.unwrap_or("nothing");
                return Err(result.failure(format!("the repository answered `{status}` for {name}")));
            }
        }
        let found = lines.next().and_then(|line| line.split_once(' '));
        let found = found.and_then(|(hex, size)| Some((format!("sha256:{hex}"), size.trim().parse::<u64>().ok()?)));
        match found {
            Some((published, size_bytes)) if published == *digest => Ok(PublishedFile {
                group: group.clone(),
                artifact: artifact.clone(),
                version: version.clone(),
                url: self.url(),
                digest: published,
                size_bytes,
            }),
            Some((published, _)) => Err(StepError::failed(format!(
                "{name} is published with digest {published}, but {digest} was packaged"
            ))),
            None => Err(result.failure(format!("the answer for {name} has no digest"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{Script, ended};
    use serde_json::{Value, json};

    use super::*;
    use crate::Verify;

    const SUM: &str = "00000000000000000000000000000000000000000000000000000000000000ab";

    fn verify(stdout: &str, digest: &str) -> (Result<Value, StepError>, Script) {
        let mut script = Script::answering([("java-release/repository-file", ended(0, stdout, ""))]);
        let result = script.execute::<Verify>(json!({
            "operation": "maven-file", "repository": "https://r/maven2/", "group": "test.demo", "artifact": "demo-core",
            "version": "1.2.0", "classifier": "sources", "digest": digest,
        }));
        (result, script)
    }

    #[test]
    fn a_file_is_where_the_layout_says_and_has_the_bytes_that_were_packaged() {
        let (result, script) = verify(&format!("{SUM} 2048\n200\n"), &format!("sha256:{SUM}"));
        let url = "https://r/maven2/test/demo/demo-core/1.2.0/demo-core-1.2.0-sources.jar";
        assert_eq!(script.asked[0].parameter("url"), url);
        let output = result.unwrap();
        assert_eq!((&output["url"], &output["sizeBytes"]), (&json!(url), &json!(2048)));
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_asked_for_again_and_another_one_stops_the_release() {
        let right = format!("sha256:{SUM}");
        for stdout in ["x 0\n404\n", "x 0\n503\n", "x 0\n429\n"] {
            assert!(matches!(verify(stdout, &right).0, Err(StepError::Transient(_))), "{stdout}");
        }
        let other = format!("{} 1\n200\n", SUM.replace("ab", "cd"));
        for (stdout, expected) in [
            (other.as_str(), "but sha256:"),
            ("x 0\n403\n", "answered `403`"),
            ("", "answered `nothing`"),
            ("200\n", "no digest"),
        ] {
            let (result, _) = verify(stdout, &right);
            assert!(
                matches!(&result, Err(StepError::Failed(failure)) if failure.summary.contains(expected)),
                "{stdout}: {result:?}"
            );
        }
    }
}
