//! Durations that an expression gives: wherever the language has one that an instance waits for.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Run, definition, line, noon};
use workflow::Effect;
use workflow::calls::CallRequest;
use workflow::engine::{Instance, Phase};
use workflow::event::{Event, RetryLimits};

fn start(text: &str, input: Value) -> Run {
    Run::start(&definition(text), input)
}

/// The whole history read again leaves the same state.
fn reads_the_same(run: &Run) {
    let again = Instance::fold(run.instance.id().clone(), run.instance.definition().clone(), run.history.clone());
    assert_eq!(again.unwrap(), run.instance);
}

fn detail(run: &Run) -> &str {
    let error = run.instance.error().unwrap_or_else(|| panic!("no fault: {}", run.lines()));
    assert!(error.kind.ends_with("/expression"), "{error:?}");
    error.detail.as_deref().unwrap()
}

const FLAKY: &str = "do:
- block:
    try:
    - fails: { raise: { error: { type: https://example.com/e, status: 503, detail: '4' } } }
    catch: { as: problem, retry: ";

fn retry(policy: &str) -> String {
    format!("{FLAKY}{policy} }}\n")
}

/// Seconds between the tries of the block.
fn gaps(mut run: Run) -> Vec<i64> {
    let mut gaps = Vec::new();
    while run.instance.phase() == Phase::Waiting {
        reads_the_same(&run);
        let before = run.now;
        run.wake();
        gaps.push((run.now.as_second() - before.as_second()).abs());
    }
    gaps
}

#[test]
fn a_delay_is_computed_from_the_error_each_time() {
    let text =
        retry("{ delay: '${ \"PT\\(.detail)S\" }', backoff: { exponential: {} }, limit: { attempt: { count: 3 } } }");
    assert_eq!(gaps(start(&text, json!({}))), [4, 8, 16]);
    let text =
        retry("{ delay: '${ \"PT\\($problem.status - 500 + $input.more)S\" }', limit: { attempt: { count: 1 } } }");
    assert_eq!(gaps(start(&text, json!({ "more": 7 }))), [10]);
}

#[test]
fn jitter_lies_between_what_its_bounds_give() {
    let text = retry(
        "{ delay: PT10S, jitter: { from: '${ $input.from }', to: '${ $input.to }' }, limit: { attempt: { count: 8 } } }",
    );
    let found = gaps(start(&text, json!({ "from": "PT5S", "to": "PT50S" })));
    assert!(found.len() == 8 && found.iter().all(|gap| (15..=60).contains(gap)), "{found:?}");
    let swapped = start(&text, json!({ "from": "PT5S", "to": "PT4S" }));
    assert_eq!(detail(&swapped), "`retry.jitter.from` is longer than `retry.jitter.to`");
}

#[test]
fn the_limits_of_a_retry_are_computed_when_the_try_is_entered() {
    let text = retry("{ delay: PT10S, limit: { duration: '${ .all }' } }");
    let run = start(&text, json!({ "all": "PT35S" }));
    let limits = run.history.iter().find_map(|recorded| match &recorded.event {
        Event::TaskStarted { retry, .. } if *retry != RetryLimits::default() => Some(*retry),
        _ => None,
    });
    assert_eq!(limits, Some(RetryLimits { attempt_ms: None, all_ms: Some(35_000) }));
    assert_eq!(gaps(run), [10, 10, 10]);

    let slow = "do:
- block:
    try: [{ waits: { wait: PT1H } }]
    catch: { retry: { limit: { attempt: { count: 2, duration: '${ .each }' } } } }
";
    let mut run = start(slow, json!({ "each": "PT7S" }));
    for _ in 0..3 {
        reads_the_same(&run);
        run.wake();
    }
    assert_eq!(run.now, noon() + Duration::from_secs(21));
    assert_eq!(run.instance.error().unwrap().status, 408, "{}", run.lines());
}

#[test]
fn a_question_waits_as_long_as_its_expression_says() {
    let text = "do:\n- q: { ask: { prompt: 'Go?', timeout: { after: '${ .patience }' } } }\n";
    let mut run = start(text, json!({ "patience": "PT90S" }));
    assert_eq!(run.instance.open_questions().next().unwrap().question.due, Some(noon() + Duration::from_secs(90)));
    run.wake();
    assert_eq!(run.instance.error().unwrap().detail.as_deref(), Some("an answer to `q` took longer than 90000 ms"));
    reads_the_same(&run);
}

#[test]
fn a_server_of_mcp_has_as_long_as_its_expression_says() {
    let text = "do:\n- m: { call: mcp, with: { method: tools/list, timeout: '${ .patience }', transport: { http: { endpoint: 'https://x.example/mcp' } } } }\n";
    let run = start(text, json!({ "patience": "PT3S" }));
    match run.instance.open_attempts().next().unwrap().effect {
        Effect::Call { call, .. } => {
            assert!(matches!(call.request, CallRequest::Mcp(_)));
            assert_eq!(call.time_limit_ms, 3000);
        }
        other => panic!("{other:?}"),
    }
}

const DOCUMENT: &str = "timeout: { after: '${ .budget }' }\ndo:\n- waits: { wait: P1D }\n";

#[test]
fn the_document_has_until_what_its_input_gives() {
    let mut run = start(DOCUMENT, json!({ "budget": "PT1M" }));
    assert_eq!(line(&run.history[1].event), "has until 12:01:00Z");
    assert_eq!(run.instance.next_wake(), Some(noon() + Duration::from_secs(60)));
    reads_the_same(&run);
    run.wake();
    assert_eq!(run.instance.error().unwrap().detail.as_deref(), Some("the workflow took longer than 60000 ms"));
}

#[test]
fn what_is_no_duration_is_a_fault_of_its_place() {
    for (text, input, said) in [
        (DOCUMENT.to_owned(), json!({ "budget": 5 }), "`timeout.after` has no duration: 5 is not an ISO 8601 text"),
        (retry("{ delay: '${ null }' }"), json!({}), "`retry.delay` has no duration: null is not an ISO 8601 text"),
        (
            retry("{ limit: { duration: '${ \"soon\" }' } }"),
            json!({}),
            "`retry.limit.duration` has no duration: `soon` is not an ISO 8601 duration such as `PT30S` or `P1DT12H`",
        ),
        (
            "do:\n- q: { ask: { prompt: x, timeout: { after: '${ {} }' } } }\n".to_owned(),
            json!({}),
            "`ask.timeout.after` has no duration: {} is not an ISO 8601 text",
        ),
    ] {
        let run = start(&text, input);
        assert_eq!(detail(&run), said);
        reads_the_same(&run);
    }
    assert_eq!(start(DOCUMENT, json!({})).instance.error().unwrap().instance.as_deref(), Some("/timeout/after"));
}
