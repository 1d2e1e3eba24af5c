//! `fork`: branches that run at the same time.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Run, actor, definition, noon};
use workflow::effect::{EffectOutcome, StandardError};
use workflow::engine::Phase;
use workflow::engine::simulation::run_to_end;
use workflow::event::{Decision, Event};
use workflow::summary::{TaskLine, TaskStatus};
use workflow::{Recorded, TaskPath};

fn run(text: &str, input: Value) -> Run {
    Run::start(&definition(text), input)
}

/// The last event of a run that waits for nothing.
fn end_of(text: &str, input: Value) -> String {
    let run = run(text, input);
    assert!(run.instance.phase().is_final(), "{}", run.lines());
    run.last_line()
}

fn open(run: &Run) -> Vec<String> {
    run.instance.open_attempts().map(|open| open.path.task_name().to_owned()).collect()
}

fn statuses(tasks: &[TaskLine]) -> Vec<(&str, TaskStatus)> {
    tasks.iter().map(|task| (task.name.as_str(), task.status)).collect()
}

fn broken() -> EffectOutcome {
    EffectOutcome::Faulted { error: StandardError::Communication.fault("no answer") }
}

const BOTH: &str = "do:
- both:
    fork:
      branches:
      - left: { call: echo, with: { n: 1 } }
      - right: { call: echo, with: { n: 2 } }
- after: { set: '${ {gave: .} }' }
";

const RACE: &str = "do:
- race:
    fork:
      compete: true
      branches:
      - quick: { call: echo, with: {} }
      - slow: { do: [{ step: { call: echo, with: {} } }, { never: { call: echo, with: {} } }] }
      - person: { ask: { prompt: 'Which?' } }
      - timer: { wait: PT1H }
";

#[test]
fn branches_act_at_the_same_time_and_give_their_outputs_in_declared_order() {
    let mut run = run(BOTH, json!({"x": 0}));
    assert_eq!(open(&run), ["left", "right"]);
    run.output_of("right", json!("r"));
    assert_eq!(open(&run), ["left"]);
    run.output_of("left", json!("l"));
    assert_eq!(
        run.lines(),
        r#"/do/0/both starts with {"x":0}
/do/0/both/fork/branches/0/left starts with {"x":0}
/do/0/both/fork/branches/1/right starts with {"x":0}
/do/0/both/fork/branches/0/left attempt 1
/do/0/both/fork/branches/1/right attempt 1
/do/0/both/fork/branches/1/right attempt 1 ended
/do/0/both/fork/branches/1/right gives "r"
/do/0/both/fork/branches/0/left attempt 1 ended
/do/0/both/fork/branches/0/left gives "l"
/do/0/both gives ["l","r"]
/do/1/after starts with ["l","r"]
/do/1/after gives {"gave":["l","r"]}
completed: {"gave":["l","r"]}
"#
    );
}

#[test]
fn the_first_to_complete_wins_and_the_others_are_cancelled() {
    let mut run = run(RACE, json!({}));
    assert_eq!(open(&run), ["quick", "step"]);
    assert!(run.instance.next_wake().is_some());
    run.output_of("quick", json!("first"));
    let lines = run.lines();
    let (_, after) = lines.split_once("quick attempt 1 ended\n").unwrap();
    assert_eq!(
        after,
        "/do/0/race/fork/branches/0/quick gives \"first\"
/do/0/race/fork/branches/1/slow is cancelled
/do/0/race/fork/branches/2/person is cancelled
/do/0/race/fork/branches/3/timer is cancelled
/do/0/race gives \"first\"
completed: \"first\"
"
    );
    assert_eq!(
        statuses(&run.tasks()),
        [
            ("race", TaskStatus::Completed),
            ("quick", TaskStatus::Completed),
            ("slow", TaskStatus::Cancelled),
            ("person", TaskStatus::Cancelled),
            ("timer", TaskStatus::Cancelled),
            ("step", TaskStatus::Cancelled),
        ]
    );
    assert_eq!(run.instance.open_attempts().count() + run.instance.open_questions().count(), 0);
    assert_eq!(run.instance.next_wake(), None);
}

