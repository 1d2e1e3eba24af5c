//! A history gives the same instance and the same decisions wherever and
//! whenever it is read: for chosen definitions, and for many random ones.

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{HEAD, Run, noon};
use workflow::definition::{self, Definition};
use workflow::effect::{EffectOutcome, StandardError};
use workflow::engine::simulation::run_to_end;
use workflow::engine::{HistoryError, Instance, Snapshot, decide};
use workflow::event::Event;
use workflow::summary::Summary;
use workflow::{Digest, Recorded};

/// Reads every prefix of a history again, through its stored form, and decides
/// again: what follows must be what the history has.
fn check_replay(definition: &Arc<Definition>, live: &Instance, history: &[Recorded]) {
    let stored: Vec<Recorded> = history
        .iter()
        .map(|recorded| serde_json::from_str(&serde_json::to_string(recorded).unwrap()).unwrap())
        .collect();
    assert_eq!(stored, history, "a history survives being stored");
    let mut instance: Option<Instance> = None;
    for (length, next) in stored.iter().enumerate() {
        if let Some(before) = &instance {
            let decided = decide(before, next.at);
            assert_eq!(decided, decide(&before.clone(), next.at));
            if !comes_from_outside(&next.event) {
                assert_eq!(decided.as_ref(), Some(&next.event), "after {length} events");
            }
        }
        match &mut instance {
            None => {
                let first = [next.clone()];
                instance = Some(Instance::fold(live.id().clone(), definition.clone(), first).unwrap());
            }
            Some(instance) => instance.apply(next).unwrap(),
        }
        let snapshot = Snapshot::read(&instance.as_ref().unwrap().snapshot()).unwrap();
        let resumed = Instance::resume(live.id(), definition.clone(), snapshot, []).unwrap();
        assert_eq!(Some(&resumed), instance.as_ref(), "after {} events", length + 1);
        // From here on the snapshot is what decides.
        instance = Some(resumed);
    }
    assert_eq!(instance.as_ref(), Some(live));
    let folded = Instance::fold(live.id().clone(), definition.clone(), stored).unwrap();
    assert_eq!(&folded, live);
}

fn comes_from_outside(event: &Event) -> bool {
    matches!(event, Event::AttemptCompleted { .. } | Event::QuestionAnswered { .. } | Event::InstanceCancelled { .. })
}

/// Drives an instance to its end, answering from a digest of what is asked.
/// After each step the instance is thrown away and read again, as after a crash.
fn drive(definition: &Arc<Definition>, seed: u32) -> Run {
    let mut run = Run::start(definition, json!({"n": 1, "items": [1, 2]}));
    let mut steps = 0;
    while !run.instance.phase().is_final() {
        steps += 1;
        assert!(steps < 2_000, "it does not end");
        // Of several that are open any may be the first.
        let count = run.instance.open_attempts().count().max(1);
        let sum = Digest::of(format!("{seed} {steps}").as_bytes());
        let which = usize::from_str_radix(&sum.hex()[..4], 16).unwrap() % count;
        let open = run.instance.open_attempts().nth(which).map(|open| (open.path.clone(), open.attempt));
        let question = run.instance.open_questions().next().map(|open| open.path);
        if let Some((path, attempt)) = open {
            let sum = Digest::of(format!("{seed} {path} {attempt}").as_bytes());
            let outcome = match &sum.hex()[..1] {
                "0" | "1" | "2" => EffectOutcome::Faulted { error: StandardError::Communication.fault("no answer") },
                "3" => EffectOutcome::Unknown { detail: "lost".to_owned() },
                _ => EffectOutcome::Output { output: json!({"n": attempt, "items": [attempt]}) },
            };
            run.take(vec![Event::AttemptCompleted { path, attempt, outcome: Box::new(outcome) }]);
        } else if let Some(path) = question {
            let sum = Digest::of(format!("{seed} {path}").as_bytes());
            run.answer(if &sum.hex()[..1] < "c" { "approved" } else { "rejected" }, "test:person", None);
        } else {
            run.wake();
        }
        let history = run.history.clone();
        let again = Instance::fold(run.instance.id().clone(), definition.clone(), history).unwrap();
        assert_eq!(again, run.instance);
        run.instance = again;
    }
    run
}

