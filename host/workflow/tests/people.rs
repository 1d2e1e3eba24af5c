//! `ask` and `assert` with all their fields, and expressions in both languages
//! where tasks have them.

mod support;

use serde_json::{Value, json};
use support::{HEAD, Run, definition, fault};
use workflow::approval::{RefusedDecision, check};
use workflow::effect::Fault;
use workflow::event::{Decision, Event, Question};

fn run(text: &str, input: Value) -> Run {
    Run::start(&definition(text), input)
}

fn question(run: &Run) -> Question {
    run.instance.open_questions().next().expect("a question is open").question.clone()
}

/// What an answer would be refused with.
fn refused(run: &Run, value: &str) -> Option<RefusedDecision> {
    let question = question(run);
    let decision = Decision {
        value: value.to_owned(),
        decided_by: support::actor("test:person"),
        decided_at: run.now,
        subject_digest: question.subject_digest.clone(),
        comment: None,
    };
    check(&question, &decision).err()
}

/// The `value` that the answered task gives.
fn given(run: &Run) -> Value {
    run.history
        .iter()
        .find_map(|recorded| match &recorded.event {
            Event::TaskCompleted { output, .. } => Some(output["value"].clone()),
            _ => None,
        })
        .expect("the question is done")
}

fn faulted(run: &Run) -> String {
    match &run.history.last().unwrap().event {
        Event::InstanceFaulted { error } => fault(error),
        other => panic!("{other:?}"),
    }
}

