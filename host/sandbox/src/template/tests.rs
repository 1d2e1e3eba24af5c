use std::collections::BTreeMap;
use std::path::Path;

use workflow::command::SandboxMode;
use workflow::{ArtifactUri, Command, CommandName};

use super::{ParameterValue, ResolveError, Template, Templates, load};

const BASE: &str = r#"name = "t"
version = "1"
summary = "For tests."
egress = ["git.example.test:443"]
rootfs = { kind = "host" }
"#;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn template(commands: &str) -> Template {
    load::parse(&format!("{BASE}{commands}"), Some("t")).unwrap_or_else(|(line, message)| panic!("{line}: {message}"))
}

fn mistake(commands: &str) -> String {
    let (line, message) = load::parse(&format!("{BASE}{commands}"), Some("t")).expect_err("a mistake");
    format!("{line}: {message}")
}

fn resolve(template: &Template, values: &[(&str, ParameterValue)]) -> Result<Command, ResolveError> {
    let values: BTreeMap<_, _> = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    template.resolve(&CommandName::new("t/c").unwrap(), &values, SandboxMode::PerTask)
}

fn text(value: &str) -> ParameterValue {
    ParameterValue::Text(value.to_owned())
}

#[test]
fn the_example_in_the_readme_is_a_template() {
    let readme = std::fs::read_to_string(repository().join("sandbox-templates/README.md")).unwrap();
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let template = load::parse(example, Some("rust-release")).unwrap();
    assert_eq!(template.limits(), &super::Limits::default());
    assert_eq!(template.commands().keys().collect::<Vec<_>>(), ["cargo-build", "cargo-publish"]);
}

#[test]
fn every_template_of_this_repository_loads() {
    let templates = Templates::load(&repository().join("sandbox-templates")).unwrap();
    assert!(templates.iter().count() >= 1);
}

#[test]
fn each_kind_of_parameter_finds_its_place() {
    let template = template(
        r#"
[commands.c]
argv = ["cargo", "build", "--jobs={jobs}", { flag = "release", value = "--release" },
        { option = "package", value = ["--package", "{package}"] }, { each = "features", value = ["-F", "{features}"] },
        { literal = "${x}" }, "{{plain}}"]
working_directory = "repos/{directory}"
capture = ["repos/{directory}/out/*"]
inputs = { "in/source" = "source" }
environment = { OUT = "/workspace/{directory}" }
[commands.c.parameters]
jobs = { type = "integer", min = 1, max = 8 }
release = { type = "flag" }
package = { type = "text", pattern = "[a-z]+", required = false }
features = { type = "texts", pattern = "[a-z]+", items_max = 2, required = false }
directory = { type = "text", pattern = "[a-z]+" }
source = { type = "artifact" }
"#,
    );
    let source = ArtifactUri::new("artifact://i/t/1/source").unwrap();
    let required = [
        ("jobs", ParameterValue::Integer(4)),
        ("directory", text("demo")),
        ("source", ParameterValue::Artifact(source.clone())),
    ];

    let least = resolve(&template, &required).unwrap();
    assert_eq!(least.argv, ["cargo", "build", "--jobs=4", "${x}", "{plain}"]);
    assert_eq!(least.working_directory, "repos/demo");
    assert_eq!(least.capture, ["repos/demo/out/*"]);
    assert_eq!(least.environment["OUT"], "/workspace/demo");
    assert_eq!(least.inputs["in/source"], source);
    assert_eq!(least.time_limit_ms, 1_800_000);

    let mut all = required.to_vec();
    all.push(("release", ParameterValue::Flag(true)));
    all.push(("package", text("app")));
    all.push(("features", ParameterValue::Texts(vec!["a".to_owned(), "b".to_owned()])));
    let most = resolve(&template, &all).unwrap();
    let expected =
        ["cargo", "build", "--jobs=4", "--release", "--package", "app", "-F", "a", "-F", "b", "${x}", "{plain}"];
    assert_eq!(most.argv, expected);
}

#[test]
fn a_value_outside_of_what_is_declared_makes_no_command() {
    let template = template(
        r#"
[commands.c]
argv = ["x", "{name}", "{count}", "{path}"]
[commands.c.parameters]
name = { type = "text", pattern = "[a-z-]+|dash", length_max = 8 }
count = { type = "integer", min = 1, max = 9 }
path = { type = "text", pattern = ".*", path = true }
"#,
    );
    let good = || BTreeMap::from([("name", text("abc")), ("count", ParameterValue::Integer(1)), ("path", text("a/b"))]);
    assert!(resolve(&template, &good().into_iter().collect::<Vec<_>>()).is_ok());
    let cases = [
        ("name", text("-rf"), "begins with `-`"),
        ("name", text("Abc"), "does not match"),
        ("name", text("abc\n"), "does not match"),
        ("name", text("abcdefghi"), "at most 8"),
        ("name", ParameterValue::Flag(true), "is of type flag, not text"),
        ("count", ParameterValue::Integer(10), "not 1 to 9"),
        ("path", text("/etc"), "plain relative path"),
        ("path", text("a/../../b"), "plain relative path"),
        ("path", text("a\0b"), "NUL"),
        ("other", text("x"), "has no parameter `other`"),
    ];
    for (name, value, expected) in cases {
        let mut values = good();
        values.insert(name, value.clone());
        let error = resolve(&template, &values.into_iter().collect::<Vec<_>>()).unwrap_err().to_string();
        assert!(error.contains(expected), "{name} {value:?}: {error}");
    }
    let mut incomplete = good();
    incomplete.remove("name");
    let error = resolve(&template, &incomplete.into_iter().collect::<Vec<_>>()).unwrap_err();
    assert!(matches!(error, ResolveError::Missing { parameter, .. } if parameter == "name"));
}

