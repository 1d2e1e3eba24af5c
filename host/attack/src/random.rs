//! Components that call whatever they like with whatever comes, from a seed.

use crate::guest::{Guest, Import, Text};
use crate::range::{HOSTILE, Range, SECRET_VALUE, all_grants};
use crate::record;

/// A generator whose numbers depend on its seed alone (xorshift).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound as u64).expect("it is below a usize")
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Texts of which some are good for something, somewhere.
const TEXTS: [&str; 22] = [
    "",
    "attack/run",
    "attack/publish",
    "attack-token",
    "report.json",
    "text/plain",
    "note",
    "count",
    "notes",
    "file",
    "{}",
    "[[[",
    "artifact://hostile/step/0/note.txt",
    "artifact://other/step/0/note.txt",
    "artifact://",
    "../../x",
    "a\u{0}b\r\n\u{1b}[2J",
    "https://attack.test/",
    "http://127.0.0.1/",
    "attack-server",
    "look",
    "attack-model",
];

/// A step that makes up to four host calls with arguments of every kind:
/// texts that mean something, numbers at borders, addresses that are none.
fn guest(random: &mut Random) -> Guest {
    let mut guest = Guest::new();
    let texts: Vec<Text> = TEXTS.iter().map(|text| guest.text(text)).collect();
    let noise: Vec<u8> = (0..256).map(|_| random.number() as u8).collect();
    let noise = guest.bytes(&noise);
    let (mut body, mut imports) = (String::new(), Vec::new());
    for _ in 0..1 + random.below(4) {
        let import = *random.pick(&Import::ALL);
        imports.push(import);
        body.push_str(&call(import, &texts, noise, random));
    }
    let guest = imports.into_iter().fold(guest, Guest::import);
    guest.execute(&format!("{body} (call $says (i32.const 0))"))
}

fn call(import: Import, texts: &[Text], noise: Text, random: &mut Random) -> String {
    let types = import.parameters();
    let mut operands = String::new();
    let mut at = 0;
    while at < types.len() {
        let is_last = at + 1 == types.len();
        match (types[at], random.below(40)) {
            ("i32", 0..=37) if !is_last => {
                let Text(place, length) = if random.below(6) == 0 { noise } else { *random.pick(texts) };
                operands.push_str(&format!(" (i32.const {place})"));
                // The length stands in the next operand, if that is one.
                if types[at + 1] == "i32" && at + 2 < types.len() {
                    operands.push_str(&format!(" (i32.const {length})"));
                    at += 1;
                }
            }
            ("i32", 0..=38) if is_last => operands.push_str(" (i32.const 512)"),
            ("i64", _) => {
                let number = *random.pick(&[0, 1, -1, i64::MIN, i64::MAX, 1 << 40]);
                operands.push_str(&format!(" (i64.const {number})"));
            }
            (_, _) => {
                let number = *random.pick(&[0, 1, 2, 3, 7, 256, 65_535, 131_071, -1, i32::MIN, i32::MAX]);
                operands.push_str(&format!(" (i32.const {number})"));
            }
        }
        at += 1;
    }
    format!("(call ${}{operands})\n", import.name())
}

impl Range {
    /// Runs the component of a seed through the worker. `Err`: what is not as
    /// it must be, whatever the component did.
    pub async fn endures(&self, seed: u64) -> Result<String, String> {
        let component = guest(&mut Random::new(seed)).component();
        let ran = self.execute(HOSTILE, &component, all_grants(), serde_json::Value::Null).await?;
        let ended = record::ending(&ran);
        if ran.outcome.is_none() {
            return Err("it has no outcome".to_owned());
        }
        let started = record::commands(&ran.events);
        let arrived = self.decoy.arrived(&workflow::InstanceId::new(HOSTILE).expect("a label"), ran.attempt);
        if arrived != started {
            return Err(format!("{arrived} commands ran and {started} are on record"));
        }
        let everything = format!("{ended} {:?} {}", ran.events, ran.log);
        if everything.contains(SECRET_VALUE) {
            return Err("the value of a secret can be seen".to_owned());
        }
        if everything.len() > 1 << 20 {
            return Err(format!("{} bytes are on record of it", everything.len()));
        }
        Ok(record::shown(&ended))
    }

    /// Loads bytes, and runs what can be run of them. Whatever comes of it is fine, but a panic.
    pub async fn bears(&self, bytes: &[u8]) -> Result<String, String> {
        match self.load(bytes).await {
            Err(refused) => Ok(record::shown(&refused)),
            Ok(_) => {
                let ran = self.execute(HOSTILE, bytes, all_grants(), serde_json::Value::Null).await?;
                Ok(record::shown(&record::ending(&ran)))
            }
        }
    }
}