/// What `check` says of one task.
fn said(task: &str) -> String {
    match workflow::definition::parse(&format!("{HEAD}do:\n- t: {task}"), "d.yaml") {
        Ok(_) => "accepted".to_owned(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn a_text_is_checked_before_it_is_an_answer() {
    let mut run = run(
        "do: [{ a: { ask: { prompt: Tag?, mode: text, validate: { minLength: 2, maxLength: 5, pattern: '^v' } } } }]",
        json!({}),
    );
    for wrong in ["", "v", "v12345", "x12"] {
        assert!(matches!(refused(&run, wrong), Some(RefusedDecision::NotAnAnswer { .. })), "{wrong}");
    }
    run.answer("w", "test:person", None);
    assert_eq!(question(&run).prompt, "Tag?", "what does not conform changes nothing");
    run.answer("v1.2", "test:person", None);
    assert_eq!(given(&run), "v1.2");
}

#[test]
fn an_object_is_an_answer_as_json() {
    let text = "do: [{ a: { ask: { prompt: x, mode: object, schema: { type: object, required: [n], properties: { n: { type: integer } } } } } }]";
    let mut run = run(text, json!({}));
    assert_eq!(
        refused(&run, "{\"n\": \"1\"}").unwrap().to_string(),
        "the answer does not conform: \"1\" is not of type \"integer\""
    );
    assert!(refused(&run, "{n}").unwrap().to_string().contains("it is not JSON"));
    run.answer("{\"n\": 1}", "test:person", None);
    assert_eq!(given(&run), json!({"n": 1}));
}

#[test]
fn some_of_the_options_are_an_answer_to_multi_choice() {
    let text = "do: [{ a: { ask: { prompt: x, mode: multiChoice, options: [{ value: a, description: first }, { value: b }], optionsFrom: '${ .more }' } } }]";
    let mut run = run(text, json!({"more": ["c", {"value": "d", "label": "D"}]}));
    let options = question(&run).options;
    assert_eq!(options.iter().map(|option| option.value.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(options[0].description.as_deref(), Some("first"));
    for wrong in ["[]", "[\"e\"]", "[\"a\",\"a\"]", "a"] {
        assert!(refused(&run, wrong).is_some(), "{wrong}");
    }
    run.answer("[\"d\",\"a\"]", "test:person", None);
    assert_eq!(given(&run), json!(["d", "a"]));
}

#[test]
fn options_that_come_from_data_must_be_options() {
    let text = "do: [{ a: { ask: { prompt: x, optionsFrom: '${ .more }' } } }]";
    for wrong in [json!({"more": 1}), json!({"more": []}), json!({"more": [1]}), json!({"more": vec!["a"; 101]})] {
        let end = faulted(&run(text, wrong));
        assert!(end.starts_with("validation 400 at /do/0/a: `optionsFrom` gives no list of 1 to 100 options"), "{end}");
    }
    let mut run = run(text, json!({"more": ["x"]}));
    assert!(matches!(refused(&run, "y"), Some(RefusedDecision::NotAnOption { .. })));
    run.answer("x", "test:person", None);
    assert_eq!(given(&run), "x");
}

#[test]
fn an_answer_that_may_be_left_out_is_the_default() {
    let text = "do: [{ a: { ask: { prompt: x, mode: text, required: false, default: none, assignment: { roleId: r, categoryCode: c, reasonCode: '${ .why }' } } } }]";
    let mut run = run(text, json!({"why": "late"}));
    let asked = question(&run);
    assert_eq!(
        (asked.role.as_deref(), asked.category.as_deref(), asked.reason.as_deref()),
        (Some("r"), Some("c"), Some("late"))
    );
    run.answer("", "test:person", None);
    assert_eq!(given(&run), "none");
}

#[test]
fn the_default_answers_in_time() {
    for (ask, expected) in [
        (
            "{ prompt: x, mode: object, default: { n: 2 }, timeout: { after: PT1H }, onTimeout: { action: default } }",
            json!({"n": 2}),
        ),
        (
            "{ prompt: x, mode: text, timeout: { after: PT1H }, onTimeout: { action: default, default: later } }",
            json!("later"),
        ),
        (
            "{ prompt: x, mode: confirm, default: confirmed, timeout: { after: PT1H }, onTimeout: { action: default } }",
            json!("confirmed"),
        ),
    ] {
        let mut run = run(&format!("do: [{{ a: {{ ask: {ask} }} }}]"), json!({}));
        run.wake();
        assert_eq!(given(&run), expected, "{ask}");
    }
}

#[test]
fn an_answer_that_may_not_be_repeated_faults() {
    let text = "do: [{ a: { ask: { prompt: x, mode: object, schema: { type: integer }, retryOnInvalid: false } } }]";
    let mut run = run(text, json!({}));
    run.answer("1.5", "test:person", None);
    assert_eq!(
        faulted(&run),
        "validation 400 at /do/0/a: the answer to `a` does not conform: 1.5 is not of type \"integer\""
    );
}

#[test]
fn fields_that_do_not_fit_the_mode_are_refused() {
    for (ask, expected) in [
        ("{ prompt: x, sensitive: true }", "`ask.sensitive` is refused (see docs/dsl.md)"),
        ("{ prompt: x, mode: file }", "`ask.mode: file` is refused (see docs/dsl.md)"),
        ("{ prompt: x, mode: choice }", "`ask` lets choose and has no options; add `options` or `optionsFrom`"),
        (
            "{ prompt: x, mode: text, options: [{ value: a }] }",
            "`ask.options` is not used by this mode; use `mode: choice` or `multiChoice`",
        ),
        (
            "{ prompt: x, mode: text, proceedOn: [a] }",
            "`ask.proceedOn` is about options, and the answer is none; check it with `assert`",
        ),
        (
            "{ prompt: x, mode: approval, schema: {} }",
            "`ask.schema` is not used by a choice; use `mode: text` or `object`",
        ),
        ("{ prompt: x, required: false }", "`ask.required: false` of a choice is refused (see docs/dsl.md)"),
        (
            "{ prompt: x, default: approved }",
            "`ask.default` of a choice is what `onTimeout` answers, and there is none; add `onTimeout: { action: default }`",
        ),
        (
            "{ prompt: x, mode: object, schema: { type: integer }, default: a }",
            "`ask.default` does not conform: \"a\" is not of type \"integer\"",
        ),
        (
            "{ prompt: x, mode: object, schema: { type: nothing } }",
            "`ask.schema` is no JSON schema: \"nothing\" is not valid",
        ),
        (
            "{ prompt: x, validate: { pattern: '(' } }",
            "`ask.validate.pattern`: `(` is not a regular expression: unclosed group",
        ),
    ] {
        let said = said(&format!("{{ ask: {ask} }}"));
        assert!(said.contains(expected), "{ask}: {said}");
    }
}

/// None when it holds.
fn asserted(assert: &str, input: Value) -> Option<String> {
    let run = run(&format!("do: [{{ t: {{ assert: {assert} }} }}]"), input);
    match &run.history.last().unwrap().event {
        Event::InstanceCompleted { .. } => None,
        Event::InstanceFaulted { error: Fault { detail, .. } } => detail.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn assert_compares_at_paths_and_with_schemas() {
    let input = json!({"status": "ok", "items": [1, 2], "a": {"b": [{"c": "x1"}]}, "none": null});
    for (assert, why) in [
        (
            "{ value: '${ . }', json: { $.status: ok, 'a.b[0].c': { matches: '^x' }, .items: { hasLength: { gte: 2, lt: 3 }, contains: 2 } } }",
            "",
        ),
        ("{ value: '${ . }', json: { status: bad } }", "at `status` \"ok\" is not \"bad\""),
        ("{ value: '${ . }', json: { status: '${ .status }' } }", ""),
        ("{ value: '${ . }', json: { .items: { hasLength: { gt: 2 } } } }", "at `.items` [1,2] has length 2"),
        ("{ value: '${ . }', json: { .items: { hasLength: { lt: 0 } } } }", "has length 2"),
        ("{ value: '${ . }', json: { .none: { exists: true } } }", "at `.none` it is not there"),
        ("{ value: '${ . }', json: { .none: { hasLength: { gt: 0 } } } }", "at `.none` null has no length"),
        ("{ value: '${ .status }', json: { .x: 1 } }", "cannot index"),
        ("{ value: '${ .items }', schema: { type: array, items: { type: integer } } }", ""),
        (
            "{ value: '${ .items }', schema: { document: { maxItems: 1 } } }",
            "the value does not conform: /: [1,2] has more than 1 item",
        ),
        ("{ value: '${ .status }', equals: ok, matches: 'o.', contains: k, exists: true }", ""),
    ] {
        match (asserted(assert, input.clone()), why) {
            (None, "") => {}
            (Some(detail), why) if !why.is_empty() && detail.contains(why) => {}
            (found, why) => panic!("{assert}: {found:?}, not {why:?}"),
        }
    }
    assert!(said("{ assert: { value: 1, rule: { ruleId: x } } }").contains("`assert.rule` is refused"));
    assert!(said("{ assert: { value: 1, json: { 'a | b': 1 } } }").contains("is not a path"));
}

#[test]
fn a_definition_of_the_portal_runs_in_cel() {
    let text = "evaluate: { language: cel }
do:
- requestApproval:
    ask:
      prompt: Review ${ .requestId } of ${ workflow.definition.document.name }.
      mode: approval
      assignment: { roleId: admin, categoryCode: approval, reasonCode: human-approval }
      options:
      - { label: Approve, value: APPROVED, description: Continue the request. }
      - { label: Reject, value: REJECTED, description: Stop the request. }
      required: true
      timeout: { after: PT24H }
      onTimeout: { action: default, default: REJECTED }
    export: { as: { approval: '${{ output }}', requestId: '${ input.requestId }' } }
- decide:
    switch:
    - yes: { when: context.approval.value == 'APPROVED', then: record }
    - no: { then: end }
- record:
    for: { each: n, in: 'context.requestId.split(\"-\")' }
    do: [{ note: { if: n != 'r', set: { note: '${ n + \"!\" }', was: '${ .value }' } } }]
";
    let mut run = run(text, json!({"requestId": "r-7"}));
    assert_eq!(question(&run).prompt, "Review r-7 of t.");
    run.answer("APPROVED", "test:person", None);
    assert_eq!(run.last_line(), r#"completed: {"note":"7!","was":"APPROVED"}"#);
    assert_eq!(
        workflow::definition::parse(
            &format!(
                "{HEAD}evaluate: {{ language: cel }}\ndo:\n- a: {{ if: 'inputt.x == 1', set: {{ x: '${{ 1 + }}' }} }}"
            ),
            "d.yaml"
        )
        .unwrap_err()[0]
            .to_string(),
        "d.yaml:4:39: `set`: `${ 1 + }` is not a CEL expression: expected a value, found its end"
    );
    let said = said_of_cel("- a: { set: { x: '${ inputt.x }' } }");
    assert!(said.contains("4:13: there is no variable `$inputt` here; did you mean `$input`?"), "{said}");
}

fn said_of_cel(tasks: &str) -> String {
    let text = format!("{HEAD}evaluate: {{ language: cel }}\ndo:\n{tasks}");
    let problems = workflow::definition::parse(&text, "d.yaml").unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Text that would be an expression, were it in a definition.
const HOSTILE: [&str; 4] = ["${ error(\"evaluated\") }", "${ .secret }", "${{ secret }}", "\\(.secret)"];

#[test]
fn text_in_data_is_never_an_expression() {
    for hostile in HOSTILE {
        let input = json!({"x": hostile, "secret": "evaluated", "list": [hostile]});
        for tasks in [
            "- t: { set: { a: '${ .x }' } }",
            "- t: { set: '${ {a: .x} }' }",
            "- t: { input: { from: '{ x: .x }' }, set: { a: '${ .x }' } }",
            "- t: { set: { x: 1 }, output: { as: '{ a: $task.input.x }' } }",
            "- t: { set: { x: 1 }, export: { as: '{ a: $task.input.x }' } }\n- u: { set: { a: '${ $context.a }' } }",
            "- t: { for: { in: .list }, do: [{ u: { set: { a: '${ $item }' } } }] }",
            "- t: { emit: { event: { with: { source: s, type: t, data: { a: '${ .x }' } } } } }",
            "- t: { switch: [{ c: { when: '.x == 1', then: end } }] }\n- u: { set: { a: '${ .x }' } }",
            "- t: { try: [{ u: { raise: { error: { type: e, status: 400, detail: '${ .x }' } } } }], catch: { do: [{ v: { set: { a: '${ $error.detail }' } } }] } }",
            "- t: { assert: { value: '${ .x }', equals: '${ .list[0] }', message: 'was ${ .x }' } }",
            "- t: { assert: { value: '${ .x }', contains: nothing, message: 'was ${ .x }' } }",
            "- t: { raise: { error: { type: e, status: 400, detail: '${ .x }' } } }",
        ] {
            let text = format!("do:\n{tasks}");
            let lines = run(&text, input.clone()).lines();
            let shown = Value::from(hostile).to_string();
            assert!(lines.contains(&shown[1..shown.len() - 1]) || lines.contains(hostile), "{tasks}: {lines}");
            // The one place where the word may stand is the input itself.
            assert!(
                !lines
                    .replace("\"secret\":\"evaluated\"", "")
                    .replace("error(\\\"evaluated\\\")", "")
                    .replace("error(\"evaluated\")", "")
                    .contains("evaluated"),
                "{tasks}: {lines}"
            );
        }
        let ask = "do: [{ t: { ask: { prompt: 'Is it ${ .x }?', assignee: '${ .x }', subject: { it: '${ .x }' }, optionsFrom: '${ .list }' } } }]";
        let asked = question(&run(ask, input.clone()));
        assert_eq!(asked.prompt, format!("Is it {hostile}?"));
        assert_eq!((asked.assignee.as_deref(), &asked.subject["it"]), (Some(hostile), &json!(hostile)));
        assert_eq!(asked.options[0].value, hostile);
        let cel = "evaluate: { language: cel }\ndo: [{ t: { set: { a: '${ .x }', b: '${ string(.list) }' } } }]";
        let output = run(cel, input.clone()).last_line();
        assert_eq!(output, format!("completed: {}", json!({"a": hostile, "b": json!([hostile]).to_string()})));
        let loose = "evaluate: { mode: loose }\ndo: [{ t: { set: { a: .x } } }]";
        assert_eq!(run(loose, input).last_line(), format!("completed: {}", json!({"a": hostile})));
    }
}
