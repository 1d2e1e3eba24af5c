//! Documents that a definition names: schemas, functions, scripts.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use support::{HEAD, Run};
use workflow::Digest;
use workflow::definition::{self, Definition, Reading};
use workflow::documents::Documents;

/// What a definition names and whoever reads it has: name and text, or why it is not there.
type Known = [(&'static str, Result<&'static str, &'static str>)];

/// Reads a definition as a host does: what it wants is fetched until it wants no more.
fn read(text: &str, known: &Known) -> Result<Definition, String> {
    let known: BTreeMap<_, _> = known.iter().cloned().collect();
    let mut documents = Documents::default();
    for _ in 0..10 {
        match definition::read(&format!("{HEAD}{text}"), "d/def.yaml", &documents) {
            Reading::Definition(definition) => return Ok(*definition),
            Reading::Refused(problems) => {
                return Err(problems.iter().map(|problem| format!("{problem}\n")).collect());
            }
            Reading::Wanting(wanted) => {
                for name in wanted {
                    let text = known.get(name.as_str()).unwrap_or_else(|| panic!("nobody expected `{name}`"));
                    documents.keep(name, text.map(str::to_owned).map_err(str::to_owned));
                }
            }
        }
    }
    panic!("it wants and wants");
}

fn end_of(definition: &Arc<Definition>, input: serde_json::Value) -> String {
    let run = Run::start(definition, input);
    assert!(run.instance.phase().is_final(), "{}", run.lines());
    run.last_line()
}

const SCHEMA: &str = r#"{ "type": "object", "required": ["version"] }"#;
const DOUBLE: &str = "input: { schema: { resource: { endpoint: number.yaml } } }\nset: { twice: '${ .number * 2 }' }\n";
const NUMBER: &str = "type: object\nproperties: { number: { type: integer } }\nrequired: [number]\n";

#[test]
fn a_schema_and_a_function_may_stand_in_files_of_their_own() {
    let text = "input: { schema: { resource: { endpoint: schemas/in.json } } }\ndo:\n- a: { call: ./functions/double.yaml, with: { number: '${ .version }' } }\n";
    let known =
        [("schemas/in.json", Ok(SCHEMA)), ("functions/double.yaml", Ok(DOUBLE)), ("functions/number.yaml", Ok(NUMBER))];
    let definition = Arc::new(read(text, &known).unwrap());
    assert_eq!(end_of(&definition, json!({"version": 21})), r#"completed: {"twice":42}"#);
    assert!(end_of(&definition, json!({})).contains("validation"));
    assert!(end_of(&definition, json!({"version": "x"})).contains("validation"));
    let names: Vec<_> = definition.documents.keys().collect();
    assert_eq!(names, ["functions/double.yaml", "functions/number.yaml", "schemas/in.json"]);
}

#[test]
fn what_is_kept_needs_nobody_to_fetch_it_again() {
    let text = "do:\n- a: { call: ./f.yaml, with: { number: 4 } }\n";
    let known = [("f.yaml", Ok(DOUBLE)), ("number.yaml", Ok(NUMBER))];
    let definition = read(text, &known).unwrap();
    let again = definition::parse(&definition.source, "kept").unwrap();
    assert_eq!((&again.digest, &again.source), (&definition.digest, &definition.source));
    assert_eq!(again.documents, definition.documents);
    assert_eq!(again.text(), format!("{HEAD}{text}"));
    assert_eq!(end_of(&Arc::new(again), json!({})), r#"completed: {"twice":8}"#);
}

#[test]
fn the_digest_of_a_definition_covers_its_documents() {
    let digest = |number: &'static str| {
        read("do:\n- a: { call: ./f.yaml }\n", &[("f.yaml", Ok(DOUBLE)), ("number.yaml", Ok(number))]).unwrap().digest
    };
    assert_ne!(digest(NUMBER), digest("type: object\n"));
    // One that names none is its own text and nothing more.
    let plain = read("do:\n- a: { set: { b: 1 } }\n", &[]).unwrap();
    assert_eq!(plain.digest, Digest::of(format!("{HEAD}do:\n- a: {{ set: {{ b: 1 }} }}\n").as_bytes()));
}

#[test]
fn a_catalog_names_functions_by_version() {
    let text = "use: { catalogs: { ours: { endpoint: 'https://c.example/x' }, near: { endpoint: { uri: catalog } }, hub: { endpoint: 'https://github.com/o/r/tree/main' } } }
do:
- a: { call: 'double:1.0.0@ours', with: { number: 1 } }
- b: { call: 'double:2.0.0@near', with: { number: '${ .twice }' } }
- c: { call: 'double:1.0.0@hub', with: { number: '${ .twice }' } }
";
    let function = Ok("set: { twice: '${ .number * 2 }' }");
    let known = [
        ("https://c.example/x/functions/double/1.0.0/function.yaml", function),
        ("catalog/functions/double/2.0.0/function.yaml", function),
        ("https://raw.githubusercontent.com/o/r/main/functions/double/1.0.0/function.yaml", function),
    ];
    assert_eq!(end_of(&Arc::new(read(text, &known).unwrap()), json!({})), r#"completed: {"twice":8}"#);
}

#[test]
fn a_script_may_stand_in_a_file_and_nothing_in_it_is_an_expression() {
    let text = "do:\n- a: { run: { script: { language: sh, source: { name: build, endpoint: build.sh } } } }\n";
    let code = "${ .not }";
    let definition = read(text, &[("build.sh", Ok(code))]).unwrap();
    let run = Run::start(&Arc::new(definition), json!({}));
    let open = run.instance.open_attempts().next().unwrap();
    let workflow::Effect::Command { command, .. } = open.effect else { panic!("{:?}", open.effect) };
    assert_eq!(command.argv, ["sh", "-c", code, "script"]);
}

/// A definition, what is there, and how what is said begins.
type Wrong = (String, Vec<(&'static str, Result<&'static str, &'static str>)>, &'static str);

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    let call = |name: &str| format!("do:\n- a: {{ call: '{name}' }}\n");
    let schema = |endpoint: &str| {
        format!("input: {{ schema: {{ resource: {{ endpoint: {endpoint} }} }} }}\ndo:\n- a: {{ set: {{ b: 1 }} }}\n")
    };
    let network = |body: &'static str| vec![("https://c.example/f.yaml", Ok(body))];
    let cases: Vec<Wrong> = vec![
        (call("f.yaml/"), vec![], "d/def.yaml:3:14: `call`: there is no document `f.yaml/`: it leads out"),
        (
            call("../f.yaml"),
            vec![],
            "d/def.yaml:3:14: `call`: there is no document `../f.yaml`: it leads out of the folder",
        ),
        (
            call("./f.yaml"),
            vec![("f.yaml", Err("no such file"))],
            "d/def.yaml:3:14: `call`: there is no document `./f.yaml`: no such file",
        ),
        (call("./f.yaml"), vec![("f.yaml", Ok("set: { a: '${ .b + }' }"))], "d/f.yaml:1:11: `set`"),
        (call("./f.yaml"), vec![("f.yaml", Ok("set: { a: 1 }\nsett: 2\n"))], "d/f.yaml:2:1: unknown field `sett`"),
        (
            call("./f.yaml"),
            vec![("f.yaml", Ok("do:\n- b: { set: { c: '${ $nobody }' } }\n"))],
            "d/f.yaml:2:18: there is no variable `$nobody` here",
        ),
        (call("./f.yaml"), vec![("f.yaml", Ok("a: b: c\n"))], "d/f.yaml:1:5: not YAML"),
        (call("./f.yaml"), vec![("f.yaml", Ok("call: ./f.yaml\n"))], "d/f.yaml:1:7: function `f.yaml` calls itself"),
        (schema("s.json"), vec![("s.json", Ok("{\n \"type\": 5 }"))], "d/s.json:1:1: `schema` is no JSON Schema"),
        (
            schema("'https://{host}/s'"),
            vec![],
            "d/def.yaml:2:42: `input.schema.resource.endpoint`: the name of a document is not computed",
        ),
        (
            schema("file:///etc/passwd"),
            vec![],
            "d/def.yaml:2:42: `input.schema.resource.endpoint`: there is no document `file:///etc/passwd`: write a path below",
        ),
        (
            schema("{ uri: s.json, authentication: { use: x } }"),
            vec![],
            "d/def.yaml:2:73: a document is fetched without a credential",
        ),
        (call("f:1.0.0@nowhere"), vec![], "d/def.yaml:3:14: `call`: there is no `nowhere` in `use.catalogs`"),
        (
            call("https://c.example/f.yaml"),
            network("call: cargo\nmetadata: { lightWorkflow: { grants: { log: { lines-max: 1, bytes-max: 1 } } } }"),
            "https://c.example/f.yaml:1:1: a function from the network may not have `metadata.lightWorkflow.grants`",
        ),
        (
            call("https://c.example/f.yaml"),
            network("ask: { prompt: Publish? }"),
            "https://c.example/f.yaml:1:1: a function from the network may not ask a person",
        ),
        (
            call("https://c.example/f.yaml"),
            network("run: { workflow: { namespace: a, name: b, version: latest } }"),
            "https://c.example/f.yaml:1:1: a function from the network may not run workflows",
        ),
        (
            call("https://c.example/f.yaml"),
            network("emit: { event: { with: { source: /a, type: b } } }"),
            "https://c.example/f.yaml:1:1: a function from the network may not emit events",
        ),
    ];
    for (text, known, expected) in cases {
        let said = read(&text, &known).expect_err(&text);
        assert!(said.starts_with(expected), "{text}\nsays {said}");
    }
}

#[test]
fn a_function_from_the_network_acts_in_a_sandbox_of_its_own() {
    let text = "do:\n- a: { call: 'https://c.example/f.yaml' }\n";
    let definition = read(text, &[("https://c.example/f.yaml", Ok("run: { shell: { command: ls } }"))]).unwrap();
    let mut modes = Vec::new();
    definition::each_task(&definition.tasks, &mut |task| modes.extend(task.light.mode));
    assert_eq!(modes, [workflow::command::SandboxMode::PerTask]);
}

#[test]
fn a_script_from_the_network_acts_in_a_sandbox_of_its_own_that_holds_nothing() {
    let known = [("https://c.example/s.sh", Ok("ls"))];
    for endpoint in ["'https://c.example/s.sh'", "{ uri: 'https://c.example/s.sh' }"] {
        let task = |light: &str| {
            format!(
                "do:\n- a: {{ run: {{ script: {{ language: sh, source: {{ endpoint: {endpoint} }} }} }}, metadata: {{ lightWorkflow: {{ {light} }} }} }}\n"
            )
        };
        for (light, field) in [
            ("security: { secrets: [token], sandbox: { mode: per-task, reason: r } }", "security.secrets"),
            ("security: { sandbox: { mode: workflow-session } }", "security.sandbox.mode: workflow-session"),
            ("egress: ['a.example:443']", "egress"),
            ("artifactPolicy: { capture: [out.txt] }", "artifactPolicy"),
        ] {
            let expected =
                format!("d/def.yaml:3:6: a script from the network may not have `metadata.lightWorkflow.{field}`");
            let said = read(&task(light), &known).expect_err(light);
            assert!(said.starts_with(&expected), "{light}\nsays {said}");
        }
        let definition = read(&task(""), &known).unwrap();
        let mut modes = Vec::new();
        definition::each_task(&definition.tasks, &mut |task| modes.extend(task.light.mode));
        assert_eq!(modes, [workflow::command::SandboxMode::PerTask]);
    }
}

#[test]
fn a_function_from_the_network_may_not_call_those_of_the_definition() {
    let text = |document: &str| {
        format!(
            "use: {{ functions: {{ publish: {{ run: {{ shell: {{ command: ls }} }}, metadata: {{ lightWorkflow: {{ security: {{ secrets: [token], sandbox: {{ mode: per-task, reason: r }} }} }} }} }} }} }}\ndo:\n- a: {{ call: '{document}' }}\n"
        )
    };
    let said = read(&text("https://c.example/f.yaml"), &[("https://c.example/f.yaml", Ok("call: publish"))]);
    let said = said.unwrap_err();
    let expected =
        "https://c.example/f.yaml:1:7: a function from the network may not call `publish` of `use.functions`";
    assert!(said.starts_with(expected), "{said}");
    // What stands beside the definition is reviewed as it is.
    read(&text("./f.yaml"), &[("f.yaml", Ok("call: publish"))]).unwrap();
}

#[test]
fn documents_are_bounded_in_number_and_in_size() {
    let many: String = (0..40).map(|n| format!("- t{n}: {{ call: f{n}.yaml/../f{n}.yaml }}\n")).collect();
    let mut documents = Documents::default();
    let source = format!("{HEAD}do:\n{many}");
    let Reading::Wanting(wanted) = definition::read(&source, "d.yaml", &documents) else { panic!("it wants some") };
    assert_eq!(wanted.len(), 32);
    wanted.into_iter().for_each(|name| documents.keep(name, Ok("set: { a: 1 }".to_owned())));
    let Reading::Refused(problems) = definition::read(&source, "d.yaml", &documents) else { panic!("it is refused") };
    assert!(problems[0].to_string().contains("a definition may name 32 documents"), "{}", problems[0]);

    let large: &'static str = "x".repeat(Documents::BYTES_MAX + 1).leak();
    let said = read("do:\n- a: { call: ./f.yaml }\n", &[("f.yaml", Ok(large))]).unwrap_err();
    assert!(said.contains("may have 1048576 bytes together"), "{said}");
}

#[test]
fn a_kept_text_that_was_changed_by_hand_is_refused() {
    let known = [("f.yaml", Ok("set: { a: 1 }"))];
    let source = read("do:\n- a: { call: ./f.yaml }\n", &known).unwrap().source;
    let said = |source: &str| {
        let problems = definition::parse(source, "d.yaml").unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let unused = source.replace("{\n", "{\n  \"g.yaml\": \"\",\n");
    assert_eq!(said(&unused), "d.yaml:5:1: nothing in this definition names its document `g.yaml`");
    let missing = source.replace("f.yaml\":", "g.yaml\":");
    assert!(said(&missing).contains("there is no document `./f.yaml`: it has not been fetched"), "{}", said(&missing));
    assert!(said(&source.replace("{\n", "[\n")).contains("the documents of this definition cannot be read"));
}
