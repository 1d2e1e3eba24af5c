//! `run` and `call`: what is asked of the world, and what its answers mean.

mod support;

use serde_json::json;
use support::{Run, definition, policy};
use workflow::capability::{Grants, LogGrant, PluginPolicy};
use workflow::command::{CommandStatus, SandboxMode};
use workflow::effect::{Effect, EffectClass, EffectOutcome};
use workflow::event::Event;
use workflow::{Digest, PluginName};

fn run(tasks: &str, input: serde_json::Value) -> Run {
    Run::start(&definition(tasks), input)
}

#[test]
fn a_command_keeps_its_arguments_apart_and_knows_its_policy() {
    let text = "do:
- release:
    run:
      shell:
        command: ./release.sh
        arguments: ['${ .version }', '; rm -rf /', '${ 3 }']
        environment: { LEVEL: '${ .level }' }
    timeout: { after: { minutes: 5 } }
    metadata: { lightWorkflow: { security: { sandbox: { mode: per-task, reason: token }, secrets: [github-release-token] } } }
";
    let definition = definition(text);
    let policy = policy(&definition, &["github-release-token"]);
    let run = Run::start_with(&definition, json!({"version": "1.2.3", "level": 7}), policy);
    let open = run.instance.open_attempts().next().unwrap();
    let Effect::Command { command, class } = open.effect else { panic!("{:?}", open.effect) };
    assert_eq!(command.argv, ["./release.sh", "1.2.3", "; rm -rf /", "3"]);
    assert_eq!(command.environment["LEVEL"], "7");
    assert_eq!(command.secrets["GITHUB_RELEASE_TOKEN"].as_str(), "github-release-token");
    assert_eq!(command.time_limit_ms, 300_000);
    assert_eq!((command.mode, *class), (SandboxMode::WorkflowSession, EffectClass::Reconcilable));
}

#[test]
fn a_shell_reads_what_the_author_wrote_and_nothing_that_was_computed() {
    let argv_of = |command: &str| {
        let text = format!("do: [{{ a: {{ run: {{ shell: {{ command: {command}, arguments: [\"a b\"] }} }} }} }}]");
        let definition = definition(&text);
        let policy = policy(&definition, &[]);
        let run = Run::start_with(&definition, json!({ "tool": "ls; id" }), policy);
        let open = run.instance.open_attempts().next().unwrap();
        let Effect::Command { command, .. } = open.effect else { panic!("{:?}", open.effect) };
        command.argv.clone()
    };
    for (command, argv) in [
        ("ls", &["ls", "a b"][..]),
        ("./bin/x-1.2_y", &["./bin/x-1.2_y", "a b"]),
        ("'id -u; ls \"$1\"'", &["sh", "-c", "id -u; ls \"$1\"", "command", "a b"]),
        ("'A=1'", &["sh", "-c", "A=1", "command", "a b"]),
        ("'${ .tool }'", &["ls; id", "a b"]),
    ] {
        assert_eq!(argv_of(command), argv, "{command}");
    }
}

#[test]
fn a_script_gets_its_arguments_as_arguments() {
    for (language, argv) in [
        ("python", json!(["python3", "-c", "code", "a b"])),
        ("js", json!(["node", "-e", "code", "a b"])),
        ("sh", json!(["sh", "-c", "code", "script", "a b"])),
        ("bash", json!(["bash", "-c", "code", "script", "a b"])),
    ] {
        let run = run(
            &format!(
                "do: [{{ s: {{ run: {{ script: {{ language: {language}, code: code, arguments: ['a b'] }} }} }} }}]"
            ),
            json!({}),
        );
        let open = run.instance.open_attempts().next().unwrap();
        let Effect::Command { command, .. } = open.effect else { panic!("{:?}", open.effect) };
        assert_eq!(json!(command.argv), argv);
    }
}

