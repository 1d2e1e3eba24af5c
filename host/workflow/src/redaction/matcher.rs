//! Finds the leftmost longest pattern, and knows where one may have begun.
//!
//! Every pattern has a head of eight bytes. A table over the last three bytes
//! of an eight-byte window tells how far the window can move before it could
//! be a head, so most of a text is never looked at; where a head stands, the
//! patterns with that head are compared, longest first. An automaton over
//! whole patterns was four times slower here and took milliseconds to build,
//! once for each command.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{End, SECRET_BYTES_MIN};

/// Bytes of a head: no pattern is shorter.
const HEAD: usize = SECRET_BYTES_MIN;
/// How far a window can move that shares no three bytes with any head.
const SHIFT_MAX: u8 = (HEAD - 2) as u8;
/// 65,536 entries, one byte each: some thousand heads leave it mostly empty.
const TABLE_BITS: u32 = 16;

/// All patterns of all secrets.
pub(super) struct Matcher {
    /// Sorted, so patterns with one head stand together, and of two that begin
    /// a text the longer one stands later.
    patterns: Vec<Vec<u8>>,
    /// Sorted; with the range of its patterns.
    heads: Vec<([u8; HEAD], Range<usize>)>,
    /// By [`slot`]; zero where a head may end.
    shifts: Vec<u8>,
    /// For each pattern the index of its replacement.
    secrets: Vec<usize>,
    replacements: Vec<String>,
    pattern_bytes_max: usize,
}

/// A pattern at `start..end` of the text.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pattern: usize,
}

impl Matcher {
    /// `patterns` gives for each text to find the index of its replacement.
    pub(super) fn new(patterns: BTreeMap<Vec<u8>, usize>, replacements: Vec<String>) -> Self {
        let (patterns, secrets): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let mut heads: Vec<([u8; HEAD], Range<usize>)> = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let head = *pattern.first_chunk().expect("an encoding is never shorter than its value");
            match heads.last_mut() {
                Some((last, range)) if *last == head => range.end = index + 1,
                Some(_) | None => heads.push((head, index..index + 1)),
            }
        }
        let mut shifts = vec![SHIFT_MAX; 1 << TABLE_BITS];
        for (head, _) in &heads {
            for (place, three) in head.windows(3).enumerate() {
                let slot = slot(u32::from_le_bytes([three[0], three[1], three[2], 0]));
                shifts[slot] = shifts[slot].min(SHIFT_MAX - 1 - place as u8);
            }
        }
        let pattern_bytes_max = patterns.iter().map(Vec::len).max().unwrap_or(0);
        Self { patterns, heads, shifts, secrets, replacements, pattern_bytes_max }
    }

    /// The first pattern at or after `from`; the longest one that begins there.
    pub(super) fn find(&self, text: &[u8], mut from: usize) -> Option<Found> {
        while let Some((start, patterns)) = self.next_head(text, from) {
            let longest = patterns.clone().rev().find(|&pattern| text[start..].starts_with(&self.patterns[pattern]));
            if let Some(pattern) = longest {
                return Some(Found { start, end: start + self.patterns[pattern].len(), pattern });
            }
            from = start + 1;
        }
        None
    }

    /// What is shown instead.
    pub(super) fn replacement(&self, found: &Found) -> &str {
        &self.replacements[self.secrets[found.pattern]]
    }

    /// Appends to `out` what is certain of `text` and returns how many bytes that took.
    pub(super) fn replace(&self, text: &[u8], end: End, out: &mut Vec<u8>) -> usize {
        let mut from = 0;
        let mut certain = self.certain_until(text, from, end);
        while let Some(found) = self.find(text, from) {
            // A longer pattern may still appear here, or one that begins further left.
            if found.start >= certain {
                break;
            }
            out.extend_from_slice(&text[from..found.start]);
            out.extend_from_slice(self.replacement(&found).as_bytes());
            from = found.end;
            if from > certain {
                certain = self.certain_until(text, from, end);
            }
        }
        out.extend_from_slice(&text[from..certain]);
        certain
    }

    /// Where, from `from` on, a pattern may begin that ends after `text`.
    fn certain_until(&self, text: &[u8], from: usize, end: End) -> usize {
        if end == End::OfStream {
            return text.len();
        }
        let mut start = from.max((text.len() + 1).saturating_sub(self.pattern_bytes_max));
        while let Some((head, patterns)) = self.next_head(text, start) {
            let rest = &text[head..];
            let may_begin = |pattern: &Vec<u8>| pattern.len() > rest.len() && pattern.starts_with(rest);
            if self.patterns[patterns.clone()].iter().any(may_begin) {
                return head;
            }
            start = head + 1;
        }
        let start = start.max((text.len() + 1).saturating_sub(HEAD));
        (start..text.len()).find(|&start| self.begins_a_head(&text[start..])).unwrap_or(text.len())
    }

    /// `text` is shorter than a head.
    fn begins_a_head(&self, text: &[u8]) -> bool {
        let index = self.heads.partition_point(|(head, _)| head.as_slice() < text);
        self.heads.get(index).is_some_and(|(head, _)| head.starts_with(text))
    }

    /// The first head at or after `from`, and the patterns that have it.
    fn next_head(&self, text: &[u8], mut from: usize) -> Option<(usize, &Range<usize>)> {
        while let Some(window) = text.get(from..from + HEAD) {
            let window: [u8; HEAD] = window.try_into().expect("the slice has the length of a head");
            let last_three = (u64::from_le_bytes(window) >> 40) as u32;
            let shift = self.shifts[slot(last_three)];
            if shift > 0 {
                from += usize::from(shift);
                continue;
            }
            if let Ok(index) = self.heads.binary_search_by(|(head, _)| head.cmp(&window)) {
                return Some((from, &self.heads[index].1));
            }
            from += 1;
        }
        None
    }
}

/// The place of three bytes in the table of shifts.
fn slot(three_bytes: u32) -> usize {
    (three_bytes.wrapping_mul(0x9E37_79B1) >> (32 - TABLE_BITS)) as usize
}
