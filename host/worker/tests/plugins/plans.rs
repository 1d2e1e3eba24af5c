//! What steps to come would run, asked of the real components; and a step held to what was approved.

use std::sync::Mutex;

use serde_json::{Value, json};
use workflow::command::PlannedCommand;
use workflow::plan::{ShownPlan, StepToPlan};
use workflow::{Effect, EffectOutcome, PluginName, TaskPath};

use crate::machine::{Death, Machine};
use crate::world::World;

fn send() -> Value {
    json!({
        "operation": "publish", "crate": "demo", "version": "1.2.0", "source": "artifact://plans/package/1.3/files/demo.bundle",
        "digest": format!("sha256:{}", "0".repeat(64)), "secret": "cargo-registry-token"
    })
}

fn step(world: &World, plugin: &str, input: Value) -> StepToPlan {
    StepToPlan {
        path: TaskPath::root().child("do", 1, "send"),
        plugin: PluginName::new(plugin).unwrap(),
        digest: world.digest(plugin),
        input,
        certain: true,
    }
}

async fn planned(world: &World, steps: Vec<StepToPlan>) -> EffectOutcome {
    let mut attempt = world.attempt("cargo-publish", "plans", json!({}));
    attempt.effect = Effect::Plan { steps, not_known: vec!["push-tag".to_owned()] };
    let history = Mutex::new(Vec::new());
    let outcome = world.live(&attempt, Death::never(), &history).await.expect("it ends");
    assert_eq!(history.lock().unwrap().len(), 0, "to plan does nothing that needs recording on the way");
    outcome
}

#[tokio::test]
async fn a_question_gets_each_step_with_template_parameters_and_why() {
    let world = World::new(Machine::new([])).await;
    world.start("plans").await;
    let EffectOutcome::Output { output } = planned(&world, vec![step(&world, "cargo-publish", send())]).await else {
        panic!("there is a plan")
    };
    let shown: ShownPlan = serde_json::from_value(output).unwrap();
    let [step] = &shown.steps[..] else { panic!("{shown:?}") };
    let [command] = &step.commands[..] else { panic!("{step:?}") };
    assert_eq!(command.command.as_str(), "rust-release/cargo-publish");
    assert_eq!(command.parameters["source"], send()["source"]);
    assert!(!command.why.is_empty());
    assert_eq!(shown.not_known, ["push-tag"]);
}

#[tokio::test]
async fn a_step_that_cannot_say_its_plan_ends_the_question_with_its_name() {
    let world = World::new(Machine::new([])).await;
    world.start("plans").await;
    let outcome = planned(&world, vec![step(&world, "cargo-publish", json!({ "operation": "burn" }))]).await;
    let EffectOutcome::Faulted { error } = outcome else { panic!("{outcome:?}") };
    let detail = error.detail.unwrap();
    assert!(detail.starts_with("the plan of `/do/1/send` (cargo-publish): "), "{detail}");
}

#[tokio::test]
async fn a_step_whose_plan_is_not_the_approved_one_runs_nothing_and_says_both() {
    let world = World::new(Machine::new([])).await;
    world.start("plans").await;
    let mut attempt = world.attempt("cargo-publish", "plans", send());
    let Effect::Plugin { grants, approved, .. } = &mut attempt.effect else { unreachable!("it is a plugin's") };
    grants.sandbox.as_mut().unwrap().planned = workflow::capability::Planned::Strict;
    *approved = Some(vec![PlannedCommand {
        command: "rust-release/cargo-publish".parse().unwrap(),
        parameters: json!({ "crate": "another" }),
        why: "publishes another".to_owned(),
    }]);
    let history = Mutex::new(Vec::new());
    let outcome = world.live(&attempt, Death::never(), &history).await.expect("it ends");
    let EffectOutcome::Faulted { error } = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind, "https://light-workflow.dev/errors/plan-not-approved");
    let detail = error.detail.unwrap();
    for part in [r#"rust-release/cargo-publish {"crate":"another"}: publishes another"#, r#""demo""#] {
        assert!(detail.contains(part), "{detail}");
    }
    let names: Vec<_> = history.lock().unwrap().iter().map(workflow::Event::name).collect();
    assert_eq!(names, ["CommandsPlanned"], "the plan is recorded, and nothing ran");
}
