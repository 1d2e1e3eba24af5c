//! `use.functions` and `use.extensions`: tasks that are written once.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{HEAD, Run, definition, noon};
use workflow::definition;
use workflow::effect::{EffectOutcome, StandardError};
use workflow::engine::Phase;
use workflow::event::Event;
use workflow::summary::TaskStatus;
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

/// What is said about a definition; its first line is the head.
fn said(text: &str) -> String {
    match definition::parse(&format!("{HEAD}{text}"), "d.yaml") {
        Ok(_) => "accepted".to_owned(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

const GREET: &str = "use:
  functions:
    greet:
      input: { schema: { document: { type: object, required: [name] } }, from: '{ who: .name }' }
      set: { text: '${ \"hello \\(.who)\" }', seen: '${ $context }' }
      output: { as: '.text' }
      export: { as: '{ last: . }' }
";

#[test]
fn a_function_is_a_task_with_an_input_of_its_own() {
    let text = format!(
        "{GREET}do:
- first: {{ call: greet, with: {{ name: '${{ .n }}' }} }}
- second: {{ call: greet, with: {{ name: bo }}, output: {{ as: '{{ said: ., last: $context.last }}' }} }}
"
    );
    let run = run(&text, json!({"n": "al"}));
    assert_eq!(
        run.lines(),
        r#"/do/0/first starts with {"n":"al"}
/do/0/first/function/0/greet starts with {"name":"al"}
/do/0/first/function/0/greet gives "hello al"; context {"last":"hello al"}
/do/0/first gives "hello al"
/do/1/second starts with "hello al"
/do/1/second/function/0/greet starts with {"name":"bo"}
/do/1/second/function/0/greet gives "hello bo"; context {"last":"hello bo"}
/do/1/second gives {"said":"hello bo","last":"hello bo"}
completed: {"said":"hello bo","last":"hello bo"}
"#
    );
}

#[test]
fn an_error_of_a_function_is_one_of_its_call() {
    let text = format!("{GREET}do: [{{ first: {{ call: greet, with: {{ nam: x }} }} }}]");
    assert_eq!(
        end_of(&text, json!({})),
        "faulted: validation 400 at /do/0/first/function/0/greet: the input does not conform: /: \"name\" is a required property"
    );
    let guarded = "use: { functions: { f: { call: echo, with: {} } } }
do:
- guarded:
    try: [{ work: { call: f } }]
    catch: { retry: { limit: { attempt: { count: 1 } } } }
";
    let mut run = run(guarded, json!({}));
    run.complete(EffectOutcome::Faulted { error: StandardError::Communication.fault("no answer") });
    run.output(json!("fine"));
    assert_eq!(run.last_line(), "completed: \"fine\"");
}

#[test]
fn functions_call_functions_and_a_skipped_one_gives_its_input() {
    let text = "use:
  functions:
    outer: { do: [{ a: { call: inner, with: { n: '${ .n + 1 }' } } }, { b: { set: '${ .n * 10 }' } }] }
    inner: { if: .n > 5, set: { n: 100 } }
do: [{ each: { for: { in: [1, 7] }, do: [{ go: { call: outer, with: { n: '${ $item }' } } }], output: { as: '{ last: . }' } } }]
";
    assert_eq!(end_of(text, json!({})), r#"completed: {"last":1000}"#);
    assert_eq!(end_of(&text.replace("[1, 7]", "[7, 1]"), json!({})), r#"completed: {"last":20}"#);
}

#[test]
fn what_is_wrong_in_a_function_is_said_once_and_where_it_stands() {
    let calls = "do: [{ a: { call: f } }, { b: { call: f } }]";
    assert_eq!(
        said(&format!("use: {{ functions: {{ f: {{ set: {{ x: '${{ $item }}' }} }} }} }}\n{calls}")),
        "d.yaml:2:36: there is no variable `$item` here; the variables here are `$context`, `$input`, `$task`, `$workflow`, `$runtime`"
    );
    assert_eq!(
        said(&format!("use: {{ functions: {{ f: {{ sett: {{ x: 1 }} }} }} }}\n{calls}")),
        "d.yaml:2:26: unknown field `sett` in task `f`; did you mean `set`?"
    );
    assert_eq!(
        said("use: { functions: { f: { call: g }, g: { do: [{ a: { call: f } }] } } }\ndo: [{ a: { set: { x: 1 } } }]"),
        "d.yaml:2:32: function `g` calls itself, for ever; use `for` to do something again\n\
         d.yaml:2:60: function `f` calls itself, for ever; use `for` to do something again"
    );
    assert_eq!(
        said("use: { functions: { http: { set: { x: 1 } }, a/b: { set: { x: 1 } } } }\ndo: [{ a: { set: { x: 1 } } }]"),
        "d.yaml:2:21: `call: http` has a meaning of its own; choose another name\n\
         d.yaml:2:46: `a/b` cannot name a function; use 1 to 126 bytes without `/`, `~`, `[`, `]`"
    );
    assert_eq!(
        said(
            "use: { functions: { f: { set: { x: 1 } } } }\ndo: [{ a: { call: f, metadata: { lightWorkflow: { grants: {} } } } }]"
        ),
        "d.yaml:3:51: `metadata.lightWorkflow.grants` has no effect on `call of a function`; remove it, or move it to a task with `call`"
    );
}

#[test]
fn functions_that_grow_without_end_are_refused() {
    let mut functions = "f0: { set: { x: 1 } }".to_owned();
    for number in 1..40 {
        let inner = number - 1;
        functions.push_str(&format!(
            ", f{number}: {{ do: [{{ a: {{ call: f{inner} }} }}, {{ b: {{ call: f{inner} }} }}] }}"
        ));
    }
    let text = said(&format!("use: {{ functions: {{ {functions} }} }}\ndo: [{{ a: {{ call: f39 }} }}]"));
    assert!(text.contains("functions and extensions make more than 10000 tasks of this definition"), "{text}");
}

const LOGGING: &str = "use:
  extensions:
  - logging:
      extend: set
      when: $task.name != \"quiet\"
      before: [{ begin: { call: echo, with: { about: '${ $task.reference }', sets: '${ $task.set }' } } }]
      after: [{ end: { call: echo, with: { about: '${ $task.name }', gave: '${ . }' } } }]
do:
- loud: { set: { n: 1 }, output: { as: '{ n: .n, more: true }' } }
- quiet: { set: '${ . }' }
";

#[test]
fn an_extension_works_around_its_tasks_and_beside_the_flow() {
    let mut run = run(LOGGING, json!({"in": 1}));
    run.output(json!("of no use")).output(json!("neither"));
    assert_eq!(
        run.lines(),
        r#"/do/0/loud starts with {"in":1}
/do/0/loud extension 0 applies
/do/0/loud/extensions/0/before/0/begin starts with {"in":1}
/do/0/loud/extensions/0/before/0/begin attempt 1
/do/0/loud/extensions/0/before/0/begin attempt 1 ended
/do/0/loud/extensions/0/before/0/begin gives "of no use"
/do/0/loud gave {"n":1}
/do/0/loud/extensions/0/after/0/end starts with {"n":1}
/do/0/loud/extensions/0/after/0/end attempt 1
/do/0/loud/extensions/0/after/0/end attempt 1 ended
/do/0/loud/extensions/0/after/0/end gives "neither"
/do/0/loud gives {"n":1,"more":true}
/do/1/quiet starts with {"n":1,"more":true}
/do/1/quiet extension 0 does not apply
/do/1/quiet gives {"n":1,"more":true}
completed: {"n":1,"more":true}
"#
    );
    let said: Vec<Value> = run
        .history
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::AttemptStarted { effect, .. } => Some(serde_json::to_value(effect).unwrap()["input"].clone()),
            _ => None,
        })
        .collect();
    assert_eq!(said, [json!({"about": "/do/0/loud", "sets": {"n": 1}}), json!({"about": "loud", "gave": {"n": 1}})]);
}

#[test]
fn exit_in_before_stands_for_the_task() {
    let text = "use:
  extensions:
  - mock:
      extend: call
      when: $task.with.address | startswith(\"https://mocked\")
      before:
      - fake: { set: { body: { n: 1 } }, then: exit }
      - never: { raise: { error: { type: 'https://x/y', status: 500 } } }
      after: [{ nor: { raise: { error: { type: 'https://x/y', status: 500 } } } }]
do:
- ask: { call: echo, with: { address: 'https://mocked.example' }, output: { as: .body }, export: { as: '{ got: . }' }, then: last }
- skipped: { set: { n: 2 } }
- last: { set: '${ [., $context] }' }
";
    assert_eq!(end_of(text, json!({})), r#"completed: [{"n":1},{"got":{"n":1}}]"#);
    let mut real = run(&text.replace("'https://mocked.example'", "'https://real.example'"), json!({}));
    real.output(json!({"body": 7}));
    assert_eq!(real.last_line(), r#"completed: [7,{"got":7}]"#);
}

#[test]
fn extensions_nest_in_their_order_and_reach_into_lists() {
    let text = "use:
  extensions:
  - outer: { extend: all, before: [{ o1: { set: { x: 1 } } }], after: [{ o2: { set: { x: 2 } } }] }
  - inner: { extend: composite, before: [{ i1: { set: { x: 3 } } }], after: [{ i2: { set: { x: 4 } } }] }
do:
- list: { do: [{ a: { set: '${ . }' } }] }
";
    let run = run(text, json!({"n": 0}));
    assert_eq!(run.last_line(), r#"completed: {"n":0}"#);
    let order: Vec<String> = run.tasks().into_iter().map(|task| task.name).collect();
    assert_eq!(order, ["list", "o1", "i1", "a", "o1", "o2", "i2", "o2"]);
    assert!(run.tasks().iter().all(|task| task.status == TaskStatus::Completed));
}

#[test]
fn extensions_of_tasks_that_wait_and_of_functions_and_forks() {
    let text = "use:
  functions: { f: { wait: PT1S } }
  extensions:
  - e: { extend: all, before: [{ rest: { wait: PT1S } }], after: [{ rest: { wait: PT1S } }] }
do:
- go: { fork: { branches: [{ a: { call: f } }, { b: { try: [{ c: { raise: { error: { type: 'https://x/y', status: 500 } } } }], catch: {} } }] }, timeout: { after: PT1M } }
";
    let mut run = run(text, json!({"n": 0}));
    while !run.instance.phase().is_final() {
        run.wake();
    }
    assert_eq!(run.last_line(), r#"completed: [{},{"n":0}]"#);
    // Before and after of `go`, `a`, `f`, and the wait of `f` itself.
    assert_eq!(run.now, noon() + Duration::from_secs(7));
}

#[test]
fn an_error_of_an_extension_is_one_of_the_task() {
    let text = |list: &str| {
        format!(
            "use: {{ extensions: [{{ e: {{ extend: set, {list}: [{{ bad: {{ raise: {{ error: {{ type: 'https://x/y', status: 500 }} }} }} }}] }} }}] }}
do: [{{ t: {{ try: [{{ a: {{ set: {{ n: 1 }} }} }}], catch: {{ as: e, do: [{{ note: {{ assert: {{ value: '${{ $e.instance }}', equals: '${{ \"\" }}' }} }} }}] }} }} }}]"
        )
    };
    for list in ["before", "after"] {
        let end = end_of(&text(list), json!({}));
        assert!(end.contains(&format!("\"/do/0/t/try/0/a/extensions/0/{list}/0/bad\" is not")), "{end}");
    }
}

#[test]
fn what_is_wrong_in_an_extension_is_said() {
    let tasks = "do: [{ a: { set: { x: 1 } } }, { b: { set: { x: 1 } } }]";
    let of = |extension: &str| said(&format!("use: {{ extensions: [{{ e: {extension} }}] }}\n{tasks}"));
    assert_eq!(
        of("{ extend: sets, before: [{ x: { set: { x: 1 } } }] }"),
        "d.yaml:2:36: `sets` is not a value of `use.extensions[0].e.extend`; did you mean `set`?"
    );
    assert_eq!(
        of("{ extend: set, when: .a == }"),
        "d.yaml:2:26: `use.extensions[0].e` does nothing; give it `before` or `after`\n\
         d.yaml:2:47: `use.extensions[0].e.when`: `.a ==` is not a jq expression: expected term, found its end"
    );
    assert_eq!(
        of("{ extend: set, when: $item, before: [{ x: { set: { y: '${ $index }' }, then: z } }] }"),
        "d.yaml:2:103: `then`: there is no task `z` in this list; name a task of the same list (`x`), or `continue`, `exit`, `end`"
    );
    let variables = of("{ extend: set, when: $item, before: [{ x: { set: { y: '${ $index }' } } }] }");
    assert_eq!(variables.lines().count(), 2, "{variables}");
    assert!(variables.starts_with("d.yaml:2:47: there is no variable `$item` here"), "{variables}");
}

#[test]
fn a_history_in_which_an_extension_comes_out_of_turn_is_refused() {
    let run = run(LOGGING, json!({}));
    let refused = |path: &str, event: fn(TaskPath) -> Event| {
        let event = event(TaskPath::from_text(path));
        let next = Recorded { revision: run.instance.revision() + 1, at: run.now, event };
        run.instance.clone().apply(&next).unwrap_err().to_string()
    };
    let started = |path| Event::ExtensionStarted { path, extension: 1, applies: true };
    assert!(refused("/do/0/loud", started).contains("is not next"));
    assert!(refused("", started).contains("no extensions"));
    let ended = |path| Event::ExtendedTaskEnded { path, output: json!(1), then: workflow::event::FlowTarget::Continue };
    assert!(refused("/do/0/loud", ended).contains("is not done"));
    assert_eq!(run.instance.phase(), Phase::Running);
}
