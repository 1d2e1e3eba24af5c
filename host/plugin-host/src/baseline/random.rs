//! Randomness that the same attempt finds again.

use sha2::{Digest as _, Sha256};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::call::LimitReached;
use crate::state::{State, Stop};

/// SHA-256 over the seed and a counter.
pub(super) struct SeededRandom {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    /// Bytes of the block that were given out.
    used: usize,
}

impl SeededRandom {
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                let block = Sha256::new().chain_update(self.seed).chain_update(self.counter.to_le_bytes());
                self.block = block.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

impl State {
    fn random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let max = self.limits.host_call_bytes_max;
        let length = usize::try_from(length).ok().filter(|length| *length as u64 <= max);
        let Some(length) = length else {
            return Err(self.end(Stop::Limit(LimitReached::HostCallBytes { max })));
        };
        let mut bytes = vec![0; length];
        self.baseline_and_table().0.random.fill(&mut bytes);
        Ok(bytes)
    }

    fn random_number(&mut self) -> u64 {
        self.baseline_and_table().0.random.number()
    }
}

impl random::Host for State {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random_number())
    }
}

impl insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random_number())
    }
}

impl insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_number(), self.random_number()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_however_they_are_asked_for() {
        let mut whole = [0; 100];
        SeededRandom::new([1; 32]).fill(&mut whole);
        let (mut parts, mut generator) = (Vec::new(), SeededRandom::new([1; 32]));
        for length in [1, 31, 33, 35] {
            let mut part = vec![0; length];
            generator.fill(&mut part);
            parts.extend(part);
        }
        assert_eq!(parts, whole);
        let mut other = [0; 100];
        SeededRandom::new([2; 32]).fill(&mut other);
        assert_ne!(other, whole);
    }
}
