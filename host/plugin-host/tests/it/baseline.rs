//! Components that were built for an operating system: what they find, and what not.

use plugin_host::{CallError, ComponentClass, Interface, LogLevel, Surroundings};
use serde_json::{Value, json};
use workflow::capability::{Grants, WasiBaselineGrant, World};

use crate::common::{Record, SURROUNDINGS, Scripted, all_grants, components, plugin, run_in};

fn grants() -> Grants {
    Grants { wasi_baseline: Some(WasiBaselineGrant {}), ..all_grants() }
}

async fn asked_in(input: &str, surroundings: Surroundings) -> (Result<Value, CallError>, Record) {
    let plugin = plugin("std").await;
    let scripted = Scripted { command_ms: 2_000, ..Scripted::default() };
    run_in(&plugin, Value::from(input), &grants(), surroundings, scripted).await
}

async fn asked(input: &str) -> String {
    let (result, _) = asked_in(input, SURROUNDINGS).await;
    result.unwrap().as_str().unwrap().to_owned()
}

#[test]
fn the_class_is_known_from_the_bytes() {
    let inspection = plugin_host::inspect(&components()["std"]).unwrap();
    assert_eq!(inspection.class, ComponentClass::WasiBaseline);
    assert_eq!(inspection.problems(), []);
    assert_eq!(inspection.smallest_world, Some(World::Probe));
    assert!(inspection.capabilities()[&Interface::WasiBaseline].iter().all(|name| name.starts_with("wasi:")));
    assert_eq!(plugin_host::inspect(&components()["evil"]).unwrap().class, ComponentClass::ImportPure);
}

#[tokio::test]
async fn without_the_grant_it_is_refused() {
    let std = plugin("std").await;
    let (result, _) = crate::common::run(&std, json!("clock"), &all_grants(), Scripted::default()).await;
    let text = result.unwrap_err().to_string();
    assert!(
        text.starts_with("plugin `std` was built for an operating system (it imports wasi:cli/environment@0.2"),
        "{text}"
    );
    assert!(
        text.ends_with("which the task does not grant; add `wasi-baseline: {} and log: { lines-max: 1000, bytes-max: 262144 }` to the task's grants, or build it for `wasm32-unknown-unknown`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_component_for_an_operating_system_finds_a_clock_of_the_journal() {
    let started_at = "2026-11-24T10:00:00Z".parse().unwrap();
    let (result, _) = asked_in("clock", Surroundings { started_at, ..SURROUNDINGS }).await;
    assert_eq!(result, Ok(json!("1795514400001 1795514400002")), "each look moves it by a millisecond");
    assert_eq!(asked("command").await, "true 2001", "and a command by what the history says it took");
    // Nobody waits.
    let start = std::time::Instant::now();
    assert_eq!(asked("sleep 86400").await, "86400 s");
    assert_eq!(asked("spin-until 10").await, "it ended");
    assert!(start.elapsed() < std::time::Duration::from_secs(60));
}

#[tokio::test]
async fn randomness_is_the_attempts_own_and_the_same_each_time() {
    for input in ["random", "order"] {
        let first = asked(input).await;
        assert_eq!(asked(input).await, first);
        let (other, _) = asked_in(input, Surroundings { seed: [8; 32], ..SURROUNDINGS }).await;
        assert_ne!(other, Ok(json!(first)), "{input}");
    }
}

#[tokio::test]
async fn there_is_nothing_to_read_and_nowhere_to_write() {
    assert_eq!(asked("environment").await, "0 variables, 0 arguments");
    assert_eq!(asked("stdin").await, "0 bytes");
    for input in ["read-file /etc/passwd", "read-file plugin.toml", "write-file /tmp/x", "list /", "list ."] {
        let said = asked(input).await;
        assert!(said.starts_with("error: "), "{input}: {said}");
    }
}

#[tokio::test]
async fn what_it_prints_is_in_the_log_in_order() {
    let (result, record) = asked_in("print", SURROUNDINGS).await;
    assert_eq!(result, Ok(json!("")));
    let lines: Vec<_> = record.log.iter().map(|(level, line, _)| (*level, line.as_str())).collect();
    assert_eq!(
        lines,
        [
            (LogLevel::Info, "between"),
            (LogLevel::Info, "one line"),
            (LogLevel::Warn, "trouble"),
            (LogLevel::Info, "no end")
        ]
    );
    let (result, record) = asked_in("flood 101", SURROUNDINGS).await;
    let text = result.unwrap_err().to_string();
    assert_eq!(text, "plugin `std` was stopped: it logged more than 100 lines, which is what `log.lines-max` grants");
    assert_eq!(record.log.len(), 100);
    let (result, _) = asked_in("flood 100000", SURROUNDINGS).await;
    let text = result.unwrap_err().to_string();
    assert_eq!(text, "plugin `std` was stopped: it logged more than 65536 bytes, which is what `log.bytes-max` grants");
}

#[tokio::test]
async fn a_panic_and_an_exit_say_what_they_were() {
    let (result, record) = asked_in("panic boom", SURROUNDINGS).await;
    let text = result.unwrap_err().to_string();
    assert!(text.starts_with("plugin `std` stopped: it panicked or aborted; its last error line: thread "), "{text}");
    assert!(text.ends_with(": boom"), "{text}");
    assert!(record.log.iter().any(|(level, line, _)| *level == LogLevel::Warn && line == "boom"), "{:?}", record.log);
    for code in [0, 1] {
        let (result, _) = asked_in(&format!("exit {code}"), SURROUNDINGS).await;
        let text = result.unwrap_err().to_string();
        assert_eq!(text, format!("plugin `std` stopped: it called exit({code}) instead of returning"));
    }
}

#[tokio::test]
async fn describe_and_plan_run_without_a_log() {
    let std = plugin("std").await;
    assert_eq!(crate::common::host().describe(&std).await.unwrap().summary, "Asks the standard library");
    assert_eq!(crate::common::host().plan(&std, &json!({})).await, Ok(vec![]));
}
