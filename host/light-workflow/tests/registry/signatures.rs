//! Who vouches for a plugin: at the pull, at the approval, and whenever it is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::server::Registry;
use crate::world::{Host, PLUGIN};

/// A pair of keys, made as an operator makes it.
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    pub fn make(host: &Host, name: &str) -> Self {
        let folder = host.path(name);
        fs::create_dir(&folder).unwrap();
        openssl(&folder, &["genpkey", "-algorithm", "ed25519", "-out", "key.pem"]);
        openssl(&folder, &["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"]);
        Self { folder }
    }

    pub fn private(&self) -> &str {
        Box::leak(self.folder.join("key.pem").display().to_string().into_boxed_str())
    }

    /// What a host says that takes only what these keys signed.
    fn required(&self, name: &str) -> String {
        let public = self.folder.join("key.pub");
        format!("[plugins]\nrequire-signature = true\n[plugins.keys]\n{name} = \"{}\"\n", public.display())
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn only_what_a_trusted_key_signed_is_pulled_where_that_is_demanded() {
    let registry = Registry::open();
    let (unsigned, signed) =
        (format!("{}/unsigned/preflight:1", registry.host()), format!("{}/signed/preflight:1", registry.host()));
    let author = Host::with_plugin("");
    let (team, stranger) = (Keys::make(&author, "team"), Keys::make(&author, "stranger"));
    author.does(&["plugin", "push", PLUGIN, &unsigned]);
    author.does(&["plugin", "push", PLUGIN, &signed, "--key", team.private()]);

    let host = Host::new(&team.required("team"));
    host.fails(&["plugin", "pull", &unsigned], 1, &["pulled and not kept", "it is not signed", "`team`"]);
    assert!(host.is_empty());
    let other = Host::new(&stranger.required("stranger"));
    other.fails(&["plugin", "pull", &signed], 1, &["none of its 1 signatures", "`stranger`"]);
    assert!(other.is_empty());
    let said = host.json(&["plugin", "pull", &signed]);
    assert_eq!((&said["signedBy"], &said["signatures"]), (&json!("team"), &json!(1)));
    host.approve();
    // Where nobody demands it, it is said and nothing more.
    let free = Host::new("");
    assert!(free.does(&["plugin", "pull", &signed]).contains("signed     not so that it counts here"));
    assert!(Host::new("").does(&["plugin", "pull", &unsigned]).contains("signed     no\n"));
}

#[test]
fn a_second_signature_stands_beside_the_first() {
    let registry = Registry::open();
    let tag = format!("{}/preflight:1", registry.host());
    let author = Host::with_plugin("");
    let (team, lead) = (Keys::make(&author, "team"), Keys::make(&author, "lead"));
    author.does(&["plugin", "push", PLUGIN, &tag, "--key", team.private()]);
    // Another person, who only pulled it, signs it and pushes that.
    let second = Host::new("");
    second.does(&["plugin", "pull", &tag]);
    second.does(&["plugin", "sign", PLUGIN, "--key", lead.private()]);
    assert_eq!(second.json(&["plugin", "push", PLUGIN, &tag])["signatures"], 2);
    for (keys, name) in [(&team, "team"), (&lead, "lead")] {
        let said = Host::new(&keys.required(name)).json(&["plugin", "pull", &tag]);
        assert_eq!((&said["signedBy"], &said["signatures"]), (&json!(name), &json!(2)));
    }
}

/// Where the signatures of a pushed plugin are.
fn signatures_tag(pushed: &Value) -> String {
    format!("{}.sig", pushed["manifest"].as_str().unwrap().replace(':', "-"))
}

#[test]
fn a_bad_payload_beside_a_good_signature_is_told_and_no_more() {
    let registry = Registry::open();
    let tag = format!("{}/preflight:1", registry.host());
    let author = Host::with_plugin("");
    let (team, lead) = (Keys::make(&author, "team"), Keys::make(&author, "lead"));
    // Signed without a place: another payload than that of a push.
    author.does(&["plugin", "sign", PLUGIN, "--key", lead.private()]);
    let pushed = author.json(&["plugin", "push", PLUGIN, &tag, "--key", team.private()]);
    assert_eq!(pushed["signatures"], 2);
    let mut manifest = registry.manifest("preflight", &signatures_tag(&pushed));
    let first = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    // The registry has other bytes under the digest; then it has bytes that are no text; then it has none.
    let payload = fs::read(registry.blob(&first)).unwrap();
    for bytes in [Some(payload.to_ascii_uppercase()), Some(vec![0xff; payload.len()]), None] {
        match bytes {
            Some(bytes) => fs::write(registry.blob(&first), bytes).unwrap(),
            None => fs::remove_file(registry.blob(&first)).unwrap(),
        }
        let host = Host::new(&team.required("team"));
        let output = host.run(&["plugin", "pull", &tag]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains("one that does not count") && said.contains(&first), "{said}");
        // The one that cannot be read vouches for nothing.
        let other = Host::new(&lead.required("lead"));
        other.fails(&["plugin", "pull", &tag], 1, &["none of its 1 signatures", "`lead`"]);
        assert!(other.is_empty());
    }
    fs::write(registry.blob(&first), payload).unwrap();
    // A layer that no reader of descriptors takes.
    manifest["layers"][0]["annotations"] = json!({ "dev.cosignproject.cosign/signature": "c2ln", "dev.x": "" });
    manifest["layers"].as_array_mut().unwrap().rotate_left(1);
    registry.put_manifest("preflight", &signatures_tag(&pushed), &manifest);
    let said = Host::new(&team.required("team")).json(&["plugin", "pull", &tag]);
    assert_eq!((&said["signedBy"], &said["signatures"]), (&json!("team"), &json!(2)));
}

#[test]
fn a_push_leaves_what_others_wrote_beside_the_signatures_as_it_was() {
    let registry = Registry::open();
    let tag = format!("{}/preflight:1", registry.host());
    let author = Host::with_plugin("");
    let (team, lead) = (Keys::make(&author, "team"), Keys::make(&author, "lead"));
    let pushed = author.json(&["plugin", "push", PLUGIN, &tag, "--key", team.private()]);
    let place = signatures_tag(&pushed);
    let mut there = registry.manifest("preflight", &place);
    // What cosign adds for a certificate, and what nobody here has heard of.
    there["annotations"] = json!({ "made-by": "another tool" });
    there["layers"][0]["annotations"]["dev.sigstore.cosign/certificate"] = json!("PEM");
    let mut strange = there["layers"][0].clone();
    strange["mediaType"] = json!("application/vnd.example.note+json");
    there["layers"].as_array_mut().unwrap().push(strange);
    registry.put_manifest("preflight", &place, &there);

    let second = author.json(&["plugin", "push", PLUGIN, &tag, "--key", lead.private()]);
    assert_eq!(second["signatures"], 2);
    let mut now = registry.manifest("preflight", &place);
    assert_eq!(now["layers"].as_array_mut().unwrap().pop().unwrap()["mediaType"], there["layers"][0]["mediaType"]);
    now["config"] = there["config"].clone();
    assert_eq!(now, there);

    // As many as are read: one more is refused, and nothing is changed.
    let mut full = there.clone();
    let layers = full["layers"].as_array_mut().unwrap();
    let one = layers[0].clone();
    layers.extend(std::iter::repeat_n(one, 31));
    registry.put_manifest("preflight", &place, &full);
    let other = Keys::make(&author, "other");
    author.fails(
        &["plugin", "push", PLUGIN, &tag, "--key", other.private()],
        1,
        &["32 signatures already", "another repository"],
    );
    assert_eq!(registry.manifest("preflight", &place), full);
}

#[test]
fn a_signature_in_the_registry_is_one_that_cosign_and_openssl_know() {
    let registry = Registry::open();
    let host = Host::with_plugin("");
    let keys = Keys::make(&host, "team");
    let tag = format!("{}/team/preflight:1", registry.host());
    let said = host.json(&["plugin", "push", PLUGIN, &tag, "--key", keys.private()]);
    let digest = said["manifest"].as_str().unwrap();
    let manifest = registry.manifest("team/preflight", &format!("{}.sig", digest.replace(':', "-")));
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.dev.cosign.simplesigning.v1+json");
    let payload = fs::read(registry.blob(layer["digest"].as_str().unwrap())).unwrap();
    let read: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(read["critical"]["image"]["docker-manifest-digest"], digest);
    assert_eq!(read["critical"]["identity"]["docker-reference"], format!("{}/team/preflight", registry.host()));
    let signature = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
    fs::write(keys.folder.join("payload"), payload).unwrap();
    fs::write(keys.folder.join("signature.b64"), format!("{signature}\n")).unwrap();
    openssl(&keys.folder, &["base64", "-d", "-A", "-in", "signature.b64", "-out", "signature"]);
    openssl(
        &keys.folder,
        &["pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin", "-in", "payload", "-sigfile", "signature"],
    );
}

#[test]
fn what_was_signed_elsewhere_vouches_for_nothing_here() {
    let host = Host::with_plugin("");
    host.install("cargo", "cargo");
    let keys = Keys::make(&host, "team");
    let required = keys.required("team");
    let approve = ["plugin", "approve", PLUGIN, "--yes", "--reviewer", "cli:alice"];
    host.configure(&required);
    host.fails(&approve, 2, &["cannot run on this host", "it is not signed"]);

    // The signature of another plugin, moved beside this one.
    host.does(&["plugin", "sign", "cargo", "--key", keys.private()]);
    let beside = |name: &str| host.path(&format!("components/{name}.distribution.json"));
    fs::copy(beside("cargo"), beside(PLUGIN)).unwrap();
    host.fails(&approve, 2, &["the signature of `team` is over component sha256:", "it vouches for another plugin"]);

    host.does(&["plugin", "sign", PLUGIN, "--key", keys.private()]);
    host.approve();
    // What it asks for is signed with it.
    let toml = host.path(&format!("plugins/{PLUGIN}/plugin.toml"));
    let signed = fs::read_to_string(&toml).unwrap();
    fs::write(&toml, format!("{signed}\n# as somebody else would have it\n")).unwrap();
    host.fails(&approve, 2, &["is not the `plugin.toml` that was signed"]);
    fs::write(&toml, signed).unwrap();
    host.approve();
    // Changed after that: whoever can write the component cannot sign it.
    fs::copy(host.component("cargo"), host.component(PLUGIN)).unwrap();
    let output = host.run(&["plugin", "inspect", PLUGIN]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("it vouches for another plugin"), "{said}");
    fs::write(beside(PLUGIN), "{}").unwrap();
    host.fails(&approve, 2, &["have it written anew"]);
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_signs_nothing() {
    use std::os::unix::fs::PermissionsExt as _;

    let host = Host::with_plugin("");
    let keys = Keys::make(&host, "team");
    let sign =
        |key: &str| ["plugin".to_owned(), "sign".to_owned(), PLUGIN.to_owned(), "--key".to_owned(), key.to_owned()];
    let fails = |key: &str, words: &[&str]| {
        let arguments = sign(key);
        host.fails(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), 2, words);
    };
    fs::set_permissions(keys.private(), fs::Permissions::from_mode(0o644)).unwrap();
    fails(keys.private(), &["mode 644", "0600"]);
    let public = keys.folder.join("key.pub");
    fs::set_permissions(&public, fs::Permissions::from_mode(0o600)).unwrap();
    fails(public.to_str().unwrap(), &["BEGIN PRIVATE KEY"]);
    openssl(&keys.folder, &["genpkey", "-algorithm", "ed448", "-out", "other.pem"]);
    fails(keys.folder.join("other.pem").to_str().unwrap(), &["no Ed25519 key"]);
    fails("absent.pem", &["absent.pem", "No such file"]);
}