#[test]
fn a_mistake_in_a_template_is_shown_with_its_line() {
    let cases = [
        ("limits = { memory_gb = 1 }", "6: unknown field `memory_gb`"),
        ("[commands.c]\nargv = []", "6: command `c`: `argv` names no program"),
        ("[commands.c]\nargv = [\n\"a\",\n\"{x}\"]", "9: command `c`: `{x}` is no parameter"),
        ("[commands.c]\nargv = [\"a\", \"{\"]", "7: command `c`: a brace that begins or ends no `{parameter}`"),
        (
            "[commands.c]\nargv = [\"{p}\"]\nparameters.p = { type = \"text\", pattern = \"a\" }",
            "7: command `c`: the program is a plain text",
        ),
        (
            "[commands.c]\nargv = [\"a\"]\nparameters.p = { type = \"flag\" }",
            "6: command `c`: parameter `p` is used nowhere",
        ),
        (
            "[commands.c]\nargv = [\"a\"]\negress = [\"evil.example.test:443\"]",
            "8: `evil.example.test:443` is not in the template's own",
        ),
        (
            "[commands.c]\nargv = [\"a\"]\nsecrets = { T = \"t\" }",
            "6: command `c`: secrets go only to `mode = \"per-task\"`",
        ),
        (
            "[commands.c]\nargv = [\"a\"]\nsecrets = { PATH = \"t\" }\nmode = \"per-task\"",
            "6: command `c`: `PATH` is set by the sandbox",
        ),
        ("[commands.c]\nargv = [\"a\"]\ntime_limit_seconds = 4000", "8: command `c`: `time_limit_seconds` is not 1 to"),
        (
            "[commands.c]\nargv = [\"a\"]\ninputs = { \"../x\" = \"p\" }",
            "8: command `c`: input `../x` is not a plain path",
        ),
        (
            "[commands.c]\nargv = [\"sh\", \"-euc\", \"rm {p}\"]\nparameters.p = { type = \"text\", pattern = \"a\" }",
            "7: command `c`: a script takes no placeholders",
        ),
        (
            "[commands.c]\nargv = [\"a\", \"{p}\"]\nparameters.p = { type = \"text\", pattern = \"a\", required = false }",
            "7: command `c`: `p` is optional",
        ),
        (
            "[commands.c]\nargv = [\"a\", \"{p}\"]\nparameters.p = { type = \"text\", pattern = \"(\" }",
            "8: command `c`: parameter `p`: `(` is not a regular expression",
        ),
    ];
    for (commands, expected) in cases {
        let found = mistake(commands);
        assert!(found.starts_with(expected), "{commands}\n  {found}");
    }
}

#[test]
fn a_list_of_egress_holds_names_and_ports_only() {
    for target in ["*.example.test:443", "Example.test:443", "10.0.0.1:80", "example.test", "[::1]:80", "a@b:1", "a:0"]
    {
        let source = BASE.replace("git.example.test:443", target);
        assert!(load::parse(&source, Some("t")).is_err(), "{target}");
    }
}

#[test]
fn a_command_keeps_to_its_mode_and_its_template() {
    let template = template("[commands.c]\nargv = [\"a\"]\nmode = \"workflow-session\"");
    let error = resolve(&template, &[]).unwrap_err();
    assert_eq!(error.to_string(), "command `t/c` runs in mode workflow-session only");
    let error =
        template.resolve(&CommandName::new("t/d").unwrap(), &BTreeMap::new(), SandboxMode::PerTask).unwrap_err();
    assert_eq!(error.to_string(), "there is no command `t/d`; the template has `c`");
}

#[test]
fn what_a_command_reaches_is_told_with_its_patterns() {
    let template = template(
        r#"
[commands.c]
summary = "Publishes."
argv = ["tool", "--jobs={jobs}", { flag = "fast", value = "--fast" }, { each = "features", value = ["-F", "{features}"] }]
mode = "per-task"
egress = ["git.example.test:443"]
time_limit_seconds = 7
secrets = { TOKEN = "registry-token" }
inputs = { "source.bundle" = "source" }
capture = ["out/{name}/*"]
[commands.c.parameters]
jobs = { type = "integer", min = 1, max = 4 }
fast = { type = "flag" }
features = { type = "texts", pattern = "[a-z]+", items_max = 3, length_max = 9 }
name = { type = "text", pattern = "[a-z/]+", path = true }
source = { type = "artifact", required = false }
"#,
    );
    let reach = template.reach(&CommandName::new("t/c").unwrap()).unwrap();
    assert_eq!(reach.argv, ["tool", "--jobs={jobs}", "[--fast if fast]", "[-F {features} for each of features]"]);
    assert_eq!(reach.egress, ["git.example.test:443".to_owned()].into());
    assert_eq!(reach.secrets["TOKEN"].as_str(), "registry-token");
    assert_eq!(reach.mounts["source.bundle"], "source");
    assert_eq!(reach.capture, ["out/{name}/*"]);
    assert_eq!((reach.mode, reach.time_limit_seconds), (Some(SandboxMode::PerTask), 7));
    assert_eq!(reach.sandbox.image, None, "the machine's own");
    let accepts: Vec<_> = reach.parameters.iter().map(|(name, accepts)| format!("{name}: {accepts}")).collect();
    assert_eq!(
        accepts,
        [
            "fast: flag",
            "features: at most 3 texts /[a-z]+/, 9 bytes",
            "jobs: integer 1 to 4",
            "name: text /[a-z/]+/, 1024 bytes, a plain relative path",
            "source: artifact of this instance, may be absent",
        ]
    );
    assert_eq!(template.reach(&CommandName::new("other/c").unwrap()), None);
}
