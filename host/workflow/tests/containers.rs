//! `run.container`: which image, and what runs in it.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::{Run, definition};
use workflow::capability::EffectivePolicy;
use workflow::definition::{self, Definition};
use workflow::effect::Effect;
use workflow::image::{ImageIdentity, PinnedImage, PullPolicy};
use workflow::policy::{PolicySources, resolve};
use workflow::{Command, Digest};

fn resolved(definition: &Definition) -> EffectivePolicy {
    let sources = PolicySources {
        templates: &["container", "small"].map(|name| (name.parse().unwrap(), Digest::of(name.as_bytes()))).into(),
        providers: &["local"],
        plugin: &|_, _| Err(Vec::new()),
        workflow: &|_| Err("there is none".to_owned()),
        allow_auto_approval: false,
        approved_calls: &BTreeSet::new(),
        echo: false,
    };
    resolve(definition, &sources).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The command of a container task in an image that starts these.
fn command(container: &str, entrypoint: &[&str], in_image: &[&str]) -> Result<Command, String> {
    let definition = definition(&format!("do: [{{ a: {{ run: {{ container: {container} }} }} }}]"));
    let mut policy = resolved(&definition);
    for (_, image) in policy.images_mut() {
        let reference = image.name.pinned(Digest::of(b"manifest"));
        let image_identity = ImageIdentity { reference, id: Digest::of(b"image") };
        image.pinned =
            Some(PinnedImage { image: image_identity, entrypoint: words(entrypoint), command: words(in_image) });
    }
    let run = Run::start_with(&definition, json!({ "tool": "ls; id", "name": "n-1", "bad": "-n" }), policy);
    let Some(open) = run.instance.open_attempts().next() else { return Err(run.last_line()) };
    let Effect::Command { command, .. } = open.effect else { panic!("{:?}", open.effect) };
    Ok((**command).clone())
}

#[test]
fn the_command_of_the_definition_or_else_the_image_says_what_runs() {
    let shell = ["sh", "-c", "echo $1", "command"];
    for (container, entrypoint, in_image, expected) in [
        ("{ image: x }", &["/run.sh", "-e"][..], &["--help"][..], &["/run.sh", "-e", "--help"][..]),
        ("{ image: x }", &[], &["sh", "-l"], &["sh", "-l"]),
        ("{ image: x }", &["/run.sh"], &[], &["/run.sh"]),
        ("{ image: x, arguments: [a, b c] }", &["/run.sh"], &["--help"], &["/run.sh", "a", "b c"]),
        ("{ image: x, arguments: [a] }", &[], &["sh", "-l"], &["sh", "-l", "a"]),
        ("{ image: x, command: date, arguments: [-u] }", &["/run.sh"], &["--help"], &["date", "-u"]),
        ("{ image: x, command: 'echo $1' }", &["/run.sh"], &["--help"], &shell),
        ("{ image: x, command: '${ .tool }' }", &["/run.sh"], &[], &["ls; id"]),
    ] {
        let command = command(container, entrypoint, in_image).unwrap();
        assert_eq!(command.argv, expected, "{container} {entrypoint:?} {in_image:?}");
        let image = &command.container.as_ref().unwrap().image;
        assert_eq!(image.reference.to_string(), format!("docker.io/library/x@{}", Digest::of(b"manifest")));
        assert_eq!(image.id, Digest::of(b"image"));
    }
    let fault = command("{ image: x, arguments: [a] }", &[], &[]).map(|command| command.argv);
    // Arguments alone are no program.
    assert_eq!(fault.unwrap_err().split(" at ").next(), Some("faulted: configuration 400"),);
}

#[test]
fn everything_else_is_as_for_any_command() {
    let container =
        "{ image: x, name: '${ .name }', stdin: '${ .tool }', environment: { A: '${ .name }' }, command: cat }";
    let command = command(container, &[], &[]).unwrap();
    assert_eq!(command.stdin.as_deref(), Some("ls; id"));
    assert_eq!(command.environment, BTreeMap::from([("A".to_owned(), "n-1".to_owned())]));
    assert_eq!(command.container.unwrap().host_name.as_deref(), Some("n-1"));
    assert_eq!(command.template.as_str(), "container");
    for name in ["'${ .bad }'", "'${ \"a b\" }'", "'${ \"\" }'", "'${ \"-a\" }'"] {
        let container = format!("{{ image: x, name: {name} }}");
        let fault = self::command(&container, &["x"], &[]).map(|command| command.argv).unwrap_err();
        assert!(fault.starts_with("faulted: validation 400"), "{name}: {fault}");
    }
}

#[test]
fn an_instance_that_was_started_without_an_answer_runs_nothing() {
    let definition = definition("do: [{ a: { run: { container: { image: x, command: ls } } } }]");
    let policy = resolved(&definition);
    let run = Run::start_with(&definition, json!({}), policy);
    assert!(run.instance.open_attempts().next().is_none());
    assert!(run.last_line().contains("without knowing the image"), "{}", run.last_line());
}

#[test]
fn a_policy_names_the_image_and_the_limits() {
    let definition = definition(
        "do:
- a: { run: { container: { image: 'alpine:3.20', pullPolicy: always } } }
- b: { run: { container: { image: r.example/x } }, metadata: { lightWorkflow: { security: { sandbox: { template: small } } } } }
",
    );
    let policy = resolved(&definition);
    let found: Vec<_> = policy
        .tasks
        .values()
        .map(|task| (task.template.as_str(), task.image.as_ref().map(|image| (image.name.to_string(), image.pull))))
        .collect();
    assert_eq!(
        found,
        [
            ("container", Some(("docker.io/library/alpine:3.20".to_owned(), PullPolicy::Always))),
            ("small", Some(("r.example/x:latest".to_owned(), PullPolicy::IfNotPresent))),
        ]
    );
}

#[test]
fn what_is_refused_says_why_and_where() {
    for (container, expected) in [
        ("{}", "4:22: `run.container.image` is missing"),
        ("{ image: '${ .x }' }", "4:31: `${ .x }` names no image: an image is settled when the instance starts"),
        ("{ image: Alpine }", "4:31: `Alpine` names no image: write"),
        ("{ image: x, pullPolicy: sometimes }", "`sometimes` is not a value of `run.container.pullPolicy`"),
        ("{ image: x, lifetime: {} }", "`run.container.lifetime.cleanup` is missing"),
        ("{ image: x, lifetime: { cleanup: eventually } }", "does not say when"),
        ("{ image: x, lifetime: { cleanup: always, after: PT1M } }", "`after` is of `cleanup: eventually`"),
        ("{ image: x, volume: {} }", "unknown field `volume` in `run.container`"),
        ("{ image: x, environment: { 'A=B': x } }", "cannot name an environment variable"),
        ("{ image: x, environment: { 'A B': x } }", "`A B` cannot name an environment variable"),
        ("{ image: x, environment: { '1': x } }", "`1` cannot name an environment variable"),
        ("{ image: x, name: '-bad name' }", "4:40: `-bad name` is no name of a container: at most 63 letters"),
        ("{ image: x, name: '' }", "`` is no name of a container"),
        ("{ image: x, name: a/b }", "`a/b` is no name of a container"),
    ] {
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }}\ndo:\n- a:\n   run: {{ container: {container} }}\n"
        );
        let problems = definition::parse(&text, "d.yaml").unwrap_err();
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|said| said.contains(expected)), "{container}: {said:?}");
    }
    for lifetime in ["{ cleanup: always }", "{ cleanup: eventually, after: { minutes: 30 } }"] {
        definition(&format!("do: [{{ a: {{ run: {{ container: {{ image: x, lifetime: {lifetime} }} }} }} }}]"));
    }
}
