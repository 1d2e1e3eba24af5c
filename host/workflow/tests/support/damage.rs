//! Seeded damage to texts.

/// Pieces that mean something to a parser.
const PIECES: [&str; 32] = [
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "\n",
    "\t",
    "#",
    "&a ",
    "*a",
    "!!int ",
    "|",
    ">-\n",
    "---\n",
    "? ",
    "${ ",
    " }",
    "~",
    "null",
    "0x",
    "1e999",
    "\\u0000",
    "\u{feff}",
    "é😀",
    "\r\n",
    "<<: ",
    "then: end\n",
    "\"\\ud800\"",
    "P1Y",
];

/// xorshift64*: the same damage at each run.
pub struct Dice(u64);

impl Dice {
    /// `seed` is not 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end.max(1)
    }

    /// Two places in the text, in order, not far from each other.
    fn range(&mut self, text: &[char]) -> (usize, usize) {
        let start = self.below(text.len());
        (start, (start + self.below(40)).min(text.len()))
    }
}

/// `text` with a few pieces taken out, doubled, turned round or put in.
pub fn damage(text: &str, dice: &mut Dice) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(3) {
        let (start, end) = dice.range(&text);
        match dice.below(5) {
            0 => drop(text.drain(start..end)),
            1 => {
                let copy = text[start..end].to_vec();
                let at = dice.below(text.len());
                text.splice(at..at, copy);
            }
            2 => {
                text.splice(start..start, PIECES[dice.below(PIECES.len())].chars());
            }
            3 => {
                text.splice(start..end, PIECES[dice.below(PIECES.len())].chars());
            }
            _ => text[start..end].reverse(),
        }
    }
    text.into_iter().collect()
}
