//! Ed25519 keys in the form that OpenSSL and cosign write: PEM.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, VerifyingKey};

use crate::ids::Digest;

/// What stands before the 32 bytes of a key, in DER: version, algorithm
/// 1.3.101.112 (Ed25519), and the wrapping of the bytes (RFC 8410).
const PRIVATE_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// Why a text is no key that this host reads. Nothing of the key is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it has no `-----BEGIN {label}-----` block in base64")]
    NotPem { label: &'static str },
    #[error("it is no Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")]
    OtherAlgorithm,
}

/// Whoever has it can vouch for plugins. Its value is never shown.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Reads what `openssl genpkey -algorithm ed25519` writes.
    ///
    /// # Errors
    ///
    /// Another kind of key, or one that is encrypted.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let seed = bytes_after(text, "PRIVATE KEY", &PRIVATE_PREFIX)?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads what `openssl pkey -pubout` writes.
    ///
    /// # Errors
    ///
    /// Another kind of key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let bytes = bytes_after(text, "PUBLIC KEY", &PUBLIC_PREFIX)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| KeyError::OtherAlgorithm)
    }

    /// What [`Self::from_pem`] reads.
    pub fn to_pem(&self) -> String {
        let der = [&PUBLIC_PREFIX[..], self.0.as_bytes()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

/// The digest of the key's bytes, shortened: to tell keys apart.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest::of(self.0.as_bytes()).hex()[..16])
    }
}

fn bytes_after(pem: &str, label: &'static str, prefix: &[u8]) -> Result<[u8; 32], KeyError> {
    let not_pem = KeyError::NotPem { label };
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let body = pem.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).map(|(body, _)| body);
    let body: String = body.ok_or_else(|| not_pem.clone())?.split_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| not_pem)?;
    let bytes = der.strip_prefix(prefix).ok_or(KeyError::OtherAlgorithm)?;
    bytes.try_into().map_err(|_| KeyError::OtherAlgorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8032, 7.1, test 1, as `openssl pkey` writes it.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
    const PUBLIC_BYTES: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn keys_are_read_as_openssl_writes_them() {
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        assert_eq!(hex::encode(key.public().0.as_bytes()), PUBLIC_BYTES);
        assert_eq!(PublicKey::from_pem(&key.public().to_pem()), Ok(key.public()));
        assert!(!format!("{key:?}").contains("9d61"), "{key:?}");
    }

    #[test]
    fn what_is_no_ed25519_key_says_so() {
        for text in
            ["", "-----BEGIN PRIVATE KEY-----\n%\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nMC4C"]
        {
            assert_eq!(SigningKey::from_pem(text).unwrap_err(), KeyError::NotPem { label: "PRIVATE KEY" }, "{text}");
        }
        let short = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1h\n-----END PRIVATE KEY-----";
        assert_eq!(SigningKey::from_pem(short).unwrap_err(), KeyError::OtherAlgorithm);
        let elliptic = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----";
        assert_eq!(PublicKey::from_pem(elliptic), Err(KeyError::OtherAlgorithm));
    }
}
