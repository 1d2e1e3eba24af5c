//! The files of the specification and the sketch of the design document.

#![allow(clippy::disallowed_methods, reason = "the tests of the core read the files of the specification")]

use std::fs;
use std::path::{Path, PathBuf};

use workflow::definition::{self, Definition, Problem, Reading, TaskKind};
use workflow::documents::Documents;
use workflow::expression::Scope;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn said(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| problem.message.clone()).collect()
}

fn files_below(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(data().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

/// Name and YAML of each scenario of a feature file, without its indentation.
fn workflows(feature: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = feature.lines();
    let mut scenario = String::new();
    while let Some(line) = lines.next() {
        if let Some(name) = line.trim().strip_prefix("Scenario: ") {
            scenario = name.to_owned();
        }
        if line.trim() == "Given a workflow with definition:" {
            let fence = lines.next().expect("a text follows");
            let indent = fence.len() - fence.trim_start().len();
            let text: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "\"\"\"")
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            found.push((scenario.clone(), text.join("\n")));
        }
    }
    found
}

#[test]
fn the_sketch_of_the_design_document_parses_as_written() {
    let document = read(&data().join("design/release-workflow.txt"));
    let start = document.find("document:\n  dsl:").expect("the sketch begins");
    let end = document[start..].find("\nCommand Result Contract").expect("the sketch ends") + start;
    let sketch: Definition = definition::parse(&document[start..end], "sketch.yaml").unwrap();

    assert_eq!(sketch.full_name(), "release/lightapi-release:0.1.0");
    assert_eq!(sketch.security.provider.as_deref(), Some("cubesandbox"));
    assert_eq!(sketch.security.template.as_ref().unwrap().as_str(), "lightapi-release-runner");
    let names: Vec<&str> = sketch.tasks.0.iter().map(|task| task.name.as_str()).collect();
    insta::assert_snapshot!(names.join(" "), @"validate-config-profile-manifests build-java-products config-profile-dry-run approve-release publish-release");
    assert_eq!(sketch.tasks.0[0].light.capture, ["validation-report.json"]);
    let diagnoses = &sketch.tasks.0[1].light.on_failure.0[0];
    assert_eq!(diagnoses.reference, "/do/1/build-java-products/onFailure/0/ai-release-diagnosis");
    let publish = &sketch.tasks.0[4];
    assert_eq!(publish.reference, "/do/4/publish-release");
    assert_eq!(publish.light.mode, Some(workflow::command::SandboxMode::PerTask));
    assert_eq!(publish.light.secrets.len(), 2);
    assert!(definition::warnings(&sketch, "sketch.yaml").is_empty());
    let TaskKind::Ask(ask) = &sketch.tasks.0[3].kind else { panic!("approve-release is no question") };
    assert_eq!(ask.proceed_on, ["approved"]);
    let prompt = ask.prompt.evaluate(&serde_json::json!({"release": {"version": "2.3.5"}}), &Scope::default()).unwrap();
    assert_eq!(prompt, "Approve publishing release 2.3.5");
}

/// The snapshot may only shrink: what of the conformance kit does not parse yet.
#[test]
fn the_workflows_of_the_conformance_kit_parse_or_say_what_is_missing() {
    let mut refused = Vec::new();
    let mut parsed = 0;
    for file in files_below("data/sw-spec/ctk", "feature") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for (scenario, source) in workflows(&read(&file)) {
            match definition::parse(&source, &name) {
                Ok(definition) => {
                    assert_eq!(definition::warnings(&definition, &name), []);
                    parsed += 1;
                }
                Err(problems) => refused.push(format!("{name}, {scenario}: {}", said(&problems).join("; "))),
            }
        }
    }
    insta::assert_snapshot!(refused.join("\n"), @r#""#);
    assert_eq!(parsed, 12);
}

/// Reads an example whose documents are there, each a function that does nothing.
fn with_documents(source: &str, name: &str) -> Result<Definition, Vec<Problem>> {
    let mut documents = Documents::default();
    loop {
        match definition::read(source, name, &documents) {
            Reading::Definition(definition) => return Ok(*definition),
            Reading::Refused(problems) => return Err(problems),
            Reading::Wanting(wanted) => {
                wanted.into_iter().for_each(|name| documents.keep(name, Ok("set: { done: true }".to_owned())));
            }
        }
    }
}

/// The first snapshot may only grow, the second only shrink.
#[test]
fn an_example_of_the_specification_parses_or_is_refused_by_name() {
    let mut parsed = Vec::new();
    let mut refused = Vec::new();
    for file in files_below("data/sw-spec/examples", "yaml") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        match with_documents(&read(&file), &name) {
            Ok(_) => parsed.push(name),
            Err(problems) => {
                let mut messages = said(&problems);
                messages.dedup();
                for message in &messages {
                    assert!(message.ends_with(" is refused (see docs/dsl.md)"), "{name}: {message}");
                }
                let features = messages.iter().filter_map(|message| message.split(" is refused").next());
                refused.push(format!("{name}: {}", features.collect::<Vec<_>>().join(", ")));
            }
        }
    }
    insta::assert_snapshot!("examples_parsed", parsed.join("\n"));
    insta::assert_snapshot!("examples_refused", refused.join("\n"));
}
