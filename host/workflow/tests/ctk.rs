//! The conformance test kit of the specification, straight from its files, on
//! the engine alone.
//!
//! The steps are those of `tests/conformance`, which plays the same kit, and our
//! extension of it, on the whole program; a step that is not among them fails.

mod support;

#[path = "../../../tests/conformance/tests/conformance/outline.rs"]
mod outline;
#[path = "../../../tests/conformance/tests/conformance/steps.rs"]
mod steps;

use std::fs;
use std::path::{Path, PathBuf};

use gherkin::{Feature, GherkinEnv};

use steps::Stage;

#[test]
fn every_scenario_of_the_kit_passes() {
    let mut passed = 0;
    for file in feature_files() {
        let feature = Feature::parse_path(&file, GherkinEnv::default()).unwrap();
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        for scenario in outline::expand(&feature) {
            let mut stage = Stage::new();
            for step in &scenario.steps {
                if let Err(why) = stage.take(step) {
                    panic!("{stem}: {}\n{} {}\n{why}", scenario.name, step.keyword, step.value);
                }
            }
            passed += 1;
        }
    }
    assert_eq!(passed, 12, "scenarios passed");
}

fn feature_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sw-spec/ctk");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "feature"))
        .collect();
    files.sort();
    files
}

/// The runtime under test: the engine, with a pet store that answers at once.
mod runtime {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use workflow::calls::CallRequest;
    use workflow::definition;
    use workflow::effect::{Effect, EffectOutcome, StandardError};
    use workflow::engine::Instance;
    use workflow::engine::simulation::run_with;
    use workflow::summary::{Summary, TaskStatus};

    use crate::support::noon;

    pub struct Execution {
        pub status: String,
        pub output: Value,
        pub error: Value,
        /// In the order they started; what was skipped is not among them.
        pub tasks: Vec<Task>,
    }

    pub struct Task {
        pub name: String,
        pub status: String,
        pub error: Value,
    }

    pub struct Runtime;

    impl Runtime {
        pub fn new() -> Self {
            Self
        }

        /// Nothing of the official kit runs another workflow.
        pub fn know(&self, _: &str) {
            panic!("children are played on the whole program");
        }

        /// Nor names a document, or a service of ours.
        pub fn document(&self, _: &str, _: &str) {
            panic!("documents are played on the whole program");
        }

        pub fn answer(&self, _: &str, _: u16, _: String) {
            panic!("services are played on the whole program");
        }

        pub fn broker(&self, _: &str) {
            panic!("brokers are played on the whole program");
        }

        pub fn execute(&self, text: &str, input: &Value) -> Result<Execution, String> {
            let definition = definition::parse(text, "ctk.yaml").map_err(|problems| format!("{problems:?}"))?;
            let definition = Arc::new(definition);
            let (instance, history) = run_with(&definition, input.clone(), noon(), |_, _, effect| answer(effect));
            let again = Instance::fold(instance.id().clone(), definition, history.clone()).unwrap();
            assert_eq!(again, instance, "the history folds to the instance");
            let error = serde_json::to_value(instance.error()).unwrap();
            let summary = Summary::of(&history).expect("a history has a start");
            let ran = summary.tasks.iter().filter(|run| run.status != TaskStatus::Skipped);
            let tasks = ran.map(|run| Task {
                name: run.name.clone(),
                status: serde_json::to_value(run.status).unwrap().as_str().unwrap_or_default().to_owned(),
                error: error.clone(),
            });
            Ok(Execution {
                status: format!("{:?}", instance.phase()).to_lowercase(),
                output: instance.output().cloned().unwrap_or_default(),
                error: error.clone(),
                tasks: tasks.collect(),
            })
        }
    }

    /// The pet store, as far as the engine needs it; the calls themselves are tested in `calls`.
    fn answer(effect: &Effect) -> EffectOutcome {
        let pet = match effect {
            Effect::Call { call, .. } => match &call.request {
                CallRequest::Http(http) => http.endpoint.uri.strip_prefix("https://petstore.swagger.io/v2/pet/"),
                _ => None,
            },
            Effect::Command { .. }
            | Effect::Plugin { .. }
            | Effect::Plan { .. }
            | Effect::Workflow { .. }
            | Effect::Echo { .. } => None,
        };
        match pet.and_then(|id| id.parse::<u64>().ok()) {
            Some(id) => EffectOutcome::Output { output: json!({ "id": id, "name": "Milou" }) },
            None => EffectOutcome::Faulted { error: StandardError::Communication.fault("there is nothing else") },
        }
    }
}
