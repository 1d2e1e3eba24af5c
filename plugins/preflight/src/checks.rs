//! The checks themselves. A check that cannot be made is not passed.

use std::collections::BTreeMap;

use light_workflow_sdk::{CommandTemplate, Invocation, ProbeHost, StepError};
use semver::Version;
use step_kit::git::{Remote, parse_ls_remote};
use step_kit::index;
use step_kit::rust_release::ToolVersions;

use crate::{Check, Crate, Input, Repository};

pub const WHY_INDEX: &str = "a version is published once";

/// Every check of the request, in the order of their ids per subject.
///
/// # Errors
///
/// A command that was denied or cannot run here: that is the grants' or the
/// host's trouble and not the request's.
pub fn all(host: &mut impl ProbeHost, input: &Input) -> Result<Vec<Check>, StepError> {
    let mut checks = Vec::new();
    if input.repos.is_empty() {
        checks.push(check("P1", "request", Err("it names no repository".to_owned())));
    }
    for repository in &input.repos {
        checks.push(check("P1", &repository.name, version(&repository.version)));
        checks.extend(remote(host, input, repository)?);
    }
    for krate in &input.crates {
        checks.push(check("P1", &krate.name, crate_version(input, krate)));
        if let Some(registry) = &input.registry_index {
            checks.push(check("P2", &krate.name, unpublished(host, registry, krate)?));
        }
    }
    checks.extend(tools(host, &input.tools)?);
    checks.push(check("P8", "approval", approval(input)));
    Ok(checks)
}

type Finding = Result<String, String>;

fn check(id: &'static str, subject: &str, finding: Finding) -> Check {
    let ok = finding.is_ok();
    let (Ok(detail) | Err(detail)) = finding;
    Check { id, subject: subject.to_owned(), ok, detail }
}

fn version(text: &str) -> Finding {
    match Version::parse(text) {
        Ok(version) if version.build.is_empty() => Ok(format!("version {version} is valid")),
        Ok(_) => Err(format!("version `{text}` has build metadata, which registries ignore")),
        Err(error) => Err(format!("`{text}` is not a semantic version: {error}")),
    }
}

fn crate_version(input: &Input, krate: &Crate) -> Finding {
    let requested: Vec<_> = input.repos.iter().map(|repository| repository.version.as_str()).collect();
    if requested.contains(&krate.version.as_str()) {
        return version(&krate.version);
    }
    Err(format!("has version {}, but the request says {}", krate.version, requested.join(", ")))
}

/// P3, and with an answer also P2.
fn remote(host: &mut impl ProbeHost, input: &Input, repository: &Repository) -> Result<Vec<Check>, StepError> {
    let listed = repository.list().run(host)?;
    let name = &repository.name;
    if !listed.succeeded() {
        return Ok(vec![check(
            "P3",
            name,
            Err(format!("{} is not reachable: {}", repository.url, listed.last_line())),
        )]);
    }
    let remote = parse_ls_remote(&listed.whole_stdout(host)?);
    Ok(vec![
        check("P2", name, reference(&remote, &repository.reference)),
        check("P2", name, new_tag(&remote, &input.tag(repository))),
        check("P3", name, Ok(format!("{} answers", repository.url))),
    ])
}

fn reference(remote: &Remote, name: &str) -> Finding {
    match remote.branches.get(name).or_else(|| remote.tags.get(name)) {
        Some(commit) => Ok(format!("`{name}` is at {commit}")),
        None => {
            let branches: Vec<_> = remote.branches.keys().take(5).map(|branch| format!("`{branch}`")).collect();
            Err(format!("there is no branch or tag `{name}`; branches are {}", branches.join(", ")))
        }
    }
}

fn new_tag(remote: &Remote, tag: &str) -> Finding {
    match remote.tags.get(tag) {
        None => Ok(format!("tag {tag} is free")),
        Some(commit) => Err(format!("tag {tag} exists already, at {commit}")),
    }
}

fn unpublished(host: &mut impl ProbeHost, registry: &str, krate: &Crate) -> Result<Finding, StepError> {
    let entries = match index::versions(host, registry, &krate.name, WHY_INDEX) {
        Ok(entries) => entries,
        Err(StepError::Failed(failure)) => return Ok(Err(failure.summary)),
        Err(StepError::Transient(detail)) => return Ok(Err(detail)),
        Err(error @ (StepError::InvalidInput(_) | StepError::Denied(_) | StepError::NeedsHuman(_))) => {
            return Err(error);
        }
    };
    Ok(match entries.iter().find(|entry| entry.vers == krate.version) {
        None => Ok(format!("version {} is not published yet", krate.version)),
        Some(entry) => {
            Err(format!("version {} is published already, with digest sha256:{}", krate.version, entry.cksum))
        }
    })
}

pub fn tool_versions() -> Invocation {
    ToolVersions.invocation("the image has the tools that this release was prepared with")
}

fn tools(host: &mut impl ProbeHost, expected: &BTreeMap<String, String>) -> Result<Vec<Check>, StepError> {
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    let answered = tool_versions().run(host)?;
    if !answered.succeeded() {
        let trouble = format!("the tools do not answer: {}", answered.last_line());
        return Ok(vec![check("P4", "tools", Err(trouble))]);
    }
    let found = parse_tools(&answered.stdout_excerpt);
    let finding = |(tool, wanted): (&String, &String)| {
        let finding = match found.get(&tool.to_lowercase()) {
            Some(version) if starts_with_parts(version, wanted) => Ok(format!("{tool} {version}")),
            Some(version) => Err(format!("is version {version}, not {wanted}")),
            None => Err("does not answer".to_owned()),
        };
        check("P4", tool, finding)
    };
    Ok(expected.iter().map(finding).collect())
}

