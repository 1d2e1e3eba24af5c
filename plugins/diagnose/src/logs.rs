//! Logs as lines: bounded, and cleaned of what terminals and runners put before them.
//!
//! A log is written by whoever broke the build, and may be made to mislead or to
//! cost. What is read of it is bounded, and everything done with it is linear.

use light_workflow_sdk::{CallError, ReadArtifacts};

/// Of one log: its first and its last part. What failed is told last; a wrong
/// command line is told first.
const HEAD_BYTES: u64 = 64 << 10;
const TAIL_BYTES: u64 = 512 << 10;
const CHUNK_BYTES: u32 = 256 << 10;

/// No rule looks beyond this in a line.
const LINE_BYTES_MAX: usize = 2 << 10;

/// What was read of one log.
pub struct Text {
    pub uri: String,
    text: String,
}

/// One line, as it is in the log and as rules see it.
pub struct Line<'a> {
    /// Index into the logs that were read.
    pub log: usize,
    pub raw: &'a str,
    /// In lower case, without time, colour and indentation.
    pub plain: String,
}

impl Text {
    /// Reads the two ends of a log.
    pub fn read(host: &mut impl ReadArtifacts, uri: &str) -> Result<Self, CallError> {
        let size = host.stat(uri)?.size_bytes;
        let mut bytes = Vec::new();
        let tail_from = match size > HEAD_BYTES + TAIL_BYTES {
            true => {
                read_range(host, uri, 0, HEAD_BYTES, &mut bytes)?;
                // The seam is a line of its own, so that no line is made of two.
                bytes.push(b'\n');
                size - TAIL_BYTES
            }
            false => 0,
        };
        read_range(host, uri, tail_from, size, &mut bytes)?;
        Ok(Self { uri: uri.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
    }

    /// Whether the text occurs in what was read, within one line.
    pub fn holds(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

fn read_range(
    host: &mut impl ReadArtifacts,
    uri: &str,
    from: u64,
    until: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), CallError> {
    let mut at = from;
    while at < until {
        let wanted = u32::try_from(until - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let chunk = host.read(uri, at, wanted)?;
        if chunk.is_empty() {
            break;
        }
        at += chunk.len() as u64;
        bytes.extend(chunk);
    }
    Ok(())
}

/// The lines that a rule may look at: all that are not empty.
pub fn lines(texts: &[Text]) -> Vec<Line<'_>> {
    let raw = texts.iter().enumerate().flat_map(|(log, text)| text.text.lines().map(move |raw| (log, raw)));
    let lines = raw.map(|(log, raw)| {
        let raw = cut(raw, LINE_BYTES_MAX);
        Line { log, raw, plain: plain(raw) }
    });
    lines.filter(|line| !line.plain.is_empty()).collect()
}

/// The longest beginning of `text` that is whole characters and at most `bytes`.
pub fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Without escape sequences of terminals, a time or a step's number before it, and in lower case.
fn plain(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut letters = raw.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => {
                // `ESC [ … letter`; any other sequence ends at its first letter as well.
                for end in letters.by_ref() {
                    if end.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
            letter if letter.is_control() => text.push(' '),
            letter => text.push(letter.to_ascii_lowercase()),
        }
    }
    without_prefix(text.trim()).to_owned()
}

/// `2020-03-10t09:49:52.9274775z error`, `[  570s] error`, `#8 133.3 error`, `##[error]error`.
fn without_prefix(text: &str) -> &str {
    let is_time = |word: &str| {
        word.len() >= 8 && word.contains(':') && word.bytes().all(|b| b.is_ascii_digit() || b"-:.tz+".contains(&b))
    };
    let mut rest = text;
    // A hostile line is all prefix: a few are enough for an honest one.
    for _ in 0..4 {
        let word = rest.split(' ').next().unwrap_or_default();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let seconds = rest.strip_prefix('[').and_then(|inner| inner.split_once("s]"));
        let seconds = seconds.filter(|(number, _)| is_number(number.trim()));
        rest = match seconds {
            Some((_, after)) => after.trim_start(),
            None if is_time(word) || word.strip_prefix('#').is_some_and(is_number) => rest[word.len()..].trim_start(),
            None => break,
        };
    }
    rest.strip_prefix("##[error]").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::Script;

    use super::*;

    #[test]
    fn a_line_is_seen_without_its_time_and_its_colour() {
        for (raw, expected) in [
            ("2020-03-10T09:49:52.9274775Z error[E0433]: failed", "error[e0433]: failed"),
            ("[  570s] failures:", "failures:"),
            ("#11 Exception", "exception"),
            ("##[error]Process completed with exit code 1.", "process completed with exit code 1."),
            ("\u{1b}[1m\u{1b}[31merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}[", ""),
            ("[ERROR] x", "[error] x"),
        ] {
            assert_eq!(plain(raw), expected);
        }
    }

    #[test]
    fn of_a_long_log_both_ends_are_read_and_no_line_is_made_of_two() {
        let log = format!("first{}\nlast", "x".repeat(1 << 20));
        let mut script = Script::new().artifact("artifact://i/t/1/a", log.clone());
        let text = Text::read(&mut script, "artifact://i/t/1/a").unwrap();
        assert_eq!(text.text.len() as u64, HEAD_BYTES + 1 + TAIL_BYTES);
        assert!(text.text.starts_with("first") && text.text.ends_with("\nlast"));
        let texts = [text];
        let seen: Vec<_> = lines(&texts).iter().map(|line| line.raw.len()).collect();
        assert_eq!(seen, [LINE_BYTES_MAX, LINE_BYTES_MAX, 4]);
    }
}
