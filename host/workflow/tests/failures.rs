//! `onFailure`: what is asked when a task fails, and that it changes nothing.

mod support;

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use support::{Run, definition, noon};
use workflow::CommandStatus;
use workflow::effect::{EffectOutcome, Fault};
use workflow::engine::{Instance, Phase};
use workflow::event::Event;
use workflow::lifecycle::lifecycle;
use workflow::summary::Summary;

const BUILD: &str = "do:
- build:
    run: { shell: { command: make } }
    timeout: { after: PT1M }
    metadata: { lightWorkflow: { onFailure: { call: echo } } }
";

const CAUGHT: &str = "do:
- block:
    try:
    - build: { run: { shell: { command: make } }, metadata: { lightWorkflow: { onFailure: { call: echo, with: { why: '${ .error.type }', name: '${ $workflow.definition.document.name }' } } } } }
    catch: { as: e, do: [{ tell: { set: { status: '${ $e.status }' } } }] }
";

fn start(text: &str) -> Run {
    Run::start(&definition(text), json!({}))
}

/// What the plugin is asked with.
fn asked(run: &Run) -> Value {
    match run.instance.open_attempts().next().expect("the plugin is asked").effect {
        workflow::Effect::Echo { input } => input.clone(),
        other => panic!("{other:?}"),
    }
}

fn reads_the_same(run: &Run) {
    let again = Instance::fold(run.instance.id().clone(), run.instance.definition().clone(), run.history.clone());
    assert_eq!(again.unwrap(), run.instance);
}

fn fault() -> EffectOutcome {
    let error =
        Fault { kind: "https://example.com/dead".to_owned(), status: 500, title: None, detail: None, instance: None };
    EffectOutcome::Faulted { error }
}

#[test]
fn a_failed_command_is_diagnosed_and_then_its_error_goes_on() {
    let mut run = start(BUILD);
    run.command(CommandStatus::Failed, Some(2), "");
    assert_eq!(
        asked(&run),
        json!({ "failure": {
            "summary": "ended as Failed", "exitCode": 2, "status": "failed",
            "logs": ["artifact://i-1/build/stderr", "artifact://i-1/build/stdout"],
        } })
    );
    reads_the_same(&run);
    run.output(json!({ "category": "compile-failure" }));
    let lines = run.lines();
    let steps: Vec<_> = lines.lines().filter(|line| !line.contains(" starts with ")).collect();
    assert_snapshot!(steps.join("\n"), @r#"
    /do/0/build attempt 1
    /do/0/build attempt 1 ended
    /do/0/build is diagnosed: command-failed 500 at /do/0/build: ended as Failed
    /do/0/build/onFailure/0/echo attempt 1
    /do/0/build/onFailure/0/echo attempt 1 ended
    /do/0/build/onFailure/0/echo gives {"category":"compile-failure"}
    /do/0/build faults: command-failed 500 at /do/0/build: ended as Failed
    faulted: command-failed 500 at /do/0/build: ended as Failed
    "#);
    reads_the_same(&run);

    let summary = Summary::of(&run.history).unwrap();
    let said: Vec<_> =
        summary.diagnoses.iter().map(|said| (said.task.as_str(), said.by.as_str(), &said.diagnosis)).collect();
    assert_eq!(said, [("/do/0/build", "echo", &json!({ "category": "compile-failure" }))]);
    assert!(summary.markdown().contains("Of `/do/0/build`, by `echo`:"), "{}", summary.markdown());
    let faulted: Vec<_> = lifecycle(run.instance.id(), &run.history)
        .into_iter()
        .filter(|(_, event)| event.kind().ends_with("faulted.v1"))
        .map(|(_, event)| event.kind().to_owned())
        .collect();
    assert_eq!(faulted, ["io.serverlessworkflow.task.faulted.v1", "io.serverlessworkflow.workflow.faulted.v1"]);
}

#[test]
fn a_catch_sees_the_error_of_the_task_whatever_the_diagnosis_was() {
    for outcome in [EffectOutcome::Output { output: json!("said") }, fault()] {
        let mut run = start(CAUGHT);
        run.command(CommandStatus::Killed, None, "");
        assert_eq!(asked(&run)["name"], json!("t"));
        assert!(asked(&run)["why"].as_str().unwrap().ends_with("/command-killed"), "{:?}", asked(&run));
        run.complete(outcome);
        assert_eq!(run.instance.output(), Some(&json!({ "status": 500 })), "{}", run.lines());
        let caught = run.history.iter().find_map(|recorded| match &recorded.event {
            Event::ErrorCaught { error, .. } => Some(error.kind.clone()),
            _ => None,
        });
        assert!(caught.unwrap().ends_with("/command-killed"));
        reads_the_same(&run);
    }
}

#[test]
fn a_task_that_took_too_long_is_diagnosed_without_a_limit_of_its_own() {
    let mut run = start(BUILD);
    run.later(Duration::from_secs(80));
    assert_eq!(asked(&run)["failure"]["summary"], json!("task `build` took longer than 60000 ms"));
    assert_eq!(run.instance.next_wake(), None);
    run.output(json!({}));
    assert_eq!(run.instance.phase(), Phase::Faulted);
    assert_eq!(run.instance.error().unwrap().status, 408);
    reads_the_same(&run);
}

#[test]
fn time_that_runs_out_around_it_ends_a_diagnosis() {
    let text = CAUGHT.replace("catch: {", "timeout: { after: PT1M }\n    catch: {");
    let mut run = start(&text);
    run.command(CommandStatus::Failed, Some(1), "").later(Duration::from_secs(61));
    assert_eq!(run.instance.error().unwrap().status, 408, "{}", run.lines());
    reads_the_same(&run);
}

#[test]
fn each_failed_try_is_diagnosed_under_a_number_of_its_own() {
    let text = CAUGHT.replace("as: e,", "as: e, retry: { delay: PT1S, limit: { attempt: { count: 1 } } },");
    let mut run = start(&text);
    run.command(CommandStatus::Failed, Some(1), "").output(json!(1)).wake();
    run.command(CommandStatus::Failed, Some(1), "").output(json!(2));
    let attempts: Vec<_> = run
        .history
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::AttemptStarted { path, attempt, .. } => Some((path.task_name().to_owned(), *attempt)),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [("build", 1), ("echo", 1), ("build", 2), ("echo", 2)].map(|(name, n)| (name.to_owned(), n)));
    assert!(run.now > noon());
}
