//! What `xtask bench redaction` measures. The clock is the caller's.

use super::Redactor;

/// A redactor and text without a secret in it.
pub struct Workload {
    pub redactor: Redactor,
    pub text: Vec<u8>,
}

impl Workload {
    /// Redacts the text as a stream of chunks and returns how many bytes came
    /// out: as many as went in.
    pub fn run(&self, chunk_bytes: usize) -> usize {
        let mut stream = self.redactor.stream();
        let mut out = Vec::with_capacity(2 * chunk_bytes);
        let mut total = 0;
        for chunk in self.text.chunks(chunk_bytes) {
            stream.push(chunk, &mut out);
            total += out.len();
            out.clear();
        }
        stream.finish(&mut out);
        total + out.len()
    }
}

/// `secrets` made-up tokens of 40 characters, and at least `size_bytes` of what
/// build tools print, always the same.
pub fn workload(secrets: usize, size_bytes: usize) -> Workload {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let named: Vec<_> = (0..secrets).map(|i| (format!("token-{i}"), random.token(40))).collect();
    let redactor = Redactor::new(named.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .expect("a token of 40 characters is long enough");
    let mut text = Vec::with_capacity(size_bytes + 256);
    while text.len() < size_bytes {
        let n = random.next();
        let line = match n % 5 {
            0 => format!("   Compiling demo-part-{} v1.{}.0 (/workspace/checkout/crates/part)\n", n >> 40, n % 97),
            1 => format!("test changelog::tests::entry_{}_keeps_its_order ... ok\n", n >> 48),
            2 => format!("warning: unused variable: `value_{}`\n  --> src/lib.rs:{}:{}\n", n >> 50, n % 900, n % 80),
            3 => format!("[INFO] Downloaded from central: https://repo.example.test/maven2/org/part/{}.jar\n", n),
            _ => format!("     Running unittests src/lib.rs (target/debug/deps/part-{n:016x})\n"),
        };
        text.extend_from_slice(line.as_bytes());
    }
    Workload { redactor, text }
}

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn token(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        (0..length).map(|_| char::from(LETTERS[(self.next() % 64) as usize])).collect()
    }
}