#[test]
fn the_result_of_a_command_is_what_was_asked_for() {
    let text = |returns: &str| format!("do: [{{ s: {{ run: {{ shell: {{ command: x }}, return: {returns} }} }} }}]");
    let end = |returns: &str, status, code| {
        let mut run = run(&text(returns), json!({}));
        run.command(status, code, "out\n");
        run.last_line()
    };
    use CommandStatus::{Failed, Succeeded, TimedOut};
    assert_eq!(end("stdout", Succeeded, Some(0)), r#"completed: "out\n""#);
    assert_eq!(end("code", Failed, Some(3)), "completed: 3");
    assert_eq!(end("all", Failed, Some(3)), r#"completed: {"code":3,"stdout":"out\n","stderr":""}"#);
    assert_eq!(end("none", Succeeded, Some(0)), "completed: null");
    assert_eq!(end("stdout", Failed, Some(3)), "faulted: command-failed 500 at /do/0/s: ended as Failed");
    assert_eq!(end("code", TimedOut, None), "faulted: timeout 408 at /do/0/s: ended as TimedOut");
    let mut run = run("do: [{ s: { run: { shell: { command: x } } } }]", json!({}));
    run.command(Succeeded, Some(0), "out\n");
    assert_eq!(run.instance.output().unwrap()["status"], "succeeded");
    assert_eq!(run.instance.ended_commands().map(|ended| ended.sequence).collect::<Vec<_>>(), [0]);
    assert_eq!(run.tasks()[0].summary.as_deref(), Some("ended as Succeeded"));
}

fn lost() -> EffectOutcome {
    EffectOutcome::Unknown { detail: "the host died".to_owned() }
}

#[test]
fn a_lost_outcome_is_never_blindly_repeated() {
    let text = |class: &str| {
        format!(
            "do: [{{ p: {{ run: {{ shell: {{ command: x }} }}, metadata: {{ lightWorkflow: {{ effect: {class} }} }} }} }}]"
        )
    };
    for class in ["reconcilable", "manual"] {
        let mut run = run(&text(class), json!({}));
        run.complete(lost());
        assert_eq!(run.last_line(), "faulted: outcome-unknown 500 at /do/0/p: the host died", "{class}");
    }
    for class in ["pure", "idempotent"] {
        let mut run = run(&text(class), json!({}));
        run.complete(lost());
        assert_eq!(run.last_line(), "/do/0/p attempt 2", "{class}");
        for _ in 0..5 {
            run.complete(lost());
        }
        assert_eq!(run.last_line(), "faulted: outcome-unknown 500 at /do/0/p: the host died", "{class}");
    }
}

const PREFLIGHT: &str = "do:
- check:
    call: preflight
    with: { version: '${ .version }' }
    metadata: { lightWorkflow: { effect: pure } }
";

fn preflight() -> Run {
    let definition = definition(PREFLIGHT);
    let mut policy = policy(&definition, &[]);
    let grants = Grants { log: Some(LogGrant { lines_max: 10, bytes_max: 1000 }), ..Grants::default() };
    let name = PluginName::new("preflight").unwrap();
    let plugin = PluginPolicy { name, digest: Digest::of(b"component"), grants };
    policy.tasks.get_mut("/do/0/check").unwrap().plugin = Some(plugin);
    Run::start_with(&definition, json!({"version": "1.0"}), policy)
}

#[test]
fn a_plugin_gets_the_component_and_the_grants_of_the_policy() {
    let run = preflight();
    let open = run.instance.open_attempts().next().unwrap();
    let Effect::Plugin { plugin, digest, input, grants, class, .. } = open.effect else { panic!("{:?}", open.effect) };
    assert_eq!((plugin.as_str(), digest), ("preflight", &Digest::of(b"component")));
    assert_eq!(*input, json!({"version": "1.0"}));
    assert_eq!(grants.log.as_ref().unwrap().lines_max, 10);
    assert_eq!(*class, EffectClass::Pure);
}

#[test]
fn a_plugin_without_grants_is_not_called() {
    let run = run(PREFLIGHT, json!({}));
    assert_eq!(
        run.last_line(),
        "faulted: configuration 400 at /do/0/check: plugin `preflight` has no grants in this instance's policy"
    );
}

#[test]
fn an_open_attempt_shows_what_its_plugin_has_done_so_far() {
    let mut run = preflight();
    let path = run.instance.open_attempts().next().unwrap().path;
    let call = |sequence| Event::HostCallCompleted {
        path: path.clone(),
        attempt: 1,
        sequence,
        request: json!("log"),
        answer: json!(null),
        fingerprint: None,
    };
    run.take(vec![call(1), call(2)]);
    assert_eq!(run.instance.open_attempts().next().unwrap().host_calls, [call(1), call(2)]);
    run.complete(lost());
    let open = run.instance.open_attempts().next().unwrap();
    assert_eq!((open.attempt, open.host_calls.len()), (2, 0), "the next attempt starts afresh");
    let before = run.history.len();
    run.take(vec![call(3)]);
    assert_eq!(run.history.len(), before, "a call of the lost attempt comes too late");
    run.output(json!("fine"));
    assert_eq!(run.last_line(), "completed: \"fine\"");
}
