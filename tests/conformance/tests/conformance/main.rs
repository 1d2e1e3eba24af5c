//! The official conformance kit, from its files, and our extended one in
//! `features/`: every scenario is one `light-workflow run`.

mod outline;
mod runtime;
mod steps;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gherkin::{Feature, GherkinEnv};

use steps::Stage;

/// Fewest scenarios that our own kit has.
const EXTENDED_MIN: usize = 120;

/// One test a feature, so that they run side by side and a failure names its file.
macro_rules! features {
    ($($test:ident: $file:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                play(&own_folder().join(concat!($file, ".feature")));
            }
        )*

        const PLAYED: &[&str] = &[$($file),*];
    };
}

features! {
    call_asyncapi: "call-asyncapi",
    call_http: "call-http",
    context: "context",
    data_flow: "data-flow",
    documents: "documents",
    emit_and_listen: "emit-and-listen",
    errors: "errors",
    expressions: "expressions",
    flow: "flow",
    for_tasks: "for",
    fork: "fork",
    functions: "functions",
    people: "people",
    refusals: "refusals",
    retries: "retries",
    run: "run",
    run_workflow: "run-workflow",
    set: "set",
    switch: "switch",
    timeouts: "timeouts",
    try_tasks: "try",
    wait: "wait",
}

#[test]
fn the_official_kit() {
    let folder = root().join("../shared/data/sw-spec/ctk");
    for file in feature_files(&folder) {
        // What calls the outside world is played where that world is: `call` has tests of its own.
        play_some(&file, |text| !text.contains("petstore.swagger.io"));
    }
}

#[test]
fn every_feature_is_played_and_there_are_enough() {
    let files = feature_files(&own_folder());
    let there: BTreeSet<String> =
        files.iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(there, PLAYED.iter().map(|name| (*name).to_owned()).collect());
    let count: usize = files.iter().map(|file| outline::expand(&feature(file)).len()).sum();
    assert!(count >= EXTENDED_MIN, "{count} scenarios");
}

/// Plays every scenario of a file and tells all that failed.
fn play(file: &Path) {
    play_some(file, |_| true);
}

fn play_some(file: &Path, wanted: impl Fn(&str) -> bool) {
    let mut failures = Vec::new();
    let mut played = 0;
    for scenario in outline::expand(&feature(file)) {
        if !scenario.steps.iter().filter_map(|step| step.docstring.as_deref()).all(&wanted) {
            continue;
        }
        played += 1;
        let mut stage = Stage::new();
        for step in &scenario.steps {
            if let Err(why) = stage.take(step) {
                failures.push(format!("{}\n  {} {}\n  {why}", scenario.name, step.keyword.trim(), step.value));
                break;
            }
        }
    }
    println!("{}: {played} scenarios", file.display());
    assert!(failures.is_empty(), "{} of {played} failed\n{}", failures.len(), failures.join("\n"));
}

fn feature(file: &Path) -> Feature {
    Feature::parse_path(file, GherkinEnv::default()).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn feature_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "feature"))
        .collect();
    files.sort();
    files
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("features")
}

/// The folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders below the root")
}
