//! What a component finds around it instead of a machine.

use sha2::{Digest as _, Sha256};
use workflow::{EffectKey, Timestamp};

/// Time and randomness of one attempt. Both are known from its history, so the
/// attempt can be run again and finds the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    /// When the attempt's intent was recorded: what a clock shows at first.
    pub started_at: Timestamp,
    /// Of the generator of all randomness.
    pub seed: [u8; 32],
}

impl Surroundings {
    /// Those of the attempt `key`, whose sequence does not count.
    pub fn of(key: &EffectKey, started_at: Timestamp) -> Self {
        let mut seed = Sha256::new();
        for part in ["lightapi:release surroundings", key.instance.as_str(), key.path.as_str()] {
            seed.update((part.len() as u64).to_le_bytes());
            seed.update(part);
        }
        seed.update(key.attempt.to_le_bytes());
        Self { started_at, seed: seed.finalize().into() }
    }
}

#[cfg(test)]
mod tests {
    use workflow::{InstanceId, TaskPath};

    use super::*;

    #[test]
    fn each_attempt_has_a_seed_of_its_own_and_keeps_it() {
        let seed = |instance: &str, path: &str, attempt, sequence| {
            let instance = InstanceId::new(instance).unwrap();
            let key = EffectKey { instance, path: TaskPath::from_text(path), attempt, sequence };
            Surroundings::of(&key, Timestamp::UNIX_EPOCH).seed
        };
        let first = seed("i", "/do/0/a", 1, 0);
        assert_eq!(first, seed("i", "/do/0/a", 1, 7));
        for other in [seed("j", "/do/0/a", 1, 0), seed("i", "/do/0/b", 1, 0), seed("i", "/do/0/a", 2, 0)] {
            assert_ne!(first, other);
        }
    }
}
