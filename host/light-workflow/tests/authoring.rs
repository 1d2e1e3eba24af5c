//! An author's way: new, build, test, in each language, outside of this repository.

// These tests type what an author types.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use workflow::Digest;

const PROGRAM: &str = env!("CARGO_BIN_EXE_light-workflow");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders below the root")
}

/// Below the target folder: what is built once for all tests.
fn cache() -> PathBuf {
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("the program lies in target/debug");
    target.join("authoring")
}

/// `light-workflow` in `folder`, offline; crates come from the cache that built this test.
fn light_workflow(folder: &Path, arguments: &[&str]) -> Output {
    prepared(Command::new(PROGRAM), folder).args(arguments).output().unwrap()
}

fn prepared(mut command: Command, folder: &Path) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = Path::new(PROGRAM).parent().expect("the program lies in a folder");
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", cache().join("cargo"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("PATH", format!("{}:{path}", programs.display()));
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_MANIFEST_DIR", "CARGO"] {
        command.env_remove(name);
    }
    command
}

fn succeeded(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// The lines between fences, with the words after the opening one: language, file.
fn blocks(page: &str) -> Vec<(Vec<String>, String)> {
    let mut blocks: Vec<(Vec<String>, String)> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(words) if !open => {
                blocks.push((words.split_whitespace().map(str::to_owned).collect(), String::new()));
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let (_, text) = blocks.last_mut().expect("a block is open");
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

#[test]
fn the_guide_works_as_it_stands() {
    let page = fs::read_to_string(root().join("docs/first-plugin.md")).unwrap();
    let folder = TempDir::new().unwrap();
    // The page's first `cd` is the only one: all files are below that project.
    let project = folder.path().join("release-channel");
    let mut said = String::new();
    let (mut commands, mut files) = (0, 0);
    for (words, text) in blocks(&page) {
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["sh"] => {
                let start = if project.is_dir() { &project } else { folder.path() };
                let mut shell = prepared(Command::new("bash"), start);
                said += &succeeded(&shell.args(["-euc", &text]).output().unwrap());
                commands += 1;
            }
            [_, file] => {
                fs::write(project.join(file), text).unwrap();
                files += 1;
            }
            _ => {}
        }
    }
    assert_eq!((commands, files), (5, 3));
    for expected in
        ["test result: ok. 1 passed", "class      import-pure", "3 cases, 6 runs, 0 failed", "release-channel.wasm"]
    {
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
}

#[test]
fn the_same_sources_give_the_same_bytes_wherever_they_lie() {
    let digests: Vec<Value> = ["here", "there/below"]
        .into_iter()
        .map(|place| {
            let folder = TempDir::new().unwrap();
            let project = folder.path().join(place);
            let project_text = project.to_str().unwrap();
            let new = ["plugin", "new", "same-bytes", "--world", "probe", "--folder", project_text];
            succeeded(&light_workflow(folder.path(), &new));
            let built = light_workflow(folder.path(), &["plugin", "build", project_text, "--format", "json"]);
            let built: Value = serde_json::from_str(&succeeded(&built)).unwrap();
            assert_eq!(built["class"], "import-pure");
            let tested = succeeded(&light_workflow(folder.path(), &["plugin", "test", project_text]));
            assert!(tested.ends_with("4 cases, 8 runs, 0 failed\n"), "{tested}");
            built["inspection"]["digest"].clone()
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_case_that_is_not_so_is_told_with_what_happened_instead() {
    let folder = TempDir::new().unwrap();
    succeeded(&light_workflow(folder.path(), &["plugin", "new", "wrong-case", "--world", "probe"]));
    let project = folder.path().join("wrong-case");
    succeeded(&light_workflow(&project, &["plugin", "build"]));
    let cases = r#"
[[case]]
name = "another output"
input = { tool = "git" }
output = { tool = "git", version = "3" }
command = [{ command = "rust-release/tool-versions", stdout = "git version 2.39.5" }]

[[case]]
name = "another command"
input = { tool = "git" }
output = { tool = "git", version = "2" }
command = [{ command = "rust-release/cargo-build" }]

[[case]]
name = "a command too many"
input = { tool = "git", force = 1 }
error = { kind = "transient" }
command = [{ command = "rust-release/tool-versions" }]
"#;
    fs::write(project.join("tests/cases.toml"), cases).unwrap();
    let output = light_workflow(&project, &["plugin", "test"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for expected in [
        r#"the output is {"tool":"git","version":"2.39.5"}, and the case says {"tool":"git","version":"3"}"#,
        "it runs `rust-release/tool-versions`, and the case has `rust-release/cargo-build` here",
        "the case says an error of kind Transient, and it is: the input does not fit the step",
        "1 commands of the case were never run",
        "3 cases, 6 runs, 3 failed",
    ] {
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
    fs::write(project.join("tests/cases.toml"), "[[case]]\nname = \"x\"\ninput = 1\nresult = 2\n").unwrap();
    let output = light_workflow(&project, &["plugin", "test"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("line 4") && said.contains("unknown field `result`"), "{said}");
}

#[test]
fn a_step_that_says_other_things_than_its_manifest_is_no_plugin() {
    let folder = TempDir::new().unwrap();
    succeeded(&light_workflow(folder.path(), &["plugin", "new", "two-tongues", "--world", "probe"]));
    let project = folder.path().join("two-tongues");
    let manifest = fs::read_to_string(project.join("plugin.toml")).unwrap();
    for (from, to, expected) in [
        ("summary = \"Says", "summary = \"Tells", "plugin.toml says summary `Tells which version"),
        ("world = \"probe\"", "world = \"pure\"", "imports what only `probe` has"),
        ("[asks.sandbox]", "[asks.secrets]", "cannot be asked for"),
        ("[asks.log]\nreason", "[asks.limits]\nreason", "cannot be asked for"),
    ] {
        fs::write(project.join("plugin.toml"), manifest.replace(from, to)).unwrap();
        let output = light_workflow(&project, &["plugin", "build"]);
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
    let output = light_workflow(folder.path(), &["plugin", "new", "two-tongues"]);
    assert_eq!(output.status.code(), Some(2), "a folder that is not empty is left alone");
}

#[test]
fn the_bundled_plugins_have_the_stubs_of_their_templates() {
    for (template, file) in
        [("rust-release", "plugins/kit/src/rust_release.rs"), ("java-release", "plugins/kit/src/java_release.rs")]
    {
        let folder = root().join("sandbox-templates").join(template);
        let stubs = succeeded(&light_workflow(root(), &["template", "stubs", folder.to_str().unwrap()]));
        assert_eq!(fs::read_to_string(root().join(file)).unwrap(), stubs, "{template}");
    }
}

/// The stubs of a real template compile with the SDK and name what it names.
#[test]
fn stubs_say_what_the_template_says() {
    let template = root().join("sandbox-templates/rust-release");
    let stubs = succeeded(&light_workflow(root(), &["template", "stubs", template.to_str().unwrap()]));
    let folder = TempDir::new().unwrap();
    succeeded(&light_workflow(folder.path(), &["plugin", "new", "stubbed", "--world", "publish"]));
    let project = folder.path().join("stubbed");
    fs::write(project.join("src/rust_release.rs"), &stubs).unwrap();
    let uses = r#"
mod rust_release;

#[cfg(test)]
mod stubs {
    use light_workflow_sdk::{CommandTemplate, Parameter};

    #[test]
    fn a_stub_is_a_command_with_its_parameters_and_secrets() {
        let push = super::rust_release::GitPushTag {
            commit: "c".to_owned(),
            message: "m".to_owned(),
            source: "artifact://i/t/1/b".into(),
            tag: "v1".to_owned(),
            url: "u".to_owned(),
        };
        let invocation = push.invocation("why");
        assert_eq!(invocation.command, "rust-release/git-push-tag");
        assert!(invocation.parameters.contains(&("source", Parameter::Artifact("artifact://i/t/1/b".to_owned()))));
        assert_eq!(invocation.parameters.len(), 5);
        assert_eq!(super::rust_release::GitPushTag::SECRETS, ["git-credential"]);
        assert_eq!(super::rust_release::ToolVersions.invocation("why").parameters, []);
    }
}
"#;
    let library = fs::read_to_string(project.join("src/lib.rs")).unwrap();
    fs::write(project.join("src/lib.rs"), library + uses).unwrap();
    let tested = prepared(Command::new("cargo"), &project).args(["test", "--lib"]).output().unwrap();
    assert!(succeeded(&tested).contains("3 passed"));
}

/// The example in another language, built once for its sources.
fn built(example: &str, language: &str, install: fn(&Path)) -> PathBuf {
    let sources = root().join("plugins/examples").join(example).join(language);
    let mut text = String::new();
    let mut files: Vec<_> = fs::read_dir(&sources).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        text += &fs::read_to_string(file).unwrap();
    }
    let digest = Digest::of(text.as_bytes()).to_string().replace("sha256:", "");
    let project = cache().join(format!("{example}-{language}-{}", &digest[..16]));
    if project.join(format!("build/{example}.wasm")).is_file() {
        return project;
    }
    fs::create_dir_all(project.join("tests")).unwrap();
    for file in files.iter().filter(|file| file.is_file()) {
        fs::copy(file, project.join(file.file_name().unwrap())).unwrap();
    }
    fs::copy(sources.join("tests/cases.toml"), project.join("tests/cases.toml")).unwrap();
    fs::create_dir_all(project.join("wit")).unwrap();
    fs::copy(root().join("wit/released/0.1.0/release.wit"), project.join("wit/release.wit")).unwrap();
    install(&project);
    let built: Value =
        serde_json::from_str(&succeeded(&light_workflow(&project, &["plugin", "build", "--format", "json"]))).unwrap();
    assert_eq!(built["class"], "import-pure", "{built}");
    project
}

fn npm(project: &Path) {
    succeeded(&Command::new("npm").args(["install", "--silent"]).current_dir(project).output().unwrap());
}

fn pip(project: &Path) {
    let install = "python3 -m venv .venv && .venv/bin/pip install --quiet -r requirements.txt";
    succeeded(&Command::new("bash").args(["-euc", install]).current_dir(project).output().unwrap());
}

/// The cases are those of the step in Rust, word for word.
fn same_step(language: &str, install: fn(&Path)) {
    for (example, runs) in
        [("tool-version", "4 cases, 8 runs, 0 failed\n"), ("next-version", "4 cases, 8 runs, 0 failed\n")]
    {
        let cases = |language: &str| {
            fs::read_to_string(root().join("plugins/examples").join(example).join(language).join("tests/cases.toml"))
                .unwrap()
        };
        assert_eq!(cases(language), cases("rust"), "{example}");
        let project = built(example, language, install);
        let tested = succeeded(&light_workflow(&project, &["plugin", "test"]));
        assert!(tested.ends_with(runs), "{tested}");
    }
}

#[test]
fn the_same_step_in_javascript_behaves_the_same() {
    same_step("javascript", npm);
}

#[test]
fn the_same_step_in_python_behaves_the_same() {
    same_step("python", pip);
}
