//! `docs/dsl.md` is true: its examples run and give what it says, and what it
//! lists as refused is what the parser refuses.

#![allow(clippy::disallowed_methods, reason = "this test compares a page and the sources with what is so")]

mod support;

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use support::{Run, actor, command_result, noon};
use workflow::capability::{EffectivePolicy, PluginPolicy};
use workflow::definition::{self, Definition, Reading, TaskKind};
use workflow::documents::Documents;
use workflow::engine::{self, Delivery, Incoming};
use workflow::event::Event;
use workflow::image::{ImageIdentity, PinnedImage};
use workflow::located::{Problems, yaml};
use workflow::policy::{PolicySources, resolve};
use workflow::{CloudEvent, CommandStatus, Digest, Effect, EffectOutcome, InstanceId};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dsl.md")).unwrap()
}

/// The text under a heading, up to the next one.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let start = page.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section “{heading}”"));
    let rest = &page[start + 4 + heading.len()..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// YAML in a comment.
fn value(text: &str) -> Value {
    let problems = Problems::of("comment");
    yaml::read(text, &problems).unwrap_or_else(|| panic!("`{text}`: {problems:?}")).to_json()
}

/// A fenced example with what its comments say around it: each in a line `# KEY: VALUE`.
struct Example {
    text: String,
    input: Value,
    /// `answer` (of a plugin, a call, a child), `prints` (a command), `decides` (a person),
    /// `event` (somebody else), in the order in which they come.
    answers: VecDeque<(String, Value)>,
    /// `document NAME`: what is fetched for it.
    documents: Vec<(String, String)>,
    output: Option<Value>,
    error: Option<Value>,
}

fn examples(page: &str) -> Vec<Example> {
    let fences = section(page, "Examples").split("```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    fences.map(example).collect()
}

fn example(text: &str) -> Example {
    let mut example = Example {
        text: text.to_owned(),
        input: Value::Object(Default::default()),
        answers: VecDeque::new(),
        documents: Vec::new(),
        output: None,
        error: None,
    };
    for line in text.lines() {
        let Some((key, said)) = line.strip_prefix("# ").and_then(|line| line.split_once(": ")) else { continue };
        match key {
            "input" => example.input = value(said),
            "output" => example.output = Some(value(said)),
            "error" => example.error = Some(value(said)),
            "answer" | "prints" | "decides" | "event" => example.answers.push_back((key.to_owned(), value(said))),
            key => match key.strip_prefix("document ") {
                Some(name) => example.documents.push((name.to_owned(), said.to_owned())),
                None => panic!("an example has a comment that means nothing: {line}"),
            },
        }
    }
    example
}

const HEAD: &str = "document: { dsl: '1.0.3', namespace: examples, name: example, version: '1.0.0', metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: small } } } } }\n";

impl Example {
    fn definition(&self) -> Arc<Definition> {
        let source = format!("{HEAD}{}\n", self.text);
        let mut documents = Documents::default();
        loop {
            match definition::read(&source, "dsl.md", &documents) {
                Reading::Definition(definition) => return Arc::new(*definition),
                Reading::Refused(problems) => {
                    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                    panic!("{}\n{}", problems.join("\n"), self.text);
                }
                Reading::Wanting(wanted) => {
                    for name in wanted {
                        let text = self.documents.iter().find(|(known, _)| known == name.as_str());
                        let text = text.unwrap_or_else(|| panic!("nobody says what `{name}` holds\n{}", self.text));
                        documents.keep(name, Ok(text.1.clone()));
                    }
                }
            }
        }
    }

    /// Runs it; every answer must be asked for.
    fn run(&mut self) -> Run {
        let definition = self.definition();
        let id = InstanceId::new("i-1").unwrap();
        let (instance, history) =
            engine::start(&definition, id, self.input.clone(), actor("test"), policy(&definition), noon());
        let mut run = Run { instance, history, now: noon() };
        while !run.instance.phase().is_final() {
            let asked = run.instance.open_attempts().next().is_some()
                || run.instance.open_children().next().is_some()
                || run.instance.open_questions().next().is_some()
                || !run.instance.listeners().is_empty();
            match self.answers.pop_front() {
                Some((key, said)) if asked => answer(&mut run, &key, said),
                Some(early) if run.instance.next_wake().is_some() => {
                    self.answers.push_front(early);
                    run.wake();
                }
                Some(other) => panic!("nothing waits for {other:?}:\n{}\n{}", self.text, run.lines()),
                None if run.instance.next_wake().is_some() => drop(run.wake()),
                None => panic!("it waits, and the example does not say for what:\n{}\n{}", self.text, run.lines()),
            }
        }
        assert!(self.answers.is_empty(), "not asked for: {:?}\n{}", self.answers, self.text);
        run
    }
}

fn answer(run: &mut Run, key: &str, said: Value) {
    match key {
        "answer" => {
            let open = run.instance.open_attempts().next().map(|open| (open.path.clone(), open.attempt));
            // A child carries itself out: it is in no list of attempts.
            let intended = run.history.iter().rev().find_map(|recorded| match &recorded.event {
                Event::AttemptStarted { path, attempt, .. } => Some((path.clone(), *attempt)),
                _ => None,
            });
            let (path, attempt) = open.or(intended).expect("an attempt is open");
            let outcome = Box::new(EffectOutcome::Output { output: said });
            run.take(vec![Event::AttemptCompleted { path, attempt, outcome }]);
        }
        "decides" => drop(run.answer(said.as_str().unwrap(), "person", None)),
        "prints" => {
            let open = run.instance.open_attempts().next().expect("a command runs");
            assert!(matches!(open.effect, Effect::Command { .. }), "{:?}", open.effect);
            let (path, attempt) = (open.path.clone(), open.attempt);
            let text = said.as_str().unwrap();
            let result = Box::new(command_result(&path, attempt, CommandStatus::Succeeded, Some(0), text, run.now));
            run.complete(EffectOutcome::Command { result });
        }
        "event" => {
            let event = CloudEvent::new(said).unwrap();
            let incoming = run.instance.listeners().into_iter().map(|listener| {
                let (path, registered) = (listener.path, listener.registered);
                Incoming::Delivery(Delivery { path, registered, event: event.clone() })
            });
            let incoming = incoming.collect();
            run.history.extend(run.instance.take_in(incoming, run.now).unwrap());
        }
        other => unreachable!("`{other}` was read as an answer"),
    }
}

/// A host with one template, every plugin, one origin, and one other workflow.
fn policy(definition: &Definition) -> EffectivePolicy {
    let other =
        "document: { dsl: '1.0.3', namespace: examples, name: other, version: '1.0.0' }\ndo:\n- a: { set: { b: 1 } }\n";
    let other = Arc::new(definition::parse(other, "other.yaml").unwrap());
    let sources = PolicySources {
        templates: &[("small".parse().unwrap(), Digest::of(b"small"))].into(),
        providers: &["local"],
        plugin: &|name, grants| {
            Ok(PluginPolicy { name: name.clone(), digest: Digest::of(b"plugin"), grants: grants.clone() })
        },
        workflow: &|_| Ok(other.clone()),
        allow_auto_approval: false,
        approved_calls: &["https://api.example.com".parse().unwrap()].into(),
        echo: false,
    };
    let mut policy = resolve(definition, &sources).unwrap_or_else(|problems| panic!("{problems:?}"));
    // As a registry would say.
    for (_, image) in policy.images_mut() {
        let reference = image.name.pinned(Digest::of(b"manifest"));
        let identity = ImageIdentity { reference, id: Digest::of(b"image") };
        image.pinned = Some(PinnedImage { image: identity, entrypoint: Vec::new(), command: Vec::new() });
    }
    policy
}

#[test]
fn every_example_runs_and_gives_what_it_says() {
    for mut example in examples(&page()) {
        let run = example.run();
        match (&example.output, &example.error) {
            (Some(output), None) => {
                assert_eq!(run.instance.output(), Some(output), "{}\n{}", example.text, run.lines());
            }
            (None, Some(error)) => {
                let fault = serde_json::to_value(run.instance.error()).unwrap();
                for (field, expected) in error.as_object().unwrap() {
                    assert_eq!(&fault[field], expected, "{field}\n{}\n{}", example.text, run.lines());
                }
            }
            (output, error) => panic!("give it an output or an error: {output:?} {error:?}\n{}", example.text),
        }
        let replayed =
            engine::Instance::fold(run.instance.id().clone(), run.instance.definition().clone(), run.history.clone());
        assert_eq!(replayed.unwrap(), run.instance, "{}", example.text);
    }
}

#[test]
fn every_kind_of_task_has_an_example() {
    let mut kinds = BTreeSet::new();
    for example in examples(&page()) {
        definition::each_task(&example.definition().tasks, &mut |task| {
            kinds.insert(task.kind.name());
        });
    }
    assert_eq!(kinds, TaskKind::NAMES.into_iter().collect());
}

/// A row of the table of refusals.
struct Refused {
    what: String,
    why: String,
    example: String,
}

fn refused(page: &str) -> Vec<Refused> {
    let rows = section(page, "What is refused").lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, why, example] = cells[..] else { panic!("three cells, not {cells:?}") };
        let example = example.trim_matches('`').to_owned();
        Refused { what: what.to_owned(), why: why.to_owned(), example }
    })
    .collect()
}

