//! Every case of the suite on a host like any other.

mod fuzz;
mod mutation;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use attack::{Case, Range, Target};
use plugin_host::HostConfig;
use sandbox::Templates;

fn target() -> Target {
    let templates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sandbox-templates");
    let templates = Arc::new(Templates::load(&templates).expect("the templates of the repository load"));
    Target { config: HostConfig::default(), templates, ceiling: None, fuel_max: Some(200_000_000) }
}

/// Runs the cases that are `wanted`, and fails with all that is not as it must be.
async fn stands(wanted: impl Fn(&Case) -> bool) {
    let range = Range::new(target()).await.expect("the range can be made");
    let mut wrong = Vec::new();
    for case in attack::all().into_iter().filter(wanted) {
        let start = Instant::now();
        let verdict = range.run(&case).await;
        eprintln!("{:>9.2?} {:<32} {}", start.elapsed(), verdict.name, verdict.ended);
        if !verdict.ok {
            wrong.push(format!("{}: {}\n  it ended: {}", verdict.name, verdict.problems.join("\n  "), verdict.ended));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn begins(case: &Case, groups: &[&str]) -> bool {
    groups.iter().any(|group| case.name.starts_with(group))
}

/// These take the longest: each uses up all that a call may compute, or all that a file may hold.
const LONG: [&str; 4] = ["loop-", "bomb-", "bits-", "crowd"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_in_any_place_is_stopped_beside_an_honest_step() {
    stands(|case| begins(case, &["loop-"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_much_to_read_costs_no_other_step() {
    stands(|case| begins(case, &["bomb-", "bits-"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_hostile_steps_do_not_keep_an_honest_one_waiting() {
    stands(|case| begins(case, &["crowd"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_stands_in_every_other_case() {
    stands(|case| !begins(case, &LONG)).await;
}

#[test]
fn a_case_is_named_once_and_says_what_it_tries() {
    let cases = attack::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 120, "the list of attacks grows and never shrinks: {}", cases.len());
    assert!(cases.iter().all(|case| !case.tries.is_empty()));
}

/// The real worker lets through what is granted and refuses what is not, for each capability.
#[test]
fn each_capability_has_an_attack_beside_its_honest_use() {
    let pairs = [
        ("log-fake-markers", "ungranted-log"),
        ("artifact-honest", "artifact-not-granted"),
        ("file-honest", "file-not-granted"),
        ("parameter-honest", "command-not-granted"),
        ("handle-honest", "secret-not-granted"),
        ("handle-honest", "ungranted-sandbox-secret"),
        ("model-honest", "model-not-granted"),
        ("tool-honest", "tool-not-granted"),
        ("request-honest", "request-to-loopback"),
    ];
    assert_eq!(pairs.len(), plugin_host::Interface::ALL.iter().filter(|own| own.name() != "wasi-baseline").count());
    let cases = attack::all();
    for name in pairs.iter().flat_map(|(allowed, denied)| [allowed, denied]) {
        assert!(cases.iter().any(|case| case.name == *name), "there is no case `{name}`");
    }
}
