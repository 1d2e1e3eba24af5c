//! `run` with `await: false`: the process is started in an instance of its own, and is the same process.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Run, actor, noon, resolved};
use workflow::command::Command;
use workflow::definition::{self, Definition};
use workflow::engine::{self, Instance, Phase, start_child};
use workflow::event::Event;
use workflow::policy::{PolicySources, resolve};
use workflow::{CommandStatus, Digest, Effect, InstanceId};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: tests, name: parent, version: '1.2.0', metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: small, reason: because } } } } }\n";

fn read(tasks: &str) -> Arc<Definition> {
    let text = format!("{HEAD}{tasks}");
    Arc::new(definition::parse(&text, "parent.yaml").unwrap_or_else(|problems| panic!("{problems:?}\n{text}")))
}

fn start(definition: &Arc<Definition>, input: Value) -> Run {
    let id = InstanceId::new("i-1").unwrap();
    let (instance, history) = engine::start(definition, id, input, actor("test"), resolved(definition), noon());
    Run { instance, history, now: noon() }
}

/// The children that the history of `parent` starts, as its commit does.
fn children(parent: &Run) -> Vec<Run> {
    let started = parent.history.iter().filter_map(|recorded| match &recorded.event {
        Event::AttemptStarted { path, attempt, effect } => {
            let Effect::Workflow { definition, awaited: false, .. } = effect.as_ref() else { return None };
            let mut detached = parent.instance.definition().detached.values();
            let detached =
                detached.find(|detached| detached.digest == *definition).expect("it is derived from the parent");
            // What the store keeps is what a host reads again.
            let again = definition::parse(&detached.source, "kept.yaml").unwrap();
            assert_eq!(again.digest, *definition);
            let (instance, first) =
                start_child(&parent.instance, (path, *attempt, effect), &Arc::new(again), noon()).unwrap().unwrap();
            let mut child = Run { instance, history: vec![first], now: noon() };
            child.take(Vec::new());
            Some(child)
        }
        _ => None,
    });
    started.collect()
}

