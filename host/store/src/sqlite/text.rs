//! Between our values and the text and numbers in columns.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use workflow::Timestamp;

use crate::errors::StoreError;

/// UTC with nine fractional digits: sorts as text, and comes back exactly.
pub(super) fn time_text(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// SQLite has signed integers only; none of our numbers comes near the limit.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).expect("a count below 2^63")
}

pub(super) fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own types have string keys only")
}

/// A column's text, for a type that has its own text form.
pub(super) fn parsed<T: std::str::FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = got(row, column)?;
    text.parse().map_err(|_| corrupt(column, &text))
}

pub(super) fn parsed_option<T: std::str::FromStr>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = got(row, column)?;
    text.map(|text| text.parse().map_err(|_| corrupt(column, &text))).transpose()
}

pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = got(row, column)?;
    serde_json::from_str(&text).map_err(|_| corrupt(column, &text))
}

pub(super) fn json_option<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = got(row, column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| corrupt(column, &text))).transpose()
}

/// The JSON name of a unit variant, from a column that holds it bare.
pub(super) fn named<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = got(row, column)?;
    serde_json::from_value(text.as_str().into()).map_err(|_| corrupt(column, &text))
}

pub(super) fn named_option<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = got(row, column)?;
    text.map(|text| serde_json::from_value(text.as_str().into()).map_err(|_| corrupt(column, &text))).transpose()
}

/// The bare JSON name of a unit variant.
pub(super) fn name_text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => panic!("a unit variant is a JSON string, not {other:?}"),
    }
}

pub(super) fn count<T: TryFrom<i64>>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let number: i64 = got(row, column)?;
    T::try_from(number).map_err(|_| corrupt(column, &number.to_string()))
}

pub(super) fn got<'r, T>(row: &'r SqliteRow, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(|error| StoreError::Corrupt { what: format!("a `{column}` column ({error})") })
}

fn corrupt(column: &str, text: &str) -> StoreError {
    let start: String = text.chars().take(80).collect();
    StoreError::Corrupt { what: format!("a `{column}` column (`{start}`)") }
}