#[test]
fn whoever_comes_after_the_winner_changes_nothing() {
    let mut run = run(&format!("{RACE}- rest: {{ wait: PT1M }}\n"), json!({}));
    let question = run.instance.open_questions().next().unwrap();
    let late_answer = Event::QuestionAnswered {
        path: question.path.clone(),
        decision: Decision {
            value: "approved".to_owned(),
            decided_by: actor("test:late"),
            decided_at: noon(),
            subject_digest: question.question.subject_digest.clone(),
            comment: None,
        },
    };
    let step = run.instance.open_attempts().find(|open| open.path.task_name() == "step").unwrap().path;
    run.output_of("quick", json!(1));
    let length = run.history.len();
    let outcome = Box::new(EffectOutcome::Output { output: json!(2) });
    run.take(vec![late_answer, Event::AttemptCompleted { path: step, attempt: 1, outcome }]);
    assert_eq!(run.history.len(), length);
    run.wake();
    assert_eq!(run.last_line(), "completed: 1");
}

#[test]
fn two_outcomes_that_come_together_have_one_winner() {
    let mut run = run(
        "do: [{ race: { fork: { compete: true, branches: [{ a: { call: echo, with: {} } }, { b: { call: echo, with: {} } }] } } }]",
        json!({}),
    );
    let outcome = |path: &str, output: Value| Event::AttemptCompleted {
        path: TaskPath::from_text(path),
        attempt: 1,
        outcome: Box::new(EffectOutcome::Output { output }),
    };
    run.take(vec![
        outcome("/do/0/race/fork/branches/1/b", json!("b")),
        outcome("/do/0/race/fork/branches/0/a", json!("a")),
    ]);
    assert_eq!(run.last_line(), "completed: \"b\"");
    assert_eq!(
        statuses(&run.tasks()),
        [("race", TaskStatus::Completed), ("a", TaskStatus::Cancelled), ("b", TaskStatus::Completed)]
    );
}

#[test]
fn a_branch_that_faults_ends_the_fork_and_cancels_the_others() {
    let mut run = run(BOTH, json!({}));
    let path = run.instance.open_attempts().nth(1).unwrap().path;
    run.take(vec![Event::AttemptCompleted { path, attempt: 1, outcome: Box::new(broken()) }]);
    assert_eq!(run.last_line(), "faulted: communication 500 at /do/0/both/fork/branches/1/right: no answer");
    assert_eq!(
        statuses(&run.tasks()),
        [("both", TaskStatus::Faulted), ("left", TaskStatus::Cancelled), ("right", TaskStatus::Faulted)]
    );
}

