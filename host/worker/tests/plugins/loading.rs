//! What is loaded is what was approved, and signed by whom the operator says: looked at in the bytes, at each load.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use worker::{InstalledPlugin, PluginCatalog, PluginCatalogError};
use workflow::capability::PluginManifest;
use workflow::distribution::{Distribution, Signature, SignatureError, SigningKey, TrustedKeys, WorldItems, pack};
use workflow::{Digest, PluginName};

use crate::world::{component, host};

/// The key of RFC 8032, 7.1, test 1.
const TEAM: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
const STRANGER: &str = "MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
const TOML: &str = "name = \"preflight\"\nversion = \"0.1.0\"\nworld = \"build\"\nsummary = \"x\"\n";

fn key(base64: &str) -> SigningKey {
    SigningKey::from_pem(&format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")).unwrap()
}

/// A component of its own in a folder, approved.
struct Installed {
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Installed {
    fn new() -> Self {
        let installed = Self { folder: TempDir::new().unwrap(), bytes: component("preflight") };
        installed.write(&installed.bytes);
        installed
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("preflight.wasm")
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).unwrap();
    }

    /// Loads it as a host does that has just started.
    async fn load(&self, required: Option<&TrustedKeys>) -> Result<(), PluginCatalogError> {
        let (name, digest) = (PluginName::new("preflight").unwrap(), Digest::of(&self.bytes));
        let installed = InstalledPlugin { digest: digest.clone(), path: self.path() };
        let mut catalog = PluginCatalog::new([(name.clone(), installed)].into());
        if let Some(keys) = required {
            catalog = catalog.requiring(Arc::new(keys.clone()));
        }
        catalog.plugin(&host(), &name, &digest).await.map(drop)
    }

    /// The file beside it: about these bytes, signed by these.
    fn sign(&self, bytes: &[u8], keys: &[&str]) {
        let world = WorldItems { imports: BTreeSet::new(), exports: BTreeSet::new() };
        let manifest = pack(bytes, &world, &PluginManifest::parse(TOML).unwrap(), TOML).manifest;
        let digest = Digest::of(manifest.as_bytes());
        let signatures = keys.iter().map(|base64| Signature::new(&key(base64), None, &digest)).collect();
        let distribution = Distribution { source: None, manifest, signatures };
        let path = self.path().with_extension(Distribution::EXTENSION);
        fs::write(path, serde_json::to_vec(&distribution).unwrap()).unwrap();
    }
}

#[tokio::test]
async fn bytes_that_changed_after_their_approval_are_not_loaded() {
    let installed = Installed::new();
    installed.load(None).await.unwrap();
    let mut flipped = installed.bytes.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for bytes in [&flipped[..], &installed.bytes[..last], b"", &component("cargo")] {
        installed.write(bytes);
        let error = installed.load(None).await.unwrap_err();
        let expected = Digest::of(bytes);
        assert!(matches!(&error, PluginCatalogError::Swapped { actual, .. } if *actual == expected), "{error}");
    }
    // A link that leads to other bytes is as good as these bytes.
    fs::write(installed.folder.path().join("other"), &flipped).unwrap();
    fs::remove_file(installed.path()).unwrap();
    std::os::unix::fs::symlink("other", installed.path()).unwrap();
    assert!(matches!(installed.load(None).await, Err(PluginCatalogError::Swapped { .. })));
    fs::remove_file(installed.path()).unwrap();
    assert!(matches!(installed.load(None).await, Err(PluginCatalogError::Read { .. })));
}

#[tokio::test]
async fn a_plugin_is_loaded_only_with_a_signature_of_exactly_its_bytes() {
    let installed = Installed::new();
    let keys = TrustedKeys([("team".to_owned(), key(TEAM).public())].into());
    let refused = |result: Result<(), PluginCatalogError>| match result {
        Err(PluginCatalogError::Signature { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let unsigned = refused(installed.load(Some(&keys)).await);
    assert!(matches!(unsigned, SignatureError::Unsigned { .. }), "{unsigned}");
    installed.sign(&installed.bytes, &[STRANGER]);
    let untrusted = refused(installed.load(Some(&keys)).await);
    assert!(matches!(untrusted, SignatureError::UntrustedKey { count: 1, .. }), "{untrusted}");
    installed.sign(&component("cargo"), &[TEAM]);
    let elsewhere = refused(installed.load(Some(&keys)).await);
    assert!(matches!(elsewhere, SignatureError::OtherDigest { .. }), "{elsewhere}");
    installed.sign(&installed.bytes, &[STRANGER, TEAM]);
    installed.load(Some(&keys)).await.unwrap();
    // The signature stays good; the bytes are not what it is over.
    installed.write(&component("cargo"));
    assert!(matches!(installed.load(Some(&keys)).await, Err(PluginCatalogError::Swapped { .. })));
    fs::write(installed.path().with_extension(Distribution::EXTENSION), "{").unwrap();
    installed.write(&installed.bytes);
    assert!(matches!(installed.load(Some(&keys)).await, Err(PluginCatalogError::Distribution(_))));
    installed.load(None).await.unwrap();
}
