//! Texts of a plugin on their way to people and into the history: one line
//! each, of a bounded length, without anything a terminal would obey.

/// A longer log line is cut: it is for people.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 8 << 10;

/// What of an error is kept: a summary with a few lines of a tool's output.
pub(crate) const ERROR_BYTES_MAX: usize = 16 << 10;

/// What of a name or summary is kept.
pub(crate) const SUMMARY_BYTES_MAX: usize = 1 << 10;

/// What of a refused name is kept. A plugin may ask a thousand times, and each refusal is on record.
pub(crate) const SUBJECT_BYTES_MAX: usize = 256;

/// Text that cannot move a terminal's cursor or forge a second line, cut at `bytes_max`.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    let mut line: String = text[..end]
        .chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    if end < text.len() {
        line.push_str(&format!("… ({} bytes more)", text.len() - end));
    }
    line
}

/// `type/subtype` with parameters, as a header may carry it.
pub(crate) fn is_media_type(text: &str) -> bool {
    let is_token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let (kind, subkind) = essence.trim_end().split_once('/').unwrap_or((essence, ""));
    text.len() <= 255 && is_token(kind) && is_token(subkind) && parameters.bytes().all(|b| matches!(b, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_moves_no_cursor() {
        assert_eq!(one_line("a\nb\x1b[2Jc\0", LOG_LINE_BYTES_MAX), "a b\u{fffd}[2Jc\u{fffd}");
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let line = one_line(&"é".repeat(LOG_LINE_BYTES_MAX), LOG_LINE_BYTES_MAX);
        assert!(line.ends_with("é… (8192 bytes more)"), "{}", &line[line.len() - 40..]);
    }

    #[test]
    fn a_media_type_carries_no_second_header() {
        for good in ["text/plain", "application/vnd.x+json", "text/plain; charset=utf-8"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "text", "text/", "/plain", "text/html\r\nA: b", "text/plain; a=\n", "te xt/plain", "text/é"] {
            assert!(!is_media_type(bad), "{bad:?}");
        }
        assert!(!is_media_type(&format!("text/{}", "x".repeat(255))));
    }
}
