//! Each limit ends a call with its own text, and the host lives on.

use std::time::Duration;

use plugin_host::{CallError, LimitReached};
use serde_json::json;
use workflow::capability::LimitsGrant;

use crate::common::{Scripted, all_grants, evil, evil_with, host, limited, plugin, run};

async fn stopped(input: &str, limits: LimitsGrant) -> String {
    let (result, _) = evil_with(input, limited(limits)).await;
    match result {
        Err(error @ CallError::Limit { .. }) => error.to_string(),
        other => panic!("{input} reached no limit: {other:?}"),
    }
}

#[tokio::test]
async fn each_limit_has_its_own_text() {
    let limits = LimitsGrant::default;
    for (input, limits, expected) in [
        (
            "spin",
            LimitsGrant { fuel_max: Some(1_000_000), ..limits() },
            "it used up its 1000000 units of fuel: a loop without end, or too large an input",
        ),
        (
            "spin",
            LimitsGrant { guest_time_ms_max: Some(50), fuel_max: Some(u64::MAX), ..limits() },
            "it computed for more than 50 ms, waits on commands not counted",
        ),
        (
            "memory",
            LimitsGrant { memory_bytes_max: Some(8 << 20), ..limits() },
            "it asked for more than 8388608 bytes of memory",
        ),
        ("calls 11", LimitsGrant { host_calls_max: Some(10), ..limits() }, "it made more than 10 host calls"),
        (
            "big-argument 100000",
            LimitsGrant { host_call_bytes_max: Some(65536), ..limits() },
            "it passed more than 65536 bytes in one call",
        ),
        ("log 101", limits(), "it logged more than 100 lines, which is what `log.lines-max` grants"),
        (
            "big-result 4096",
            LimitsGrant { result_bytes_max: Some(1024), ..limits() },
            "its output has 4098 bytes of JSON; at most 1024 are kept",
        ),
        (
            "say hello",
            LimitsGrant { instances_max: Some(1), ..limits() },
            "it has more than 1 core instances, tables or memories",
        ),
        ("hold token", limits(), "it held more than 64 handles at once"),
    ] {
        assert_eq!(stopped(input, limits).await, format!("plugin `evil` was stopped: {expected}"), "{input}");
    }
}

#[tokio::test]
async fn a_wait_counts_on_the_wall_clock_alone() {
    let plugin = plugin("evil").await;
    let limits = LimitsGrant { wall_time_ms_max: Some(100), ..LimitsGrant::default() };
    let scripted = Scripted { command_time: Duration::from_secs(60), ..Scripted::default() };
    let (result, record) = run(&plugin, json!("exec rust-release/cargo-build"), &limited(limits), scripted).await;
    let text = result.unwrap_err().to_string();
    assert_eq!(text, "plugin `evil` was stopped: it took longer than 100 ms, waits counted");
    assert_eq!(record.calls.len(), 1);
}

