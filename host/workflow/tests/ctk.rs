//! The conformance test kit of the specification, straight from its files.
//!
//! The whole step vocabulary of its README is here; a step that is not in it
//! fails the test.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gherkin::{Feature, GherkinEnv, Scenario, Step};
use serde_json::{Value, json};
use workflow::calls::CallRequest;
use workflow::definition::{self, Definition, canonical_error_type};
use workflow::effect::{Effect, EffectOutcome, Fault, StandardError};
use workflow::engine::simulation::run_with;
use workflow::engine::{Instance, Phase, TaskRun, TaskStatus};
use workflow::located::{Problems, yaml};

/// Scenarios whose definition uses a kind of task that this host refuses so far.
const NOT_YET: &[&str] = &[];

#[test]
fn every_scenario_of_the_kit_passes_or_needs_what_is_not_there_yet() {
    let mut not_yet = Vec::new();
    let mut passed = 0;
    for file in feature_files() {
        let feature = Feature::parse_path(&file, GherkinEnv::default()).unwrap();
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        for scenario in &feature.scenarios {
            let name = format!("{stem}: {}", scenario.name);
            match play(scenario) {
                Played::Passed => passed += 1,
                Played::NotYet => not_yet.push(name),
                Played::Failed(why) => panic!("{name}\n{why}"),
            }
        }
    }
    assert_eq!(not_yet, NOT_YET);
    assert_eq!(passed, 12, "scenarios passed");
}

/// The pet store, as far as the engine needs it; the calls themselves are tested in `calls`.
fn answer(effect: &Effect) -> EffectOutcome {
    let pet = match effect {
        Effect::Call { call, .. } => match &call.request {
            CallRequest::Http(http) => http.endpoint.uri.strip_prefix("https://petstore.swagger.io/v2/pet/"),
            _ => None,
        },
        Effect::Command { .. } | Effect::Plugin { .. } | Effect::Workflow { .. } | Effect::Echo { .. } => None,
    };
    match pet.and_then(|id| id.parse::<u64>().ok()) {
        Some(id) => EffectOutcome::Output { output: json!({ "id": id, "name": "Milou" }) },
        None => EffectOutcome::Faulted { error: StandardError::Communication.fault("there is nothing else") },
    }
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

enum Played {
    Passed,
    NotYet,
    Failed(String),
}

/// What the steps so far have set up.
#[derive(Default)]
struct Stage {
    definition: Option<Arc<Definition>>,
    input: Option<Value>,
    instance: Option<Instance>,
}

fn play(scenario: &Scenario) -> Played {
    let mut stage = Stage::default();
    for step in &scenario.steps {
        match stage.step(step) {
            Ok(Taken::Done) => {}
            Ok(Taken::Unsupported) => return Played::NotYet,
            Err(why) => return Played::Failed(format!("{} {}\n{why}", step.keyword, step.value)),
        }
    }
    Played::Passed
}

enum Taken {
    Done,
    Unsupported,
}

impl Stage {
    fn step(&mut self, step: &Step) -> Result<Taken, String> {
        let words = step.value.trim();
        match words {
            "a workflow with definition:" => match definition::parse(&text(step)?, "ctk.yaml") {
                Ok(definition) => self.definition = Some(Arc::new(definition)),
                Err(problems) if problems.iter().any(|problem| problem.message.contains("not supported yet")) => {
                    return Ok(Taken::Unsupported);
                }
                Err(problems) => return Err(format!("{problems:?}")),
            },
            "given the workflow input is:" | "the workflow input is:" => self.input = Some(value(step)?),
            "the workflow is executed" => self.execute()?,
            _ => self.check(step, words)?,
        }
        Ok(Taken::Done)
    }

    fn execute(&mut self) -> Result<(), String> {
        let definition = self.definition.as_ref().ok_or("no definition is given")?;
        // The kit's scenarios without input expect an empty one.
        let input = self.input.clone().unwrap_or_else(|| json!({}));
        let (instance, history) = run_with(definition, input, support::noon(), |_, _, effect| answer(effect));
        let again = Instance::fold(instance.id().clone(), definition.clone(), history).unwrap();
        if again != instance {
            return Err("the history does not fold to the instance".to_owned());
        }
        self.instance = Some(instance);
        Ok(())
    }

    fn check(&self, step: &Step, words: &str) -> Result<(), String> {
        let instance = self.instance.as_ref().ok_or("the workflow was not executed")?;
        if let Some(rest) = words.strip_prefix("the workflow should ") {
            return workflow_should(instance, step, rest);
        }
        if let Some(rest) = words.strip_prefix("the workflow output should have ") {
            let output = instance.output().ok_or_else(|| ended(instance))?;
            return output_should_have(output, step, rest);
        }
        let (task, rest) = words.split_once(" should ").ok_or("this step is not in the vocabulary")?;
        task_should(instance, task.trim_matches('\''), step, rest)
    }
}

fn workflow_should(instance: &Instance, step: &Step, rest: &str) -> Result<(), String> {
    match rest {
        "complete" => holds(instance.phase() == Phase::Completed, || ended(instance)),
        "complete with output:" => {
            let output = instance.output().ok_or_else(|| ended(instance))?;
            same(output, &value(step)?)
        }
        "cancel" => holds(instance.phase() == Phase::Cancelled, || ended(instance)),
        "fault" => holds(instance.phase() == Phase::Faulted, || ended(instance)),
        "fault with error:" => {
            let error = instance.error().ok_or_else(|| ended(instance))?;
            same_error(error, &value(step)?)
        }
        _ => Err("this step is not in the vocabulary".to_owned()),
    }
}

fn output_should_have(output: &Value, step: &Step, rest: &str) -> Result<(), String> {
    let found = |path: &str| path.split('.').try_fold(output, |value, key| value.get(key));
    let names = || rest.split('\'').skip(1).step_by(2);
    if rest.starts_with("properties ") {
        let missing: Vec<&str> = names().filter(|name| found(name).is_none()).collect();
        return holds(missing.is_empty(), || format!("{missing:?} are not in {output}"));
    }
    let name = names().next().ok_or("no property is named")?;
    let value_found = found(name).ok_or_else(|| format!("`{name}` is not in {output}"))?;
    if rest.ends_with("property with value:") {
        return same(value_found, &value(step)?);
    }
    let count = rest.rsplit_once(" property containing ").and_then(|(_, rest)| rest.split(' ').next());
    let count: usize = count.ok_or("this step is not in the vocabulary")?.parse().map_err(|_| "no number of items")?;
    let items = value_found.as_array().map(Vec::len);
    holds(items == Some(count), || format!("`{name}` has {items:?} items"))
}

fn task_should(instance: &Instance, name: &str, step: &Step, rest: &str) -> Result<(), String> {
    let ran: Vec<&TaskRun> = instance.task_runs().iter().filter(|run| run.status != TaskStatus::Skipped).collect();
    let names: Vec<&str> = ran.iter().map(|run| run.name.as_str()).collect();
    let place = |name: &str| names.iter().position(|found| *found == name).ok_or(format!("`{name}` did not run"));
    let run = ran[place(name)?];
    let order = || format!("the order was {names:?}");
    match rest {
        "run first" => holds(names.first() == Some(&name), order),
        "run last" => holds(names.last() == Some(&name), order),
        "complete" => holds(run.status == TaskStatus::Completed, || format!("{run:?}")),
        "cancel" => holds(run.status == TaskStatus::Cancelled, || format!("{run:?}")),
        "fault" => holds(run.status == TaskStatus::Faulted, || format!("{run:?}")),
        "fault with error:" => {
            holds(run.status == TaskStatus::Faulted, || format!("{run:?}"))?;
            same_error(instance.error().ok_or_else(|| ended(instance))?, &value(step)?)
        }
        _ => match (rest.strip_prefix("run before "), rest.strip_prefix("run after ")) {
            (Some(other), _) => holds(place(name)? < place(other.trim_matches('\''))?, order),
            (_, Some(other)) => holds(place(name)? > place(other.trim_matches('\''))?, order),
            (None, None) => Err("this step is not in the vocabulary".to_owned()),
        },
    }
}

fn holds(condition: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(why()) }
}

