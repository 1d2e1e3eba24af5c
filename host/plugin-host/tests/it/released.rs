//! A released version of the package never changes, and what was built against it runs.

use plugin_host::Inspection;
use serde_json::json;
use workflow::Digest;

use crate::common::{Scripted, all_grants, components, host, plugin, plugin_name, root, run};

/// Every released version with the digest of its text.
const RELEASED: [(&str, &str); 1] =
    [("0.1.0", "sha256:baf0f7fcbc5c9c54684e8ce93dd5bc36fe63643bd43dc2abc46185cdac7e4147")];

fn text(version: &str) -> String {
    let path = root().join("wit/released").join(version).join("release.wit");
    std::fs::read_to_string(path).expect("every released version is in `wit/released`")
}

#[test]
fn a_released_version_never_changes() {
    let mut found: Vec<_> = std::fs::read_dir(root().join("wit/released"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".md"))
        .collect();
    found.sort();
    assert_eq!(found, RELEASED.map(|(version, _)| version), "name each released version in this test");
    for (version, digest) in RELEASED {
        assert_eq!(Digest::of(text(version).as_bytes()).as_str(), digest, "wit/released/{version} was changed");
    }
}

/// A component without code that imports and exports all of a world.
fn all_of(version: &str, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("release.wit", &text(version)).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wit_component::dummy_module(&resolve, world, wit_parser::ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8, false)
        .unwrap();
    plugin_host::encode(&module).unwrap()
}

#[tokio::test]
async fn every_function_of_a_released_version_has_the_types_it_had() {
    for (version, _) in RELEASED {
        for world in ["pure", "diagnose", "probe", "build", "publish"] {
            let bytes = all_of(version, world);
            host().load(&plugin_name("old"), &bytes).await.unwrap_or_else(|error| panic!("{world}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_component_of_a_released_version_runs_as_it_did() {
    let Inspection { imports, exports, .. } = plugin_host::inspect(&components()["released"]).unwrap();
    assert!(imports.keys().chain(exports.keys()).all(|name| name.ends_with("@0.1.0")), "{imports:?}");
    let released = plugin("released").await;
    assert_eq!(host().describe(&released).await.unwrap().summary, "Calls everything");
    assert_eq!(host().plan(&released, &json!({})).await.unwrap()[0].why, "it builds");
    let (result, record) = run(&released, json!({}), &all_grants(), Scripted::default()).await;
    assert_eq!(result, Ok(json!("exit code 0; 16; 16; artifact://i/t/1/report.json; token; exit code 0")));
    assert_eq!(
        record.calls,
        [
            "1 exec rust-release/cargo-build profile=Text(\"release\")",
            "2 stat artifact://i/t/1/x",
            "3 read artifact://i/t/1/x 0 16",
            "4 put report.json application/json 2",
            "6 exec rust-release/cargo-publish with token"
        ]
    );
}
