//! What each kind of task does, as the history tells it.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Run, definition, fault, noon};
use workflow::effect::{EffectOutcome, StandardError};
use workflow::engine::{Phase, TASKS_WITHOUT_REST_MAX, TURNS_WITHOUT_REST_MAX};
use workflow::event::Event;
use workflow::summary::TaskStatus;

fn run(tasks: &str, input: serde_json::Value) -> Run {
    Run::start(&definition(tasks), input)
}

/// The last line of a run that needs nothing from outside.
fn end_of(tasks: &str, input: serde_json::Value) -> String {
    run(tasks, input).last_line()
}

#[test]
fn data_flows_in_the_order_of_the_specification() {
    let run = run(
        "input: { from: '.order' }
output: { as: '{ total: ., told: $context.told }' }
do:
- add:
    if: .count > 0
    input: { from: '{ n: .count, raw: $task.input.count }' }
    set: { sum: '${ .n + .raw }', from: '${ $input.n }' }
    output: { as: '.sum + $input.n' }
    export: { as: '{ told: $output }' }
- never: { if: '. == 1', set: { x: 1 } }
- last: { set: '${ . + $context.told }' }
",
        json!({"order": {"count": 2}}),
    );
    assert_eq!(
        run.lines(),
        r#"/do/0/add starts with {"count":2}
/do/0/add gives 6; context {"told":6}
/do/1/never is skipped
/do/2/last starts with 6
/do/2/last gives 12
completed: {"total":12,"told":6}
"#
    );
}

#[test]
fn schemas_are_checked_where_they_stand() {
    let schema = "{ document: { type: object, required: [a] } }";
    for (text, expected) in [
        (
            format!("input: {{ schema: {schema} }}\ndo: [{{ x: {{ set: {{ a: 1 }} }} }}]"),
            "faulted: validation 400 at -: the input does not conform: /: \"a\" is a required property",
        ),
        (
            format!("do: [{{ x: {{ input: {{ schema: {schema} }}, set: {{ a: 1 }} }} }}]"),
            "faulted: validation 400 at /do/0/x: the input does not conform: /: \"a\" is a required property",
        ),
        (
            format!("do: [{{ x: {{ output: {{ schema: {schema} }}, set: {{ b: 1 }} }} }}]"),
            "faulted: validation 400 at /do/0/x: the output does not conform: /: \"a\" is a required property",
        ),
        (
            format!("do: [{{ x: {{ export: {{ as: .b, schema: {schema} }}, set: {{ b: {{}} }} }} }}]"),
            "faulted: validation 400 at /do/0/x: the export does not conform: /: \"a\" is a required property",
        ),
        (format!("output: {{ schema: {schema} }}\ndo: [{{ x: {{ set: {{ a: 1 }} }} }}]"), "completed: {\"a\":1}"),
    ] {
        assert_eq!(end_of(&text, json!({})), expected, "{text}");
    }
}

#[test]
fn a_switch_takes_the_first_case_that_holds() {
    let text = "do:
- choose:
    switch:
    - small: { when: . < 10, then: little }
    - large: { when: . > 100, then: end }
    - other: { then: exit }
- little: { set: '${ \"little\" }', then: end }
- unreached: { set: '${ \"x\" }' }
";
    assert_eq!(end_of(text, json!(1)), "completed: \"little\"");
    assert_eq!(end_of(text, json!(1000)), "completed: 1000");
    assert_eq!(end_of(text, json!(50)), "completed: 50");
}

