//! Who may ask a registry, and over what.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SigningKey as _};
use serde_json::json;
use web_stub::{Reply, Web};

use crate::server::Registry;
use crate::world::{Host, PLUGIN};

/// `releaser` with the password `a-long-password`, as htpasswd keeps it.
const HTPASSWD: &str = "releaser:$2b$04$PYDpcJWxX1QF12UM5G7mfOE90gkl97ynOGCG3omd.KZra9R1zKFny\n";

/// A secret `registry-login` in the file `login`.
fn with_secret(host: &str, more: &str) -> String {
    format!(
        "[registries.\"{host}\"]\nsecret = \"registry-login\"\n{more}\n[secrets]\nregistry-login = {{ file = \"login\" }}\n"
    )
}

#[test]
fn a_registry_that_asks_for_a_password_gets_the_one_of_its_secret() {
    let registry = Registry::start(|folder| {
        fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
        format!("auth: {{ htpasswd: {{ realm: r, path: {} }} }}\n", folder.join("htpasswd").display())
    });
    let tag = format!("{}/preflight:1", registry.host());
    let host = Host::with_plugin("");
    host.fails(&["plugin", "push", PLUGIN, &tag], 3, &["asks who you are", &registry.host(), "secret ="]);
    host.configure(&with_secret(&registry.host(), ""));
    host.fails(&["plugin", "push", PLUGIN, &tag], 2, &["failed to read secret `registry-login`"]);
    fs::write(host.path("login"), "releaser:another-password\n").unwrap();
    let refused = host.run(&["plugin", "push", PLUGIN, &tag]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("does not take these credentials") && !said.contains("another-password"), "{said}");
    fs::write(host.path("login"), "releaser:a-long-password\n").unwrap();
    host.does(&["plugin", "push", PLUGIN, &tag]);
    host.does(&["plugin", "pull", &tag]);
}

/// A service that gives tokens to `releaser`, signed with a key that the registry trusts.
fn tokens(folder: &Path) -> Arc<Web> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    fs::write(folder.join("tokens.pem"), certificate.pem()).unwrap();
    let chain = STANDARD.encode(certificate.der());
    let login = format!("Basic {}", STANDARD.encode("releaser:a-long-password"));
    Arc::new(Web::plain(move |asked| {
        if asked.header("authorization") != Some(login.as_str()) {
            return Reply::new(401, &[], r#"{"errors":[{"code":"DENIED","message":"nobody of ours"}]}"#);
        }
        assert!(asked.target.contains("service=plugins"), "{}", asked.target);
        let actions = if asked.target.contains("push") { json!(["pull", "push"]) } else { json!(["pull"]) };
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({ "typ": "JWT", "alg": "ES256", "x5c": [chain] }));
        let claims = part(json!({
            "iss": "house", "sub": "releaser", "aud": "plugins", "iat": 0, "nbf": 0, "exp": 4_102_444_800_u64, "jti": "1",
            "access": [{ "type": "repository", "name": "team/preflight", "actions": actions }],
        }));
        let signature = raw(&key.sign(format!("{head}.{claims}").as_bytes()).unwrap());
        let token = format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature));
        Reply::json(&json!({ "token": token }).to_string())
    }))
}

/// The two numbers of an ECDSA signature in DER, as a token has them: 32 bytes each.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[length.saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()).chain(number.iter().copied()));
        rest = &rest[2 + length..];
    }
    numbers
}