fn same(found: &Value, expected: &Value) -> Result<(), String> {
    holds(found == expected, || format!("found    {found}\nexpected {expected}"))
}

/// Every part that the kit names; the type in any of its published spellings.
fn same_error(found: &Fault, expected: &Value) -> Result<(), String> {
    let found = serde_json::to_value(found).unwrap();
    for (key, expected) in expected.as_object().ok_or("the error is no object")? {
        let found = found.get(key).cloned().unwrap_or_default();
        match (key.as_str(), found.as_str(), expected.as_str()) {
            ("type", Some(found), Some(expected)) => {
                holds(canonical_error_type(found) == canonical_error_type(expected), || found.to_owned())?;
            }
            _ => same(&found, expected)?,
        }
    }
    Ok(())
}

fn ended(instance: &Instance) -> String {
    match instance.error() {
        Some(error) => format!("it faulted: {}", support::fault(error)),
        None => format!("it is {:?} with {:?}", instance.phase(), instance.output()),
    }
}

/// The doc string without the media type that stands behind its opening quotes.
fn text(step: &Step) -> Result<String, String> {
    let text = step.docstring().ok_or("a text should follow")?.trim_start_matches(['\n', '\r']);
    Ok(text.strip_prefix("yaml\n").unwrap_or(text).to_owned())
}

fn value(step: &Step) -> Result<Value, String> {
    let problems = Problems::of("ctk.yaml");
    yaml::read(&text(step)?, &problems).map(|node| node.to_json()).ok_or_else(|| "the text is no YAML".to_owned())
}
