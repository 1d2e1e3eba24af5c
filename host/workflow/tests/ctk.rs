//! The conformance test kit of the specification, straight from its files, on
//! the engine alone.
//!
//! The vocabulary is that of `tests/conformance`, which plays the same kit, and
//! our extension of it, on the whole program. What calls other systems is played there.

#![allow(clippy::disallowed_methods, reason = "the kit is read from its files")]

mod support;

#[path = "../../../tests/conformance/tests/vocabulary/mod.rs"]
mod vocabulary;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use workflow::definition;
use workflow::engine::Instance;
use workflow::engine::simulation::run_to_end;
use workflow::event::Recorded;
use workflow::summary::{Summary, TaskEnd, TaskStatus, task_ends};

use support::noon;
use vocabulary::execution::{Execution, Runtime, Task};
use vocabulary::play::{files, play};

#[test]
fn every_scenario_of_the_kit_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sw-spec/ctk");
    let stays_here = |scenario: &gherkin::Scenario| {
        let texts = scenario.steps.iter().filter_map(|step| step.docstring.as_deref());
        !texts.flat_map(str::lines).any(|line| line.trim().starts_with("call:"))
    };
    let played: usize = files(&folder).iter().map(|file| play(file, stays_here, || Engine)).sum();
    assert!(played >= 10, "{played} scenarios");
}

/// The engine alone: nothing it would call answers.
struct Engine;

impl Runtime for Engine {
    fn execute(&mut self, text: &str, input: &Value) -> Result<Execution, String> {
        let definition = definition::parse(text, "ctk.yaml").map_err(|problems| format!("{problems:?}"))?;
        let definition = Arc::new(definition);
        let (instance, history) = run_to_end(&definition, input.clone(), noon());
        let tasks = tasks(&history);
        let again = Instance::fold(instance.id().clone(), definition, history).unwrap();
        assert_eq!(again, instance, "the history folds to the instance");
        Ok(Execution {
            status: format!("{:?}", instance.phase()).to_lowercase(),
            output: instance.output().cloned().unwrap_or_default(),
            error: serde_json::to_value(instance.error()).unwrap(),
            tasks,
            questions: Vec::new(),
        })
    }
}

/// What ran, in the order it started.
fn tasks(history: &[Recorded]) -> Vec<Task> {
    let summary = Summary::of(history).expect("a history has a start");
    let both = summary.tasks.into_iter().zip(task_ends(history));
    let ran = both.filter(|(task, _)| task.status != TaskStatus::Skipped);
    ran.map(|(task, end)| {
        let (output, error) = match end {
            Some(TaskEnd::Output(output)) => (output.clone(), Value::Null),
            Some(TaskEnd::Fault(error)) => (Value::Null, serde_json::to_value(error).unwrap()),
            None => (Value::Null, Value::Null),
        };
        Task { name: task.name, status: task.status.name().to_owned(), output, error }
    })
    .collect()
}
