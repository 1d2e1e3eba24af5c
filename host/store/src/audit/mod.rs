//! One hash-linked log of every event in a store, under a signed checkpoint.
//!
//! Leaf *n* holds the hash of leaf *n − 1*, so a change anywhere changes every
//! hash after it, and the checkpoint signs the length and the last hash. A
//! copy can be verified offline with nothing but the public key.

mod export;
mod key;
mod verify;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use workflow::approval::canonical;
use workflow::{InstanceId, Timestamp};

pub use export::{Export, ExportError, FORMAT, export, header_line, leaf_line};
pub use key::AuditKey;
pub use verify::{AuditProblem, Verified, Verifier, verify};

/// What the first leaf is linked to: 64 zeros.
pub const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One event in the log of the whole store, linked to the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditLeaf {
    /// From 0, without gaps.
    pub index: u64,
    pub instance: InstanceId,
    pub revision: u64,
    pub at: Timestamp,
    pub event: Value,
    /// Hex of SHA-256 over the previous leaf's hash, a newline and this leaf's
    /// canonical JSON without `hash`.
    pub hash: String,
}

impl AuditLeaf {
    /// The hash this leaf should have after a leaf with the hash `previous`.
    pub fn hash_after(&self, previous: &str) -> String {
        leaf_hash(previous, self.index, &self.instance, self.revision, self.at, &canonical(&self.event))
    }
}

/// The log's length and last hash, signed by the store's own key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Number of leaves.
    pub size: u64,
    pub hash: String,
    /// Hex of the Ed25519 public key.
    pub key: String,
    /// Hex of the signature over `light-workflow audit\n<size>\n<hash>\n`.
    pub signature: String,
}

/// `event` is canonical JSON already, so this is the canonical JSON of the leaf.
pub(crate) fn leaf_hash(
    previous: &str,
    index: u64,
    instance: &InstanceId,
    revision: u64,
    at: Timestamp,
    event: &str,
) -> String {
    let mut sum = Sha256::new();
    sum.update(previous);
    // An instance id has no character that JSON would escape.
    sum.update(format!("\n{{\"at\":\"{at}\",\"event\":"));
    sum.update(event);
    sum.update(format!(",\"index\":{index},\"instance\":\"{instance}\",\"revision\":{revision}}}"));
    hex::encode(sum.finalize())
}

fn signed_text(size: u64, hash: &str) -> String {
    format!("light-workflow audit\n{size}\n{hash}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hash_is_over_the_canonical_json_of_the_leaf() {
        let leaf = AuditLeaf {
            index: 3,
            instance: "i-1".parse().unwrap(),
            revision: 2,
            at: "2026-11-24T10:00:00.5Z".parse().unwrap(),
            event: json!({"type": "InstanceCompleted", "output": {"b": 1.5, "a": "\n"}}),
            hash: String::new(),
        };
        let mut whole = serde_json::to_value(&leaf).unwrap();
        whole.as_object_mut().unwrap().remove("hash");
        let expected = Sha256::digest(format!("{ORIGIN}\n{}", canonical(&whole)));
        assert_eq!(leaf.hash_after(ORIGIN), hex::encode(expected));
    }
}
