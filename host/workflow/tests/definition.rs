//! What is said about definitions that are wrong: where, what, and what to do.

use insta::assert_snapshot;
use std::collections::BTreeMap;
use workflow::definition::{self, TaskKind};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: n, name: w, version: 1.0.0 }\n";

/// What is said about a whole text.
fn said_of(text: &str) -> String {
    match definition::parse(text, "d.yaml") {
        Ok(definition) => {
            let warnings = definition::warnings(&definition, "d.yaml");
            let said: Vec<String> =
                std::iter::once("accepted".to_owned()).chain(warnings.iter().map(ToString::to_string)).collect();
            said.join("\n")
        }
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

/// What is said about a list of tasks; the first stands on line 3.
fn said(tasks: &str) -> String {
    said_of(&format!("{HEAD}do:\n{tasks}"))
}

/// What is said about one task named `t`; `body` begins on line 3.
fn task(body: &str) -> String {
    said(&format!("- t: {body}"))
}

#[test]
fn the_document_says_what_it_is() {
    assert_snapshot!(said_of(""), @r#"d.yaml:1:1: the file is empty"#);
    assert_snapshot!(said_of("- a"), @r#"d.yaml:1:1: the file must be a mapping, not a list"#);
    assert_snapshot!(said_of("{}"), @r#"
    d.yaml:1:1: `document` is missing
    d.yaml:1:1: `do` is missing
    "#);
    assert_snapshot!(said_of("document: { dsl: 1.0, namespace: a b, name: '', version: 1 }\ndo: []"), @r#"
    d.yaml:1:18: `document.dsl` must be text, not `1.0`; put it in quotes
    d.yaml:1:34: `document.namespace`: `a b` is not a name; use 1 to 63 letters, digits and `-`, with `-` neither first nor last
    d.yaml:1:45: `document.name`: `` is not a name; use 1 to 63 letters, digits and `-`, with `-` neither first nor last
    d.yaml:1:58: `document.version` must be text, not `1`; put it in quotes
    d.yaml:2:5: `do` is empty; give it at least one item
    "#);
    assert_snapshot!(said_of("document: { dsl: 2.0.0, namespace: a, name: -b, version: v1.0.0, titel: x }\ndo: [{ a: { set: { x: 1 } } }]"), @r#"
    d.yaml:1:18: version `2.0.0` of the DSL is not supported; write `dsl: '1.0.3'`
    d.yaml:1:45: `document.name`: `-b` is not a name; use 1 to 63 letters, digits and `-`, with `-` neither first nor last
    d.yaml:1:58: `document.version`: `v1.0.0` is not a semantic version: unexpected character 'v' while parsing major version number; write it like `1.2.3`
    d.yaml:1:66: unknown field `titel` in `document`; did you mean `title`?
    "#);
    assert_snapshot!(said_of(&format!("{HEAD}shedule: {{}}\nschedule: {{}}\ndo: [{{ a: {{ set: {{ x: 1 }} }} }}]")), @r#"
    d.yaml:2:1: unknown field `shedule`; did you mean `schedule`?
    d.yaml:3:11: `schedule` does not say when; give it `every`, `cron`, `after` or `on`
    "#);
    assert_snapshot!(said_of(&format!("{HEAD}evaluate: {{ language: cel, mode: loose }}\ndo: [{{ a: {{ set: {{ x: 1 }} }} }}]")), @"accepted");
    assert_snapshot!(said_of(&format!("{HEAD}evaluate: {{ language: feel, mode: lose }}\ndo: [{{ a: {{ set: {{ x: 1 }} }} }}]")), @r#"
    d.yaml:2:23: expression language `feel` is refused (see docs/dsl.md)
    d.yaml:2:35: `lose` is not a value of `evaluate.mode`; did you mean `loose`?
    "#);
}

#[test]
fn a_schedule_says_when_instances_start() {
    let schedule = |text: &str| said_of(&format!("{HEAD}schedule: {text}\ndo: [{{ a: {{ set: {{ x: 1 }} }} }}]"));
    assert_snapshot!(schedule("{ every: PT0S, cron: '* * * *', on: { any: [], one: {} } }"), @r#"
    d.yaml:2:20: `schedule.every` is no time at all; write for example `PT1H`
    d.yaml:2:32: `schedule.cron`: `* * * *` has not the five fields minute, hour, day of the month, month, day of the week
    d.yaml:2:47: `schedule.on` must have one of `all`, `any` and `one`; write for example `one: { with: { type: com.example.ready } }`
    "#);
    assert_snapshot!(schedule("{ on: { one: { with: {}, correlate: { a: { form: .x } } } } }"), @r#"
    d.yaml:2:32: `schedule.on.one.with` lets everything through; give it for example a `type`
    d.yaml:2:54: unknown field `form` in `schedule.on.one.correlate.a`; did you mean `from`?
    "#);
    assert_snapshot!(schedule("{ on: { one: { with: { type: a } }, until: .x } }"), @"d.yaml:2:54: `schedule.on.until` belongs to `any`; remove it");
    assert_snapshot!(schedule("{ cron: '0 0 * * MON', on: { any: [{ with: { type: a } }], until: { one: { with: { type: b } } } } }"), @"accepted");
    let seeing = schedule("{ on: { one: { with: { type: a, data: '${ .n > $context.n }' } } } }");
    assert!(seeing.contains("there is no variable `$context` here"), "{seeing}");
}

#[test]
fn an_authentication_policy_is_one_of_five_kinds() {
    let task = "do: [{ a: { set: { x: 1 } } }]";
    let policy =
        |text: &str| said_of(&format!("{HEAD}use: {{ secrets: [s], authentications: {{ a: {text} }} }}\n{task}"));
    for valid in [
        "{ basic: { username: u, password: '${ .p }' } }",
        "{ basic: { use: s } }",
        "{ bearer: { token: t } }",
        "{ digest: { use: s } }",
        "{ oauth2: { authority: 'http://a', grant: client_credentials, client: { id: i, secret: s, authentication: client_secret_basic }, endpoints: { token: /t }, request: { encoding: application/json }, scopes: [x], audiences: [y], issuers: [z], subject: { token: t, type: jwt } } }",
        "{ oidc: { authority: 'http://a', grant: password, username: u, password: p } }",
    ] {
        assert!(policy(valid).starts_with("accepted"), "{valid}: {}", policy(valid));
    }
    assert_snapshot!(policy("{ basic: { username: u }, bearer: { use: s } }"), @r#"d.yaml:2:44: `use.authentications.a` must be one of `basic`, `bearer`, `digest`, `oauth2` and `oidc`; write for example `bearer: { use: SECRET }`"#);
    assert_snapshot!(policy("{ bearer: { use: t } }"), @r#"d.yaml:2:61: `use.authentications.a.bearer.use`: `use.secrets` does not name `t`; add `t` to `use.secrets`"#);
    assert_snapshot!(policy("{ basic: { username: u, pasword: p } }"), @r#"d.yaml:2:68: unknown field `pasword` in `use.authentications.a.basic`; did you mean `password`?"#);
    assert_snapshot!(policy("{ oidc: { authority: a, grant: implicit, endpoints: {} } }"), @r#"
    d.yaml:2:75: `implicit` is not a value of `use.authentications.a.oidc.grant`; it can be `authorization_code`, `client_credentials`, `password`, `refresh_token`, `urn:ietf:params:oauth:grant-type:token-exchange`
    d.yaml:2:96: `use.authentications.a.oidc.endpoints` belongs to `oauth2`; remove it, or use `oauth2`
    "#);
}

#[test]
fn a_list_holds_named_tasks() {
    assert_snapshot!(said("- a: { set: { x: 1 } }\n  b: { set: { x: 1 } }"), @r#"d.yaml:3:3: `do[0]` must be one task under its name; begin each task with its own `- name:`, as `a`, `b` here do not"#);
    assert_snapshot!(said("- a: { set: { x: 1 } }\n- a: { set: { x: 2 } }"), @r#"d.yaml:4:3: two tasks of this list are named `a`, the first on line 3; rename one of them"#);
    assert_snapshot!(said("- a/b: { set: { x: 1 } }"), @r#"d.yaml:3:3: `a/b` cannot name a task; use 1 to 126 bytes without `/`, `~`, `[`, `]`"#);
    assert_snapshot!(said("- just-text"), @r#"d.yaml:3:3: `do[0]` must be a mapping, not text"#);
    assert_snapshot!(said("- a:\n"), @r#"d.yaml:3:4: `task a` must be a mapping, not nothing"#);
}

#[test]
fn a_task_does_one_thing() {
    assert_snapshot!(task("{ if: .x }"), @r#"d.yaml:3:3: task `t` does not say what to do; give it one of `for`, `do`, `set`, `switch`, `assert`, `call`, `run`, `ask`, `try`, `raise`, `wait`, `emit`, `fork`, `listen`"#);
    assert_snapshot!(task("{ sett: { x: 1 } }"), @r#"d.yaml:3:8: unknown field `sett` in task `t`; did you mean `set`?"#);
    assert_snapshot!(task("{ set: { x: 1 }, wait: PT1S }"), @r#"d.yaml:3:3: task `t` has both `set` and `wait`; a task does one thing: make two of it"#);
    assert_snapshot!(task("{ set: { x: 1 }, with: { y: 2 } }"), @r#"d.yaml:3:23: `with` in task `t` belongs to `call`, and this is `set`; remove it, or nest it where it belongs"#);
    assert_snapshot!(task("{ set: { x: 1 }, outptu: { as: . } }"), @r#"d.yaml:3:23: unknown field `outptu` in task `t`; did you mean `output`?"#);
    assert_snapshot!(task("{ set: { x: 1 }, unheard-of: 1 }"), @r#"d.yaml:3:23: unknown field `unheard-of` in task `t`; the fields here are `if`, `input`, `output`, `export`, `timeout`, `then`, `metadata`, `set`"#);
    assert_snapshot!(task("{ fork: { branches: [] } }"), @r#"d.yaml:3:26: `fork.branches` is empty; give it at least one item"#);
    assert_snapshot!(task("{ fork: { compete: yes, branches: [{ a: { set: { x: 1 }, then: b } }, { b: { set: { x: 2 } } }] } }"), @r#"
    d.yaml:3:25: `fork.compete` must be true or false, not text
    d.yaml:3:69: `then`: there is no task `b` in this list; nothing stands beside this task: write `continue`, `exit` or `end`
    "#);
    assert_snapshot!(task("{ listen: { to: { any: [] } }, foreach: { item: x } }"), @"accepted");
}

#[test]
fn common_fields_are_checked() {
    assert_snapshot!(task("{ set: { x: 1 }, if: true, then: 5, metadata: x }"), @r#"
    d.yaml:3:27: `if` must be text, not `true`; put it in quotes
    d.yaml:3:39: `then` must be text, not `5`; put it in quotes
    d.yaml:3:52: `metadata` must be a mapping, not text
    "#);
    assert_snapshot!(task("{ set: { x: 1 }, input: { form: .x } }"), @r#"d.yaml:3:32: unknown field `form` in `input`; did you mean `from`?"#);
    assert_snapshot!(task("{ set: { x: 1 }, output: { as: 5, schema: { format: avro, document: {} } } }"), @r#"
    d.yaml:3:37: `output.as` must be an expression or a mapping, not a number
    d.yaml:3:58: schema format `avro` is refused (see docs/dsl.md)
    "#);
    assert_snapshot!(task("{ set: { x: 1 }, output: { schema: { resource: { endpoint: 'https://x' } } } }"), @"d.yaml:3:65: `output.schema.resource.endpoint`: there is no document `https://x`: it has not been fetched");
    assert_snapshot!(task("{ set: { x: 1 }, timeout: { after: { second: 5 } } }"), @r#"
    d.yaml:3:41: `timeout.after` has no units; give `days`, `hours`, `minutes`, `seconds`, `milliseconds`
    d.yaml:3:43: unknown field `second` in `timeout.after`; did you mean `seconds`?
    "#);
    assert_snapshot!(task("{ set: { x: 1 }, timeout: { after: 30s } }"), @r#"d.yaml:3:41: `timeout.after`: `30s` is not an ISO 8601 duration such as `PT30S` or `P1DT12H`"#);
    assert_snapshot!(task("{ set: { x: 1 }, timeout: short }"), @r#"d.yaml:3:32: `timeout`: there is no `short` in `use.timeouts`; declare it under `use.timeouts`"#);
    assert_snapshot!(task("{ set: { x: 1 }, timeout: { after: '${ $output }' } }"), @"d.yaml:3:41: there is no variable `$output` here; the variables here are `$context`, `$task`, `$workflow`, `$runtime`");
}

#[test]
fn an_expression_that_does_not_parse_is_found_at_its_line() {
    assert_snapshot!(task("{ set: { x: 1 }, if: '.a ==' }"), @r#"d.yaml:3:27: `if`: `.a ==` is not a jq expression: expected term, found its end"#);
    assert_snapshot!(said("- t:\n    set:\n      ok: ${ .a }\n      list:\n        - ${ .b | }\n        - ${ nope(1) }"), @r#"
    d.yaml:7:11: `set`: `${ .b | }` is not a jq expression: expected term, found its end
    d.yaml:8:11: `set`: `${ nope(1) }` is not a jq expression: undefined filter `nope/1`
    "#);
    assert_snapshot!(task("{ run: { shell: { command: ls, arguments: ['--v=${ .x }'] } } }"), @r#"d.yaml:3:49: `run.shell.arguments[0]`: `--v=${ .x }` is only partly an expression; make the whole text one, like `${ "v\(.release.version)" }`"#);
    assert_snapshot!(task("{ run: { shell: { command: 'echo ${HOME} ${x}' } } }"), @r#"accepted"#);
}

#[test]
fn a_variable_that_is_not_known_yet_at_its_place_is_an_error() {
    let document = |fields: &str| said_of(&format!("{HEAD}{fields}\ndo: [{{ a: {{ set: {{ x: 1 }} }} }}]"));
    // The place, with `$name` for each variable, and those that are there.
    type Place<'a> = (&'a str, &'a dyn Fn(&str) -> String, &'a [&'a str]);
    let places: [Place; 9] = [
        ("input of the document", &|v| document(&format!("input: {{ from: {v} }}")), &["workflow", "runtime"]),
        ("its output", &|v| document(&format!("output: {{ as: {v} }}")), &["context", "workflow", "runtime"]),
        ("if", &|v| task(&format!("{{ set: {{ x: 1 }}, if: {v} }}")), &["context", "task", "workflow", "runtime"]),
        (
            "input.from",
            &|v| task(&format!("{{ set: {{ x: 1 }}, input: {{ from: {v} }} }}")),
            &["context", "task", "workflow", "runtime"],
        ),
        (
            "the task itself",
            &|v| task(&format!("{{ set: {{ x: '${{ {v} }}' }} }}")),
            &["context", "input", "task", "workflow", "runtime"],
        ),
        (
            "for.in",
            &|v| task(&format!("{{ for: {{ in: {v} }}, do: [{{ a: {{ set: {{ x: 1 }} }} }}] }}")),
            &["context", "input", "task", "workflow", "runtime"],
        ),
        (
            "output.as",
            &|v| task(&format!("{{ set: {{ x: 1 }}, output: {{ as: {v} }} }}")),
            &["context", "input", "task", "workflow", "runtime"],
        ),
        (
            "export.as",
            &|v| task(&format!("{{ set: {{ x: 1 }}, export: {{ as: {v} }} }}")),
            &["context", "input", "output", "task", "workflow", "runtime"],
        ),
        (
            "catch.when",
            &|v| task(&format!("{{ try: [{{ a: {{ set: {{ x: 1 }} }} }}], catch: {{ when: {v} }} }}")),
            &["context", "input", "error", "task", "workflow", "runtime"],
        ),
    ];
    for (place, text, known) in places {
        for name in ["context", "input", "output", "task", "workflow", "runtime", "error", "item"] {
            let said = text(&format!("${name}"));
            match known.contains(&name) {
                true => assert_eq!(said, "accepted", "{place}: {name}"),
                false => assert!(said.contains(&format!("there is no variable `${name}` here")), "{place}: {said}"),
            }
        }
    }
}

#[test]
fn an_expression_names_variables_that_exist() {
    assert_snapshot!(task("{ set: { a: '${ $contxt.x }', b: '${ $context.x }' }, if: $nope }"), @r#"
    d.yaml:3:18: there is no variable `$contxt` here; did you mean `$context`?
    d.yaml:3:64: there is no variable `$nope` here; the variables here are `$context`, `$task`, `$workflow`, `$runtime`
    "#);
    assert_snapshot!(said("- t:\n    for: { each: crate, in: .crates }\n    while: $index < 5 and $item\n    do:\n    - u: { set: { x: '${ $crate + $index }' }, output: { as: $creates } }\n- v: { set: { x: '${ $crate }' } }"), @r#"
    d.yaml:5:12: there is no variable `$item` here; the variables here are `$context`, `$input`, `$task`, `$workflow`, `$runtime`, `$crate`, `$index`
    d.yaml:7:62: there is no variable `$creates` here; did you mean `$crate`?
    d.yaml:8:18: there is no variable `$crate` here; the variables here are `$context`, `$input`, `$task`, `$workflow`, `$runtime`
    "#);
    assert_snapshot!(said("- t:\n    try: [{ a: { set: { x: '${ $error }' } } }]\n    catch: { as: fault, when: $fault.status == 5, exceptWhen: $error, do: [{ b: { set: { y: '${ $fault }' } } }] }"), @r#"
    d.yaml:4:28: there is no variable `$error` here; the variables here are `$context`, `$input`, `$task`, `$workflow`, `$runtime`
    d.yaml:5:63: there is no variable `$error` here; the variables here are `$context`, `$input`, `$task`, `$workflow`, `$runtime`, `$fault`
    "#);
    assert_snapshot!(task("{ ask: { prompt: 'go ${ $contex.x }?', subject: { a: ['${ $inptu }'] } } }"), @r#"
    d.yaml:3:23: there is no variable `$contex` here; did you mean `$context`?
    d.yaml:3:60: there is no variable `$inptu` here; did you mean `$input`?
    "#);
    assert_snapshot!(task("{ set: { x: '${ [.a[] as $y | $y] }' } }"), @r#"accepted"#);
    assert_snapshot!(task("{ set: { x: '${ $secrets.token }' } }"), @r#"d.yaml:3:18: `set`: `${ $secrets.token }` is not a jq expression: `$secrets` is not available here: secrets are never in expressions: `${ $secrets.NAME }` or `${ $secrets["NAME"] }` names one, as the whole value of a variable in `environment` of `run.shell`, `run.script` and `run.container`, or of `username`, `password`, `token`, `secret` and `assertion` in `authentication`"#);
}

#[test]
fn then_stays_in_its_list() {
    assert_snapshot!(said("- one: { set: { x: 1 }, then: tow }\n- two: { set: { x: 1 } }"), @r#"d.yaml:3:31: `then`: there is no task `tow` in this list; did you mean `two`?"#);
    assert_snapshot!(said("- one: { do: [{ inner: { set: { x: 1 }, then: two } }] }\n- two: { set: { x: 1 } }"), @r#"d.yaml:3:47: `then`: there is no task `two` in this list; name a task of the same list (`inner`), or `continue`, `exit`, `end`"#);
    assert_snapshot!(said("- one: { switch: [{ a: { then: nowhere } }, { b: { then: end } }, { a: { when: .x, then: end } }] }"), @r#"
    d.yaml:3:32: `switch[0].a.then`: there is no task `nowhere` in this list; name a task of the same list (`one`), or `continue`, `exit`, `end`
    d.yaml:3:67: two cases of this switch are named `a`; rename one of them
    "#);
    assert_snapshot!(said("- one: { switch: [{ a: { when: .x } }] }"), @r#"d.yaml:3:24: `switch[0].a.then` is missing"#);
}

#[test]
fn a_task_that_is_never_reached_is_a_warning() {
    assert_snapshot!(said("- one: { set: { x: 1 }, then: end }\n- two: { set: { x: 1 } }\n- three: { set: { x: 1 } }"), @r#"
    accepted
    d.yaml:4:8: warning: task `two` is never reached; name it in a `then` before it, or remove it
    d.yaml:5:10: warning: task `three` is never reached; name it in a `then` before it, or remove it
    "#);
    assert_snapshot!(said("- one: { if: .x, set: { x: 1 }, then: end }\n- two: { set: { x: 1 } }"), @r#"accepted"#);
    assert_snapshot!(said("- one: { switch: [{ a: { then: three } }] }\n- two: { set: { x: 1 } }\n- three: { set: { x: 1 } }"), @r#"
    accepted
    d.yaml:4:8: warning: task `two` is never reached; name it in a `then` before it, or remove it
    "#);
    assert_snapshot!(said("- one: { try: [{ a: { set: { x: 1 } } }], catch: { then: three }, then: end }\n- two: { set: { x: 1 } }\n- three: { set: { x: 1 } }"), @r#"
    accepted
    d.yaml:4:8: warning: task `two` is never reached; name it in a `then` before it, or remove it
    "#);
}

#[test]
fn a_circle_that_nothing_leaves_is_refused() {
    for (tasks, expected) in [
        (
            "- a: { set: { x: 1 }, then: a }",
            "d.yaml:3:29: task `a` leads back to `a`, and nothing on the way waits or leads out of it: this would never end; lead out of it with a `switch`, or put a `wait` into it",
        ),
        (
            "- start: { wait: PT1S }\n- group: { do: [{ a: { set: { x: 1 } } }, { b: { switch: [{ one: { when: .x, then: a } }], then: b } }] }",
            "d.yaml:4:98: task `b` leads back to `a`, and nothing on the way waits or leads out of it: this would never end; lead out of it with a `switch`, or put a `wait` into it",
        ),
    ] {
        assert_eq!(said(tasks), expected, "{tasks}");
    }
}

#[test]
fn a_circle_in_which_nothing_waits_is_a_warning() {
    let warning = "warning: task `b` leads back to `a`, and nothing on the way waits: many rounds are a fault; count with `for`, or put a `wait` into it";
    assert_eq!(
        said("- a: { set: { x: 1 } }\n- b: { if: .more, set: { x: 1 }, then: a }"),
        format!("accepted\nd.yaml:4:40: {warning}")
    );
    for (why, tasks) in [
        ("a wait", "- a: { wait: PT1S, then: a }"),
        ("a command", "- a: { set: { x: 1 } }\n- b: { run: { shell: { command: ls } }, then: a }"),
        ("a wait further in", "- a: { try: [{ b: { wait: PT1S } }], catch: {}, then: a }"),
        (
            "no circle",
            "- a: { set: { x: 1 }, then: c }\n- b: { set: { x: 1 }, then: end }\n- c: { set: { x: 1 }, then: b }",
        ),
    ] {
        assert_eq!(said(tasks), "accepted", "{why}");
    }
}

#[test]
fn run_takes_a_shell_command_or_a_script() {
    assert_snapshot!(task("{ run: { shell: { comand: ls } } }"), @r#"d.yaml:3:24: unknown field `comand` in `run.shell`; did you mean `command`?"#);
    assert_snapshot!(task("{ run: { shell: { command: ls, arguments: [1, true] } } }"), @r#"
    d.yaml:3:49: `run.shell.arguments[0]` must be text, not `1`; put it in quotes
    d.yaml:3:52: `run.shell.arguments[1]` must be text, not `true`; put it in quotes
    "#);
    assert_snapshot!(task("{ run: { shell: { command: '' } } }"), @r#"d.yaml:3:33: `run.shell.command` is empty; write something there"#);
    assert_snapshot!(task("{ run: {} }"), @r#"d.yaml:3:13: `run` does not say what to run; give it `shell`, `script`, `container` or `workflow`"#);
    assert_snapshot!(task("{ run: { container: { image: x, ports: {} } } }"), @r#"d.yaml:3:38: `run.container.ports` is refused (see docs/dsl.md)"#);
    assert_snapshot!(task("{ run: { shell: { command: ls }, script: { language: sh, code: ls } } }"), @r#"d.yaml:3:13: `run` has more than one of `shell`, `script` and `container`; make two tasks of it"#);
    assert_snapshot!(task("{ run: { script: { language: sh, source: { endpoint: x } } } }"), @"d.yaml:3:59: `run.script.source.endpoint`: there is no document `x`: it has not been fetched");
    assert_snapshot!(task("{ run: { shell: { command: ls }, await: false, return: output } }"), @r#"
    d.yaml:3:61: `output` is not a value of `run.return`; it can be `stdout`, `stderr`, `code`, `all`, `none`, `result`
    "#);
    assert_snapshot!(task("{ run: { shell: { command: ls, environment: { 'A=B': x, N: 5 } } } }"), @r#"
    d.yaml:3:52: `A=B` cannot name an environment variable; use letters, digits and `_`, no digit first
    d.yaml:3:65: `run.shell.environment.N` must be text, not `5`; put it in quotes
    "#);
}

#[test]
fn call_names_a_plugin() {
    assert_snapshot!(task("{ call: http, with: { method: get } }"), @r#"d.yaml:3:26: `with.endpoint` is missing"#);
    assert_snapshot!(task("{ call: 'https://x/function.yaml' }"), @"d.yaml:3:14: `call`: there is no document `https://x/function.yaml`: it has not been fetched");
    assert_snapshot!(task("{ call: 'cargo:1.0.0@elsewhere' }"), @"d.yaml:3:14: `call`: there is no `elsewhere` in `use.catalogs`; declare it under `use.catalogs`");
    assert_snapshot!(task("{ call: 'cargo:1@default' }"), @r#"d.yaml:3:14: `call`: `cargo:1@default` does not name a plugin; write `call: NAME` or `call: NAME:1.2.3@default`"#);
    assert_snapshot!(task("{ call: 'a b', with: [] }"), @r#"
    d.yaml:3:14: `call`: `a b` does not name a plugin; write `call: NAME` or `call: NAME:1.2.3@default`
    d.yaml:3:27: `with` must be a mapping, not a list
    "#);
    assert_snapshot!(task("{ call: 'cargo:1.0.0@default' }"), @r#"accepted"#);
}

#[test]
fn ask_offers_options_that_exist() {
    assert_snapshot!(task("{ ask: { promt: x } }"), @r#"d.yaml:3:15: unknown field `promt` in `ask`; did you mean `prompt`?"#);
    assert_snapshot!(task("{ ask: { prompt: x, options: [{ value: yes }, { value: no, label: No }], proceedOn: [yess], timeout: { after: PT1H }, onTimeout: { action: default, default: maybe } } }"), @r#"
    d.yaml:3:91: `ask.proceedOn[0]`: `yess` is not the value of an option; the values of the options are `yes`, `no`
    d.yaml:3:163: `ask.onTimeout.default`: `maybe` is not the value of an option; the values of the options are `yes`, `no`
    "#);
    assert_snapshot!(task("{ ask: { prompt: x, onTimeout: { action: fault, default: approved } } }"), @r#"
    d.yaml:3:37: `ask.onTimeout` without `ask.timeout`; add `timeout: { after: PT24H }`
    d.yaml:3:37: `ask.onTimeout.default` is not used by action `fault`; remove it, or use `action: default`
    "#);
    assert_snapshot!(task("{ ask: { prompt: x, options: [] } }"), @r#"d.yaml:3:35: `ask.options` is empty; give it at least one item"#);
    assert_snapshot!(task("{ ask: { prompt: x, assignee: a, assignment: { assigneeId: b, roleId: r, reasonCode: c } } }"), @"d.yaml:3:51: `ask.assignee` and `ask.assignment.assigneeId` both name a person; keep one of them");
    assert_snapshot!(task("{ ask: { prompt: x, mode: text, required: false, sensitive: true } }"), @"d.yaml:3:55: `ask.sensitive` is refused (see docs/dsl.md)");
    assert_snapshot!(task("{ ask: { prompt: 'a ${ .x b' } }"), @r#"d.yaml:3:23: `ask.prompt`: what follows `${` in `a ${ .x b` is not an expression; write `${ .release.version }`"#);
}

#[test]
fn try_catches_and_retries() {
    assert_snapshot!(task("{ try: [{ a: { set: { x: 1 } } }] }"), @r#"d.yaml:3:6: `catch` is missing"#);
    assert_snapshot!(task("{ try: [{ a: { set: { x: 1 } } }], catch: { retry: fast, as: 1x } }"), @r#"
    d.yaml:3:57: `catch.retry`: there is no `fast` in `use.retries`; declare it under `use.retries`
    d.yaml:3:67: `catch.as`: `1x` cannot name a variable; use at most 64 letters, digits and `_`, not beginning with a digit
    "#);
    assert_snapshot!(task("{ try: [{ a: { set: { x: 1 } } }], catch: { as: context, errors: { with: { status: 42, type: '${ .x }' } } } }"), @r#"
    d.yaml:3:54: `catch.as`: `$context` has a meaning of its own; choose another name
    d.yaml:3:89: `catch.errors.with.status` must be a whole number from 100 to 599, not `42`
    d.yaml:3:99: `catch.errors.with.type` is compared as it is written; put the expression into `catch.when`
    "#);
    assert_snapshot!(task("{ try: [{ a: { set: { x: 1 } } }], catch: { retry: { delay: P1M, backoff: { exponential: { factor: 2 } }, limit: { attempt: { count: -1, duration: PT1S } }, jitter: { from: PT2S, to: PT1S } } } }"), @r#"
    d.yaml:3:66: `catch.retry.delay`: `P1M` has years or months, which have no fixed length: use days
    d.yaml:3:97: unknown field `factor` in `catch.retry.backoff.exponential`; it takes no fields
    d.yaml:3:139: `catch.retry.limit.attempt.count` must be a whole number from 0 to 4294967295, not `-1`
    d.yaml:3:171: `catch.retry.jitter.from` is longer than `catch.retry.jitter.to`; swap them
    "#);
    assert_snapshot!(task("{ try: [{ a: { set: { x: 1 } } }], catch: { retry: { backoff: {} } } }"), @r#"d.yaml:3:68: `catch.retry.backoff` must name one kind; write for example `exponential: {}`"#);
    assert_snapshot!(task("{ try: [{ a: { set: { x: 1 } } }], catch: { retry: { delay: PT1S } } }"), @r#"
    accepted
    d.yaml:3:57: warning: this retry never gives up; add `limit: { attempt: { count: 5 } }`
    "#);
}

#[test]
fn the_other_kinds_are_checked_too() {
    assert_snapshot!(task("{ set: .x }"), @r#"d.yaml:3:13: `set` must be a mapping with at least one member, or one expression; write `set: ${ … }`"#);
    assert_snapshot!(task("{ set: {} }"), @r#"d.yaml:3:13: `set` must be a mapping with at least one member, or one expression; write `set: ${ … }`"#);
    assert_snapshot!(task("{ assert: { value: '${ .x }', matches: '(', exists: yes, schema: {} } }"), @r#"
    d.yaml:3:45: `assert.matches`: `(` is not a regular expression: unclosed group
    d.yaml:3:58: `assert.exists` must be true or false, not text
    "#);
    assert_snapshot!(task("{ raise: { error: { type: x, status: 5 } } }"), @r#"d.yaml:3:43: `raise.error.status` must be a whole number from 100 to 599, not `5`"#);
    assert_snapshot!(task("{ raise: { error: lost } }"), @r#"d.yaml:3:24: `raise.error`: there is no `lost` in `use.errors`; declare it under `use.errors`"#);
    assert_snapshot!(task("{ for: { each: x, at: x, in: .items }, do: [{ a: { set: { y: 1 } } }] }"), @r#"d.yaml:3:13: `for.each` and `for.at` are both `x`; give them two names"#);
    assert_snapshot!(task("{ for: { in: [1] } }"), @"d.yaml:3:6: `do` is missing");
    assert_snapshot!(task("{ for: { in: { a: 1 } }, do: [{ a: { set: { y: 1 } } }] }"), @"d.yaml:3:19: `for.in` must be text, not a mapping");
    assert_snapshot!(task("{ wait: soon }"), @r#"d.yaml:3:14: `wait`: `soon` is not an ISO 8601 duration such as `PT30S` or `P1DT12H`"#);
    assert_snapshot!(task("{ wait: { seconds: 1.5 } }"), @r#"d.yaml:3:25: `wait.seconds` must be a whole number from 0 to 4294967295, not `1.5`"#);
    assert_snapshot!(task("{ wait: {} }"), @r#"d.yaml:3:14: `wait` has no units; give `days`, `hours`, `minutes`, `seconds`, `milliseconds`"#);
    assert_snapshot!(task("{ emit: { event: { with: { type: a, Subject: x, time: {} } } } }"), @r#"
    d.yaml:3:31: `emit.event.with.source` is missing
    d.yaml:3:42: `Subject` cannot name an attribute of an event; use lower-case letters and digits
    d.yaml:3:60: `emit.event.with.time` must be text, a number or true or false, not a mapping; put it into `data`
    "#);
}

#[test]
fn what_use_declares_is_what_tasks_may_name() {
    let head = format!(
        "{HEAD}use:\n  secrets: [token]\n  timeouts: {{ short: {{ after: PT1S }} }}\n  retries: {{ broken: {{ dely: PT1S }} }}\n  catalogs: {{}}\n"
    );
    assert_snapshot!(said_of(&format!("{head}do:\n- t: {{ set: {{ x: 1 }}, timeout: shrt }}\n- u: {{ try: [{{ a: {{ set: {{ x: 1 }} }} }}], catch: {{ retry: broken }} }}\n- v:\n    run: {{ shell: {{ command: ls }} }}\n    metadata: {{ lightWorkflow: {{ security: {{ sandbox: {{ mode: per-task }}, secrets: [tokn, other] }} }} }}")), @r#"
    d.yaml:5:24: unknown field `dely` in `use.retries.broken`; did you mean `delay`?
    d.yaml:8:32: `timeout`: there is no `shrt` in `use.timeouts`; did you mean `short`?
    d.yaml:12:85: `metadata.lightWorkflow.security.secrets[0]`: `use.secrets` does not name `tokn`; did you mean `token`?
    d.yaml:12:91: `metadata.lightWorkflow.security.secrets[1]`: `use.secrets` does not name `other`; add `other` to `use.secrets`
    "#);
}

#[test]
fn every_field_of_light_workflow_means_something() {
    let run = |light: &str| {
        task(&format!("{{ run: {{ shell: {{ command: ls }} }}, metadata: {{ mine: 1, lightWorkflow: {light} }} }}"))
    };
    assert_snapshot!(run("{ security: { sandbox: { mode: session, provider: docker, template: ../x } } }"), @r#"
    d.yaml:3:108: `session` is not a value of `metadata.lightWorkflow.security.sandbox.mode`; it can be `workflow-session`, `per-task`
    d.yaml:3:127: `docker` is not a value of `metadata.lightWorkflow.security.sandbox.provider`; it can be `local`, `cubesandbox`, `engine`, `kubernetes`
    d.yaml:3:145: `metadata.lightWorkflow.security.sandbox.template`: `../x` is not a valid sandbox template name
    "#);
    assert_snapshot!(run("{ security: { secrets: [token] } }"), @r#"d.yaml:3:100: secrets go only into a fresh sandbox, and this task shares that of the workflow; add `sandbox: { mode: per-task, reason: … }` beside `secrets`"#);
    assert_snapshot!(run("{ security: { sandbox: { mode: per-task }, secrets: [token, token, a/b] } }"), @r#"
    d.yaml:3:137: `token` is given twice in `metadata.lightWorkflow.security.secrets`; keep one of the two
    d.yaml:3:144: `metadata.lightWorkflow.security.secrets[2]`: `a/b` is not a valid secret name
    "#);
    assert_snapshot!(run("{ secrity: {}, effect: sometimes, grants: {} }"), @r#"
    d.yaml:3:79: unknown field `secrity` in `metadata.lightWorkflow`; did you mean `security`?
    d.yaml:3:100: `sometimes` is not a value of `metadata.lightWorkflow.effect`; it can be `pure`, `idempotent`, `reconcilable`, `manual`
    d.yaml:3:111: `metadata.lightWorkflow.grants` has no effect on `run`; remove it, or move it to a task with `call`
    "#);
    assert_snapshot!(run("{ egress: [crates.io, 'crates.io:443', '*.x:0', 'http://x:80'] }"), @r#"
    d.yaml:3:88: `metadata.lightWorkflow.egress[0]`: `crates.io` is not a host and a port; write `index.crates.io:443`; `*.crates.io:443` is every host below
    d.yaml:3:116: `metadata.lightWorkflow.egress[2]`: `*.x:0` is not a host and a port; write `index.crates.io:443`; `*.crates.io:443` is every host below
    d.yaml:3:125: `metadata.lightWorkflow.egress[3]`: `http://x:80` is not a host and a port; write `index.crates.io:443`; `*.crates.io:443` is every host below
    "#);
    assert_snapshot!(run("{ artifactPolicy: { capture: [/etc/passwd, a/../b, 'target/*.crate'], inputs: { ../x: 'artifact://r/build/x', y: x.json, z: '${ .ref }' } } }"), @r#"
    d.yaml:3:107: `metadata.lightWorkflow.artifactPolicy.capture[0]`: `/etc/passwd` is not a relative path; write it without a leading `/`, without `.` or `..` parts and with single `/`
    d.yaml:3:120: `metadata.lightWorkflow.artifactPolicy.capture[1]`: `a/../b` is not a relative path; write it without a leading `/`, without `.` or `..` parts and with single `/`
    d.yaml:3:157: `metadata.lightWorkflow.artifactPolicy.inputs.../x`: `../x` is not a relative path; write it without a leading `/`, without `.` or `..` parts and with single `/`
    d.yaml:3:190: `metadata.lightWorkflow.artifactPolicy.inputs.y`: `x.json` is not a valid artifact reference
    "#);
    assert_snapshot!(run("{ onFailure: { call: ai/diagnose } }"), @"d.yaml:3:98: `call`: `ai/diagnose` does not name a plugin; write `call: NAME` or `call: NAME:1.2.3@default`");
    assert_snapshot!(task("{ set: { x: 1 }, metadata: { lightworkflow: {} } }"), @r#"d.yaml:3:35: unknown field `lightworkflow` in `metadata`; did you mean `lightWorkflow`?"#);
    assert_snapshot!(task("{ set: { x: 1 }, metadata: { lightWorkflow: { security: { secrets: [] } } } }"), @r#"d.yaml:3:52: `metadata.lightWorkflow.security` has no effect on `set`; remove it, or move it to a task with `run`, `call`"#);
    assert_snapshot!(said("- t:\n    call: cargo\n    metadata:\n      lightWorkflow:\n        grants:\n          log: { lines-max: 10, bytes-max: 1000 }\n          sandbox:\n            commands: [rust-release]\n            commands-max: 5\n          artifacts-write: { names: [a], bytes-mx: 5 }\n          network: {}"), @r#"
    d.yaml:10:24: `metadata.lightWorkflow.grants.sandbox`: `rust-release` is not a valid command template name (`template/command`)
    d.yaml:12:42: `metadata.lightWorkflow.grants.artifacts-write`: unknown field `bytes-mx`, expected `names` or `bytes-max`
    d.yaml:13:11: unknown field `network` in `metadata.lightWorkflow.grants`; the fields here are `log`, `artifacts-read`, `artifacts-write`, `sandbox`, `secrets`, `model`, `mcp`, `http`, `wasi-baseline`, `limits`
    "#);
}

#[test]
fn all_problems_come_at_once_and_in_order() {
    assert_snapshot!(said("- a: { run: { shell: { comand: ls } } }\n- b: { call: openrpc }\n- c: { wait: PT }\n- d: { set: { x: '${ ( }' }, then: z }"), @r#"
    d.yaml:3:24: unknown field `comand` in `run.shell`; did you mean `command`?
    d.yaml:4:14: `call: openrpc` is refused (see docs/dsl.md)
    d.yaml:5:14: `wait`: `PT` is not an ISO 8601 duration such as `PT30S` or `P1DT12H`
    d.yaml:6:18: `set`: `${ ( }` is not a jq expression: expected closing parenthesis, found its end
    d.yaml:6:36: `then`: there is no task `z` in this list; name a task of the same list (`a`, `b`, `c`, `d`), or `continue`, `exit`, `end`
    "#);
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_those_that_are() {
    let text = format!(
        "{HEAD}do:\n- a:\n    call: carg\n- b:\n    call: cargo:2.0.0@default\n- c:\n    do:\n    - d:\n        run: {{ shell: {{ command: ls }} }}\n        metadata: {{ lightWorkflow: {{ onFailure: {{ call: ai-diagnosis }} }} }}\n"
    );
    let definition = definition::parse(&text, "d.yaml").unwrap();
    let known: BTreeMap<_, _> = [("cargo", Some("1.0.0")), ("preflight", None)]
        .map(|(name, version)| (name.parse().unwrap(), version.map(str::to_owned)))
        .into();
    let said: Vec<String> =
        definition::check_plugins(&definition, "d.yaml", &known).iter().map(ToString::to_string).collect();
    assert_snapshot!(said.join("\n"), @r#"
    d.yaml:4:11: there is no plugin `carg`; did you mean `cargo`?
    d.yaml:6:11: plugin `cargo` is here in version `1.0.0`; call `cargo:1.0.0@default`
    d.yaml:11:57: there is no plugin `ai-diagnosis`; the plugins here are `cargo`, `preflight`
    "#);
}

#[test]
fn both_families_of_error_types_mean_the_same() {
    let text = format!(
        "{HEAD}do:\n- t:\n    try: [{{ a: {{ raise: {{ error: {{ type: 'https://open-workflow-specification.org/spec/1.0.0/errors/timeout', status: 408 }} }} }} }}]\n    catch: {{ errors: {{ with: {{ type: 'https://serverlessworkflow.io/dsl/errors/types/timeout' }} }} }}\n"
    );
    let definition = definition::parse(&text, "d.yaml").unwrap();
    let TaskKind::Try(block) = &definition.tasks.0[0].kind else { panic!("not a try") };
    let TaskKind::Raise(definition::Raise::Named(fault)) = &block.tasks.0[0].kind else { panic!("not a raise") };
    assert_eq!(block.errors.kind.as_ref(), Some(&fault.kind));
    assert_eq!(fault.kind, "https://serverlessworkflow.io/spec/1.0.0/errors/timeout");
}

#[test]
fn no_expression_sees_a_secret_and_it_is_said_what_does() {
    assert_snapshot!(task("{ set: { x: '${ $secrets.token }' } }"), @r#"d.yaml:3:18: `set`: `${ $secrets.token }` is not a jq expression: `$secrets` is not available here: secrets are never in expressions: `${ $secrets.NAME }` or `${ $secrets["NAME"] }` names one, as the whole value of a variable in `environment` of `run.shell`, `run.script` and `run.container`, or of `username`, `password`, `token`, `secret` and `assertion` in `authentication`"#);
    assert_snapshot!(task("{ set: { x: 1 }, output: { as: '$authorization.parameter' } }"), @"d.yaml:3:37: there is no variable `$authorization` here; it holds a credential, and no expression sees one; name its secret with `use`");
}
