//! The reviewer's guide, followed to the letter.

use std::path::Path;
use std::process::Command;

use crate::report::{root, target};

/// A release of a Rust product, as a requester writes it.
const REQUEST: &str = r#"{ "releaseId": "demo-1.2.0", "releaseType": "rust-products", "runtimeFamilies": ["rust"],
  "repos": [{ "name": "demo", "url": "http://git.demo.test/demo.git", "ref": "main", "version": "1.2.0" }],
  "cargoRegistry": { "name": "demo", "index": "sparse+http://crates.demo.test/index/" },
  "publishPolicy": { "requireHumanApproval": true, "allowAiPatch": false, "maxRepairAttempts": 0 } }"#;

#[test]
fn every_command_of_the_reviewers_guide_does_what_the_guide_says() {
    let guide = std::fs::read_to_string(root().join("docs/plugins-review.md")).unwrap();
    let commands: Vec<&str> = blocks(&guide).flat_map(str::lines).filter(|line| !line.trim().is_empty()).collect();
    assert!(commands.len() >= 10, "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    let lock = prepare(folder.path());
    for line in commands {
        let words = words(line);
        let (program, arguments) = words.split_first().unwrap();
        assert_eq!(program, "light-workflow", "{line}");
        let output = Command::new(target().join("debug/light-workflow"))
            .current_dir(folder.path())
            .args(["--config", "light-workflow.toml", "--data", "data"])
            .args(arguments)
            .output()
            .unwrap();
        let (said, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{line}\n{said}\n{problems}");
        assert!(!said.trim().is_empty(), "{line} said nothing");
        match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["plugin", "report", _, "--format", "json" | "sarif"] => {
                let value: serde_json::Value = serde_json::from_str(&said).unwrap();
                assert!(value.get("schema").or(value.get("runs")).is_some(), "{line}: {said}");
            }
            ["release", "plan", ..] => {
                assert!(said.contains("git clone") || said.contains("rust-release/git-checkout"), "{said}");
                assert!(said.contains("not known before something ran:"), "{said}");
            }
            ["plugin", "explain", ..] => assert!(said.contains("[\"rust-release/cargo-"), "{said}"),
            _ => {}
        }
    }
    let approved = std::fs::read_to_string(lock).unwrap();
    assert!(approved.contains("reviewer = \"security:alice\""), "{approved}");
    assert!(approved.starts_with("# What reviewers approved"), "the comment stays: {approved}");
    assert!(!folder.path().join("data").exists(), "a review writes nothing but its approval");
}

fn blocks(guide: &str) -> impl Iterator<Item = &str> {
    guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next())
}

/// As a shell reads it, for words in single quotes and without.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// A folder as a reviewer's checkout is, with a lock of its own.
fn prepare(folder: &Path) -> std::path::PathBuf {
    let lock = folder.join("plugins.lock");
    std::fs::copy(target().join("plugins/plugins.lock"), &lock).unwrap();
    for part in ["definitions", "sandbox-templates", "plugins"] {
        std::os::unix::fs::symlink(root().join(part), folder.join(part)).unwrap();
    }
    std::fs::write(folder.join("request.json"), REQUEST).unwrap();
    let components = target().join("plugins");
    let text = format!("[paths]\nlock = {lock:?}\ncomponents = {components:?}\n");
    std::fs::write(folder.join("light-workflow.toml"), text).unwrap();
    lock
}
