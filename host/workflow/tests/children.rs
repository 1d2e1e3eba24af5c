//! `run.workflow`: what the parent intends, and what the end of the child means for it.

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use workflow::capability::EffectivePolicy;
use workflow::definition::{self, Definition, WorkflowName};
use workflow::engine::{self, Instance, Phase, start_child};
use workflow::event::Event;
use workflow::policy::{PolicySources, resolve};
use workflow::{Actor, Effect, EffectOutcome, InstanceId, Recorded, TaskPath, Timestamp};

const PARENT: &str = r#"
document: { dsl: '1.0.3', namespace: n, name: parent, version: '1.0.0' }
do:
- child:
    run: { workflow: { namespace: n, name: child, version: '1.0.0', input: { of: "${ .name }" } }$RUN }
    output: { as: "${ { got: . } }" }
"#;

const CHILD: &str = r#"
document: { dsl: '1.0.3', namespace: n, name: child, version: '1.0.0' }
do:
- answer: { set: { of: "${ .of }" } }
"#;

fn parsed(text: &str) -> Arc<Definition> {
    Arc::new(definition::parse(text, "d.yaml").unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn policy(definition: &Definition, known: &[Arc<Definition>]) -> Result<EffectivePolicy, Vec<String>> {
    let find = |name: &WorkflowName| {
        let found = known.iter().find(|known| known.name == name.name);
        found.cloned().ok_or_else(|| format!("there is no `{name}`"))
    };
    let sources = PolicySources {
        approved_calls: &Default::default(),
        templates: &Default::default(),
        providers: &[],
        plugin: &|_, _| Err(vec!["there are no plugins".to_owned()]),
        workflow: &find,
        allow_auto_approval: false,
        echo: true,
    };
    resolve(definition, &sources).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn noon() -> Timestamp {
    "2026-06-07T12:00:00Z".parse().unwrap()
}

fn started(run: &str) -> (Instance, Vec<Recorded>, Arc<Definition>) {
    let (parent, child) = (parsed(&PARENT.replace("$RUN", run)), parsed(CHILD));
    let policy = policy(&parent, std::slice::from_ref(&child)).unwrap();
    let by = Actor::new("test").unwrap();
    let id = InstanceId::new("p").unwrap();
    let (instance, events) = engine::start(&parent, id, json!({ "name": "x" }), by, policy, noon());
    (instance, events, child)
}

fn intent(events: &[Recorded]) -> (TaskPath, u32, Effect) {
    let found = events.iter().find_map(|recorded| match &recorded.event {
        Event::AttemptStarted { path, attempt, effect } => Some((path.clone(), *attempt, (**effect).clone())),
        _ => None,
    });
    found.expect("a child is intended")
}

/// The child as it is after its host has driven it.
fn child_of(instance: &Instance, events: &[Recorded], definition: &Arc<Definition>) -> Instance {
    let (path, attempt, effect) = intent(events);
    let (mut child, first) = start_child(instance, (&path, attempt, &effect), definition, noon()).unwrap().unwrap();
    assert_eq!((first.revision, child.phase()), (1, Phase::Pending));
    child.advance(Vec::new(), noon()).unwrap();
    child
}

fn ends(instance: &mut Instance, events: &[Recorded], outcome: EffectOutcome) -> Option<Value> {
    let (path, attempt, _) = intent(events);
    let ended = Event::AttemptCompleted { path, attempt, outcome: Box::new(outcome) };
    instance.advance(vec![ended], noon()).unwrap();
    instance.output().cloned()
}

#[test]
fn a_parent_waits_for_its_child_and_gets_its_output() {
    let (mut parent, events, definition) = started("");
    assert_eq!(parent.phase(), Phase::Waiting);
    assert_eq!(parent.open_attempts().count(), 0, "a child carries itself out");
    assert_eq!(parent.open_children().count(), 1);
    let child = child_of(&parent, &events, &definition);
    assert_eq!(child.input(), &json!({ "of": "x" }));
    assert_eq!(child.started_by().as_str(), "instance:p");
    assert_eq!(child.parent().unwrap().path.as_str(), "/do/0/child");
    let outcome = child.outcome().unwrap();
    assert_eq!(ends(&mut parent, &events, outcome), Some(json!({ "got": { "of": "x" } })));
}

#[test]
fn the_id_of_a_child_follows_from_parent_path_and_attempt() {
    let id = |events: &[Recorded]| match intent(events).2 {
        Effect::Workflow { child, .. } => child,
        other => panic!("{other:?}"),
    };
    let (first, again) = (id(&started("").1), id(&started("").1));
    assert_eq!(first, again);
    let path = TaskPath::from_text("/do/0/child");
    let parent = InstanceId::new("p").unwrap();
    assert_eq!(first, InstanceId::of_child(&parent, &path, 1));
    assert_ne!(first, InstanceId::of_child(&parent, &path, 2));
}

#[test]
fn a_child_that_nobody_waits_for_leaves_the_flow_at_once() {
    let (parent, _, _) = started(", await: false");
    assert_eq!(parent.output(), Some(&json!({ "got": { "name": "x" } })));
}

#[test]
fn what_is_returned_of_a_child_is_its_output_or_nothing() {
    let (mut parent, events, _) = started(", return: none");
    let output = ends(&mut parent, &events, EffectOutcome::Output { output: json!(7) });
    assert_eq!(output, Some(json!({ "got": null })));
}

#[test]
fn the_error_of_a_child_is_the_error_of_its_task() {
    let (mut parent, events, definition) = started("");
    let mut child = child_of(&parent, &events, &definition);
    assert!(child.phase().is_final());
    let raising = CHILD.replace(
        "set: { of: \"${ .of }\" }",
        "raise: { error: { type: 'https://example.test/errors/broken', status: 418 } }",
    );
    let raising = parsed(&raising);
    let started = engine::start(
        &raising,
        child.id().clone(),
        json!({}),
        child.started_by().clone(),
        EffectivePolicy::default(),
        noon(),
    );
    child = started.0;
    assert_eq!(child.error().unwrap().instance.as_deref(), Some("/do/0/answer"));
    let outcome = child.outcome().unwrap();
    ends(&mut parent, &events, outcome);
    let error = parent.error().unwrap();
    assert_eq!((error.kind.as_str(), error.status), ("https://example.test/errors/broken", 418));
    assert_eq!(error.instance.as_deref(), Some("/do/0/child"));
}

#[test]
fn a_cancelled_child_is_an_error_of_its_task() {
    let (mut parent, events, definition) = started("");
    let (path, attempt, effect) = intent(&events);
    let (mut child, _) = start_child(&parent, (&path, attempt, &effect), &definition, noon()).unwrap().unwrap();
    let cancelled = Event::InstanceCancelled { by: Actor::new("cli:ann").unwrap(), reason: "no".to_owned() };
    child.advance(vec![cancelled], noon()).unwrap();
    let outcome = child.outcome().unwrap();
    ends(&mut parent, &events, outcome);
    assert!(parent.error().unwrap().kind.ends_with("child-cancelled"));
}

#[test]
fn a_workflow_that_runs_itself_is_resolved_once_and_ends_as_a_fault_at_the_limit() {
    let text = "document: { dsl: '1.0.3', namespace: n, name: self, version: '1.0.0' }\ndo:\n\
        - again: { run: { workflow: { namespace: n, name: self, version: latest } } }\n";
    let definition = parsed(text);
    let policy = policy(&definition, std::slice::from_ref(&definition)).unwrap();
    assert_eq!(policy.definitions.len(), 1);
    let by = Actor::new("test").unwrap();
    let (mut instance, mut events) =
        engine::start(&definition, InstanceId::new("p").unwrap(), json!({}), by, policy, noon());
    for depth in 1..=engine::CHILD_DEPTH_MAX {
        let (path, attempt, effect) = intent(&events);
        let (mut child, _) = start_child(&instance, (&path, attempt, &effect), &definition, noon()).unwrap().unwrap();
        events = child.advance(Vec::new(), noon()).unwrap();
        assert_eq!(child.depth(), depth);
        instance = child;
    }
    assert!(instance.error().unwrap().detail.as_ref().unwrap().contains("16 instances deep"));
}

#[test]
fn what_a_child_may_not_do_is_said_at_the_start_of_its_parent() {
    let parent = parsed(&PARENT.replace("$RUN", ""));
    let missing = policy(&parent, &[]).unwrap_err();
    assert_eq!(missing, ["line 4: task `child` runs workflow `n/child:1.0.0`: there is no `n/child:1.0.0`"]);
    let acting = parsed(&CHILD.replace("set: { of: \"${ .of }\" }", "call: deploy"));
    let refused = policy(&parent, &[acting]).unwrap_err();
    assert_eq!(
        refused,
        ["line 4: task `child` runs `n/child:1.0.0`, and there line 4: task `answer` may not call plugin `deploy`: \
          there are no plugins"]
    );
}

#[test]
fn what_only_a_process_returns_is_refused() {
    for returns in ["stderr", "code", "all", "result"] {
        let text = PARENT.replace("$RUN", &format!(", return: {returns}"));
        let problems = definition::parse(&text, "d.yaml").unwrap_err();
        assert!(problems[0].message.contains("a workflow is none"), "{returns}: {problems:?}");
    }
}
