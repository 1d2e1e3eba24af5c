//! The table of the architecture, section 1, proven over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::world::root;

/// Crate, those of our own it may name in its manifest, and what it must not reach by any way.
const HOUSE: [(&str, &[&str], &[&str]); 9] = [
    (
        "workflow",
        &[],
        &[
            "tokio",
            "sqlx",
            "wasmtime",
            "axum",
            "cap-std",
            "socket2",
            "mio",
            "store",
            "sandbox",
            "plugin-host",
            "worker",
        ],
    ),
    ("store", &["workflow"], &["wasmtime", "axum", "sandbox", "plugin-host", "worker", "api"]),
    ("sandbox", &["workflow"], &["sqlx", "wasmtime", "axum", "store", "plugin-host", "worker", "api"]),
    ("plugin-host", &["workflow"], &["sqlx", "axum", "store", "sandbox", "worker", "api"]),
    ("calls", &["workflow"], &["sqlx", "wasmtime", "axum", "store", "sandbox", "plugin-host", "worker", "api"]),
    ("worker", &["workflow", "store", "sandbox", "plugin-host", "calls"], &["axum", "api", "light-workflow"]),
    ("api", &["workflow", "store"], &["sandbox", "plugin-host", "calls", "worker", "wasmtime", "light-workflow"]),
    (
        "attack",
        &["workflow", "store", "sandbox", "plugin-host", "calls", "worker"],
        &["axum", "api", "light-workflow", "fixtures"],
    ),
    (
        "light-workflow",
        &["workflow", "store", "sandbox", "plugin-host", "calls", "worker", "api", "attack"],
        &["fixtures"],
    ),
];

/// What a component is made of: nothing of the host.
const PLUGINS_LACK: [&str; 8] = ["tokio", "sqlx", "wasmtime", "axum", "workflow", "store", "sandbox", "plugin-host"];

/// Normal and build dependencies of every package, by name.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            // Crates of other platforms are not there on a fresh machine.
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|package| (package["id"].to_string(), package["name"].as_str().unwrap().to_owned()))
            .collect();
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let needs = list(&node["deps"])
                .into_iter()
                .filter(|dependency| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"));
            let needs = needs.map(|dependency| names[&dependency["pkg"].to_string()].clone());
            graph.entry(names[&node["id"].to_string()].clone()).or_default().extend(needs);
        }
        Self(graph)
    }

    fn direct(&self, name: &str) -> &BTreeSet<String> {
        self.0.get(name).unwrap_or_else(|| panic!("there is no package `{name}`"))
    }

    /// A way from one package to another, as a chain of names.
    fn way(&self, from: &str, to: &str) -> Option<String> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut open = vec![from];
        while let Some(name) = open.pop() {
            for next in self.direct(name) {
                if next != from && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, name);
                    open.push(next);
                }
            }
        }
        let mut chain = vec![to];
        while let Some(before) = came_from.get(chain[chain.len() - 1]) {
            chain.push(before);
        }
        (chain.len() > 1).then(|| chain.into_iter().rev().collect::<Vec<_>>().join(" → "))
    }
}

#[test]
fn each_crate_knows_only_those_below_it_and_reaches_nothing_it_must_lack() {
    let graph = Graph::read();
    let ours: BTreeSet<&str> = HOUSE.iter().map(|(name, _, _)| *name).collect();
    for (name, allowed, lacks) in HOUSE {
        let direct: Vec<&str> =
            graph.direct(name).iter().map(String::as_str).filter(|need| ours.contains(need)).collect();
        for need in &direct {
            assert!(allowed.contains(need), "`{name}` names `{need}` in its manifest");
        }
        for forbidden in lacks {
            assert_eq!(graph.way(name, forbidden), None, "`{name}` must lack `{forbidden}`");
        }
    }
}

#[test]
fn the_one_wasmtime_and_the_one_axum_are_where_they_belong() {
    let graph = Graph::read();
    let naming = |what: &str| -> Vec<&str> {
        let names = HOUSE.iter().map(|(name, _, _)| *name);
        names.filter(|name| graph.direct(name).contains(what)).collect()
    };
    // Randomness comes to `workflow` as a value; no part of it asks the system.
    assert!(!naming("getrandom").contains(&"workflow") && !naming("uuid").contains(&"workflow"));
    assert_eq!(naming("wasmtime"), ["plugin-host"]);
    assert_eq!(naming("sqlx"), ["store"]);
    assert_eq!(naming("axum"), ["api", "light-workflow"]);
    // The search itself finds a way where there is one.
    assert_eq!(graph.way("worker", "wasmtime").as_deref(), Some("worker → plugin-host → wasmtime"));
}

#[test]
fn no_plugin_is_made_of_parts_of_the_host() {
    let graph = Graph::read();
    let mut plugins = 0;
    for entry in fs::read_dir(root().join("plugins")).unwrap() {
        let folder = entry.unwrap().path();
        // `examples` holds projects of their own, which know the SDK and nothing else here.
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap().trim_matches('"').to_owned();
        for forbidden in PLUGINS_LACK {
            assert_eq!(graph.way(&name, forbidden), None, "`{name}` must lack `{forbidden}`");
        }
        plugins += 1;
    }
    assert!(plugins >= 3, "{plugins} plugins");
}

/// Files of the host, beside the crate `sandbox` and `xtask`, that may start programs: an author's tools, and the
/// compiler of plugins. `clippy.toml` refuses it everywhere else.
const START_PROGRAMS: [&str; 2] = ["light-workflow/src/commands/plugin/tool.rs", "plugin-host/src/compiler.rs"];

#[test]
fn programs_are_started_where_it_is_said_and_nowhere_else() {
    let mut found = Vec::new();
    let mut open = vec![root().join("host")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root().join("host")).unwrap().to_str().unwrap().to_owned();
            // A build script is no part of the host.
            let is_free = ["sandbox", "xtask"].contains(&name.as_str())
                || name.ends_with("/tests")
                || name.ends_with("/build.rs");
            if is_free {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(".rs") && fs::read_to_string(&path).unwrap().contains("clippy::disallowed_methods")
            {
                found.push(name);
            }
        }
    }
    found.sort();
    assert_eq!(found, START_PROGRAMS);
}

#[test]
fn the_top_level_is_as_the_design_document_draws_it() {
    for folder in ["host", "plugins", "wit", "definitions", "sandbox-templates", "tests", "docs"] {
        assert!(root().join(folder).is_dir(), "`{folder}/` is missing");
    }
    assert!(root().join("Cargo.toml").is_file());
    let mut crates = BTreeSet::new();
    for entry in fs::read_dir(root().join("host")).unwrap() {
        let folder = entry.unwrap().path();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(manifest.contains(&format!("name = \"{name}\"")), "the crate in host/{name} has another name");
        crates.insert(name);
    }
    let house = HOUSE.iter().map(|(name, _, _)| (*name).to_owned()).chain(["xtask".to_owned()]);
    assert_eq!(crates, house.collect(), "a crate without a line in the table");
}
