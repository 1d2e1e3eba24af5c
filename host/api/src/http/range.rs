//! The `Range` header (RFC 9110, section 14), as far as one range goes.

use std::ops::Range;

/// What a client wants of some content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No range, or one that we may ignore: not in bytes, several, malformed.
    All,
    Some(Range<u64>),
    /// A well-formed range outside of the content.
    Outside,
}

/// Reads the value of `Range` for content of `size` bytes.
pub(crate) fn wanted(value: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = value.and_then(|value| value.trim().strip_prefix("bytes=")?.split_once('-')) else {
        return Wanted::All;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        // The last so many bytes.
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Outside } else { Wanted::Some(range) }
}

fn number(text: &str) -> Option<u64> {
    // `parse` would take a sign.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_understood_and_everything_else_is_ignored() {
        let cases = [
            ("bytes=0-0", Wanted::Some(0..1)),
            ("bytes=2-5", Wanted::Some(2..6)),
            ("bytes=2-500", Wanted::Some(2..10)),
            ("bytes=9-", Wanted::Some(9..10)),
            ("bytes=-3", Wanted::Some(7..10)),
            ("bytes=-30", Wanted::Some(0..10)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=10-11", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=0-18446744073709551615", Wanted::Some(0..10)),
            ("bytes=5-2", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=0-99999999999999999999", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("", Wanted::All),
        ];
        for (value, expected) in cases {
            assert_eq!(wanted(Some(value), 10), expected, "{value}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Outside);
    }
}
