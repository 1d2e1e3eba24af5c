//! The official conformance kit, from its files, and our extended one in
//! `features/`: every scenario is one `light-workflow run`.

mod outside;
mod people;
mod runtime;
mod serving;
#[path = "../vocabulary/mod.rs"]
mod vocabulary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use runtime::Program;
use vocabulary::play::{files, play, scenarios};

/// Fewest scenarios that our own kit has.
const EXTENDED_MIN: usize = 120;

/// One test a feature, so that they run side by side and a failure names its file.
macro_rules! features {
    ($($test:ident: $file:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                play(&own_folder().join(concat!($file, ".feature")), |_| true, Program::new);
            }
        )*

        const PLAYED: &[&str] = &[$($file),*];
    };
}

features! {
    ask: "ask",
    assert_tasks: "assert",
    call_asyncapi: "call-asyncapi",
    call_http: "call-http",
    call_outside: "call-outside",
    calls: "calls",
    context: "context",
    cron: "cron",
    data_flow: "data-flow",
    documents: "documents",
    durations: "durations",
    emit_and_listen: "emit-and-listen",
    errors: "errors",
    expressions: "expressions",
    flow: "flow",
    for_tasks: "for",
    fork: "fork",
    functions: "functions",
    refusals: "refusals",
    retries: "retries",
    run: "run",
    run_container: "run-container",
    run_unawaited: "run-unawaited",
    run_workflow: "run-workflow",
    schedule: "schedule",
    secrets: "secrets",
    set: "set",
    switch: "switch",
    timeouts: "timeouts",
    try_tasks: "try",
    wait: "wait",
}

#[test]
fn the_official_kit() {
    let folder = root().join("../shared/data/sw-spec/ctk");
    let played: usize = files(&folder).iter().map(|file| play(file, |_| true, Program::new)).sum();
    assert!(played >= 12, "{played} scenarios");
}

#[test]
fn every_feature_is_played_and_there_are_enough() {
    let files = files(&own_folder());
    let there: BTreeSet<String> =
        files.iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(there, PLAYED.iter().map(|name| (*name).to_owned()).collect());
    let count: usize = files.iter().map(|file| scenarios(file).len()).sum();
    assert!(count >= EXTENDED_MIN, "{count} scenarios");
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("features")
}

/// The folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders below the root")
}
