//! Release requests: the design document's own, and what is wrong with others.

use insta::assert_snapshot;
use workflow::request::{ReleaseRequest, ReleaseType, parse};

/// The request of the design document.
const JAVA_TRAIN: &str = r#"{
  "releaseId": "2026.06.0",
  "releaseType": "java-train",
  "runtimeFamilies": ["java"],
  "repos": [
    {
      "name": "light-4j",
      "url": "https://github.com/networknt/light-4j.git",
      "ref": "master",
      "version": "2.3.5"
    }
  ],
  "configProfileManifest": {
    "repo": "https://github.com/lightapi/config-profile-manifests.git",
    "ref": "main",
    "paths": ["java/light-gateway/2.3.5.json"]
  },
  "portalTargets": [
    {
      "name": "dev",
      "hostId": "host-id-for-dev",
      "dryRunRequired": true
    }
  ],
  "publishPolicy": {
    "requireHumanApproval": true,
    "allowAiPatch": true,
    "maxRepairAttempts": 2
  }
}"#;

/// What is said about the request with one part replaced.
fn said_with(old: &str, new: &str) -> String {
    assert!(JAVA_TRAIN.contains(old), "{old}");
    said_of(&JAVA_TRAIN.replacen(old, new, 1))
}

fn said_of(text: &str) -> String {
    match parse(text, "request.json") {
        Ok(_) => "accepted".to_owned(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn the_request_of_the_design_document_is_accepted() {
    let request = parse(JAVA_TRAIN, "request.json").unwrap();
    assert_eq!(request.release_type, ReleaseType::JavaTrain);
    let stored: ReleaseRequest = serde_json::from_str(JAVA_TRAIN).unwrap();
    assert_eq!(request, stored, "what is parsed and what is stored read the same");
}

#[test]
fn rust_products_use_the_same_shape() {
    let request = r#"{"releaseId":"r1","releaseType":"rust-products","runtimeFamilies":["rust"],
        "repos":[{"name":"a","url":"http://127.0.0.1:8080/a.git","ref":"refs/heads/main","version":"0.1.0-rc.1"},
                 {"name":"b","url":"ssh://git@example.com/b.git","ref":"4f0c1de","version":"1.0.0"}],
        "publishPolicy":{"requireHumanApproval":true,"allowAiPatch":false,"maxRepairAttempts":0},
        "cargoRegistry":{"name":"local","index":"sparse+http://127.0.0.1:8081/index/"}}"#;
    assert_eq!(said_of(request), "accepted");
}

#[test]
fn a_wrong_part_is_named_with_its_place_and_what_to_do() {
    assert_snapshot!(said_with("2026.06.0", " "), @r#"request.json:2:16: `releaseId` is empty; write something there"#);
    assert_snapshot!(said_with("2026.06.0", "../up"), @r#"request.json:2:16: `releaseId`: `../up` is not a name; use at most 126 letters, digits, `-`, `_`, `.`, beginning with a letter or digit"#);
    assert_snapshot!(said_with("java-train", "java-trian"), @r#"request.json:3:18: `java-trian` is not a value of `releaseType`; did you mean `java-train`?"#);
    assert_snapshot!(said_with("java-train", "rust-products"), @r#"request.json:4:22: a release of type `rust-products` has exactly `rust` in `runtimeFamilies`; write `["rust"]`, or change `releaseType` to `java-train`"#);
    assert_snapshot!(said_with(r#"["java"]"#, r#"["rust"]"#), @r#"request.json:4:22: a release of type `java-train` needs `java` in `runtimeFamilies`; add `java`, or change `releaseType` to `rust-products`"#);
    assert_snapshot!(said_with(r#"["java"]"#, r#"["java", "java"]"#), @r#"request.json:4:31: `java` is given twice in `runtimeFamilies`; keep one of the two"#);
    assert_snapshot!(said_with(r#"["java"]"#, "[]"), @r#"request.json:4:22: `runtimeFamilies` is empty; give it at least one item"#);
    assert_snapshot!(said_with("2.3.5", "v2.3.5"), @r#"request.json:10:18: `repos[0].version`: `v2.3.5` is not a semantic version: unexpected character 'v' while parsing major version number; write `2.3.5`"#);
    assert_snapshot!(said_with("2.3.5", "2.3"), @r#"request.json:10:18: `repos[0].version`: `2.3` is not a semantic version: unexpected end of input while parsing minor version number; write it like `2.3.5`"#);
    assert_snapshot!(said_with(r#""2.3.5""#, "2.3"), @r#"request.json:10:18: `repos[0].version` must be text, not `2.3`; put it in quotes"#);
    assert_snapshot!(said_with("\"master\"", "\"--upload-pack=x\""), @r#"request.json:9:14: `repos[0].ref`: `--upload-pack=x` is not a git reference; give a branch, a tag or a commit"#);
    assert_snapshot!(said_with("\"ref\": \"master\",", ""), @r#"request.json:6:5: `repos[0].ref` is missing"#);
    assert_snapshot!(said_with("\"allowAiPatch\"", "\"allowAIPatch\""), @r#"request.json:27:5: unknown field `allowAIPatch` in `publishPolicy`; did you mean `allowAiPatch`?"#);
    assert_snapshot!(said_with("\"maxRepairAttempts\": 2", "\"maxRepairAttempts\": 99"), @r#"request.json:28:26: `publishPolicy.maxRepairAttempts` must be a whole number from 0 to 10, not `99`"#);
    assert_snapshot!(said_with("java/light-gateway", "../light-gateway"), @r#"request.json:16:15: `configProfileManifest.paths[0]`: `../light-gateway/2.3.5.json` is not a relative path; write it without a leading `/`, without `.` or `..` parts and with single `/`"#);
    assert_snapshot!(said_with("java/light-gateway", "/light-gateway"), @r#"request.json:16:15: `configProfileManifest.paths[0]`: `/light-gateway/2.3.5.json` is not a relative path; write it without a leading `/`, without `.` or `..` parts and with single `/`"#);
    assert_snapshot!(said_with("\"dryRunRequired\": true", "\"dryRunRequired\": \"yes\""), @r#"request.json:22:25: `portalTargets[0].dryRunRequired` must be true or false, not text"#);
    assert_snapshot!(said_with("\"publishPolicy\": {", "\"publishPolicy\": 5, \"x\": {"), @r#"
    request.json:25:20: `publishPolicy` must be a mapping, not `5`
    request.json:25:23: unknown field `x`; the fields here are `releaseId`, `releaseType`, `runtimeFamilies`, `repos`, `configProfileManifest`, `portalTargets`, `publishPolicy`, `cargoRegistry`
    "#);
}

#[test]
fn a_repository_is_fetched_from_where_anyone_can() {
    let url = "https://github.com/networknt/light-4j.git";
    assert_snapshot!(said_with(url, "/home/me/light-4j"), @r#"request.json:8:14: `repos[0].url`: `/home/me/light-4j` is a place on one machine; a release must be reproducible elsewhere: give an `https://`, `http://` or `ssh://` URL"#);
    assert_snapshot!(said_with(url, "file:///srv/light-4j.git"), @r#"request.json:8:14: `repos[0].url`: `file:///srv/light-4j.git` is a place on one machine; a release must be reproducible elsewhere: give an `https://`, `http://` or `ssh://` URL"#);
    assert_snapshot!(said_with(url, "git@github.com:networknt/light-4j.git"), @r#"request.json:8:14: `repos[0].url`: `git@github.com:networknt/light-4j.git` is not a URL; write `ssh://git@github.com/networknt/light-4j.git`"#);
    assert_snapshot!(said_with(url, "git://github.com/networknt/light-4j.git"), @r#"request.json:8:14: `repos[0].url`: `git://github.com/networknt/light-4j.git` has a scheme that is not fetched from; use `https://`, `http://` or `ssh://`"#);
    assert_snapshot!(said_with(url, "https://"), @r#"request.json:8:14: `repos[0].url`: `https://` is not a URL; write it like `https://github.com/networknt/light-4j.git`"#);
    assert_snapshot!(said_with(url, "https://ghp_token@github.com/networknt/light-4j.git"), @r#"request.json:8:14: `repos[0].url` holds a credential; remove the part before `@`, and change that credential: it has been written down"#);
}

#[test]
fn names_are_given_once() {
    let repo = r#"{"name":"light-4j","url":"https://x/y","ref":"main","version":"1.0.0"},
    {"#;
    assert_snapshot!(said_with("{\n      \"name\": \"light-4j\"", &format!("{repo}\n      \"name\": \"light-4j\"")), @r#"request.json:8:15: two repositories are named `light-4j`; remove or rename one of them"#);
}

#[test]
fn a_registry_index_is_sparse() {
    let with = |index: &str| format!(r#""cargoRegistry": {{"name": "x", "index": "{index}"}}, "publishPolicy""#);
    assert_eq!(said_with("\"publishPolicy\"", &with("sparse+https://index.crates.io/")), "accepted");
    assert_snapshot!(said_with("\"publishPolicy\"", &with("https://index.crates.io/")), @r#"request.json:25:43: `cargoRegistry.index`: `https://index.crates.io/` is not a sparse registry index; write it like `sparse+https://index.crates.io/`, with the `/` at its end"#);
    assert_snapshot!(said_with("\"publishPolicy\"", &with("sparse+https://index.crates.io")), @r#"request.json:25:43: `cargoRegistry.index`: `sparse+https://index.crates.io` is not a sparse registry index; write it like `sparse+https://index.crates.io/`, with the `/` at its end"#);
}

#[test]
fn what_is_not_json_says_where() {
    assert_snapshot!(said_of("releaseId: x"), @r#"request.json:1:1: not JSON: expected value"#);
    assert_snapshot!(said_of("[]"), @r#"request.json:1:1: the file must be a mapping, not a list"#);
    assert_snapshot!(said_of("{}"), @r#"
    request.json:1:1: `releaseId` is missing
    request.json:1:1: `releaseType` is missing
    request.json:1:1: `runtimeFamilies` is missing
    request.json:1:1: `repos` is missing
    request.json:1:1: `publishPolicy` is missing
    "#);
    assert_snapshot!(said_with("2026.06.0\",", "2026.06.0\", \"releaseId\": \"other\","), @r#"request.json:2:29: `releaseId` is given twice, first on line 2; keep one of the two"#);
}