#[test]
fn a_history_read_again_decides_the_same_at_every_point() {
    for text in [
        include_str!("support/tour.yaml"),
        "do: [{ each: { for: { in: .items }, do: [{ e: { call: echo, with: { n: '${ $item }' } } }] } }]",
        "do: [{ a: { set: '${ null }', export: { as: '${ null }' } } }, { b: { call: echo, with: { n: '${ $context }' } } }]",
    ] {
        let definition = support::definition(text);
        for seed in 0..20 {
            let run = drive(&definition, seed);
            check_replay(&definition, &run.instance, &run.history);
        }
    }
}

#[test]
fn a_history_that_cannot_be_is_refused() {
    let definition = support::definition("do: [{ a: { set: { x: 1 } } }, { b: { call: echo, with: {} } }]");
    let (live, history) = run_to_end(&definition, json!({}), noon());
    let fold = |history: Vec<Recorded>| Instance::fold(live.id().clone(), definition.clone(), history).unwrap_err();
    assert_eq!(fold(Vec::new()), HistoryError::Empty);
    for index in 0..history.len() {
        let mut without = history.clone();
        without.remove(index);
        if index + 1 < history.len() {
            assert!(matches!(fold(without.clone()), HistoryError::Gap { .. }), "without event {index}");
        }
        for (number, recorded) in without.iter_mut().enumerate() {
            recorded.revision = number as u64 + 1;
        }
        if index + 1 < history.len() {
            assert!(matches!(fold(without), HistoryError::Impossible { .. }), "without event {index}, renumbered");
        }
        if index + 1 < history.len() {
            let mut swapped = history.clone();
            let (first, second) = (swapped[index].event.clone(), swapped[index + 1].event.clone());
            (swapped[index].event, swapped[index + 1].event) = (second, first);
            assert!(matches!(fold(swapped), HistoryError::Impossible { .. }), "events {index} swapped");
        }
    }
    let other = support::definition("do: [{ a: { set: { x: 2 } } }]");
    assert!(Instance::fold(live.id().clone(), other, history).is_err());
}

#[test]
fn a_run_of_ten_thousand_steps_reads_back_and_holds_nothing_of_what_is_over() {
    let definition = support::definition(
        "do:
- each:
    for: { in: '[range(.count)]' }
    do: [{ e: { call: echo, with: { item: '${ $item }', text: '${ \"x\" * 200 }' } } }]
",
    );
    let (live, history) = run_to_end(&definition, json!({"count": 10_000}), noon());
    assert_eq!(live.output().unwrap()["item"], 9_999);
    assert_eq!(Summary::of(&history).unwrap().tasks.len(), 10_001);
    let again = Instance::fold(live.id().clone(), definition, history).unwrap();
    assert_eq!(again, live);
    assert!(live.snapshot().len() < 1_000_000, "{} bytes", live.snapshot().len());
}

/// A list of tasks, as JSON, which is YAML. Flow goes forward only, so every
/// definition ends.
fn tasks(depth: u32) -> BoxedStrategy<Value> {
    prop::collection::vec((task(depth), flow()), 1..4)
        .prop_map(|tasks| {
            let count = tasks.len();
            let list = tasks.into_iter().enumerate().map(|(index, (mut task, flow))| {
                match flow {
                    Flow::Plain => {}
                    Flow::If => task["if"] = json!(".n != 2"),
                    Flow::Next if index + 1 < count => task["then"] = json!(format!("t{}", count - 1)),
                    Flow::Next | Flow::Exit => task["then"] = json!("exit"),
                    Flow::End => task["then"] = json!("end"),
                    Flow::Shape => {
                        task["input"] = json!({"from": ". as $x | {n: $x.n, items: [1]}"});
                        task["output"] = json!({"as": "{n: ($input.n // 0), items: [.]}"});
                        task["export"] = json!({"as": "$context + {last: $output}"});
                    }
                    Flow::Timeout => task["timeout"] = json!({"after": "PT20S"}),
                }
                json!({ format!("t{index}"): task })
            });
            Value::Array(list.collect())
        })
        .boxed()
}