#[test]
fn what_is_listed_as_refused_is_refused_by_that_name_and_argued() {
    for Refused { what, why, example } in refused(&page()) {
        assert!(why.len() > 20, "`{what}`: say why");
        let text = match example.starts_with("{ document") {
            true => example.clone(),
            false => format!("{HEAD}do:\n- a: {example}\n"),
        };
        let problems = definition::parse(&text, "d.yaml").expect_err(&example);
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let named = format!("{what} is refused (see docs/dsl.md)");
        assert!(said.iter().any(|said| said.ends_with(&named)), "{what}: {example} says {said:?}");
    }
}

/// What the sources of the parser refuse as not supported: each text or field that they name.
fn refusals_in(source: &str, found: &mut BTreeSet<String>) {
    for (at, call) in source.match_indices("unsupported") {
        let rest = &source[at + call.len()..];
        let rest = rest.strip_prefix("::<()>").unwrap_or(rest);
        let Some(rest) = rest.strip_prefix("(&format!(\"").or_else(|| rest.strip_prefix("(\"")) else { continue };
        let text = rest.split('"').next().unwrap();
        // Up to what is filled in.
        found.insert(text.split('{').next().unwrap().to_owned());
    }
    for (at, call) in source.match_indices("fields_refusing(") {
        let rest = &source[at + call.len()..];
        let list = rest.split("&[").nth(1).unwrap_or_default().split(']').next().unwrap();
        found.extend(list.split('"').skip(1).step_by(2).map(|field| format!(".{field}`")));
    }
}

#[test]
fn what_the_parser_refuses_is_listed() {
    let mut found = BTreeSet::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/definition/parse")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => refusals_in(&fs::read_to_string(path).unwrap(), &mut found),
            }
        }
    }
    assert!(found.len() > 5, "they are made in another way now: {found:?}");
    let page = page();
    let listed = refused(&page);
    for text in found {
        assert!(listed.iter().any(|row| row.what.contains(&text)), "`{text}` is refused and not listed");
    }
}
