//! A question that shows what steps to come would run, and steps that are held to what was approved.

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Run, noon};
use workflow::capability::{Grants, PluginPolicy};
use workflow::command::PlannedCommand;
use workflow::definition::{self, Definition};
use workflow::effect::OWN_ERRORS;
use workflow::engine::{Instance, Phase, Snapshot};
use workflow::plan::{PlannedStep, ShownPlan, StepToPlan};
use workflow::policy::{PolicySources, resolve};
use workflow::{Digest, Effect, EffectOutcome, Event};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0',
  metadata: { lightWorkflow: { security: { sandbox: { template: t } } } } }
do:
";

const HELD: &str =
    "metadata: { lightWorkflow: { grants: { sandbox: { commands: [t/send], commands-max: 1, planned: strict } } } }";

/// `ASK` is a question that shows the plan of `send`; `HELD` is what a task that it names needs.
fn written(tasks: &str) -> String {
    let ask = "{ ask: { prompt: 'Go?' }, metadata: { lightWorkflow: { plan: [send] } } }";
    HEAD.to_owned() + &tasks.replace("ASK", ask).replace("HELD", HELD)
}

fn parse(tasks: &str) -> Arc<Definition> {
    Arc::new(definition::parse(&written(tasks), "d.yaml").unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn start(tasks: &str, input: Value) -> Run {
    let definition = parse(tasks);
    let templates = [("t".parse().unwrap(), Digest::of(b"t"))].into();
    let approve = |name: &workflow::PluginName, grants: &Grants| {
        Ok(PluginPolicy { name: name.clone(), digest: Digest::of(b"p"), grants: grants.clone() })
    };
    let sources = PolicySources {
        approved_calls: &Default::default(),
        templates: &templates,
        providers: &["local"],
        plugin: &approve,
        workflow: &|_| Err("there is none".to_owned()),
        allow_auto_approval: false,
        echo: false,
    };
    let policy = resolve(&definition, &sources).unwrap();
    Run::start_with(&definition, input, policy)
}

fn planning(run: &Run) -> (Vec<StepToPlan>, Vec<String>) {
    let open = run.instance.open_attempts().find_map(|open| match open.effect {
        Effect::Plan { steps, not_known } => Some((steps.clone(), not_known.clone())),
        _ => None,
    });
    open.unwrap_or_else(|| panic!("no plan is wanted:\n{}", run.lines()))
}

/// `path input` of each step, and the tasks of which none is known.
fn wanted(run: &Run) -> (Vec<String>, Vec<String>) {
    let (steps, not_known) = planning(run);
    let line = |step: &StepToPlan| {
        let when = if step.certain { "" } else { ", perhaps" };
        format!("{} {}{when}", step.path, step.input)
    };
    (steps.iter().map(line).collect(), not_known)
}

fn command(input: &Value) -> PlannedCommand {
    PlannedCommand { command: "t/send".parse().unwrap(), parameters: input.clone(), why: "sends it".to_owned() }
}

/// What a worker would answer.
fn shown(run: &Run) -> ShownPlan {
    let (steps, not_known) = planning(run);
    let planned = steps.into_iter().map(|step| PlannedStep {
        commands: vec![command(&step.input)],
        path: step.path,
        plugin: step.plugin,
        digest: step.digest,
        certain: step.certain,
    });
    ShownPlan { steps: planned.collect(), not_known }
}

fn plan(run: &mut Run) -> &mut Run {
    let shown = shown(run);
    run.output(json!(shown))
}

fn approved(run: &Run) -> Option<Vec<PlannedCommand>> {
    let open = run.instance.open_attempts().next().unwrap_or_else(|| panic!("nothing is under way:\n{}", run.lines()));
    let Effect::Plugin { approved, .. } = open.effect else { panic!("{:?}", open.effect) };
    approved.clone()
}

fn fault(run: &Run) -> String {
    let error = run.instance.error().unwrap_or_else(|| panic!("it did not fault:\n{}", run.lines()));
    format!("{}: {}", error.kind.rsplit('/').next().unwrap_or(""), error.detail.as_deref().unwrap_or(""))
}

const SEND_ALL: &str = "- ask: ASK
- each: { for: { each: it, in: '${ .items }' }, input: { from: '${ $workflow.input }' }, do: [ { send: { call: maker, with: { it: '${ $it }' }, HELD } } ] }
";

#[test]
fn a_question_shows_what_each_step_would_run_and_its_digest_covers_that() {
    let mut run = start(SEND_ALL, json!({ "items": ["a", "b"] }));
    assert_eq!(wanted(&run).0, [r#"/do/1/each[0]/do/0/send {"it":"a"}"#, r#"/do/1/each[1]/do/0/send {"it":"b"}"#]);
    plan(&mut run);
    let open = run.instance.open_questions().next().unwrap();
    let shown = open.question.plan.clone().unwrap();
    assert_eq!(shown.steps[1].commands, [command(&json!({ "it": "b" }))]);
    let without =
        workflow::approval::subject_digest(&open.question.prompt, &open.question.options, &open.question.subject, None);
    assert_ne!(open.question.subject_digest, without);
}

#[test]
fn each_step_carries_what_was_approved_of_it() {
    let mut run = start(SEND_ALL, json!({ "items": ["a", "b"] }));
    plan(&mut run).answer("approved", "user:ann", None);
    for item in ["a", "b"] {
        assert_eq!(approved(&run), Some(vec![command(&json!({ "it": item }))]));
        run.output(json!({}));
    }
    assert_eq!(run.instance.phase(), Phase::Completed);
}

#[test]
fn a_step_in_a_handler_is_shown_as_one_that_may_not_be_needed() {
    let mut run = start(
        "- ask: ASK
- sure:
    try:
    - look: { call: maker, with: { what: look } }
    catch:
      errors: { with: { type: https://light-workflow.dev/errors/transient } }
      do:
      - send: { call: maker, with: { what: send }, HELD }
",
        json!({}),
    );
    assert_eq!(wanted(&run).0, [r#"/do/1/sure/catch/do/0/send {"what":"send"}, perhaps"#]);
    plan(&mut run).answer("approved", "user:ann", None);
    let error = workflow::effect::Fault {
        kind: format!("{OWN_ERRORS}transient"),
        status: 503,
        title: None,
        detail: None,
        instance: None,
    };
    run.complete(EffectOutcome::Faulted { error });
    assert_eq!(approved(&run), Some(vec![command(&json!({ "what": "send" }))]));
}

#[test]
fn a_step_behind_a_condition_on_what_comes_later_is_shown_as_one_that_may_not_be_needed() {
    let run = |found: bool| {
        let mut run = start(
            "- ask: { ask: { prompt: 'Go?' }, metadata: { lightWorkflow: { plan: [send, tag] } } }
- look: { call: maker, with: { what: look } }
- unless: { if: '${ .found == false }', do: [ { send: { if: '${ true }', call: maker, with: { what: send }, HELD } } ] }
- tag: { call: maker, with: { what: tag }, HELD }
",
            json!({}),
        );
        let steps = [r#"/do/2/unless/do/0/send {"what":"send"}, perhaps"#, r#"/do/3/tag {"what":"tag"}"#];
        assert_eq!(wanted(&run).0, steps);
        plan(&mut run).answer("approved", "user:ann", None).output(json!({ "found": found }));
        run
    };
    for (found, next) in [(true, "tag"), (false, "send")] {
        assert_eq!(approved(&run(found)), Some(vec![command(&json!({ "what": next }))]));
    }
}

#[test]
fn a_step_that_depends_on_what_comes_later_is_named_and_may_not_run() {
    let mut run = start(
        "- ask: ASK
- look: { call: maker, with: { what: look } }
- send: { call: maker, with: { found: '${ .found }' }, HELD }
",
        json!({}),
    );
    assert_eq!(wanted(&run), (vec![], vec!["send".to_owned()]));
    plan(&mut run).answer("approved", "user:ann", None).output(json!({ "found": 1 }));
    assert_eq!(
        fault(&run),
        "plan-not-approved: `/do/2/send` may run only what a person approved, and no plan of it was part of an approval that still holds"
    );
}

#[test]
fn who_goes_on_after_a_no_or_asks_nobody_may_not_run_the_step() {
    let unasked =
        start("- go: { set: { x: 1 }, then: send }\n- ask: ASK\n- send: { call: maker, with: {}, HELD }\n", json!({}));
    assert!(fault(&unasked).starts_with("plan-not-approved"), "{}", fault(&unasked));
    let mut refused =
        start("- all: { try: [ { ask: ASK } ], catch: {} }\n- send: { call: maker, with: {}, HELD }\n", json!({}));
    plan(&mut refused).answer("rejected", "user:ann", None);
    assert!(fault(&refused).starts_with("plan-not-approved"), "{}", fault(&refused));
}

#[test]
fn to_ask_again_takes_back_what_was_approved_before() {
    let mut run = start(
        "- ask: ASK
- send: { call: maker, with: {}, HELD }
- again: { switch: [ { more: { then: twice } } ] }
- twice: { try: [ { ask-again: { ask: { prompt: 'Again?' }, metadata: { lightWorkflow: { plan: [send] } } } } ], catch: {}, then: send }
",
        json!({}),
    );
    plan(&mut run).answer("approved", "user:ann", None);
    assert!(approved(&run).is_some());
    run.output(json!({}));
    plan(&mut run).answer("rejected", "user:ann", None);
    assert!(fault(&run).starts_with("plan-not-approved"), "{}", fault(&run));
}

/// What an answer by `by` to a question with these fields comes to.
fn answered(fields: &str, value: &str, by: &str) -> Run {
    let ask =
        format!("- ask: {{ ask: {{ prompt: 'Go?', {fields} }}, metadata: {{ lightWorkflow: {{ plan: [send] }} }} }}");
    let mut run = start(&format!("{ask}\n- send: {{ call: maker, with: {{}}, HELD }}\n"), json!({ "more": ["x"] }));
    plan(&mut run).answer(value, by, None);
    run
}

#[test]
fn the_walk_gives_the_answer_that_approves_and_only_a_person_who_gives_it_does() {
    for fields in [
        "options: [ { value: skip }, { value: publish } ], proceedOn: [publish]",
        "options: [ { value: publish } ], optionsFrom: '${ .more }', proceedOn: [publish]",
    ] {
        let run = answered(fields, "publish", "user:ann");
        assert_eq!(approved(&run), Some(vec![command(&json!({}))]), "{fields}");
        let by_a_timer = answered(fields, "publish", "host:timer");
        assert!(fault(&by_a_timer).starts_with("plan-not-approved"), "{}", fault(&by_a_timer));
    }
    let skipped =
        answered("options: [ { value: skip }, { value: publish } ], proceedOn: [publish]", "skip", "user:ann");
    assert!(fault(&skipped).starts_with("authorization"), "{}", fault(&skipped));
}

#[test]
fn a_turn_of_the_flow_back_to_a_step_uses_up_its_approval() {
    let tasks = "- ask: ASK
- first: { set: { x: 1 }, then: later }
- send: { call: maker, with: {}, HELD }
- look: { call: maker, with: { what: look } }
- again: { switch: [ { more: { when: '${ .again }', then: send } }, { done: { then: end } } ] }
- later: { set: { x: 1 }, then: send }
";
    let mut run = start(tasks, json!({}));
    plan(&mut run).answer("approved", "user:ann", None);
    assert_eq!(approved(&run), Some(vec![command(&json!({}))]), "it was not used when the flow turned back to it");
    run.output(json!({})).output(json!({ "again": true }));
    assert!(fault(&run).starts_with("plan-not-approved"), "{}", fault(&run));
}

#[test]
fn a_retry_runs_what_was_approved_once_more_also_after_the_step_was_done() {
    let tasks = "- ask: ASK
- sure:
    try:
    - send: { call: maker, with: {}, HELD }
    - wait-for-it:
        do:
        - look: { call: maker, with: { what: look } }
        - again: { switch: [ { more: { when: '${ .again }', then: look } }, { done: { then: exit } } ] }
    catch: { retry: { limit: { attempt: { count: 5 } } } }
";
    let mut run = start(tasks, json!({}));
    plan(&mut run).answer("approved", "user:ann", None);
    let error = workflow::effect::Fault {
        kind: format!("{OWN_ERRORS}transient"),
        status: 503,
        title: None,
        detail: None,
        instance: None,
    };
    let fails = || EffectOutcome::Faulted { error: error.clone() };
    assert!(approved(&run).is_some());
    run.complete(fails());
    assert!(approved(&run).is_some(), "it is tried again");
    run.output(json!({})).output(json!({ "again": true })).complete(fails());
    assert_eq!(approved(&run), Some(vec![command(&json!({}))]), "the block is tried again");
    let folded =
        Instance::fold(run.instance.id().clone(), run.instance.definition().clone(), run.history.clone()).unwrap();
    assert_eq!(folded, run.instance);
}

#[test]
fn a_plan_that_nobody_can_make_ends_the_question() {
    let mut run = start(SEND_ALL, json!({ "items": ["a"] }));
    run.output(json!("no plan"));
    assert!(fault(&run).starts_with("runtime: what the steps plan cannot be read"), "{}", fault(&run));
    let mut lost = start(SEND_ALL, json!({ "items": ["a"] }));
    lost.complete(EffectOutcome::Unknown { detail: "the host was away".to_owned() });
    assert_eq!(wanted(&lost).0.len(), 1, "to plan is pure, so it is done again");
}

#[test]
fn a_history_with_a_plan_gives_the_same_instance_again() {
    let mut run = start(SEND_ALL, json!({ "items": ["a", "b"] }));
    plan(&mut run).answer("approved", "user:ann", None).output(json!({}));
    let folded =
        Instance::fold(run.instance.id().clone(), run.instance.definition().clone(), run.history.clone()).unwrap();
    assert_eq!(folded, run.instance);
    let kept = Snapshot::read(&run.instance.snapshot()).unwrap();
    let resumed = Instance::resume(run.instance.id(), run.instance.definition().clone(), kept, []).unwrap();
    assert_eq!(resumed, run.instance, "what was approved is kept, too");
    assert!(run.history.iter().any(|recorded| matches!(&recorded.event, Event::QuestionAsked { .. })));
    assert_eq!(run.now, noon());
}

#[test]
fn a_name_that_cannot_stand_in_a_plan_is_an_error_with_its_place() {
    let problem = |tasks: &str| {
        let problems = definition::parse(&written(tasks), "d.yaml").unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        format!("{}: {}; {}", problems[0].line, problems[0].message, problems[0].help.as_deref().unwrap_or(""))
    };
    let cases = [
        (
            "- ask: ASK\n- sent: { call: maker, with: {}, HELD }\n",
            "4: there is no task `send` here; did you mean `sent`?",
        ),
        (
            "- ask: ASK\n- send: { set: { x: 1 } }\n",
            "4: task `send` calls no plugin, and only a plugin says beforehand what it would run; name a task with `call: PLUGIN`",
        ),
        (
            "- ask: ASK\n- send: { call: maker, with: {} }\n",
            "4: task `send` may run no commands, so it has no plan; take it off",
        ),
        (
            "- ask: ASK\n- send: { call: maker, with: {}, metadata: { lightWorkflow: { grants: { sandbox: { commands: [t/send], commands-max: 1 } } } } }\n",
            "4: task `send` is not held to a plan, so approving one would promise nothing; add `planned: strict` to its `grants.sandbox`",
        ),
        (
            "- ask: ASK\n- one: { do: [ { send: { call: maker, with: {}, HELD } } ] }\n- send: { call: maker, with: {}, HELD }\n",
            "4: several tasks are named `send`; give a JSON pointer: `/do/1/one/do/0/send`, `/do/2/send`",
        ),
        (
            "- ask: { ask: { prompt: x, mode: text }, metadata: { lightWorkflow: { plan: [send] } } }\n- send: { call: maker, with: {}, HELD }\n",
            "4: `plan` belongs to a choice: a free answer approves nothing; use `mode: approval` or `choice`",
        ),
        (
            "- ask: { ask: { prompt: x, options: [ { value: publish }, { value: skip } ] }, metadata: { lightWorkflow: { plan: [send] } } }\n- send: { call: maker, with: {}, HELD }\n",
            "4: `plan` shows what follows from one answer, and here more than one lets the flow go on; add `proceedOn` with the one value that approves; a `catch` of `authorization` can take up the others",
        ),
        (
            "- ask: { ask: { prompt: x, optionsFrom: '${ .all }' }, metadata: { lightWorkflow: { plan: [send] } } }\n- send: { call: maker, with: {}, HELD }\n",
            "4: `plan` shows what follows from one answer, and here more than one lets the flow go on; add `proceedOn` with the one value that approves; a `catch` of `authorization` can take up the others",
        ),
        (
            "- ask: { ask: { prompt: x, timeout: { after: PT1H }, onTimeout: { action: default, default: approved } }, metadata: { lightWorkflow: { plan: [send] } } }\n- send: { call: maker, with: {}, HELD }\n",
            "4: `onTimeout` would approve a plan that nobody has seen; use `action: fault`, or answer with a value that is not in `proceedOn`",
        ),
        (
            "- a: { set: { x: 1 }, metadata: { lightWorkflow: { plan: [send] } } }\n- send: { call: maker, with: {}, HELD }\n",
            "4: `metadata.lightWorkflow.plan` has no effect on `set`; remove it, or move it to a task with `ask`",
        ),
    ];
    for (tasks, expected) in cases {
        assert_eq!(problem(tasks), expected);
    }
    let pointer = "- ask: { ask: { prompt: x }, metadata: { lightWorkflow: { plan: [/do/2/send] } } }\n- one: { do: [ { send: { call: maker, with: {}, HELD } } ] }\n- send: { call: maker, with: {}, HELD }\n";
    assert_eq!(parse(pointer).plans["/do/0/ask"], ["/do/2/send"]);
}
