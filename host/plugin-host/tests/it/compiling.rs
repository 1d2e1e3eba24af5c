//! Compiling in a process of its own, which can fail for one plugin alone.

use std::path::Path;
use std::time::Duration;

use plugin_host::compiler::Compiler;
use plugin_host::{HostConfig, LoadError, PluginHost, Provenance};

use crate::common::{components, module, plugin_name};

fn compiler() -> Compiler {
    Compiler::new(env!("CARGO_BIN_EXE_plugin-compiler").into())
}

fn host_with(compiler: Compiler, precompiled: Option<&Path>) -> PluginHost {
    let precompiled = precompiled.map(Path::to_owned);
    PluginHost::new(HostConfig { precompiled, compiler: Some(compiler), ..HostConfig::default() }).unwrap()
}

async fn failure(host: &PluginHost, bytes: &[u8]) -> String {
    let error = host.load(&plugin_name("x"), bytes).await.expect_err("it compiles");
    assert!(matches!(error, LoadError::Compile { .. }), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_plugin_that_another_process_compiled_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("compiled");
    for provenance in [Provenance::Compiled, Provenance::Precompiled] {
        let host = host_with(compiler(), Some(&store));
        let plugin = host.load(&plugin_name("released"), &components()["released"]).await.unwrap();
        assert_eq!(plugin.provenance(), provenance);
        assert_eq!(host.describe(&plugin).await.unwrap().summary, "Calls everything");
    }
    let left: Vec<_> = std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the key and the entry: {left:?}");
}

#[tokio::test]
async fn a_compiler_that_needs_too_much_is_an_error_of_that_plugin_alone() {
    let bytes = &components()["cargo"];
    let small = Compiler { address_space_bytes_max: 20_000_000, ..compiler() };
    let text = failure(&host_with(small, None), bytes).await;
    assert_eq!(text, "plugin `x` does not compile: compiling it took more than 20000000 bytes of memory");
    let hasty = Compiler { wall_time_max: Duration::ZERO, ..compiler() };
    let text = failure(&host_with(hasty, None), bytes).await;
    assert_eq!(text, "plugin `x` does not compile: compiling it took more than 0 s");
    let host = host_with(compiler(), None);
    let gone = host_with(Compiler::new("/nowhere/light-workflow".into()), None);
    let text = failure(&gone, bytes).await;
    assert!(text.contains("failed to start the compiler `/nowhere/light-workflow`"), "{text}");
    assert!(host.load(&plugin_name("cargo"), bytes).await.is_ok(), "the next plugin compiles");
}

/// Compilers that this process started, by their ids.
fn compilers() -> Vec<i32> {
    let own = format!("PPid:\t{}\n", std::process::id());
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &i32| {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
        of("status").contains(&own) && of("cmdline").contains(plugin_host::compiler::ROLE)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiler_that_is_killed_is_an_error_of_that_plugin_alone_and_may_be_tried_again() {
    let host = host_with(compiler(), None);
    let bytes = &components()["cargo"];
    let killed = async {
        let compiler = loop {
            match compilers()[..] {
                [id] => break id,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let id = rustix::process::Pid::from_raw(compiler).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
    };
    let (text, ()) = tokio::join!(failure(&host, bytes), killed);
    assert!(text.starts_with("plugin `x` does not compile: the compiler was killed"), "{text}");
    assert!(host.load(&plugin_name("cargo"), bytes).await.is_ok(), "the same host compiles it at the next load");
}

/// `component` with its code so many times more: whole sections may follow each other.
fn with_more_code(component: &[u8], core: &[u8], times: usize) -> Vec<u8> {
    let mut section = vec![1];
    let mut length = core.len();
    while length >= 0x80 {
        section.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    section.push(length as u8);
    section.extend_from_slice(core);
    [component, &section.repeat(times)].concat()
}

#[tokio::test]
async fn a_compiler_that_computes_too_long_says_so() {
    let core = std::fs::read(module("cargo")).unwrap();
    let bytes = with_more_code(&components()["cargo"], &core, 40);
    let hasty = Compiler { processor_time_max: Duration::from_secs(1), ..compiler() };
    let text = failure(&host_with(hasty, None), &bytes).await;
    assert_eq!(text, "plugin `x` does not compile: compiling it took more than 1 s of processor time");
}

#[tokio::test]
async fn a_program_that_is_no_compiler_gives_no_code() {
    let text = failure(&host_with(Compiler::new("/bin/true".into()), None), &components()["released"]).await;
    let expected = "plugin `x` does not compile: this host does not take what the compiler made of it: ";
    assert!(text.starts_with(expected), "{text}");
}

#[tokio::test]
async fn a_component_with_too_many_functions_is_not_compiled() {
    let few = PluginHost::new(HostConfig { functions_max: 10, ..HostConfig::default() }).unwrap();
    let error = few.load(&plugin_name("x"), &components()["released"]).await.unwrap_err();
    assert!(matches!(error, LoadError::TooManyFunctions { functions_max: 10, .. }), "{error}");
    assert!(error.to_string().ends_with("functions; this host compiles at most 10"), "{error}");
}
