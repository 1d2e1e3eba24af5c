//! Events into the log, and the rows that follow from them.

use sqlx::SqliteConnection;

use super::many_rows::ManyRows;
use super::requests::NewEvents;
use super::text::{integer, json_text, name_text, time_text};
use super::writer::Statements;
use crate::audit::leaf_hash;
use crate::derive::{AttemptChange, HumanTaskChange};
use crate::rows::human_task_id;

/// Where the log of the whole store ends, inside a transaction.
pub(super) struct Log {
    /// Number of leaves.
    pub size: u64,
    pub hash: String,
}

pub(super) fn insert_events() -> ManyRows {
    ManyRows::new("insert into event (leaf, instance, revision, at, body, hash) values", 6, "")
}

pub(super) fn insert_attempts() -> ManyRows {
    ManyRows::new(
        "insert into attempt (instance, path, attempt, effect, class, started_at, completed_at, outcome) values",
        8,
        "on conflict (instance, path, attempt) do update
        set effect = excluded.effect, class = excluded.class, started_at = excluded.started_at,
            completed_at = excluded.completed_at, outcome = excluded.outcome",
    )
}

pub(super) fn complete_attempts() -> ManyRows {
    ManyRows::new(
        "update attempt
        set completed_at = a.column4, outcome = a.column5
        from (values",
        5,
        ") as a
        where attempt.instance = a.column1
        and attempt.path = a.column2
        and attempt.attempt = a.column3",
    )
}

/// Links the events to the log and writes them with their rows; gives their number.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    statements: &Statements,
    log: &mut Log,
    histories: &[&NewEvents],
) -> Result<u64, sqlx::Error> {
    let all: Vec<_> =
        histories.iter().flat_map(|history| history.events.iter().map(move |event| (*history, event))).collect();
    for (sql, rows) in statements.insert_events.chunks(all.len()) {
        let mut query = sqlx::query(sql);
        for (history, event) in &all[rows] {
            log.hash = leaf_hash(&log.hash, log.size, &history.id, event.revision, event.at, &event.body);
            query = query
                .bind(integer(log.size))
                .bind(history.instance.clone())
                .bind(integer(event.revision))
                .bind(event.at_text.clone())
                .bind(event.body.clone())
                .bind(log.hash.clone());
            log.size += 1;
        }
        query.execute(&mut *connection).await?;
    }
    write_attempts(connection, statements, histories).await?;
    write_human_tasks(connection, histories).await?;
    Ok(all.len() as u64)
}

async fn write_attempts(
    connection: &mut SqliteConnection,
    statements: &Statements,
    histories: &[&NewEvents],
) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    let mut completed = Vec::new();
    for history in histories {
        for change in &history.derived.attempts {
            match change {
                AttemptChange::Row(row) => rows.push((history, row)),
                AttemptChange::Completed { path, attempt, at, outcome } => {
                    completed.push((history, path, attempt, at, outcome));
                }
            }
        }
    }
    for (sql, range) in statements.insert_attempts.chunks(rows.len()) {
        let mut query = sqlx::query(sql);
        for (history, row) in &rows[range] {
            query = query
                .bind(history.instance.clone())
                .bind(row.path.as_str())
                .bind(row.attempt)
                .bind(name_text(&row.effect))
                .bind(name_text(&row.class))
                .bind(time_text(row.started_at))
                .bind(row.completed_at.map(time_text))
                .bind(row.outcome.as_ref().map(name_text));
        }
        query.execute(&mut *connection).await?;
    }
    for (sql, range) in statements.complete_attempts.chunks(completed.len()) {
        let mut query = sqlx::query(sql);
        for (history, path, attempt, at, outcome) in &completed[range] {
            query = query
                .bind(history.instance.clone())
                .bind(path.as_str())
                .bind(**attempt)
                .bind(time_text(**at))
                .bind(name_text(*outcome));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Questions are rare and their changes come in order, so each is a statement;
/// ends are not, and all of a batch share one.
async fn write_human_tasks(connection: &mut SqliteConnection, histories: &[&NewEvents]) -> Result<(), sqlx::Error> {
    let mut ended = Vec::new();
    for history in histories {
        for change in &history.derived.human_tasks {
            match change {
                HumanTaskChange::AllDropped => ended.push(&*history.instance),
                HumanTaskChange::Asked { .. } | HumanTaskChange::Answered { .. } | HumanTaskChange::Dropped { .. } => {
                    write_human_task(connection, history, change).await?
                }
            }
        }
    }
    if ended.is_empty() {
        return Ok(());
    }
    let sql = "
        update human_task
        set closed_at = (select updated_at from instance where instance.id = human_task.instance)
        where closed_at is null
        and instance in (select value from json_each(?))";
    sqlx::query(sql).bind(json_text(&ended)).execute(connection).await?;
    Ok(())
}

async fn write_human_task(
    connection: &mut SqliteConnection,
    history: &NewEvents,
    change: &HumanTaskChange,
) -> Result<(), sqlx::Error> {
    match change {
        HumanTaskChange::Asked { path, question, at } => {
            let sql = "
                insert into human_task (id, instance, path, question, asked_at)
                values (?1, ?2, ?3, ?4, ?5)
                on conflict (id) do update
                set question = ?4, asked_at = ?5, decision = null, closed_at = null";
            sqlx::query(sql)
                .bind(human_task_id(&history.id, path))
                .bind(history.instance.clone())
                .bind(path.as_str())
                .bind(json_text(question))
                .bind(time_text(*at))
                .execute(connection)
                .await?;
        }
        HumanTaskChange::Answered { path, decision, at } => {
            let sql = "
                update human_task
                set decision = ?2, closed_at = ?3
                where id = ?1";
            sqlx::query(sql)
                .bind(human_task_id(&history.id, path))
                .bind(json_text(decision))
                .bind(time_text(*at))
                .execute(connection)
                .await?;
        }
        HumanTaskChange::Dropped { path, at } => {
            let sql = "
                update human_task
                set closed_at = ?3
                where instance = ?1
                and closed_at is null
                and (path = ?2 or substr(path, 1, length(?2) + 1) in (?2 || '/', ?2 || '['))";
            sqlx::query(sql)
                .bind(history.instance.clone())
                .bind(path.as_str())
                .bind(time_text(*at))
                .execute(connection)
                .await?;
        }
        HumanTaskChange::AllDropped => unreachable!("handled for the whole batch"),
    }
    Ok(())
}