#[test]
fn the_flow_of_a_task_list_is_its_own() {
    let nested = |then: &str| {
        format!(
            "do:
- outer:
    do:
    - a: {{ set: '${{ 1 }}', then: {then} }}
    - b: {{ set: '${{ 2 }}' }}
- after: {{ set: '${{ [., \"after\"] }}' }}
"
        )
    };
    assert_eq!(end_of(&nested("continue"), json!({})), r#"completed: [2,"after"]"#);
    assert_eq!(end_of(&nested("exit"), json!({})), r#"completed: [1,"after"]"#);
    assert_eq!(end_of(&nested("end"), json!({})), "completed: 1");
    let run = run(&nested("end"), json!({}));
    assert!(run.tasks().iter().all(|task| task.status == TaskStatus::Completed));
}

#[test]
fn a_loop_gives_each_iteration_what_the_last_one_gave() {
    let run = run(
        "do:
- each:
    for: { each: word, in: .words, at: n }
    while: '(.text // \"\") | length < 4'
    do:
    - join: { set: { text: '${ (.text // \"\") + $word + \"\\($n)\" }' } }
",
        json!({"words": ["a", "b", "c"]}),
    );
    assert_eq!(
        run.lines(),
        r#"/do/0/each starts with {"words":["a","b","c"]}
/do/0/each[0] "a" with {"words":["a","b","c"]}
/do/0/each[0]/do/0/join starts with {"words":["a","b","c"]}
/do/0/each[0]/do/0/join gives {"text":"a0"}
/do/0/each[1] "b" with {"text":"a0"}
/do/0/each[1]/do/0/join starts with {"text":"a0"}
/do/0/each[1]/do/0/join gives {"text":"a0b1"}
/do/0/each gives {"text":"a0b1"}
completed: {"text":"a0b1"}
"#
    );
}

#[test]
fn a_loop_walks_the_list_it_began_with() {
    let text = "do:
- fill: { set: { x: 1 }, export: { as: '{ items: [1, 2] }' } }
- each:
    for: { in: $context.items }
    do:
    - shrink: { set: '${ [$item, $index] }', export: { as: '{ items: [] }' } }
";
    assert_eq!(end_of(text, json!({})), "completed: [2,1]");
    let text = "do: [{ each: { for: { in: .a }, do: [{ x: { set: { b: 1 } } }] } }]";
    assert_eq!(
        end_of(text, json!({"a": 7})),
        "faulted: expression 400 at /do/0/each: `.a` gives a number, not an array"
    );
    assert_eq!(end_of(text, json!({})), "completed: {}");
}

#[test]
fn a_loop_may_have_its_list_written_out() {
    let text = "do: [{ each: { for: { in: [1, '${ .n }', three] }, do: [{ a: { set: '${ [.] + [$item] }' } }] } }]";
    assert_eq!(end_of(text, json!({"n": 2})), r#"completed: [[[{"n":2},1],2],"three"]"#);
}

#[test]
fn one_try_may_take_only_so_long() {
    let text = "do:
- attempt:
    try:
    - first: { wait: PT2S }
    - work: { call: echo, with: { n: 1 } }
    catch:
      errors: { with: { status: 408 } }
      retry: { delay: PT1S, limit: { attempt: { count: 1, duration: PT10S } } }
";
    let mut run = run(text, json!({}));
    run.wake().wake();
    assert_eq!(run.last_line(), "/do/0/attempt retry 2 at 12:00:11Z");
    run.wake().wake().wake();
    assert_eq!(run.now, noon() + Duration::from_secs(21));
    assert_eq!(
        run.last_line(),
        "faulted: timeout 408 at /do/0/attempt: an attempt at `attempt` took longer than 10000 ms"
    );
}

#[test]
fn a_raised_error_says_where_it_comes_from() {
    let text = "do:
- fail:
    raise: { error: { type: https://example.com/broken, status: 418, title: Broken, detail: '${ \"at \\(.x)\" }' } }
";
    assert_eq!(end_of(text, json!({"x": 3})), "faulted: broken 418 at /do/0/fail: at 3");
}

const TRY: &str = "do:
- attempt:
    try:
    - work: { call: echo, with: { n: 1 } }
    catch:
      errors: { with: { status: 503 } }
      as: problem
      retry: { delay: { seconds: 10 }, backoff: { exponential: {} }, limit: { attempt: { count: 2 } } }
      do:
      - note: { if: $problem.status == 503, set: { detail: '${ $problem.detail }' } }
";

fn unavailable(status: u16) -> EffectOutcome {
    let mut error = StandardError::Communication.fault("no answer");
    error.status = status;
    EffectOutcome::Faulted { error }
}

#[test]
fn a_caught_error_is_retried_and_then_handled() {
    let mut run = run(TRY, json!({}));
    run.complete(unavailable(503));
    assert_eq!(run.last_line(), "/do/0/attempt retry 2 at 12:00:10Z");
    assert_eq!(run.instance.phase(), Phase::Waiting);
    run.wake().complete(unavailable(503));
    assert_eq!(run.last_line(), "/do/0/attempt retry 3 at 12:00:30Z");
    run.later(Duration::from_secs(19));
    assert_eq!(run.instance.open_attempts().count(), 0, "it is too early");
    run.later(Duration::from_secs(1));
    let attempts: Vec<u32> = run.instance.open_attempts().map(|open| open.attempt).collect();
    assert_eq!(attempts, [3], "a number of an attempt names one effect for ever");
    run.complete(unavailable(503));
    assert_eq!(run.last_line(), r#"completed: {"detail":"no answer"}"#);
}

#[test]
fn a_retry_that_works_is_the_end_of_it() {
    let mut run = run(TRY, json!({}));
    run.complete(unavailable(503)).wake().output(json!("fine"));
    assert_eq!(run.last_line(), "completed: \"fine\"");
}

#[test]
fn what_the_filter_does_not_name_is_passed_on() {
    let mut run = run(TRY, json!({}));
    run.complete(unavailable(500));
    assert_eq!(run.last_line(), "faulted: communication 500 at /do/0/attempt/try/0/work: no answer");
    let tasks = run.tasks();
    let statuses: Vec<_> = tasks.iter().map(|task| (task.name.as_str(), task.status)).collect();
    assert_eq!(statuses, [("attempt", TaskStatus::Faulted), ("work", TaskStatus::Faulted)]);
}

#[test]
fn standard_errors_are_caught_by_any_of_their_names() {
    let text = "do:
- attempt:
    try: [{ work: { call: echo, with: { n: 1 } } }]
    catch: { errors: { with: { type: https://serverlessworkflow.io/dsl/errors/types/communication } } }
";
    let mut run = run(text, json!({"was": 1}));
    run.complete(unavailable(500));
    assert_eq!(run.last_line(), r#"completed: {"was":1}"#);
}

#[test]
fn exhausted_retries_without_a_handler_are_the_error_itself() {
    let text = "do:
- attempt:
    try: [{ work: { call: echo, with: { n: 1 } } }]
    catch: { retry: { delay: { seconds: 1 }, limit: { attempt: { count: 1 } } } }
";
    let mut run = run(text, json!({}));
    run.complete(unavailable(500)).wake().complete(unavailable(500));
    assert_eq!(run.last_line(), "faulted: communication 500 at /do/0/attempt/try/0/work: no answer");
}

#[test]
fn jitter_is_the_same_everywhere_and_within_its_bounds() {
    let text = "do:
- attempt:
    try: [{ work: { call: echo, with: { n: 1 } } }]
    catch:
      retry: { delay: { seconds: 1 }, jitter: { from: { seconds: 10 }, to: { seconds: 20 } } }
";
    let due = || {
        let mut run = run(text, json!({}));
        run.complete(unavailable(500));
        run.instance.next_wake().unwrap()
    };
    assert_eq!(due(), due());
    let delay = due().duration_since(noon());
    assert!((11.0..=21.0).contains(&delay.as_secs_f64()), "{delay:?}");
}

#[test]
fn a_wait_ends_when_its_time_has_come() {
    let mut run = run("do: [{ pause: { wait: PT90S } }, { x: { set: { done: true } } }]", json!({}));
    assert_eq!(run.last_line(), "/do/0/pause waits until 12:01:30Z");
    run.later(Duration::from_secs(89));
    assert_eq!(run.instance.phase(), Phase::Waiting);
    run.wake();
    assert_eq!(run.last_line(), r#"completed: {"done":true}"#);
}

#[test]
fn an_emitted_event_is_complete_and_always_the_same() {
    let text = "do: [{ tell: { emit: { event: { with: { source: https://example.com/x, type: a.b.v1, data: { n: '${ .n }' } } } } } }]";
    let event = run(text, json!({"n": 1})).instance.output().unwrap().clone();
    assert_eq!(event["source"], "https://example.com/x");
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["time"], "2026-11-24T12:00:00Z");
    assert_eq!(event["data"], json!({"n": 1}));
    assert_eq!(event["id"], run(text, json!({"n": 1})).instance.output().unwrap()["id"]);
}

#[test]
fn an_assertion_that_does_not_hold_is_a_validation_error() {
    for (assert, holds) in [
        ("{ value: '${ .n }' }", true),
        ("{ value: '${ .missing }' }", false),
        ("{ value: '${ .n }', equals: 3 }", true),
        ("{ value: '${ .n }', equals: 4 }", false),
        ("{ value: '${ .list }', contains: b }", true),
        ("{ value: '${ .list }', contains: c }", false),
        ("{ value: '${ .text }', contains: ell }", true),
        ("{ value: '${ .text }', matches: '^h.*o$' }", true),
        ("{ value: '${ .text }', matches: '^x' }", false),
        ("{ value: '${ .missing }', exists: false }", true),
        ("{ value: '${ .n }', exists: false }", false),
    ] {
        let last = end_of(
            &format!("do: [{{ check: {{ assert: {assert} }} }}]"),
            json!({"n": 3, "list": ["a", "b"], "text": "hello"}),
        );
        assert_eq!(last.starts_with("completed"), holds, "{assert}: {last}");
        assert!(holds || last.starts_with("faulted: validation 400 at /do/0/check"), "{last}");
    }
}

const ASK: &str = "do:
- approve:
    ask:
      prompt: '${ \"Publish \\(.version)?\" }'
      subject: { version: '${ .version }' }
      timeout: { after: PT1H }
- publish: { set: { by: '${ .decidedBy }' } }
";

#[test]
fn an_approval_lets_the_flow_go_on_and_says_who() {
    let mut run = run(ASK, json!({"version": "1.0"}));
    assert_eq!(run.last_line(), r#"/do/0/approve asks "Publish 1.0?""#);
    assert_eq!(run.instance.phase(), Phase::Waiting);
    assert!(!run.instance.open_questions().next().unwrap().question.auto_approvable);
    run.answer("approved", "cli:alice", None);
    assert_eq!(run.last_line(), r#"completed: {"by":"cli:alice"}"#);
}

#[test]
fn a_rejection_ends_the_flow_with_who_and_why() {
    let mut run = run(ASK, json!({"version": "1.0"}));
    run.answer("rejected", "cli:bob", Some("not today"));
    assert_eq!(
        run.last_line(),
        "faulted: authorization 403 at /do/0/approve: `approve` was answered `rejected` by cli:bob: not today"
    );
}

#[test]
fn an_answer_to_something_else_is_not_taken() {
    let mut run = run(ASK, json!({"version": "1.0"}));
    let before = run.instance.clone();
    run.answer("maybe", "cli:bob", None);
    let Event::QuestionAsked { path, question } = &run.history.last().unwrap().event else { panic!() };
    let stale = workflow::event::Decision {
        value: "approved".to_owned(),
        decided_by: support::actor("cli:bob"),
        decided_at: noon(),
        subject_digest: workflow::Digest::of(b"another"),
        comment: None,
    };
    assert_ne!(question.subject_digest, stale.subject_digest);
    let event = Event::QuestionAnswered { path: path.clone(), decision: stale };
    run.take(vec![event]);
    assert_eq!(run.instance, before);
}

#[test]
fn a_question_that_nobody_answers_times_out() {
    let mut run = run(ASK, json!({"version": "1.0"}));
    run.wake();
    assert!(run.last_line().starts_with("faulted: timeout 408 at /do/0/approve"), "{}", run.last_line());
}

#[test]
fn a_task_that_takes_too_long_is_ended_and_can_be_caught() {
    let text = "do:
- attempt:
    try:
    - slow:
        timeout: { after: PT10S }
        do: [{ work: { call: echo, with: { n: 1 } } }]
    catch: { errors: { with: { status: 408 } }, do: [{ late: { set: { late: true } } }] }
";
    let mut run = run(text, json!({}));
    run.later(Duration::from_secs(9));
    assert_eq!(run.instance.open_attempts().count(), 1);
    run.wake();
    assert_eq!(run.last_line(), r#"completed: {"late":true}"#);
    let tasks = run.tasks();
    let statuses: Vec<_> = tasks.iter().map(|task| (task.name.as_str(), task.status)).collect();
    assert_eq!(
        statuses,
        [
            ("attempt", TaskStatus::Completed),
            ("slow", TaskStatus::Faulted),
            ("work", TaskStatus::Cancelled),
            ("late", TaskStatus::Completed)
        ]
    );
}

#[test]
fn a_workflow_that_takes_too_long_faults() {
    let mut run = run("timeout: { after: PT1M }\ndo: [{ w: { wait: PT1H } }]", json!({}));
    run.wake();
    assert_eq!(run.last_line(), "faulted: timeout 408 at -: the workflow took longer than 60000 ms");
    assert_eq!(run.instance.next_wake(), None);
}

#[test]
fn a_cancelled_instance_takes_nothing_more() {
    let mut run = run("do: [{ work: { call: echo, with: { n: 1 } } }]", json!({}));
    let open = run.instance.open_attempts().next().unwrap();
    let late = Event::AttemptCompleted { path: open.path.clone(), attempt: 1, outcome: Box::new(unavailable(503)) };
    let cancel = || Event::InstanceCancelled { by: support::actor("cli:alice"), reason: "changed my mind".to_owned() };
    run.take(vec![cancel(), cancel(), late]);
    assert_eq!(run.last_line(), "cancelled by cli:alice: changed my mind");
    assert_eq!(run.history.len(), 4);
    assert_eq!(run.instance.phase(), Phase::Cancelled);
    assert_eq!(run.tasks()[0].status, TaskStatus::Cancelled);
}

#[test]
fn a_circle_without_rest_is_a_fault_after_little_history() {
    let retry = "do: [{ a: { try: [{ b: { raise: { error: { type: https://e.test/x, status: 500 } } } }], catch: { retry: {} } } }]";
    for text in [
        "do: [{ a: { set: { x: 1 } } }, { again: { if: .x == 1, set: { x: 1 }, then: a } }]",
        "do: [{ a: { if: .x != 2, set: { x: 1 }, then: a } }]",
        "do: [{ a: { wait: PT0S } }, { again: { if: .x != 2, set: { x: 1 }, then: a } }]",
        retry,
    ] {
        let mut run = run(text, json!({}));
        assert_eq!(
            fault(run.instance.error().unwrap()),
            format!(
                "runtime 500 at -: the flow turned back {TURNS_WITHOUT_REST_MAX} times without anything to wait for, \
                 the last time to `/do/0/a`; give the circle an end, or a `wait`"
            ),
            "{text}"
        );
        let bytes = serde_json::to_vec(&run.history).unwrap().len();
        assert!(bytes < 2_000_000, "{bytes} bytes: {text}");
        assert!(run.take(Vec::new()).instance.phase().is_final());
    }
}

#[test]
fn what_waits_may_turn_back_for_ever() {
    let mut run = run("do: [{ a: { wait: PT1S } }, { again: { set: { x: 1 }, then: a } }]", json!({}));
    for _ in 0..2 * TURNS_WITHOUT_REST_MAX {
        run.wake();
    }
    assert_eq!(run.instance.phase(), Phase::Waiting);
}

#[test]
fn a_loop_over_too_much_is_a_fault() {
    let set = "{ b: { set: { x: 1 } } }";
    let inner = format!("{{ inner: {{ for: {{ in: '[range(100)]' }}, do: [{set}] }} }}");
    let text =
        format!("do: [{{ a: {{ for: {{ in: '[range({})]' }}, do: [{inner}] }} }}]", TASKS_WITHOUT_REST_MAX / 100);
    let run = run(&text, json!({}));
    assert_eq!(
        fault(run.instance.error().unwrap()),
        format!("runtime 500 at -: more than {TASKS_WITHOUT_REST_MAX} tasks ran without anything to wait for")
    );
}

#[test]
fn a_loop_that_carries_much_ends_before_it_fills_the_memory() {
    let text = "do: [{ a: { for: { in: '[range(20000)]' }, do: [{ same: { set: '${ . }' } }] } }]";
    let run = run(text, json!({ "large": "x".repeat(100_000) }));
    let error = run.instance.error().unwrap();
    assert!(error.detail.as_deref().unwrap().contains("more than 64 MiB"), "{error:?}");
    assert!(run.history.len() < 3_000, "{}", run.history.len());
}

#[test]
fn an_expression_that_fails_says_which_and_where() {
    for (task, expected) in [
        ("set: { x: '${ .a.b }' }", "expression 400 at /do/0/t: `.a.b`: cannot index 1 with \"b\""),
        ("if: .a.b, set: { x: 1 }", "expression 400 at /do/0/t: `.a.b`: cannot index 1 with \"b\""),
        ("input: { from: .a.b }, set: { x: 1 }", "expression 400 at /do/0/t: `.a.b`: cannot index 1 with \"b\""),
        ("set: { x: 1 }, output: { as: .x.b }", "expression 400 at /do/0/t: `.x.b`: cannot index 1 with \"b\""),
    ] {
        let run = run(&format!("do: [{{ t: {{ {task} }} }}]"), json!({"a": 1}));
        assert_eq!(fault(run.instance.error().unwrap()), expected, "{task}");
    }
}
