//! Changes to bytes and texts, from a seed.

use attack::Random;

/// What a reader of TOML, YAML or JSON may stumble over.
const TOKENS: [&str; 20] = [
    "[[",
    "]]",
    "{{",
    "}}",
    "\"",
    "'''",
    "\\u0000",
    "\u{0}",
    "\u{202e}",
    "é",
    "= 99999999999999999999",
    "= -1",
    "1e999",
    "\n",
    "\r\n",
    "..",
    "**",
    "&a [*a,*a]",
    "null",
    ": ",
];

/// A few changes to a text: bytes turned, lines lost, doubled or moved, tokens put in.
pub fn text(original: &str, random: &mut Random) -> String {
    let mut text = original.to_owned();
    for _ in 0..1 + random.below(4) {
        let lines: Vec<&str> = text.lines().collect();
        let (here, there) = (random.below(lines.len().max(1)), random.below(lines.len().max(1)));
        let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        match random.below(6) {
            0 if !lines.is_empty() => drop(lines.remove(here)),
            1 if !lines.is_empty() => lines.insert(there, lines[here].clone()),
            2 if !lines.is_empty() => lines.swap(here, there),
            3 if !lines.is_empty() => {
                let repeated = lines[here].repeat(1 + random.below(300));
                lines[here] = repeated;
            }
            4 => {
                let depth = 1 + random.below(20_000);
                lines.insert(
                    here.min(lines.len()),
                    format!("x = {}1", random.pick(&["[", "{a=", "(", "- "]).repeat(depth)),
                );
            }
            _ => {
                let token = *random.pick(&TOKENS);
                let mut joined = lines.join("\n");
                let at = joined.floor_char_boundary(random.below(joined.len() + 1));
                joined.insert_str(at, token);
                lines = joined.lines().map(str::to_owned).collect();
            }
        }
        text = lines.join("\n");
    }
    text
}

/// A few changes to bytes: turned, lost, doubled, cut off.
pub fn bytes(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len().max(1));
        match random.below(8) {
            _ if bytes.is_empty() => {}
            0..=2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            4 => drop(bytes.remove(at)),
            5 => bytes.insert(at, random.number() as u8),
            6 => {
                let end = (at + random.below(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}