#[test]
fn a_registry_that_wants_a_token_gets_one_from_where_the_operator_says() {
    let mut service = None;
    let registry = Registry::start(|folder| {
        let web = service.insert(tokens(folder));
        format!(
            "auth: {{ token: {{ realm: 'http://127.0.0.1:{}/token', service: plugins, issuer: house, rootcertbundle: {} }} }}\n",
            web.port(),
            folder.join("tokens.pem").display()
        )
    });
    let service = service.unwrap();
    let tag = format!("{}/team/preflight:1", registry.host());
    let host = Host::with_plugin(&with_secret(&registry.host(), ""));
    fs::write(host.path("login"), "releaser:a-long-password\n").unwrap();
    let origin = format!("http://127.0.0.1:{}", service.port());
    host.fails(&["plugin", "push", PLUGIN, &tag], 3, &[&origin, "not approved", "`also`"]);
    assert_eq!(service.lines(), [""; 0], "the password went nowhere");

    let also = format!("also = [\"{origin}\"]");
    host.configure(&with_secret(&registry.host(), &also));
    host.does(&["plugin", "push", PLUGIN, &tag]);
    host.does(&["plugin", "pull", &tag]);
    let asks = |line: &String| line.contains("scope=repository%3Ateam%2Fpreflight%3A") && line.contains("push");
    assert!(service.lines().iter().any(asks), "{:?}", service.lines());

    fs::write(host.path("login"), "nobody:a-long-password\n").unwrap();
    host.fails(&["plugin", "pull", &tag], 3, &["does not take these credentials", "nobody of ours"]);
}

/// An authority, and a registry with a certificate of it.
fn secure(ca: &mut String) -> Registry {
    Registry::start(|folder| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        *ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let names = vec!["registry.test".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
        fs::write(folder.join("own.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("own.key"), own.serialize_pem()).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        format!("  tls: {{ certificate: {}, key: {} }}\n", file("own.pem"), file("own.key"))
    })
}

#[test]
fn beyond_this_machine_it_is_tls_unless_the_operator_says_otherwise() {
    let mut ca = String::new();
    let registry = secure(&mut ca);
    let name = format!("registry.test:{}", registry.port());
    let tag = format!("{name}/preflight:1");
    let resolve = format!("[calls.resolve]\n\"{name}\" = \"127.0.0.1:{}\"\n", registry.port());
    let host = Host::with_plugin(&resolve);
    host.fails(&["plugin", "push", PLUGIN, &tag], 3, &["failed to agree on TLS", "UnknownIssuer"]);
    fs::write(host.path("ca.pem"), &ca).unwrap();
    host.configure(&format!("[calls]\nca = \"ca.pem\"\n{resolve}"));
    host.does(&["plugin", "push", PLUGIN, &tag]);
    host.does(&["plugin", "pull", &tag]);
    // Said in the clear, a registry that wants TLS understands nothing.
    host.configure(&format!("[registries.\"{name}\"]\nplain-http = true\n{resolve}"));
    host.fails(&["plugin", "pull", &tag], 3, &["the registry answered 400"]);

    let open = Registry::open();
    let name = format!("registry.test:{}", open.port());
    let resolve = format!("[calls.resolve]\n\"{name}\" = \"127.0.0.1:{}\"\n", open.port());
    host.configure(&resolve);
    let tag = format!("{name}/preflight:1");
    host.fails(&["plugin", "push", PLUGIN, &tag], 3, &["failed to agree on TLS"]);
    host.configure(&format!("[registries.\"{name}\"]\nplain-http = true\n{resolve}"));
    host.does(&["plugin", "push", PLUGIN, &tag]);
}

#[test]
fn what_an_operator_says_wrongly_of_a_registry_is_refused() {
    for (config, expected) in [
        ("[registries.\"registry\"]", "not the host of a reference"),
        ("[registries.\"https://a.example\"]", "not the host of a reference"),
        ("[registries.\"a.example\"]\npassword = \"x\"", "unknown field `password`"),
        ("[registries.\"a.example\"]\nalso = [\"b.example\"]", "no origin"),
        ("[plugins]\nrequire-signature = true", "needs a key in [plugins.keys]"),
        ("[plugins.keys]\nteam = \"absent.pub\"", "absent.pub"),
    ] {
        Host::new(config).fails(&["plugin", "list"], 2, &[expected]);
    }
}
