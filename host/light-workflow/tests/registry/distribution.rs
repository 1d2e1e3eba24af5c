//! Push and pull, and what the lock says of it.

use std::fs;

use serde_json::{Value, json};
use workflow::Digest;

use crate::server::Registry;
use crate::world::{Host, PLUGIN, built};

/// Pushes the plugin and gives its pinned reference.
fn pushed(host: &Host, reference: &str) -> String {
    let said = host.json(&["plugin", "push", PLUGIN, reference]);
    said["reference"].as_str().unwrap().to_owned()
}

#[test]
fn a_plugin_comes_back_as_it_was_and_the_lock_names_where_from() {
    let registry = Registry::open();
    let tag = format!("{}/team/preflight:0.1.0", registry.host());
    let author = Host::with_plugin("");
    let pinned = pushed(&author, &tag);
    assert!(pinned.starts_with(&format!("{}/team/preflight@sha256:", registry.host())), "{pinned}");

    let reviewer = Host::new("");
    let pulled = reviewer.json(&["plugin", "pull", &tag]);
    let component = Digest::of(&built(PLUGIN)).to_string();
    assert_eq!((&pulled["reference"], &pulled["component"]), (&json!(pinned), &json!(component)));
    assert_eq!((&pulled["approved"], &pulled["signatures"]), (&json!(false), &json!(0)));
    assert_eq!(fs::read(reviewer.component(PLUGIN)).unwrap(), built(PLUGIN));
    let toml = "plugins/preflight/plugin.toml";
    assert_eq!(fs::read(reviewer.path(toml)).unwrap(), fs::read(author.path(toml)).unwrap());

    let inspected = reviewer.run(&["plugin", "inspect", PLUGIN]);
    let said = String::from_utf8(inspected.stdout).unwrap();
    assert!(said.contains(&component) && said.contains("nobody approved it"), "{said}");
    reviewer.approve();
    let lock = fs::read_to_string(reviewer.path("plugins/plugins.lock")).unwrap();
    assert!(lock.contains(&format!("source = \"{pinned}\"")), "{lock}");

    // Another host has only the lock.
    let third = Host::new("");
    fs::create_dir_all(third.path("plugins")).unwrap();
    fs::write(third.path("plugins/plugins.lock"), &lock).unwrap();
    let said = third.does(&["plugin", "pull"]);
    assert!(said.contains("approved   by cli:alice") && said.contains(&pinned), "{said}");
    assert_eq!(fs::read(third.component(PLUGIN)).unwrap(), built(PLUGIN));
    // Again changes nothing, and what is approved in the lock is what must come.
    third.does(&["plugin", "pull"]);
    let other = Digest::of(b"other").to_string();
    fs::write(third.path("plugins/plugins.lock"), lock.replace(&component, &other)).unwrap();
    third.fails(&["plugin", "pull"], 1, &[&component, &other, "nothing was written"]);
}

#[test]
fn the_registry_holds_the_layout_of_the_wasm_ecosystem() {
    let registry = Registry::open();
    let host = Host::with_plugin("");
    let first = pushed(&host, &format!("{}/preflight:1", registry.host()));
    let manifest = registry.manifest("preflight", "1");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!((layers.len(), &layers[0]["mediaType"]), (1, &json!("application/wasm")));
    let config = fs::read(registry.blob(manifest["config"]["digest"].as_str().unwrap())).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([Digest::of(&built(PLUGIN))]));
    let imports = config["component"]["imports"].as_array().unwrap();
    assert!(imports.iter().any(|name| name.as_str().unwrap().starts_with("lightapi:release/sandbox@")), "{imports:?}");
    // The same plugin has the same digest, wherever it is pushed.
    let second = pushed(&host, &format!("{}/elsewhere/preflight", registry.host()));
    let digest = |reference: &str| reference.split_once('@').unwrap().1.to_owned();
    assert_eq!(digest(&first), digest(&second));
}

#[test]
fn a_tag_that_moves_replaces_nothing_unless_it_is_told_to() {
    let registry = Registry::open();
    let tag = format!("{}/preflight:stable", registry.host());
    let author = Host::with_plugin("");
    let first = pushed(&author, &tag);
    let reader = Host::new("");
    reader.does(&["plugin", "pull", &tag]);

    let toml = author.path("plugins/preflight/plugin.toml");
    let changed = fs::read_to_string(&toml).unwrap().replace("version = \"0.1.0\"", "version = \"0.1.1\"");
    fs::write(&toml, changed).unwrap();
    let second = pushed(&author, &tag);
    assert_ne!(first, second);

    let kept = || fs::read_to_string(reader.path("plugins/preflight/plugin.toml")).unwrap();
    reader.fails(&["plugin", "pull", &tag], 2, &["plugin.toml", "--replace"]);
    assert!(kept().contains("0.1.0"));
    // Beside it, for a comparison; and the old one is still had by its digest.
    let beside = reader.json(&["plugin", "pull", &tag, "--into", "beside"]);
    assert_eq!((&beside["reference"], &beside["version"]), (&json!(second), &json!("0.1.1")));
    assert!(reader.path("beside/preflight.wasm").is_file() && reader.path("beside/plugin.toml").is_file());
    assert_eq!(reader.json(&["plugin", "pull", &first])["version"], "0.1.0");
    reader.does(&["plugin", "pull", &tag, "--replace"]);
    assert!(kept().contains("0.1.1"));
}

#[test]
fn bytes_that_are_not_those_that_were_named_are_not_kept() {
    let registry = Registry::open();
    let tag = format!("{}/preflight:1", registry.host());
    let pinned = pushed(&Host::with_plugin(""), &tag);
    let component = Digest::of(&built(PLUGIN)).to_string();
    // As long as before, so that only the digest can tell.
    let path = registry.blob(&component);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for reference in [&tag, &pinned] {
        let host = Host::new("");
        let actual = Digest::of(&bytes).to_string();
        host.fails(&["plugin", "pull", reference], 3, &["the bytes have digest", &component, &actual]);
        assert!(host.is_empty());
    }
}

#[test]
fn what_is_not_there_or_is_no_reference_says_so() {
    let registry = Registry::open();
    let host = Host::with_plugin("");
    let absent = format!("{}/preflight:9", registry.host());
    host.fails(&["plugin", "pull", &absent], 3, &["`9`", "/preflight", "the registry does not know it"]);
    host.fails(&["plugin", "pull", "preflight"], 2, &["registry.example/team/plugin:0.1.0"]);
    host.fails(&["plugin", "pull"], 2, &["names no plugin with a `source`"]);
    let pinned = format!("{}/preflight@{}", registry.host(), Digest::of(b"x"));
    host.fails(&["plugin", "push", PLUGIN, &pinned], 2, &["follows from what is pushed"]);
    host.fails(&["plugin", "push", "cargo", &absent], 2, &["`cargo` is no plugin of this host", "`preflight`"]);
    fs::write(host.path("text.wasm"), "text").unwrap();
    fs::copy(host.path("plugins/preflight/plugin.toml"), host.path("plugin.toml")).unwrap();
    host.fails(&["plugin", "push", "text.wasm", &absent], 2, &["not WebAssembly"]);
    let port = registry.port();
    drop(registry);
    host.fails(&["plugin", "pull", &absent], 3, &["failed to connect", &port.to_string()]);
}