#[derive(Debug, Clone, Copy)]
enum Flow {
    Plain,
    If,
    Next,
    Exit,
    End,
    Shape,
    Timeout,
}

fn flow() -> impl Strategy<Value = Flow> {
    prop_oneof![
        6 => Just(Flow::Plain),
        1 => Just(Flow::If),
        1 => Just(Flow::Next),
        1 => Just(Flow::Exit),
        1 => Just(Flow::End),
        2 => Just(Flow::Shape),
        1 => Just(Flow::Timeout),
    ]
}

fn task(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        2 => Just(json!({"set": {"n": "${ .n + 1 }", "items": [1, 2]}})),
        1 => Just(json!({"set": {"n": "${ $context.last.n }", "w": "${ $workflow.id + $task.name }"}})),
        1 => Just(json!({"set": "${ .n | .x.y }"})),
        3 => Just(json!({"call": "echo", "with": {"n": "${ .n }"}})),
        1 => Just(json!({"call": "echo", "with": {}, "metadata": {"lightWorkflow": {"effect": "pure"}}})),
        1 => Just(json!({"call": "twice", "with": {"n": "${ .n }"}})),
        1 => Just(json!({"wait": "PT30S"})),
        1 => Just(json!({"raise": {"error": {"type": "https://example.com/x", "status": 503}}})),
        1 => Just(json!({"assert": {"value": "${ .n }", "equals": 1}})),
        1 => Just(json!({"switch": [{"a": {"when": ".n == 1", "then": "exit"}}, {"b": {"then": "continue"}}]})),
        1 => Just(json!({"ask": {"prompt": "go on?"}})),
        1 => Just(json!({"emit": {"event": {"with": {"source": "/x", "type": "a.b"}}}})),
        1 => Just(json!({"run": {"shell": {"command": "x"}}})),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![
        4 => leaf,
        1 => tasks(depth - 1).prop_map(|list| json!({"do": list})),
        1 => tasks(depth - 1).prop_map(|list| json!({"for": {"in": ".items // [1]"}, "do": list})),
        2 => (prop::collection::vec(task(depth - 1), 1..4), any::<bool>()).prop_map(|(branches, compete)| {
            let name = |(index, branch)| json!({ format!("b{index}"): branch });
            let branches: Vec<Value> = branches.into_iter().enumerate().map(name).collect();
            json!({"fork": {"compete": compete, "branches": branches}})
        }),
        1 => (tasks(depth - 1), tasks(depth - 1), any::<bool>(), any::<bool>()).prop_map(
            |(block, handler, retry, filter)| {
                let mut catch = json!({"do": handler});
                if retry {
                    let limit = json!({"attempt": {"count": 2}});
                    catch["retry"] = json!({"delay": "PT5S", "backoff": {"exponential": {}}, "limit": limit});
                }
                if filter {
                    catch["errors"] = json!({"with": {"status": 503}});
                }
                json!({"try": block, "catch": catch})
            }
        ),
    ]
    .boxed()
}

const FUNCTIONS: &str = "use:
  functions:
    twice: { do: [{ one: { call: echo, with: { n: '${ .n }' } } }, { two: { set: { n: '${ .n + 1 }', items: [] } } }] }
";

const EXTENSIONS: &str = "  extensions:
  - mock: { extend: set, when: .n == 2, before: [{ instead: { set: { n: 3 }, then: exit } }] }
  - tell: { extend: all, when: .n != 1, before: [{ rest: { wait: PT1S } }], after: [{ say: { call: echo, with: {} } }] }
  - after: { extend: call, after: [{ note: { if: .n == 1, set: { n: 5 } } }, { last: { wait: PT2S } }] }
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_definitions_end_and_read_back_the_same(list in tasks(2), seed in 0..1_000_u32) {
        let extensions = if seed % 2 == 0 { EXTENSIONS } else { "" };
        let text = format!("{HEAD}{FUNCTIONS}{extensions}do: {list}");
        let definition = Arc::new(definition::parse(&text, "random.yaml").unwrap_or_else(|problems| {
            panic!("{}\n{text}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }));
        let run = drive(&definition, seed);
        check_replay(&definition, &run.instance, &run.history);
    }
}
