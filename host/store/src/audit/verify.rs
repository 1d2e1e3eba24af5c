//! Offline verification: pure, streaming, and it names the first bad leaf.

use ed25519_dalek::{Signature, VerifyingKey};

use super::{AuditLeaf, Checkpoint, ORIGIN, signed_text};

/// A log in which nothing was changed since it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of leaves.
    pub leaves: u64,
    /// Hash of the last leaf; 64 zeros for an empty log.
    pub hash: String,
    /// Hex of the key that signed it; none when no checkpoint was given, and
    /// then a log that was wholly made anew would pass.
    pub signed_by: Option<String>,
}

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditProblem {
    /// Its contents and its hash, or its hash and the leaf before, do not agree.
    #[error("leaf {index} does not match its hash: it was edited, or the leaf before it was")]
    Edited { index: u64 },
    /// A later leaf stands where this one belongs.
    #[error("leaf {index} is missing where it belongs, leaf {found} stands there: it was removed or moved")]
    Missing { index: u64, found: u64 },
    /// An earlier number comes again.
    #[error("leaf {index} should come here, and a leaf with number {found} stands there: it was inserted or moved")]
    Inserted { index: u64, found: u64 },
    #[error("the log ends after {found} leaves, and {signed} were signed: leaf {found} and all after it were removed")]
    Truncated { found: u64, signed: u64 },
    #[error("{signed} leaves were signed, and the log goes on with leaf {signed}: it was inserted")]
    Unsigned { signed: u64 },
    /// The whole chain from some leaf on was made anew.
    #[error("the last leaf, {index}, is not the one that was signed")]
    Replaced { index: u64 },
    #[error("the signature of the checkpoint is wrong")]
    WrongSignature,
    #[error("the checkpoint is signed with key {found}, not with {expected}")]
    WrongKey { expected: String, found: String },
    #[error("there is no checkpoint, and one signed with key {expected} was expected")]
    NoCheckpoint { expected: String },
}

/// Checks a log leaf by leaf, oldest first; holds none of them.
#[derive(Debug)]
pub struct Verifier {
    checkpoint: Option<Checkpoint>,
    hash: String,
    size: u64,
}

impl Verifier {
    /// `expected_key` is the public key in hex as the reader knows it from
    /// elsewhere; without it a log signed by anybody passes.
    ///
    /// # Errors
    ///
    /// A checkpoint that nobody signed, or somebody else.
    pub fn new(checkpoint: Option<Checkpoint>, expected_key: Option<&str>) -> Result<Self, AuditProblem> {
        check_signature(checkpoint.as_ref(), expected_key)?;
        Ok(Self { checkpoint, hash: ORIGIN.to_owned(), size: 0 })
    }

    /// # Errors
    ///
    /// A leaf that does not belong here.
    pub fn take(&mut self, leaf: AuditLeaf) -> Result<(), AuditProblem> {
        let size = self.size;
        if self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.size == size) {
            return Err(AuditProblem::Unsigned { signed: size });
        }
        if leaf.index > size {
            return Err(AuditProblem::Missing { index: size, found: leaf.index });
        }
        if leaf.index < size {
            return Err(AuditProblem::Inserted { index: size, found: leaf.index });
        }
        if leaf.hash != leaf.hash_after(&self.hash) {
            return Err(AuditProblem::Edited { index: size });
        }
        self.hash = leaf.hash;
        self.size += 1;
        Ok(())
    }

    /// # Errors
    ///
    /// A log that ends too early, or otherwise than it was signed.
    pub fn end(self) -> Result<Verified, AuditProblem> {
        let Self { checkpoint, hash, size } = self;
        if let Some(checkpoint) = &checkpoint {
            if size < checkpoint.size {
                return Err(AuditProblem::Truncated { found: size, signed: checkpoint.size });
            }
            if hash != checkpoint.hash {
                return Err(AuditProblem::Replaced { index: size.saturating_sub(1) });
            }
        }
        Ok(Verified { leaves: size, hash, signed_by: checkpoint.map(|checkpoint| checkpoint.key) })
    }
}

/// Checks a whole log against its checkpoint; [`Verifier`] says how.
pub fn verify(
    leaves: impl Iterator<Item = AuditLeaf>,
    checkpoint: Option<&Checkpoint>,
    expected_key: Option<&str>,
) -> Result<Verified, AuditProblem> {
    let mut verifier = Verifier::new(checkpoint.cloned(), expected_key)?;
    for leaf in leaves {
        verifier.take(leaf)?;
    }
    verifier.end()
}

fn check_signature(checkpoint: Option<&Checkpoint>, expected_key: Option<&str>) -> Result<(), AuditProblem> {
    let Some(checkpoint) = checkpoint else {
        return match expected_key {
            Some(expected) => Err(AuditProblem::NoCheckpoint { expected: expected.to_owned() }),
            None => Ok(()),
        };
    };
    if let Some(expected) = expected_key.filter(|expected| *expected != checkpoint.key) {
        return Err(AuditProblem::WrongKey { expected: expected.to_owned(), found: checkpoint.key.clone() });
    }
    let mut key = [0; 32];
    let mut signature = [0; 64];
    hex::decode_to_slice(&checkpoint.key, &mut key).map_err(|_| AuditProblem::WrongSignature)?;
    hex::decode_to_slice(&checkpoint.signature, &mut signature).map_err(|_| AuditProblem::WrongSignature)?;
    let text = signed_text(checkpoint.size, &checkpoint.hash);
    VerifyingKey::from_bytes(&key)
        .and_then(|key| key.verify_strict(text.as_bytes(), &Signature::from_bytes(&signature)))
        .map_err(|_| AuditProblem::WrongSignature)
}
