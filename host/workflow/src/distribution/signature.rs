//! Who vouches for a plugin: an Ed25519 signature over a payload that names the
//! digest of its manifest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys::{PublicKey, SigningKey};
use super::manifest::{ManifestError, unpack};
use super::{Distribution, Reference};
use crate::ids::Digest;

/// What cosign calls its payloads.
const PAYLOAD_KIND: &str = "cosign container image signature";

/// One signature, and the text it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signature {
    /// JSON in the form "simple signing"; signed byte by byte.
    pub payload: String,
    /// Of Ed25519, in base64.
    pub signature: String,
}

impl Signature {
    /// Signs a manifest. `identity` says where the plugin is meant to be found;
    /// only people look at it.
    pub fn new(key: &SigningKey, identity: Option<&Reference>, manifest: &Digest) -> Self {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": identity.map(Reference::name).unwrap_or_default() },
                "image": { "docker-manifest-digest": manifest },
                "type": PAYLOAD_KIND,
            },
            "optional": null,
        });
        let payload = payload.to_string();
        let signature = STANDARD.encode(key.sign(payload.as_bytes()));
        Self { payload, signature }
    }

    fn is_by(&self, key: &PublicKey) -> bool {
        let signature = STANDARD.decode(&self.signature).ok().and_then(|bytes| bytes.try_into().ok());
        signature.is_some_and(|signature| key.verifies(self.payload.as_bytes(), &signature))
    }

    /// The manifest that the payload names.
    fn subject(&self) -> Option<Digest> {
        let payload: Value = serde_json::from_str(&self.payload).ok()?;
        let critical = payload.get("critical")?;
        if critical.get("type")?.as_str()? != PAYLOAD_KIND {
            return None;
        }
        Digest::new(critical.get("image")?.get("docker-manifest-digest")?.as_str()?).ok()
    }
}

/// Why nobody whom this host trusts vouches for these bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error(
        "it is not signed, and this host takes only what one of its keys signed ({trusted}); sign it with `light-workflow plugin sign`, or pull it from where it is signed"
    )]
    Unsigned { trusted: String },
    #[error(
        "none of its {count} signatures is of a key that this host trusts ({trusted}); add the signer's key to `[plugins.keys]`, or have it signed by one of these"
    )]
    UntrustedKey { count: usize, trusted: String },
    /// A signature that was good for something else.
    #[error(
        "the signature of `{key}` is over {signed}, and this is {actual}: it vouches for another plugin; do not use these bytes"
    )]
    OtherDigest { key: String, signed: String, actual: Digest },
    #[error("what was signed cannot be read")]
    Manifest(#[from] ManifestError),
}

/// The keys whose signatures count on this host, by the operator's names for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys(pub BTreeMap<String, PublicKey>);