/// Lines like `git version 2.39.5` and `cargo 1.95.0 (f2d3ce0bd 2026-03-21)`.
fn parse_tools(stdout: &str) -> BTreeMap<String, String> {
    let lines = stdout.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let tool = words.next()?.to_lowercase();
        let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        Some((tool, version.trim_end_matches(',').to_owned()))
    });
    lines.collect()
}

/// `1.95` stands for `1.95.0` and not for `1.951.0`.
fn starts_with_parts(version: &str, wanted: &str) -> bool {
    version.strip_prefix(wanted).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn approval(input: &Input) -> Finding {
    match (input.publish_policy.require_human_approval, input.approval_tasks.as_slice()) {
        (true, []) => {
            Err("the policy asks for a person's approval, and no task of the definition asks for one".to_owned())
        }
        (true, tasks) => Ok(format!("asked for by {}", tasks.join(", "))),
        (false, _) => Ok("the policy asks for none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::{CommandResult, Script, StepError, ended, execute, plan};
    use serde_json::{Value, json};

    use crate::Preflight;

    const REFS: &str = "aaa\trefs/heads/main\nbbb\trefs/tags/v0.0.9\n";
    const TOOLS: &str = "cargo 1.95.0 (f2d3ce0bd 2026-03-21)\ngit version 2.39.5\nPython 3.11.2\n";

    fn request(version: &str) -> Value {
        json!({
            "releaseId": "2026.11.0",
            "repos": [{ "name": "demo", "url": "http://g/demo.git", "ref": "main", "version": version }],
            "crates": [{ "name": "demo", "version": "0.1.0" }],
            "registryIndex": "sparse+http://r/",
            "tools": { "cargo": "1.95", "python": "3.11" },
            "publishPolicy": { "requireHumanApproval": true, "allowAiPatch": false, "maxRepairAttempts": 0 },
            "approvalTasks": ["approve-publish"],
        })
    }

    fn run(input: &Value, remote: CommandResult, index: &str, tools: &str) -> Result<Value, StepError> {
        let mut script = Script::answering([
            ("rust-release/git-ls-remote", remote),
            ("rust-release/registry-index", ended(0, index, "")),
            ("rust-release/tool-versions", ended(0, tools, "")),
        ]);
        execute::<Preflight, _>(&mut script, &input.to_string())
    }

    /// Of a request that is wrong itself.
    fn refusal(result: Result<Value, StepError>) -> String {
        match result {
            Err(StepError::InvalidInput(text)) => text,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_good_request_passes_every_check() {
        let output = run(&request("0.1.0"), ended(0, REFS, ""), "\n404\n", TOOLS).unwrap();
        let ids: Vec<_> =
            output["checks"].as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["P1", "P2", "P2", "P3", "P1", "P2", "P4", "P4", "P8"]);
        assert_eq!(output["ok"], true);
    }

    #[test]
    fn every_failed_check_is_named_not_only_the_first() {
        let mut input = request("0.1");
        input["approvalTasks"] = json!([]);
        let published = "{\"name\":\"demo\",\"vers\":\"0.1.0\",\"deps\":[],\"cksum\":\"ab\",\"yanked\":false}\n\n200\n";
        let tools = "cargo 1.951.0\n";
        let ended = run(&input, ended(128, "", "fatal: repository not found\n"), published, tools);
        // Another request alone does not make the remote answer.
        let Err(StepError::NeedsHuman(text)) = ended else { panic!("a person is not asked for: {ended:?}") };
        for part in [
            "release 2026.11.0 is refused: ",
            "P1 demo: `0.1` is not a semantic version",
            "P3 demo: http://g/demo.git is not reachable: fatal: repository not found",
            "P1 demo: has version 0.1.0, but the request says 0.1",
            "P2 demo: version 0.1.0 is published already, with digest sha256:ab",
            "P4 cargo: is version 1.951.0, not 1.95",
            "P4 python: does not answer",
            "P8 approval: the policy asks for a person's approval",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_second_release_of_a_version_is_refused_by_its_tag() {
        let refs = format!("{REFS}ccc\trefs/tags/v0.1.0\n");
        let text = refusal(run(&request("0.1.0"), ended(0, &refs, ""), "\n404\n", TOOLS));
        assert_eq!(text, "release 2026.11.0 is refused: P2 demo: tag v0.1.0 exists already, at ccc");
    }

    #[test]
    fn an_unknown_branch_is_refused_with_those_that_exist() {
        let mut input = request("0.1.0");
        input["repos"][0]["ref"] = json!("release");
        let text = refusal(run(&input, ended(0, REFS, ""), "\n404\n", TOOLS));
        assert!(text.ends_with("there is no branch or tag `release`; branches are `main`"), "{text}");
    }

    #[test]
    fn the_plan_names_each_command_once_per_subject() {
        let planned = plan::<Preflight, Script>(&request("0.1.0").to_string()).unwrap();
        let names: Vec<_> = planned.iter().map(|planned| planned.command.as_str()).collect();
        assert_eq!(names, ["rust-release/git-ls-remote", "rust-release/registry-index", "rust-release/tool-versions"]);
    }
}
