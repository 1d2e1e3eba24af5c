//! Cron expressions of five fields: minute, hour, day of the month, month, day
//! of the week; in UTC.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A day that comes within so many years comes at all: 29 February on a
/// certain day of the week is at most 40 years away.
const YEARS_MAX: i16 = 41;

/// When something is due, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// As it was written.
    pub source: String,
    /// One bit for each value.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// 0 is Sunday.
    weekdays: u64,
    /// With both fields given, a day that fits either is due.
    either_day: bool,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error("`{0}` has not the five fields minute, hour, day of the month, month, day of the week")]
    Fields(String),
    #[error("`{part}` is no {field}: {least} to {most}, ranges `a-b`, steps `*/n`, lists with `,`")]
    Field { part: String, field: &'static str, least: u8, most: u8 },
    #[error("`{0}` never comes: there is no such day")]
    Never(String),
}

struct FieldKind {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const MINUTE: FieldKind = FieldKind { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: FieldKind = FieldKind { name: "hour", least: 0, most: 23, names: &[] };
const DAY: FieldKind = FieldKind { name: "day of the month", least: 1, most: 31, names: &[] };
const MONTH: FieldKind = FieldKind {
    name: "month",
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// 7 is Sunday, too.
const WEEKDAY: FieldKind =
    FieldKind { name: "day of the week", least: 0, most: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let expanded = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = expanded.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(CronError::Fields(text.to_owned()));
        };
        let weekdays = bits(weekday, &WEEKDAY)?;
        let cron = Self {
            source: text.to_owned(),
            minutes: bits(minute, &MINUTE)?,
            hours: bits(hour, &HOUR)?,
            days: bits(day, &DAY)?,
            months: bits(month, &MONTH)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7F,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match cron.next_after("2000-01-01T00:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH)) {
            Some(_) => Ok(cron),
            None => Err(CronError::Never(text.to_owned())),
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Cron {
    /// The first due time after `at`; none when there is no more.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let start = TimeZone::UTC.to_datetime(at.checked_add(1.minute()).ok()?);
        let mut date = start.date();
        let last = date.year().saturating_add(YEARS_MAX);
        // The time of day counts on the first day only.
        let mut earliest = (start.hour(), start.minute());
        while date.year() < last {
            if has(self.months, date.month()) && self.is_day(date) {
                if let Some((hour, minute)) = self.first_time(earliest) {
                    return TimeZone::UTC.to_timestamp(date.at(hour, minute, 0, 0)).ok();
                }
                date = date.tomorrow().ok()?;
            } else if has(self.months, date.month()) {
                date = date.tomorrow().ok()?;
            } else {
                date = date.last_of_month().tomorrow().ok()?;
            }
            earliest = (0, 0);
        }
        None
    }

    fn is_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        if self.either_day { day || weekday } else { day && weekday }
    }

    fn first_time(&self, (hour, minute): (i8, i8)) -> Option<(i8, i8)> {
        let minute_from = |least: i8| (least..60).find(|minute| has(self.minutes, *minute));
        (hour..24).filter(|candidate| has(self.hours, *candidate)).find_map(|candidate| {
            let least = if candidate == hour { minute } else { 0 };
            minute_from(least).map(|minute| (candidate, minute))
        })
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits >> value & 1 == 1)
}

fn bits(text: &str, kind: &FieldKind) -> Result<u64, CronError> {
    let wrong = || CronError::Field { part: text.to_owned(), field: kind.name, least: kind.least, most: kind.most };
    let value = |text: &str| -> Option<u8> {
        if let Some(index) = kind.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return u8::try_from(index).ok()?.checked_add(kind.least);
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|value| digits && (kind.least..=kind.most).contains(value))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u8>().ok().filter(|step| *step > 0).ok_or_else(wrong)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (kind.least, kind.most),
            Some((first, last)) => (value(first).ok_or_else(wrong)?, value(last).ok_or_else(wrong)?),
            None => {
                let first = value(range).ok_or_else(wrong)?;
                (first, if step.is_some() { kind.most } else { first })
            }
        };
        if first > last {
            return Err(wrong());
        }
        for value in (first..=last).step_by(usize::from(step.unwrap_or(1))) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, at: &str) -> String {
        let cron: Cron = cron.parse().unwrap();
        cron.next_after(at.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_next_time_is_the_first_that_fits_every_field() {
        let cases = [
            ("0 0 * * *", "2026-11-24T12:00:00Z", "2026-11-25T00:00:00Z"),
            ("0 0 * * *", "2026-11-24T23:59:59Z", "2026-11-25T00:00:00Z"),
            ("0 0 * * *", "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"),
            ("*/15 * * * *", "2026-11-24T12:44:59.9Z", "2026-11-24T12:45:00Z"),
            ("*/15 * * * *", "2026-11-24T12:45:00Z", "2026-11-24T13:00:00Z"),
            ("5/20 * * * *", "2026-11-24T12:06:00Z", "2026-11-24T12:25:00Z"),
            ("30 9-17/4 * * *", "2026-11-24T09:30:00Z", "2026-11-24T13:30:00Z"),
            ("0 8 * * MON-FRI", "2026-11-27T09:00:00Z", "2026-11-30T08:00:00Z"),
            ("0 8 * * 7", "2026-11-27T09:00:00Z", "2026-11-29T08:00:00Z"),
            ("0 0 1,15 * *", "2026-11-15T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("0 0 31 * *", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z"),
            ("0 0 29 2 *", "2026-11-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("59 23 31 dec *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
            // Both days given: either will do.
            ("0 0 13 * 5", "2026-11-24T00:00:00Z", "2026-11-27T00:00:00Z"),
            ("@hourly", "2026-11-24T12:59:59Z", "2026-11-24T13:00:00Z"),
        ];
        for (cron, at, expected) in cases {
            assert_eq!(next(cron, at), expected, "{cron} after {at}");
        }
    }

    #[test]
    fn the_next_time_agrees_with_a_search_minute_by_minute() {
        for text in ["7,37 */5 * * *", "0 0 1 */3 1", "10 4 28-31 * *", "59 23 * * 0,6", "0 12 29 2 *"] {
            let cron: Cron = text.parse().unwrap();
            let mut at: Timestamp = "2028-01-30T11:58:30Z".parse().unwrap();
            for _ in 0..20 {
                let due = cron.next_after(at).unwrap();
                let mut minute = at.checked_add(1.minute()).unwrap();
                let seconds = minute.as_second().rem_euclid(60);
                minute = Timestamp::from_second(minute.as_second() - seconds).unwrap();
                let limit = at.checked_add((24 * 100).hours()).unwrap();
                let found = loop {
                    let when = TimeZone::UTC.to_datetime(minute);
                    let fits = has(cron.minutes, when.minute())
                        && has(cron.hours, when.hour())
                        && has(cron.months, when.month())
                        && cron.is_day(when.date());
                    if fits || minute > limit {
                        break minute;
                    }
                    minute = minute.checked_add(1.minute()).unwrap();
                };
                if found > limit {
                    assert!(due > limit, "{text} after {at}");
                    break;
                }
                assert_eq!(due, found, "{text} after {at}");
                at = due;
            }
        }
    }

    #[test]
    fn what_is_no_cron_expression_says_why() {
        let refusal = |text: &str| text.parse::<Cron>().unwrap_err().to_string();
        let fields = "has not the five fields minute, hour, day of the month, month, day of the week";
        assert_eq!(refusal("* * * *"), format!("`* * * *` {fields}"));
        assert_eq!(refusal("0 0 0 * * *"), format!("`0 0 0 * * *` {fields}"));
        let shape = "ranges `a-b`, steps `*/n`, lists with `,`";
        assert_eq!(refusal("60 * * * *"), format!("`60` is no minute: 0 to 59, {shape}"));
        assert_eq!(refusal("* * 0 * *"), format!("`0` is no day of the month: 1 to 31, {shape}"));
        assert_eq!(refusal("*/0 * * * *"), format!("`*/0` is no minute: 0 to 59, {shape}"));
        assert_eq!(refusal("9-5 * * * *"), format!("`9-5` is no minute: 0 to 59, {shape}"));
        assert_eq!(refusal("* * * * FRO"), format!("`FRO` is no day of the week: 0 to 7, {shape}"));
        assert_eq!(refusal("0 0 30 2 *"), "`0 0 30 2 *` never comes: there is no such day");
    }
}
