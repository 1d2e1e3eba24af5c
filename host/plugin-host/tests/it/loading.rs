//! From bytes to a plugin: what is refused, and what is kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use plugin_host::{HostConfig, LoadError, PluginHost, Provenance, StartError};
use workflow::capability::{Grants, World};

use crate::common::{components, host, module, plugin_name, root};

async fn refused(bytes: &[u8]) -> String {
    let error = host().load(&plugin_name("x"), bytes).await.expect_err("it loads");
    match &error {
        LoadError::Inspect { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

#[tokio::test]
async fn what_is_not_a_component_is_refused_with_the_reason() {
    let component = &components()["evil"];
    let core = fs::read(module("evil")).unwrap();
    for (bytes, expected) in [
        (&b""[..], "plugin `x` cannot be read: the file is empty"),
        (b"#!/bin/sh\n", "plugin `x` cannot be read: the file is not WebAssembly: it starts with `#!/bin/s`"),
        (
            &core,
            "plugin `x` cannot be read: the file is a core module, not a component: build it with `light-workflow plugin build` or `cargo xtask plugins`",
        ),
        (&component[..component.len() / 2], "plugin `x` cannot be read: the component is damaged or truncated: "),
        (
            &component[..8],
            "plugin `x` does not fit this host: it exports no `lightapi:release/step`, so it is not a step; it exports nothing",
        ),
    ] {
        let text = refused(bytes).await;
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn a_component_over_the_size_is_not_read() {
    let small = PluginHost::new(HostConfig { component_bytes_max: 1000, ..HostConfig::default() }).unwrap();
    let error = small.load(&plugin_name("x"), &components()["evil"]).await.unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { size_bytes_max: 1000, .. }), "{error}");
}

/// A component that imports and exports what a world of another package text says.
fn of_world(wit: &str) -> Vec<u8> {
    component_of(wit, "other")
}

fn component_of(wit: &str, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("other.wit", wit).expect("the test's WIT parses");
    let world = resolve.select_world(&[package], Some(world)).expect("its world");
    let mut module = wit_component::dummy_module(&resolve, world, wit_parser::ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8, false)
        .expect("the metadata fits");
    plugin_host::encode(&module).expect("the module becomes a component")
}

#[tokio::test]
async fn everything_unknown_is_named_at_once_with_what_this_host_offers() {
    let bytes = of_world(
        "package test:other;
         world other {
             import lightapi:release/log@0.1.7;
             import lightapi:release/shell@0.1.0;
             import lightapi:release/sandbox@0.2.0;
             import wasi:clocks/wall-clock@0.2.6;
             import wasi:sockets/tcp@0.2.6;
             import wasi:http/outgoing-handler@0.2.6;
             import wasi:random/random@0.3.0;
             import acme:tools/run;
             export lightapi:release/step@0.1.0;
         }
         package lightapi:release@0.1.7 { interface log { emit: func(); flush: func(); } }
         package lightapi:release@0.2.0 { interface sandbox { exec: func(); } }
         package lightapi:release@0.1.0 { interface shell { run: func(line: string); } interface step { execute: func(); } }
         package wasi:sockets@0.2.6 { interface tcp { connect: func(); } }
         package wasi:http@0.2.6 { interface outgoing-handler { handle: func(); } }
         package wasi:random@0.3.0 { interface random { get-random-u64: func() -> u64; } }
         package wasi:clocks@0.2.6 { interface wall-clock { now: func() -> u64; } }
         package acme:tools { interface run { go: func(); } }",
    );
    let text = refused(&bytes).await;
    for expected in [
        "it needs the function `flush` of `lightapi:release/log@0.1.7`; this host offers `emit` in version 0.1.1",
        "it imports `lightapi:release/shell@0.1.0` (`run`), which no version of the package has; this host offers `log`, `artifacts-read`, `artifacts-write`, `sandbox`, `secrets`, `sandbox-secret`, `model`, `mcp`, `http`",
        "it needs `lightapi:release/sandbox` in version 0.2.0 (`exec`); this host offers version 0.1.1",
        "it imports `wasi:sockets/tcp@0.2.6` (`connect`), which is not in what this host links of WASI 0.2 (clocks, randomness, standard streams, an empty filesystem); use the interfaces of lightapi:release instead, or build the plugin without it",
        "it imports `wasi:http/outgoing-handler@0.2.6` (`handle`), which is not",
        "it imports `wasi:random/random@0.3.0` (`get-random-u64`), which is not",
        "it imports `acme:tools/run` (`go`) of a package this host does not have; it offers lightapi:release@0.1.1",
        "its `lightapi:release/step` lacks the function `describe`",
        "its `lightapi:release/step` lacks the function `plan`",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
    assert!(!text.contains("wall-clock"), "{text}");
}

/// A step of the right version, with these functions and imports.
fn lookalike(step: &str, imports: &str, interfaces: &str) -> Vec<u8> {
    of_world(&format!(
        "package test:other;
         world other {{ {imports} export lightapi:release/step@0.1.0; }}
         package lightapi:release@0.1.0 {{ {interfaces} interface step {{ {step} }} }}"
    ))
}

#[tokio::test]
async fn the_right_names_with_other_types_are_refused_before_any_call() {
    let bytes = lookalike(
        "describe: func(); plan: func(input: string) -> u8; execute: func(input: u32) -> result<string, string>;",
        "import lightapi:release/log@0.1.0;",
        "interface log { emit: func(line: u32); }",
    );
    let problems = plugin_host::inspect(&bytes).unwrap().problems();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let other = |function: &str, interface: &str, theirs: &str| {
        format!(
            "`{function}` of `lightapi:release/{interface}@0.1.0` has other types than version 0.1.1 of the package, which this host offers: `{theirs}` instead of `"
        )
    };
    let expected = [
        other("emit", "log", "…u32)"),
        other("describe", "step", "…"),
        other("execute", "step", "…u32) -> result(ok: string, err: string)"),
        other("plan", "step", "…u8"),
    ];
    assert_eq!(texts.len(), expected.len(), "{texts:?}");
    for (text, expected) in texts.iter().zip(&expected) {
        assert!(text.starts_with(expected), "{expected}\nis not the beginning of\n{text}");
    }
    // Nothing was compiled to find that out.
    assert!(matches!(host().load(&plugin_name("x"), &bytes).await, Err(LoadError::Problems { .. })));
}

/// What the engine compares is what `inspect` compares: whatever it finds no fault with, links and can be called.
#[tokio::test]
async fn one_field_or_case_that_differs_anywhere_in_the_package_is_found() {
    let released = fs::read_to_string(root().join("wit/released/0.1.0/release.wit")).unwrap();
    let lines: Vec<&str> = released.lines().collect();
    let mut found = 0;
    for (at, line) in lines.iter().enumerate() {
        let (from, to) = match line.trim() {
            text if text.starts_with("//") || text.starts_with('@') => continue,
            text if text.contains(": string") => (": string", ": u8"),
            text if text.contains("(string)") => ("(string)", "(u8)"),
            text if text.contains(": u64") => (": u64", ": u32"),
            text if text.contains(": bool") => (": bool", ": char"),
            _ => continue,
        };
        let mut changed = lines.clone();
        let replaced = line.replacen(from, to, 1);
        changed[at] = &replaced;
        let bytes = component_of(&changed.join("\n"), "publish");
        if plugin_host::inspect(&bytes).unwrap().problems().is_empty() {
            // Nothing that this world uses: it loads, and its code begins to run.
            let plugin = host().load(&plugin_name("x"), &bytes).await;
            let plugin = plugin.unwrap_or_else(|error| panic!("line {}: {error}", at + 1));
            let error = host().describe(&plugin).await.unwrap_err().to_string();
            assert!(error.contains("unreachable"), "line {}: {error}", at + 1);
        } else {
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

#[tokio::test]
async fn a_component_may_run_commands_with_secrets_and_acquire_none() {
    // As bindings leave it that import only what is called: of `sandbox` and `secrets` the types.
    let mut released = fs::read_to_string(root().join("wit/release.wit")).unwrap();
    for (interface, function) in [
        ("interface sandbox {", "exec: func("),
        ("interface secrets {", "acquire: func("),
        ("interface secrets {", "name: func("),
    ] {
        let from = released.find(interface).unwrap();
        let start = from + released[from..].find(function).unwrap();
        let end = start + released[start..].find(';').unwrap();
        released.replace_range(start..=end, "");
        // What is said of it would stand before nothing.
        let documented = released[..start].rfind(['}', '{', ';']).unwrap() + 1;
        released.replace_range(documented..start, "\n");
    }
    let world = "world only { import sandbox-secret; export step; }";
    let bytes = component_of(&format!("{released}\n{world}"), "only");
    let plugin = host().load(&plugin_name("x"), &bytes).await.unwrap();
    let missing = plugin.missing_grants(&Grants::default());
    let [missing] = &missing[..] else { panic!("{missing:?}") };
    let text = missing.to_string();
    assert!(text.contains("imports `lightapi:release/sandbox-secret` (exec-with-secrets)"), "{text}");
    assert!(text.contains("secrets: { names: [secret-name] }"), "{text}");
}

#[tokio::test]
async fn a_step_of_another_version_is_refused() {
    let bytes = of_world(
        "package test:other;
         world other { export lightapi:release/step@1.0.0; }
         package lightapi:release@1.0.0 { interface step { describe: func(); } }",
    );
    assert_eq!(
        refused(&bytes).await,
        "plugin `x` does not fit this host: it exports `lightapi:release/step@1.0.0`, a version this host cannot call; this host calls version 0.1.1"
    );
}

fn with_store(folder: &Path) -> PluginHost {
    PluginHost::new(HostConfig { precompiled: Some(folder.to_owned()), ..HostConfig::default() }).unwrap()
}

async fn provenance(folder: &Path) -> Provenance {
    let plugin = with_store(folder).load(&plugin_name("evil"), &components()["evil"]).await.unwrap();
    plugin.provenance()
}

#[tokio::test]
async fn compiled_code_is_kept_and_a_changed_entry_is_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("compiled");
    assert_eq!(provenance(&store).await, Provenance::Compiled);
    assert_eq!(provenance(&store).await, Provenance::Precompiled);
    let mut entries = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
    let entry = entries.find(|path| path.extension().is_some_and(|end| end == "compiled")).unwrap();
    let good = fs::read(&entry).unwrap();
    for at in [0, 40, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(&entry, &changed).unwrap();
        assert_eq!(provenance(&store).await, Provenance::CompiledAfterTampering, "byte {at}");
        assert_eq!(fs::read(&entry).unwrap()[..32], good[..32], "the entry is written anew");
    }
    fs::write(&entry, &good[..10]).unwrap();
    assert_eq!(provenance(&store).await, Provenance::CompiledAfterTampering);
    // Another host's key: its entries do not count here.
    fs::remove_file(store.join("key")).unwrap();
    assert_eq!(provenance(&store).await, Provenance::CompiledAfterTampering);
    assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(store.join("key")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_store_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let config = HostConfig { precompiled: Some(folder.path().to_owned()), ..HostConfig::default() };
    let error = PluginHost::new(config).err().expect("it is refused");
    let StartError::Precompiled(source) = error else { panic!("{error}") };
    assert!(source.to_string().contains("has mode 777: others could write machine code into it"), "{source}");
}

#[test]
fn the_smallest_world_of_a_component_is_known() {
    let smallest = |name: &str| plugin_host::inspect(&components()[name]).unwrap().smallest_world;
    assert_eq!(smallest("cargo"), Some(World::Probe));
    assert_eq!(smallest("cargo-publish"), Some(World::Publish));
    let cargo = plugin_host::inspect(&components()["cargo"]).unwrap();
    assert!(cargo.fits(World::Build) && cargo.fits(World::Publish) && !cargo.fits(World::Diagnose));
}
