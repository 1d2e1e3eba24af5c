//! A returned error, a trap, a denial and an interruption are different ends.

use plugin_host::{CallError, HostCallError, LogLevel};
use serde_json::json;

use crate::common::{Scripted, all_grants, evil, plugin, run};

#[tokio::test]
async fn each_error_of_a_step_keeps_its_meaning() {
    let ended = async |input: &str| format!("{:?}", evil(input).await.0.unwrap_err());
    assert_eq!(ended("invalid-input").await, "InvalidInput(\"wrong\")");
    assert_eq!(ended("transient").await, "Transient(\"later\")");
    assert_eq!(ended("needs-human").await, "NeedsHuman(\"look\")");
    assert_eq!(ended("denied").await, "Denied(Denial { capability: \"sandbox\", subject: \"x\", reason: \"no\" })");
    assert_eq!(
        ended("failed").await,
        "Failed(StepFailure { summary: \"broke\", exit_code: Some(7), logs: [\"artifact://i/t/1/stderr.log\"] })"
    );
}

#[tokio::test]
async fn a_trap_is_told_in_plain_words() {
    for (input, expected) in [
        (
            "recurse",
            "plugin `evil` stopped: it reached outside its memory; with Rust that is mostly a recursion without end",
        ),
        (
            "not-json",
            "plugin `evil` stopped: it returned text that is not JSON: EOF while parsing an object at line 1 column 1",
        ),
    ] {
        assert_eq!(evil(input).await.0.unwrap_err().to_string(), expected, "{input}");
    }
}

#[tokio::test]
async fn a_panic_brings_its_text() {
    for (input, expected) in [("panic the moon is full", "the moon is full"), ("divide", "attempt to divide by zero")] {
        let (result, record) = evil(input).await;
        let text = result.unwrap_err().to_string();
        assert!(
            text.starts_with("plugin `evil` stopped: it panicked or aborted; its last error line: panicked at "),
            "{text}"
        );
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(record.log[0].0, LogLevel::Error);
    }
}

#[tokio::test]
async fn a_log_line_reaches_the_worker_as_one_line() {
    let (_, record) = evil("ansi").await;
    assert_eq!(
        record.log,
        [(LogLevel::Warn, "a\u{fffd}[2Jb forged line".to_owned(), vec![("k ".to_owned(), "v\u{fffd}".to_owned())])]
    );
}

#[tokio::test]
async fn the_workers_trouble_reaches_the_plugin_as_data() {
    let plugin = plugin("evil").await;
    for (error, said) in [
        (HostCallError::Invalid("no parameter `x`".to_owned()), "invalid: no parameter `x`"),
        (HostCallError::NotFound("command".to_owned()), "not found: command"),
        (HostCallError::Quota("full".to_owned()), "quota: full"),
        (HostCallError::Unavailable("no sandbox".to_owned()), "unavailable: no sandbox"),
    ] {
        let scripted = Scripted { fails: Some(error), ..Scripted::default() };
        let input = json!("exec rust-release/cargo-build");
        let (result, _) = run(&plugin, input, &all_grants(), scripted).await;
        assert_eq!(result, Ok(json!(said)));
    }
}

#[tokio::test]
async fn an_interrupted_host_call_ends_the_call_without_an_outcome() {
    let plugin = plugin("evil").await;
    let scripted = Scripted { fails: Some(HostCallError::Interrupted), ..Scripted::default() };
    let input = json!("exec-twice rust-release/cargo-build");
    let (result, record) = run(&plugin, input, &all_grants(), scripted).await;
    assert_eq!(result, Err(CallError::Interrupted));
    assert_eq!(record.calls, ["1 exec rust-release/cargo-build"], "the plugin did not go on");
}

#[tokio::test]
async fn an_instance_is_fresh_and_the_host_outlives_every_trap() {
    for _ in 0..20 {
        assert!(evil("panic again").await.0.is_err());
    }
    assert_eq!(evil("say still here").await.0, Ok(json!("still here")));
}

#[tokio::test]
async fn the_benchmark_counts_five_host_calls() {
    let plugin = plugin("evil").await;
    let (result, record) = run(&plugin, json!("five"), &all_grants(), Scripted::default()).await;
    assert_eq!(result, Ok(json!("exit code 0 16 16 artifact://i/t/1/report.json")));
    assert_eq!(record.calls.len() + record.log.len(), 5);
    let (host, grants, input) = (crate::common::host(), all_grants(), json!("five"));
    let worker = || -> Box<dyn plugin_host::HostCalls> { Box::new(Scripted::default()) };
    let times = plugin_host::measure::calls(host, &plugin, &grants, &input, 10, worker).await;
    assert_eq!(times.unwrap().len(), 10);
}