#[tokio::test]
async fn json_that_nests_without_end_is_refused_on_both_ways() {
    for depth in [1_000, 100_000] {
        let (result, _) = evil(&format!("deep-result {depth}")).await;
        let text = result.unwrap_err().to_string();
        assert!(
            text.starts_with("plugin `evil` stopped: it returned text that is not JSON: recursion limit"),
            "{text}"
        );
        let (result, record) = evil(&format!("deep-argument {depth}")).await;
        let said = result.unwrap();
        assert!(said.as_str().unwrap().starts_with("invalid: the arguments are not JSON: recursion limit"), "{said}");
        assert_eq!(record.calls, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_honest_call_beside_many_hostile_ones_is_undisturbed() {
    const HOSTILE: [&str; 9] = [
        "spin",
        "memory",
        "recurse",
        "panic x",
        "divide",
        "log 1000",
        "calls 100000",
        "hold token",
        "big-result 10000000",
    ];
    let limits = LimitsGrant { guest_time_ms_max: Some(20), ..LimitsGrant::default() };
    let mut hostile = tokio::task::JoinSet::new();
    for number in 0..300 {
        hostile.spawn(async move { evil_with(HOSTILE[number % HOSTILE.len()], limited(limits)).await.0 });
    }
    let mut honest = 0;
    while !hostile.is_empty() {
        let (result, record) = evil("five").await;
        assert_eq!(result, Ok(json!("exit code 0 16 16 artifact://i/t/1/report.json")));
        assert_eq!(record.calls.len(), 4);
        honest += 1;
        for _ in 0..10 {
            let Some(ended) = hostile.join_next().await else { break };
            assert!(matches!(ended.unwrap(), Err(CallError::Limit { .. } | CallError::Trapped { .. })));
        }
    }
    assert!(honest >= 30);
    assert_eq!(host().instances(), 0);
}

#[tokio::test]
async fn log_bytes_are_bounded_beside_lines() {
    let mut grants = all_grants();
    grants.log.as_mut().unwrap().bytes_max = 100;
    let (result, record) = evil_with("long-log 200", grants).await;
    let Err(CallError::Limit { limit, .. }) = result else { panic!("{result:?}") };
    assert_eq!(limit, LimitReached::LogBytes { max: 100 });
    assert_eq!(record.log, []);
}

#[tokio::test]
async fn a_memory_that_starts_too_large_never_starts() {
    let text = stopped("say hello", LimitsGrant { memory_bytes_max: Some(64 << 10), ..LimitsGrant::default() }).await;
    assert_eq!(text, "plugin `evil` was stopped: it asked for more than 65536 bytes of memory");
}

#[tokio::test]
async fn a_long_honest_command_is_not_the_plugins_time() {
    let plugin = plugin("evil").await;
    let limits = LimitsGrant { guest_time_ms_max: Some(50), ..LimitsGrant::default() };
    let scripted = Scripted { command_time: Duration::from_millis(400), ..Scripted::default() };
    let (result, _) = run(&plugin, json!("exec rust-release/cargo-build"), &limited(limits), scripted).await;
    assert_eq!(result, Ok(json!("exit code 0")));
}

#[tokio::test]
async fn the_fuel_at_each_host_call_is_the_same_each_time() {
    let (_, first) = evil("five").await;
    assert_eq!(first.fuel.len(), 4);
    assert!(first.fuel.is_sorted_by(|a, b| a < b), "{:?}", first.fuel);
    for _ in 0..5 {
        assert_eq!(evil("five").await.1.fuel, first.fuel);
    }
}

#[tokio::test]
async fn a_spinning_plugin_leaves_its_thread_to_others() {
    // One thread: the second call ends only if the first one yields.
    let spinning = LimitsGrant { guest_time_ms_max: Some(2000), fuel_max: Some(u64::MAX), ..LimitsGrant::default() };
    let spin = evil_with("spin", limited(spinning));
    let honest = evil("say hello");
    let order = std::sync::Mutex::new(Vec::new());
    tokio::join!(
        async {
            let (result, _) = spin.await;
            assert!(matches!(result, Err(CallError::Limit { .. })), "{result:?}");
            order.lock().unwrap().push("spin");
        },
        async {
            let (result, _) = honest.await;
            assert_eq!(result, Ok(json!("hello")));
            order.lock().unwrap().push("honest");
        }
    );
    assert_eq!(*order.lock().unwrap(), ["honest", "spin"]);
}

/// More steps of one plugin than the host has instances, and none of them ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_computes_without_end_keeps_a_short_step_waiting_for_a_moment() {
    const CROWD: usize = 300;
    // What is left of the 256 is for other plugins.
    const WITH_AN_INSTANCE: usize = 224;
    let endless = LimitsGrant { guest_time_ms_max: Some(600_000), fuel_max: Some(u64::MAX), ..LimitsGrant::default() };
    let honest = plugin("released").await;
    let short = async || {
        let start = std::time::Instant::now();
        let (result, _) = run(&honest, json!({}), &all_grants(), Scripted::default()).await;
        result.unwrap();
        start.elapsed()
    };
    short().await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        crowd.spawn(evil_with("spin", limited(endless)));
    }
    while host().instances() < WITH_AN_INSTANCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Until each has computed for longer than a newcomer may.
    tokio::time::sleep(Duration::from_secs(10)).await;
    // Others use this machine as well: the best of three counts.
    let beside = [short().await, short().await, short().await].into_iter().min().expect("there are three");
    assert_eq!(host().instances(), WITH_AN_INSTANCE);
    crowd.abort_all();
    while crowd.join_next().await.is_some() {}
    // One round of all of them on two threads is more than a second, and a step waits for several.
    assert!(beside < Duration::from_secs(2), "{beside:?} beside {CROWD} others");
    assert_eq!(host().instances(), 0);
}

#[tokio::test]
async fn the_same_call_uses_the_same_fuel() {
    let with_fuel =
        |max| evil_with("say hello", limited(LimitsGrant { fuel_max: Some(max), ..LimitsGrant::default() }));
    // Found by halving: the least fuel with which the call ends.
    let (mut too_little, mut enough) = (0, 10_000_000);
    while enough - too_little > 1 {
        let fuel_max = (too_little + enough) / 2;
        let (result, _) = with_fuel(fuel_max).await;
        if result.is_ok() { enough = fuel_max } else { too_little = fuel_max }
    }
    for _ in 0..5 {
        assert!(with_fuel(enough).await.0.is_ok());
        assert!(with_fuel(enough - 1).await.0.is_err());
    }
}
