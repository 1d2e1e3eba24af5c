//! Definitions and requests with random damage: whatever comes, a list of
//! problems inside the file or a definition comes back.

#![allow(clippy::disallowed_methods, reason = "the tests of the core read the files of the specification")]

#[path = "support/damage.rs"]
mod damage;

use std::fs;
use std::path::Path;

use damage::{Dice, damage};
use workflow::definition::{self, Problem};
use workflow::request;

/// Damaged texts for each undamaged one.
const ROUNDS: usize = 150;

fn assert_problems_are_inside(problems: &[Problem], text: &str) {
    assert!(!problems.is_empty());
    let lines = text.split(['\n', '\r']).count();
    for problem in problems {
        assert!((1..=lines + 1).contains(&problem.line) && problem.column >= 1, "{problem} in\n{text}");
        assert!(!problem.message.is_empty());
    }
}

#[test]
fn a_damaged_definition_is_refused_or_parses() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let sketch = fs::read_to_string(data.join("design/release-workflow.txt")).unwrap();
    let start = sketch.find("document:\n  dsl:").unwrap();
    let end = sketch.find("\nCommand Result Contract").unwrap();
    let mut texts = vec![sketch[start..end].to_owned()];
    let head = "document: { dsl: '1.0.3', namespace: n, name: w, version: 1.0.0 }\n";
    texts.push(format!("{head}{}", include_str!("support/tour.yaml")));
    let (parsed, refused) = damage_all(&texts, ROUNDS, &mut Dice::new(0x5EED));
    assert!(parsed > 5 && refused > 100, "the damage is neither too small nor too great: {parsed} {refused}");
}

/// All that the specification shows, and every kind of task.
#[test]
fn a_damaged_example_of_the_specification_is_refused_or_parses() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sw-spec/examples");
    let mut paths: Vec<_> = fs::read_dir(shared).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    paths.sort();
    assert!(paths.len() >= 60, "{} examples", paths.len());
    let texts: Vec<String> = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let (parsed, refused) = damage_all(&texts, 40, &mut Dice::new(0xE8A3));
    assert!(parsed > 100 && refused > 1000, "the damage is neither too small nor too great: {parsed} {refused}");
}

/// A kept text: what stands behind the definition is damaged, too.
#[test]
fn a_damaged_text_with_documents_is_refused_or_parses() {
    let text = "document: { dsl: '1.0.3', namespace: n, name: w, version: 1.0.0 }\ndo:\n- a: { call: ./f.yaml }\n- b: { set: { c: 1 }, output: { schema: { resource: { endpoint: s.json } } } }\n\n--- # documents\n{\n  \"f.yaml\": \"do:\\n- d: { set: { e: '${ .f }' } }\\n\",\n  \"s.json\": \"{ \\\"type\\\": \\\"object\\\" }\"\n}\n";
    definition::parse(text, "d.yaml").unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut dice = Dice::new(0xD0C5);
    let (mut parsed, mut refused) = (0, 0);
    for _ in 0..ROUNDS * 10 {
        match definition::parse(&damage(text, &mut dice), "d.yaml") {
            Ok(definition) => {
                parsed += 1;
                definition::warnings(&definition, "d.yaml");
                // What is kept is read again to the same.
                assert_eq!(definition::parse(&definition.source, "d.yaml").unwrap().digest, definition.digest);
            }
            Err(problems) => {
                refused += 1;
                assert!(!problems.is_empty());
            }
        }
    }
    assert!(parsed > 10 && refused > 500, "the damage is neither too small nor too great: {parsed} {refused}");
}

/// A text that is printed when reading it panics.
struct Shown<'t>(&'t str);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("while reading:\n{}", self.0);
        }
    }
}

/// How many damaged texts parse, and how many are refused.
fn damage_all(texts: &[String], rounds: usize, dice: &mut Dice) -> (usize, usize) {
    let (mut parsed, mut refused) = (0, 0);
    for text in texts {
        for _ in 0..rounds {
            let damaged = damage(text, dice);
            let shown = Shown(&damaged);
            match definition::parse(&damaged, "d.yaml") {
                Ok(definition) => {
                    parsed += 1;
                    definition::warnings(&definition, "d.yaml");
                }
                Err(problems) => {
                    refused += 1;
                    assert_problems_are_inside(&problems, &damaged);
                }
            }
            drop(shown);
        }
    }
    (parsed, refused)
}

#[test]
fn a_damaged_request_is_refused_or_parses() {
    let text = r#"{"releaseId": "r1", "releaseType": "rust-products", "runtimeFamilies": ["rust"],
  "repos": [{"name": "a", "url": "https://example.com/a.git", "ref": "main", "version": "1.0.0"}],
  "configProfileManifest": {"repo": "https://example.com/m.git", "ref": "main", "paths": ["a/b.json"]},
  "portalTargets": [{"name": "dev", "hostId": "h\u00e9", "dryRunRequired": true}],
  "publishPolicy": {"requireHumanApproval": true, "allowAiPatch": false, "maxRepairAttempts": 2}}"#;
    let mut dice = Dice::new(0xF00D);
    let (mut parsed, mut refused) = (0, 0);
    for _ in 0..ROUNDS * 10 {
        let damaged = damage(text, &mut dice);
        match request::parse(&damaged, "r.json") {
            Ok(_) => parsed += 1,
            Err(problems) => {
                refused += 1;
                assert_problems_are_inside(&problems, &damaged);
            }
        }
    }
    assert!(parsed > 10 && refused > 1000, "the damage is neither too small nor too great: {parsed} {refused}");
}

/// Nothing here is timed: what compares everything with everything would not come back.
#[test]
fn a_great_text_of_one_kind_comes_back() {
    const SIZE_BYTES: usize = workflow::located::TEXT_BYTES_MAX / 4;
    let fill = |piece: &str| piece.repeat(SIZE_BYTES / piece.len());
    for piece in [
        "a",
        " ",
        "\n",
        "\t",
        "#",
        "'",
        "\"",
        "&a ",
        "%",
        "|\n",
        "- ",
        "a: ",
        "? ",
        "[",
        "{",
        "a,",
        "a: 1\n",
        "- a\n",
        "!",
        "---\n",
        "é",
        "\\",
        "- {a: b}\n",
        "\"\\",
        "${",
    ] {
        assert_problems_are_inside(&definition::parse(&fill(piece), "d.yaml").unwrap_err(), &fill(piece));
        assert!(request::parse(&fill(piece), "r.json").is_err());
    }
    let head = "document: { dsl: '1.0.3', namespace: n, name: w, version: 1.0.0 }\ndo:\n";
    let tasks = |line: &dyn Fn(usize) -> String| {
        let mut text = head.to_owned();
        let mut number = 0;
        while text.len() < SIZE_BYTES {
            text.push_str(&line(number));
            number += 1;
        }
        text
    };
    let chain = tasks(&|number| format!("- t{number}: {{ wait: PT1S, then: t{number} }}\n"));
    let definition = definition::parse(&chain, "d.yaml").unwrap();
    assert_eq!(definition::warnings(&definition, "d.yaml").len(), 100);
    for text in [
        tasks(&|number| format!("- t{number}: {{ wait: PT1S, then: x{number} }}\n")),
        tasks(&|number| format!("- t{number}: {{ wiat: PT1S }}\n")),
        tasks(&|_| "- t: { set: { x: 1 } }\n".to_owned()),
    ] {
        assert_eq!(definition::parse(&text, "d.yaml").unwrap_err().len(), 100);
    }
}