#[test]
fn an_error_is_caught_inside_its_branch_or_around_the_fork() {
    let inside = "do:
- both:
    fork:
      branches:
      - a: { try: [{ fail: { raise: { error: { type: 'https://x/y', status: 500 } } } }], catch: { do: [{ mend: { set: { n: 1 } } }] } }
      - b: { set: { n: 2 } }
";
    assert_eq!(end_of(inside, json!({})), r#"completed: [{"n":1},{"n":2}]"#);
    let around = "do:
- guarded:
    try:
    - both:
        fork:
          branches:
          - b: { call: echo, with: {} }
          - a: { raise: { error: { type: 'https://x/y', status: 500 } } }
    catch:
      retry: { delay: PT1S, limit: { attempt: { count: 1 } } }
      do: [{ note: { set: { at: '${ $error.instance }' } } }]
";
    let mut run = run(around, json!({}));
    assert_eq!(run.last_line(), "/do/0/guarded retry 2 at 12:00:01Z");
    assert_eq!(open(&run), Vec::<String>::new());
    run.wake();
    assert_eq!(run.last_line(), r#"completed: {"at":"/do/0/guarded/try/0/both/fork/branches/1/a"}"#);
    let attempts: Vec<u32> = run.tasks().iter().filter(|task| task.name == "b").map(|task| task.attempts).collect();
    assert_eq!(attempts, [1, 2], "an attempt that was cancelled keeps its number");
}

#[test]
fn branches_take_turns_and_what_they_export_is_there_for_all() {
    let text = "do:
- both:
    fork:
      branches:
      - a:
          do:
          - a1: { set: { n: 1 }, export: { as: '$context + {a: 1}' } }
          - a2: { set: '${ $context }' }
      - b:
          do:
          - b1: { set: { n: 2 }, export: { as: '$context + {b: 2}' } }
          - b2: { set: '${ $context }' }
    export: { as: '$context + {both: .}' }
- after: { set: '${ $context }' }
";
    assert_eq!(end_of(text, json!({})), r#"completed: {"a":1,"b":2,"both":[{"a":1,"b":2},{"a":1,"b":2}]}"#);
}

#[test]
fn then_inside_a_branch_stays_in_it_unless_it_ends_the_workflow() {
    let text = |then: &str| {
        format!(
            "do:
- both:
    fork:
      branches:
      - a: {{ do: [{{ a1: {{ set: {{ n: 1 }}, then: {then} }} }}, {{ a2: {{ set: {{ n: 2 }} }} }}, {{ a3: {{ set: '${{ . + {{ last: true }} }}' }} }}] }}
      - b: {{ set: {{ n: 3 }}, then: exit }}
      - c: {{ wait: PT5S }}
- after: {{ set: '${{ {{gave: .}} }}' }}
"
        )
    };
    let ended = |then: &str| {
        let mut run = run(&text(then), json!({}));
        while !run.instance.phase().is_final() {
            run.wake();
        }
        (run.last_line(), statuses(&run.tasks()).iter().filter(|(_, status)| *status == TaskStatus::Cancelled).count())
    };
    assert_eq!(ended("exit"), (r#"completed: {"gave":[{"n":1},{"n":3},{}]}"#.to_owned(), 0));
    assert_eq!(ended("a3"), (r#"completed: {"gave":[{"n":1,"last":true},{"n":3},{}]}"#.to_owned(), 0));
    assert_eq!(ended("end"), (r#"completed: {"n":1}"#.to_owned(), 1));
}

#[test]
fn a_branch_that_is_skipped_gives_its_input_and_does_not_compete() {
    let text = |compete: bool, other: bool| {
        format!(
            "do: [{{ f: {{ input: {{ from: '{{ x: .n }}' }}, fork: {{ compete: {compete}, branches: [
  {{ a: {{ if: 'false', set: {{ a: 1 }} }} }}, {{ b: {{ if: '{other}', set: {{ b: 2 }} }} }}] }} }} }}]"
        )
    };
    assert_eq!(end_of(&text(false, true), json!({"n": 7})), r#"completed: [{"x":7},{"b":2}]"#);
    assert_eq!(end_of(&text(true, true), json!({"n": 7})), r#"completed: {"b":2}"#);
    assert_eq!(end_of(&text(true, false), json!({"n": 7})), r#"completed: {"x":7}"#);
    let failing = "do: [{ f: { fork: { branches: [{ a: { wait: PT1S } }, { b: { if: .x.y.z, set: { b: 2 } } }] } } }]";
    assert_eq!(
        end_of(failing, json!({"x": 1})),
        "faulted: expression 400 at /do/0/f/fork/branches/1/b: `.x.y.z`: cannot index 1 with \"y\""
    );
}

#[test]
fn timeouts_hold_inside_of_a_branch_and_around_all_of_them() {
    let text = |branch: &str, fork: &str| {
        format!(
            "do:
- guarded:
    try:
    - both:
        fork: {{ branches: [{{ a: {{ call: echo, with: {{}}, timeout: {{ after: {branch} }} }} }}, {{ b: {{ call: echo, with: {{}} }} }}] }}
        timeout: {{ after: {fork} }}
    catch: {{ do: [{{ note: {{ set: {{ at: '${{ $error.instance }}', status: '${{ $error.status }}' }} }} }}] }}
"
        )
    };
    let ended = |branch: &str, fork: &str| {
        let mut run = run(&text(branch, fork), json!({}));
        run.later(Duration::from_secs(7));
        assert_eq!(open(&run), ["a", "b"]);
        run.wake();
        assert_eq!(run.now, noon() + Duration::from_secs(8));
        run.last_line()
    };
    let at = "/do/0/guarded/try/0/both";
    assert_eq!(ended("PT9S", "PT8S"), format!(r#"completed: {{"at":"{at}","status":408}}"#));
    assert_eq!(ended("PT8S", "PT9S"), format!(r#"completed: {{"at":"{at}/fork/branches/0/a","status":408}}"#));
    // Both are late when the host comes back: the whole fork counts.
    assert_eq!(ended("PT8S", "PT8S"), format!(r#"completed: {{"at":"{at}","status":408}}"#));
}

#[test]
fn loops_and_forks_nest() {
    let text = "do:
- each:
    for: { each: n, in: .numbers }
    do:
    - both:
        fork:
          branches:
          - a: { set: '${ $n * 10 }' }
          - b: { fork: { compete: true, branches: [{ b1: { set: '${ $n + $index }' } }, { b2: { wait: PT1S } }] } }
";
    let mut run = run(text, json!({"numbers": [1, 2]}));
    assert_eq!(run.instance.phase(), Phase::Completed, "{}", run.lines());
    assert_eq!(run.last_line(), "completed: [20,3]");
    assert_eq!(run.instance.next_wake(), None);
    run.later(Duration::from_secs(2));
}

#[test]
fn a_history_in_which_branches_do_what_they_cannot_is_refused() {
    let text = "do: [{ race: { fork: { compete: true, branches: [{ a: { call: echo, with: {} } }, { b: { wait: PT1S } }] } } }]";
    let mut run = run(text, json!({}));
    let refused = |run: &Run, event: Event| {
        let next = Recorded { revision: run.instance.revision() + 1, at: run.now, event };
        run.instance.clone().apply(&next).unwrap_err().to_string()
    };
    let path = |text: &str| TaskPath::from_text(format!("/do/0/race{text}"));
    let b = path("/fork/branches/1/b");
    assert!(refused(&run, Event::TaskCancelled { path: b.clone() }).contains("nothing has ended"));
    assert!(refused(&run, Event::TaskCancelled { path: path("") }).contains("nothing has ended"));
    let input = json!({});
    assert!(
        refused(
            &run,
            Event::TaskStarted { path: b, input: input.clone(), timeout_ms: None, retry: Default::default() }
        )
        .contains("nothing is next")
    );
    let c = path("/fork/branches/2/c");
    assert!(
        refused(&run, Event::TaskStarted { path: c, input, timeout_ms: None, retry: Default::default() })
            .contains("nothing is next")
    );
    let completed = |path: TaskPath| Event::TaskCompleted {
        path,
        output: json!(1),
        context: None,
        then: workflow::event::FlowTarget::Continue,
    };
    assert!(refused(&run, completed(path(""))).contains("is not done"));
    assert!(refused(&run, Event::InstanceCompleted { output: json!(1) }).contains("still runs"));
    run.output(json!("a"));
    assert_eq!(run.last_line(), "completed: \"a\"");
}

/// What a step costs does not grow with the branches that wait beside it: about
/// 1 s in a debug build. What grew with the square took minutes.
#[test]
fn thousands_of_branches_end() {
    const BRANCHES: usize = 4_000;
    let branches: Vec<Value> =
        (0..BRANCHES).map(|n| json!({ format!("b{n}"): {"do": [{"w": {"wait": "PT1S"}}, {"e": {"call": "echo", "with": {"n": n}}}]} })).collect();
    let definition = definition(&format!("do: {}", json!([{"all": {"fork": {"branches": branches}}}])));
    let (instance, history) = run_to_end(&definition, json!({}), noon());
    assert_eq!(instance.output().unwrap()[BRANCHES - 1], json!({"n": BRANCHES - 1}));
    assert!(history.len() > BRANCHES * 10);
}
