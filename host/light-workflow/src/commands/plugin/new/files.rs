//! The files of a new project: an example of this repository, the SDK, the WIT package.

use workflow::capability::World;

use crate::cli::Language;

pub struct File {
    /// In the project.
    pub path: &'static str,
    pub text: &'static str,
    /// Whether it carries the example's names.
    pub is_example: bool,
}

/// What a project in `language` starts with: a step that computes, or one that runs a command.
pub fn of(language: Language, world: World) -> Vec<File> {
    let runs_commands = world >= World::Probe;
    let mut files = match (language, runs_commands) {
        (Language::Rust, true) => example!("tool-version/rust", RUST),
        (Language::Rust, false) => example!("next-version/rust", RUST),
        (Language::Js, true) => example!("tool-version/javascript", JAVASCRIPT),
        (Language::Js, false) => example!("next-version/javascript", JAVASCRIPT),
        (Language::Python, true) => example!("tool-version/python", PYTHON),
        (Language::Python, false) => example!("next-version/python", PYTHON),
    };
    match language {
        Language::Rust => files.extend(sdk()),
        Language::Js | Language::Python => files.push(shared("wit/release.wit", WIT)),
    }
    files
}

macro_rules! example {
    ($example:literal, RUST) => {
        example!($example: "Cargo.toml" "plugin.toml" "src/lib.rs" "tests/cases.toml" ".gitignore")
    };
    ($example:literal, JAVASCRIPT) => {
        example!($example: "package.json" "plugin.toml" "step.js" "tests/cases.toml" ".gitignore")
    };
    ($example:literal, PYTHON) => {
        example!($example: "requirements.txt" "plugin.toml" "step.py" "tests/cases.toml" ".gitignore")
    };
    ($example:literal: $($path:literal)*) => {
        vec![$(File {
            path: $path,
            text: include_str!(concat!("../../../../../../plugins/examples/", $example, "/", $path)),
            is_example: true,
        }),*]
    };
}
use example;

/// The oldest release: a component built against it runs on every later host.
const WIT: &str = include_str!("../../../../../../wit/released/0.1.0/release.wit");
/// What came after it: imported by the component that calls it, and no other.
const NEXT_WIT: &str = include_str!("../../../../../../wit/release.wit");
/// Cargo takes the versions that the SDK was tested with and drops the rest of it.
const LOCK: &str = include_str!("../../../../../../Cargo.lock");

/// The SDK is copied: a project needs no registry of ours and builds the same next year.
fn sdk() -> Vec<File> {
    macro_rules! sdk {
        ($($path:literal)*) => {
            vec![$(shared(concat!("sdk/", $path), include_str!(concat!("../../../../../../plugins/sdk/", $path)))),*]
        };
    }
    let mut files = sdk!(
        "Cargo.toml" "README.md" "src/lib.rs" "src/command.rs" "src/error.rs" "src/guest.rs" "src/host.rs"
        "src/run.rs" "src/schema.rs" "src/scripted.rs"
    );
    files.push(shared("sdk/wit/release.wit", WIT));
    files.push(shared("sdk/wit-next/release.wit", NEXT_WIT));
    files.push(shared("Cargo.lock", LOCK));
    files
}

fn shared(path: &'static str, text: &'static str) -> File {
    File { path, text, is_example: false }
}
