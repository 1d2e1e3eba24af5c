//! Compiling in a process of its own, which can fail for one plugin alone.

use std::path::Path;
use std::time::Duration;

use plugin_host::compiler::Compiler;
use plugin_host::{HostConfig, LoadError, PluginHost, Provenance};

use crate::common::{components, plugin_name};

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
