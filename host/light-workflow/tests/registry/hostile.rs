//! Registries that lie, and send us elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use web_stub::{Asked, Part, Reply, Web};
use workflow::Digest;

use crate::signatures::Keys;
use crate::world::{Host, PLUGIN, built, root};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The manifest of the plugin of these tests; its component has this size, it says.
fn manifest(size: u64) -> String {
    let toml = fs::read_to_string(root().join("plugins").join(PLUGIN).join("plugin.toml")).unwrap();
    let config = json!({ "mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"c"), "size": 1 });
    let layer = json!({ "mediaType": "application/wasm", "digest": Digest::of(&built(PLUGIN)), "size": size });
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
        "annotations": { "net.lightapi.plugin.toml": toml },
    })
    .to_string()
}

fn registry(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Web, String) {
    let web = Web::plain(answer);
    let reference = format!("127.0.0.1:{}/preflight:1", web.port());
    (web, reference)
}

#[test]
fn a_registry_that_never_ends_or_is_something_else_is_not_listened_to() {
    let size = built(PLUGIN).len() as u64;
    let endless = || Part::Forever(vec![b' '; 1 << 16]);
    let open_end = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    type Answer = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;
    let manifest_then = |blob: fn() -> Reply, size: u64| -> Answer {
        Box::new(move |asked: &Asked| match asked.target.as_str() {
            target if target.ends_with(".sig") => Reply::status(404),
            target if target.contains("/manifests/") => Reply::json(&manifest(size)),
            _ => blob(),
        })
    };
    let cases: Vec<(Answer, &str)> = vec![
        (Box::new(move |_| Reply::raw(open_end).then(endless())), "more than 262144 bytes"),
        (
            manifest_then(
                || Reply::raw("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").then(Part::Forever(vec![0; 1 << 16])),
                size,
            ),
            "more than",
        ),
        (manifest_then(|| Reply::new(200, &[], "short"), size), "the bytes have digest"),
        (manifest_then(|| Reply::new(200, &[], "short"), 40 << 20), "more than 33554432 bytes"),
        (manifest_then(|| Reply::raw(""), size), "the connection ended"),
        (Box::new(|_| Reply::json("<html>")), "no OCI manifest"),
        (Box::new(|_| Reply::json(&manifest(1).replace("net.lightapi", "other"))), "no annotation"),
        (Box::new(|_| Reply::json(&manifest(1).replace("reason", "why"))), "plugin.toml cannot be read"),
        (
            Box::new(|_| Reply::new(500, &[], r#"{"errors":[{"code":"UNKNOWN","message":"sorry\u001b[2J"}]}"#)),
            "500 UNKNOWN sorry[2J",
        ),
        (Box::new(|_| Reply::new(302, &[("location", "/v2/x")], "")), "from one place to the next"),
        (Box::new(|_| Reply::new(302, &[], "")), "does not say where"),
        (Box::new(|_| Reply::new(401, &[("www-authenticate", "Negotiate")], "")), "asks who you are"),
        (Box::new(|_| Reply::new(401, &[("www-authenticate", "Bearer realm=\"x\"")], "")), "gives no tokens"),
    ];
    for (answer, expected) in cases {
        let (_web, reference) = registry(answer);
        let host = Host::new("");
        let output = host.run(&["plugin", "pull", &reference]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(expected), "`{expected}` is not in {said}");
        assert!(host.is_empty(), "{expected}");
    }
}

/// What a registry keeps, by name.
type Kept = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A registry in memory. The `turn`-th question for signatures finds what another
/// push has just written, who had seen nothing of ours.
fn shared(turn: usize, others: &'static str) -> (Web, String, Kept) {
    let kept = Kept::default();
    let (store, asked_for) = (kept.clone(), AtomicUsize::new(0));
    let (web, reference) = registry(move |asked| {
        let mut store = store.lock().unwrap();
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let name = path.rsplit('/').next().unwrap().to_owned();
        match asked.method.as_str() {
            "POST" => Reply::new(202, &[("location", "/v2/preflight/blobs/uploads/1")], ""),
            "PUT" => {
                let digest = query.rsplit("digest=").next().unwrap().replace("%3A", ":");
                let name = if path.contains("/uploads/") { digest } else { name };
                store.insert(Digest::of(&asked.body).to_string(), asked.body.clone());
                store.insert(name, asked.body.clone());
                Reply::status(201)
            }
            _ => {
                if name.ends_with(".sig") && asked_for.fetch_add(1, Ordering::SeqCst) + 1 == turn {
                    store.insert(Digest::of(b"theirs").to_string(), b"theirs".to_vec());
                    store.insert(name.clone(), others.as_bytes().to_vec());
                }
                store.get(&name).map_or(Reply::status(404), |bytes| Reply::new(200, &[], bytes))
            }
        }
    });
    (web, reference, kept)
}

#[test]
fn two_pushes_in_the_same_moment_keep_the_signatures_of_both() {
    let theirs = workflow::distribution::Signature { payload: "theirs".to_owned(), signature: "c2ln".to_owned() };
    let others = workflow::distribution::pack_signatures(&[theirs]).unwrap().manifest;
    let others: &'static str = Box::leak(others.into_boxed_str());
    for turn in 1..=4 {
        let (_web, reference, kept) = shared(turn, others);
        let host = Host::with_plugin("");
        let keys = Keys::make(&host, "team");
        let said = host.json(&["plugin", "push", PLUGIN, &reference, "--key", keys.private()]);
        let kept = kept.lock().unwrap();
        let signatures = kept.iter().find(|(name, _)| name.ends_with(".sig")).unwrap().1;
        let signatures: serde_json::Value = serde_json::from_slice(signatures).unwrap();
        let digests: Vec<_> = signatures["layers"].as_array().unwrap().iter().map(|layer| &layer["digest"]).collect();
        // The fourth question is never asked: after the third all is well.
        let both = if turn == 4 { 1 } else { 2 };
        assert_eq!((digests.len(), &said["signatures"]), (both, &json!(both)), "turn {turn}: {signatures}");
        assert_eq!(digests.contains(&&json!(Digest::of(b"theirs"))), turn != 4, "turn {turn}");
    }
}

#[test]
fn a_password_stays_with_the_registry_when_it_sends_us_on() {
    let elsewhere = Arc::new(Web::plain(|_| Reply::new(200, &[], built(PLUGIN))));
    let blobs = format!("http://127.0.0.1:{}", elsewhere.port());
    let target = format!("{blobs}/blob");
    let (web, reference) = registry(move |asked| {
        if asked.header("authorization").is_none() {
            return Reply::new(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        }
        match asked.target.as_str() {
            target if target.ends_with(".sig") => Reply::status(404),
            target if target.contains("/manifests/") => Reply::json(&manifest(built(PLUGIN).len() as u64)),
            _ => Reply::new(307, &[("location", &target)], ""),
        }
    });
    let config = |also: &str| {
        format!(
            "[registries.\"127.0.0.1:{}\"]\nsecret = \"login\"\n{also}\n[secrets]\nlogin = {{ file = \"login\" }}\n",
            web.port()
        )
    };
    let host = Host::new(&config(""));
    fs::write(host.path("login"), "releaser:a-long-password").unwrap();
    host.fails(&["plugin", "pull", &reference], 3, &[&blobs, "not approved", "`also`"]);
    assert!(elsewhere.asked().is_empty() && host.is_empty());

    host.configure(&config(&format!("also = [\"{blobs}\"]")));
    host.does(&["plugin", "pull", &reference]);
    let asked = elsewhere.asked();
    assert!(asked.len() == 1 && asked[0].header("authorization").is_none(), "{asked:?}");
}