fn open_command(run: &Run) -> Command {
    match run.instance.open_attempts().next().expect("a process runs").effect {
        Effect::Command { command, .. } => command.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

/// `run` of one task, and what stands beside it.
const PROCESSES: [(&str, &str); 11] = [
    ("shell: { command: make }", ""),
    ("shell: { command: 'make all | tee log' }", ""),
    ("shell: { command: '${ .tool }', arguments: ['1', plain, '${ .n }', '${ .tool + \"!\" }'] }", ""),
    ("shell: { command: 'echo ${HOME}', stdin: '${ .text }', environment: { A: '${ .n }', B: b, C: '5' } }", ""),
    ("script: { language: sh, code: 'echo ${HOME} \"$1\"', arguments: ['${ .text }'] }", ""),
    ("script: { language: python, code: '${ .text }' }", ""),
    ("shell: { command: make }, return: code", "timeout: { after: PT1M30S }"),
    ("shell: { command: make }", "timeout: { after: '${ .patience }' }"),
    (
        "shell: { command: make }",
        "metadata: { lightWorkflow: { egress: ['example.com:443'], artifactPolicy: { capture: ['*.log'], inputs: { in: '${ .artifact }', same: 'artifact://i-0/a/1/b' } } } }",
    ),
    (
        "shell: { command: make }",
        "metadata: { lightWorkflow: { security: { secrets: [token], executionProfile: p, sandbox: { mode: per-task, reason: r } } } }",
    ),
    ("shell: { command: make }", "metadata: { lightWorkflow: { effect: idempotent } }"),
];

#[test]
fn the_process_is_the_one_that_a_task_which_waits_would_start() {
    let input = json!({ "tool": "ls", "n": 7, "text": "${ .tool } \u{2028}\"\\\n\u{e9}", "patience": "PT2.5S",
        "artifact": "artifact://i-0/a/1/c" });
    for (process, beside) in PROCESSES {
        let task = |wait: &str| {
            format!(
                "do:\n- build:\n    run:\n      await: {wait}\n      {}\n    {beside}\n",
                process.replacen(", return", "\n      return", 1)
            )
        };
        let waits = start(&read(&task("true")), input.clone());
        let goes_on = start(&read(&task("false")), input.clone());
        assert_eq!(goes_on.instance.output(), Some(&input), "{process} {beside}: {}", goes_on.lines());
        let [child] = &children(&goes_on)[..] else { panic!("one child: {process}") };
        assert_eq!(open_command(child), open_command(&waits), "{process} {beside}");
        assert_eq!(
            child.instance.open_attempts().next().unwrap().effect.class(),
            waits.instance.open_attempts().next().unwrap().effect.class()
        );
        let secrets = |run: &Run| run.instance.policy().secrets().into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(secrets(child), secrets(&waits), "{process} {beside}");
    }
}

#[test]
fn its_outcome_stands_in_its_own_history() {
    let definition = read(
        "do:\n- build: { run: { shell: { command: make }, await: false, return: code } }\n- next: { set: { n: 1 } }\n",
    );
    let parent = start(&definition, json!({}));
    assert_eq!(parent.instance.phase(), Phase::Completed);
    let mut child = children(&parent).remove(0);
    assert_eq!(child.instance.definition().full_name(), "tests/parent-build-44d7d312:1.2.0");
    child.command(CommandStatus::Failed, Some(3), "");
    assert_eq!(child.instance.output(), Some(&json!(3)), "{}", child.lines());
    assert!(child.instance.parent().is_some_and(|parent| !parent.awaited));
    let again = Instance::fold(parent.instance.id().clone(), definition, parent.history.clone()).unwrap();
    assert_eq!(again, parent.instance);
}

#[test]
fn each_iteration_starts_one_with_what_it_has_there() {
    let definition = read(
        "do:\n- each:\n    for: { each: n, in: '[1, 2]' }\n    do:\n    - build: { run: { shell: { command: make, arguments: ['${ $n }'] }, await: false } }\n",
    );
    let parent = start(&definition, json!({}));
    let lines: Vec<_> = children(&parent).iter().map(|child| open_command(child).line()).collect();
    assert_eq!(lines, ["make 1", "make 2"]);
    let ids: BTreeSet<_> = children(&parent).iter().map(|child| child.instance.id().clone()).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn an_error_in_what_it_is_given_is_one_of_the_task_and_nothing_starts() {
    let definition =
        read("do:\n- build: { run: { shell: { command: make, arguments: ['${ null }'] }, await: false } }\n");
    let parent = start(&definition, json!({}));
    assert!(parent.last_line().contains("expression"), "{}", parent.lines());
    assert!(children(&parent).is_empty());
}

#[test]
fn a_loop_that_never_waits_for_them_ends_as_a_fault() {
    let definition =
        read("do:\n- build: { run: { shell: { command: make }, await: false }, if: .n > 0, then: build }\n");
    let parent = start(&definition, json!({ "n": 1 }));
    assert!(parent.last_line().contains("turned back 1000 times"), "{}", parent.last_line());
    assert!(parent.now < noon() + Duration::from_secs(1));
}

#[test]
fn what_stands_against_it_is_said_once_and_at_its_task() {
    let text = format!(
        "{HEAD}do:\n- build: {{ run: {{ shell: {{ command: make }}, await: false }}, metadata: {{ lightWorkflow: {{ security: {{ sandbox: {{ template: none }} }} }} }} }}\n"
    );
    let definition = definition::parse(&text, "d.yaml").unwrap();
    let sources = PolicySources {
        templates: &[("small".parse().unwrap(), Digest::of(b"small"))].into(),
        providers: &["local"],
        plugin: &|_, _| Err(Vec::new()),
        workflow: &|_| Err(String::new()),
        allow_auto_approval: false,
        approved_calls: &BTreeSet::new(),
        echo: false,
    };
    let said: Vec<_> = resolve(&definition, &sources).unwrap_err().into_iter().map(|said| said.message).collect();
    assert_eq!(said, ["names sandbox template `none`, which this host does not have; it has `small`"]);

    let twice = format!(
        "{HEAD}do:\n- build: {{ run: {{ shell: {{ command: make }}, await: false }}, metadata: {{ lightWorkflow: {{ onFailure: {{ call: diagnose }} }} }} }}\n"
    );
    let said = definition::parse(&twice, "d.yaml").unwrap_err();
    assert!(said[0].to_string().contains("`onFailure` is told of no failure with `await: false`"), "{said:?}");
}