impl TrustedKeys {
    /// The name of a key that vouches for exactly this component.
    ///
    /// # Errors
    ///
    /// Each reason is its own: nobody signed, nobody trusted, or another thing.
    pub fn verify(&self, distribution: Option<&Distribution>, component: &Digest) -> Result<&str, SignatureError> {
        let trusted = || self.names();
        let Some(distribution) = distribution.filter(|distribution| !distribution.signatures.is_empty()) else {
            return Err(SignatureError::Unsigned { trusted: trusted() });
        };
        let manifest = distribution.digest();
        let mut elsewhere = None;
        for signature in &distribution.signatures {
            let Some((name, _)) = self.0.iter().find(|(_, key)| signature.is_by(key)) else { continue };
            match signature.subject() {
                Some(subject) if subject == manifest => {
                    let signed = unpack(distribution.manifest.as_bytes())?.component.digest;
                    if signed == *component {
                        return Ok(name);
                    }
                    let (key, signed) = (name.clone(), format!("component {signed}"));
                    elsewhere = Some(SignatureError::OtherDigest { key, signed, actual: component.clone() });
                }
                Some(subject) => {
                    let (key, signed) = (name.clone(), format!("manifest {subject}"));
                    elsewhere = Some(SignatureError::OtherDigest { key, signed, actual: manifest.clone() });
                }
                None => {
                    let (key, signed) = (name.clone(), "something that is no plugin".to_owned());
                    elsewhere = Some(SignatureError::OtherDigest { key, signed, actual: manifest.clone() });
                }
            }
        }
        let count = distribution.signatures.len();
        Err(elsewhere.unwrap_or_else(|| SignatureError::UntrustedKey { count, trusted: trusted() }))
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, key)| format!("`{name}` {key}")).collect();
        if names.is_empty() { "it has none".to_owned() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{WorldItems, pack};
    use super::*;
    use crate::capability::PluginManifest;

    const TOML: &str = "name = \"x\"\nversion = \"0.1.0\"\nworld = \"pure\"\nsummary = \"x\"\n";

    fn key(seed: u8) -> SigningKey {
        let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[seed; 32]].concat();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        SigningKey::from_pem(&pem).unwrap()
    }

    fn trusted() -> TrustedKeys {
        TrustedKeys([("team".to_owned(), key(1).public()), ("lead".to_owned(), key(2).public())].into())
    }

    /// A plugin whose component is `bytes`, signed by these.
    fn signed(bytes: &[u8], seeds: &[u8]) -> Distribution {
        let world = WorldItems { imports: [].into(), exports: [].into() };
        let manifest = pack(bytes, &world, &PluginManifest::parse(TOML).unwrap(), TOML).manifest;
        let digest = Digest::of(manifest.as_bytes());
        let signatures = seeds.iter().map(|seed| Signature::new(&key(*seed), None, &digest)).collect();
        Distribution { source: None, manifest, signatures }
    }

    fn verify(distribution: Option<&Distribution>) -> Result<String, SignatureError> {
        trusted().verify(distribution, &Digest::of(b"bytes")).map(str::to_owned)
    }

    #[test]
    fn one_trusted_signature_is_enough() {
        assert_eq!(verify(Some(&signed(b"bytes", &[1]))), Ok("team".to_owned()));
        assert_eq!(verify(Some(&signed(b"bytes", &[9, 8, 2]))), Ok("lead".to_owned()));
    }

    #[test]
    fn unsigned_untrusted_and_signed_for_another_are_three_errors() {
        for unsigned in [None, Some(&signed(b"bytes", &[]))] {
            let error = verify(unsigned).unwrap_err();
            assert!(matches!(error, SignatureError::Unsigned { .. }), "{error}");
        }
        let error = verify(Some(&signed(b"bytes", &[9, 8]))).unwrap_err();
        assert!(matches!(error, SignatureError::UntrustedKey { count: 2, .. }), "{error}");
        assert!(error.to_string().contains("`lead`") && error.to_string().contains("`team`"), "{error}");
        // The manifest of other bytes; and a signature that stood under another manifest.
        let other = signed(b"others", &[1]);
        let moved = Distribution { signatures: other.signatures.clone(), ..signed(b"bytes", &[]) };
        for elsewhere in [other, moved] {
            let error = verify(Some(&elsewhere)).unwrap_err();
            assert!(matches!(&error, SignatureError::OtherDigest { key, .. } if key == "team"), "{error}");
        }
        // One that counts is enough beside one that does not.
        let mut both = signed(b"bytes", &[2]);
        both.signatures.insert(0, signed(b"others", &[1]).signatures[0].clone());
        assert_eq!(verify(Some(&both)), Ok("lead".to_owned()));
    }

    #[test]
    fn every_changed_byte_of_manifest_payload_and_signature_is_found() {
        let whole = signed(b"bytes", &[1]);
        let flip = |text: &str, at: usize| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        for at in 0..whole.manifest.len() {
            let changed = Distribution { manifest: flip(&whole.manifest, at), ..whole.clone() };
            assert!(matches!(verify(Some(&changed)), Err(SignatureError::OtherDigest { .. })), "manifest {at}");
        }
        let Signature { payload, signature } = &whole.signatures[0];
        for at in 0..payload.len() {
            let changed = Signature { payload: flip(payload, at), signature: signature.clone() };
            let error = verify(Some(&Distribution { signatures: vec![changed], ..whole.clone() }));
            assert!(matches!(error, Err(SignatureError::UntrustedKey { .. })), "payload {at}");
        }
        for at in 0..signature.len() {
            let changed = Signature { payload: payload.clone(), signature: flip(signature, at) };
            let error = verify(Some(&Distribution { signatures: vec![changed], ..whole.clone() }));
            assert!(matches!(error, Err(SignatureError::UntrustedKey { .. })), "signature {at}");
        }
    }

    #[test]
    fn a_payload_has_the_form_that_cosign_reads() {
        let reference: Reference = "registry.example/team/x:1".parse().unwrap();
        let signature = Signature::new(&key(1), Some(&reference), &Digest::of(b"m"));
        let expected = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"registry.example/team/x"}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
            Digest::of(b"m")
        );
        assert_eq!(signature.payload, expected);
    }
}
