//! ISO 8601 durations of a fixed length.

use std::time::Duration;

use jiff::Span;

/// Longer than any release lasts, short enough that a due time always exists.
pub const DURATION_MAX: Duration = Duration::from_secs(3650 * DAY_S);

const DAY_S: u64 = 24 * 60 * 60;

/// Why a text is not a duration that can be waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("`{0}` is not an ISO 8601 duration such as `PT30S` or `P1DT12H`")]
    NotIso8601(String),
    #[error("`{0}` has years or months, which have no fixed length: use days")]
    NoFixedLength(String),
    #[error("`{0}` is negative")]
    Negative(String),
    #[error("`{0}` is longer than 3650 days")]
    TooLong(String),
}

/// Reads `PT30S`, `P1DT12H`, `P2W`; a day has 24 hours.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if !text.trim_start_matches(['+', '-']).starts_with(['P', 'p']) {
        return Err(DurationError::NotIso8601(text.to_owned()));
    }
    let span: Span = text.parse().map_err(|_| DurationError::NotIso8601(text.to_owned()))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(DurationError::NoFixedLength(text.to_owned()));
    }
    if span.is_negative() {
        return Err(DurationError::Negative(text.to_owned()));
    }
    let parts = [
        (u64::from(span.get_weeks().unsigned_abs()), 7 * DAY_S * 1_000_000_000),
        (u64::from(span.get_days().unsigned_abs()), DAY_S * 1_000_000_000),
        (u64::from(span.get_hours().unsigned_abs()), 3_600_000_000_000),
        (span.get_minutes().unsigned_abs(), 60_000_000_000),
        (span.get_seconds().unsigned_abs(), 1_000_000_000),
        (span.get_milliseconds().unsigned_abs(), 1_000_000),
        (span.get_microseconds().unsigned_abs(), 1_000),
        (span.get_nanoseconds().unsigned_abs(), 1),
    ];
    sum(parts).ok_or_else(|| DurationError::TooLong(text.to_owned()))
}

/// Adds up counts of units given in nanoseconds. None: longer than [`DURATION_MAX`].
pub(super) fn sum(parts: impl IntoIterator<Item = (u64, u64)>) -> Option<Duration> {
    let nanoseconds: u128 = parts.into_iter().map(|(count, unit)| u128::from(count) * u128::from(unit)).sum();
    if nanoseconds > DURATION_MAX.as_nanos() {
        return None;
    }
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_fixed_length() {
        for (text, seconds) in [("PT30S", 30), ("P1DT12H", 129_600), ("P2W", 1_209_600), ("PT0S", 0), ("PT1H1M", 3660)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("PT0.25S"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_cannot_be_waited_for_is_refused() {
        let refusal = |text: &str| parse_duration(text).unwrap_err().to_string();
        assert_eq!(refusal("30 s"), "`30 s` is not an ISO 8601 duration such as `PT30S` or `P1DT12H`");
        assert_eq!(refusal("P"), "`P` is not an ISO 8601 duration such as `PT30S` or `P1DT12H`");
        assert_eq!(refusal("P1M"), "`P1M` has years or months, which have no fixed length: use days");
        assert_eq!(refusal("-PT1S"), "`-PT1S` is negative");
        assert_eq!(refusal("P4000D"), "`P4000D` is longer than 3650 days");
    }
}
