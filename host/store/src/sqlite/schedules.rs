//! Where the schedules of definitions stand.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use workflow::schedule::{Trigger, Windows};
use workflow::{Digest, Timestamp};

use super::text::{count, integer, json, json_text, named, parsed, parsed_option, time_text};
use crate::errors::StoreError;
use crate::rows::ScheduleRow;

const COLUMNS: &str = "definition, trigger, first_seen, last_due, last_instance, read, windows";

/// The row, made now if there is none.
pub(super) async fn get(
    connection: &mut SqliteConnection,
    definition: &Digest,
    trigger: Trigger,
    now: Timestamp,
) -> Result<Result<ScheduleRow, StoreError>, sqlx::Error> {
    let sql = "
        insert into schedule (definition, trigger, first_seen, read, windows)
        values (?, ?, ?, (select coalesce(max(sequence), 0) from cloud_event), ?)
        on conflict do nothing";
    sqlx::query(sql)
        .bind(definition.as_str())
        .bind(trigger.name())
        .bind(time_text(now))
        .bind(json_text(&Windows::default()))
        .execute(&mut *connection)
        .await?;
    let sql = format!("select {COLUMNS} from schedule where definition = ? and trigger = ?");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(definition.as_str())
        .bind(trigger.name())
        .fetch_one(connection)
        .await?;
    Ok(schedule(&row))
}

fn schedule(row: &SqliteRow) -> Result<ScheduleRow, StoreError> {
    Ok(ScheduleRow {
        definition: parsed(row, "definition")?,
        trigger: named(row, "trigger")?,
        first_seen: parsed(row, "first_seen")?,
        last_due: parsed_option(row, "last_due")?,
        last_instance: parsed_option(row, "last_instance")?,
        read: count(row, "read")?,
        windows: json(row, "windows")?,
    })
}

pub(super) async fn keep(
    connection: &mut SqliteConnection,
    row: &ScheduleRow,
) -> Result<Result<(), StoreError>, sqlx::Error> {
    // Of two hosts the one that has come further is right: causes are in order.
    let sql = "
        update schedule
        set last_due = ?3, last_instance = ?4, read = ?5, windows = ?6
        where definition = ?1
        and trigger = ?2
        and (last_due is null or last_due <= ?3)
        and read <= ?5";
    sqlx::query(sql)
        .bind(row.definition.as_str())
        .bind(row.trigger.name())
        .bind(row.last_due.map(time_text))
        .bind(row.last_instance.as_ref().map(|id| id.as_str().to_owned()))
        .bind(integer(row.read))
        .bind(json_text(&row.windows))
        .execute(connection)
        .await?;
    Ok(Ok(()))
}
