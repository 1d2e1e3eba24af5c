//! The sparse index of a Cargo registry.
//!
//! Source: “Registry Index” in the Cargo reference.

use light_workflow_sdk::{CommandResult, CommandTemplate, Invocation, ProbeHost, StepError};
use serde::Deserialize;

use crate::curl;
use crate::rust_release::RegistryIndex;

/// One version of a crate, as the index has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Entry {
    pub name: String,
    pub vers: String,
    /// 64 hex digits of the SHA-256 of the `.crate` file.
    pub cksum: String,
    #[serde(default)]
    pub yanked: bool,
    #[serde(default)]
    pub deps: Vec<Dependency>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Dependency {
    pub name: String,
    pub req: String,
    /// None: the same registry.
    #[serde(default)]
    pub registry: Option<String>,
    #[serde(default)]
    pub kind: Option<String>,
    /// The crate's own name, when `name` is another one given to it.
    #[serde(default)]
    pub package: Option<String>,
}

/// Where the index keeps a crate: `https://host/de/mo/demo-core`.
pub fn url(index: &str, name: &str) -> String {
    let base = index.strip_prefix("sparse+").unwrap_or(index).trim_end_matches('/');
    let lower = name.to_ascii_lowercase();
    let folder = match lower.len() {
        0..=2 => lower.len().to_string(),
        3 => format!("3/{}", &lower[..1]),
        _ => format!("{}/{}", &lower[..2], &lower[2..4]),
    };
    format!("{base}/{folder}/{lower}")
}

pub fn look_up(index: &str, name: &str, why: &'static str) -> Invocation {
    RegistryIndex { url: url(index, name) }.invocation(why)
}

/// Every version of `name` that the index shows; none if it says that it does not know the crate.
///
/// # Errors
///
/// `Transient` if the registry cannot say: that is no absence.
pub fn versions(
    host: &mut impl ProbeHost,
    index: &str,
    name: &str,
    why: &'static str,
) -> Result<Vec<Entry>, StepError> {
    let result = look_up(index, name, why).run(host)?;
    curl::expect_answer(&result, &format!("ask the registry for `{name}`"))?;
    parse(&result, &result.whole_stdout(host)?, name)
}

/// Reads the index file and the line with the HTTP status after it.
fn parse(result: &CommandResult, stdout: &str, name: &str) -> Result<Vec<Entry>, StepError> {
    let stdout = stdout.trim_end();
    let (body, status) = stdout.rsplit_once('\n').unwrap_or(("", stdout));
    match status.trim() {
        "200" => {}
        "404" | "410" | "451" => return Ok(Vec::new()),
        status if curl::may_change(status) => {
            return Err(StepError::Transient(format!("the registry answered {status} for `{name}`")));
        }
        status => return Err(result.failure(format!("the registry answered `{status}` for `{name}`"))),
    }
    let lines = body.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| result.failure(format!("the index of `{name}` cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use light_workflow_sdk::{Script, ended};

    #[test]
    fn a_crate_lies_where_the_index_format_says() {
        for (name, path) in [("a", "1/a"), ("ab", "2/ab"), ("Abc", "3/a/abc"), ("demo-core", "de/mo/demo-core")] {
            assert_eq!(url("sparse+http://127.0.0.1:8080/index/", name), format!("http://127.0.0.1:8080/index/{path}"));
        }
    }

    #[test]
    fn an_unknown_crate_has_no_versions_and_a_broken_registry_is_an_error() {
        let ask = |stdout: &str| {
            let mut script = Script::answering([("rust-release/registry-index", ended(0, stdout, ""))]);
            versions(&mut script, "sparse+http://r/", "demo", "test")
        };
        assert_eq!(ask("not found\n404\n"), Ok(vec![]));
        assert_eq!(ask("\n503"), Err(StepError::Transient("the registry answered 503 for `demo`".to_owned())));
        assert!(matches!(ask("\n401"), Err(StepError::Failed(failure)) if failure.summary.contains("`401`")));
        let entries = ask("{\"name\":\"demo\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"ab\",\"features\":{},\"yanked\":true}\n\n200\n").unwrap();
        assert_eq!((entries[0].vers.as_str(), entries[0].yanked), ("1.0.0", true));
    }
}
