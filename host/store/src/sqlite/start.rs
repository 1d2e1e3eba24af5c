//! Starting instances: their rows and definitions; the events follow with the round.

use std::collections::HashSet;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Row as _, Sqlite, SqliteConnection};
use workflow::Digest;

use super::many_rows::ManyRows;
use super::requests::{Job, StartJob};
use super::text::{integer, time_text};
use crate::errors::{StartError, StoreError};
use crate::rows::{NewInstance, Started, shard_of};

/// Many new rows; those that were there already come not back.
pub(super) fn statement() -> ManyRows {
    ManyRows::new(
        "insert into instance (
            id, idempotency_key, request_digest, release_id, definition, definition_name,
            shard, phase, revision, wake_at, created_at, updated_at, suspended, parent)
        values",
        14,
        "on conflict (id) do nothing
        returning id",
    )
}

/// Whether nothing but its id can keep it from starting: such starts are written together.
pub(super) fn is_plain(new: &NewInstance) -> bool {
    new.idempotency_key.is_none() && new.release_id.is_none()
}

/// Writes the rows of those that have no answer yet, and answers them. `known`
/// are definitions that the store has; gives those it has now as well.
pub(super) async fn start_plain(
    connection: &mut SqliteConnection,
    statement: &ManyRows,
    known: &HashSet<Digest>,
    starts: &mut [&mut Job<StartJob, Result<Started, StartError>>],
) -> Result<Vec<Digest>, sqlx::Error> {
    let mut plain: Vec<_> = starts.iter_mut().filter(|job| job.answer.is_none()).collect();
    let mut kept = Vec::new();
    for new in plain.iter().map(|job| &job.what.new) {
        let own = std::iter::once((&new.definition, &new.definition_source));
        for (digest, source) in own.chain(new.definitions.iter().map(|(digest, source)| (digest, source))) {
            if !known.contains(digest) && !kept.contains(digest) {
                keep_definition(connection, digest, source).await?;
                kept.push(digest.clone());
            }
        }
    }
    let mut written = HashSet::with_capacity(plain.len());
    for (sql, rows) in statement.chunks(plain.len()) {
        let query = plain[rows].iter().fold(sqlx::query(sql), |query, job| bind_row(query, &job.what.new));
        for row in query.fetch_all(&mut *connection).await? {
            written.insert(row.try_get::<String, _>(0)?);
        }
    }
    for job in &mut plain {
        let id = &job.what.new.id;
        job.answer = Some(if written.contains(id.as_str()) {
            Ok(Started::New)
        } else {
            Err(StoreError::Exists { what: format!("an instance `{id}`") }.into())
        });
    }
    Ok(kept)
}

pub(super) fn is_new(answer: &Result<Started, StartError>) -> bool {
    matches!(answer, Ok(Started::New))
}

/// Checks what may not be started twice under the write lock, then inserts.
pub(super) async fn start(
    connection: &mut SqliteConnection,
    statement: &ManyRows,
    new: &NewInstance,
) -> Result<Result<Started, StartError>, sqlx::Error> {
    if let Some(key) = &new.idempotency_key
        && let Some((id, digest)) = used_key(connection, key).await?
    {
        return Ok(match (id.parse(), digest == new.request_digest.as_str()) {
            (Ok(id), true) => Ok(Started::Existing(id)),
            (Ok(_), false) => Err(StartError::KeyReused { key: key.clone() }),
            (Err(_), _) => Err(corrupt_id(&id).into()),
        });
    }
    if let Some(release) = &new.release_id
        && let Some(id) = running_release(connection, release).await?
    {
        return Ok(Err(match id.parse() {
            Ok(instance) => StartError::ReleaseRunning { release: release.clone(), instance },
            Err(_) => corrupt_id(&id).into(),
        }));
    }
    keep_definition(connection, &new.definition, &new.definition_source).await?;
    for (digest, source) in &new.definitions {
        keep_definition(connection, digest, source).await?;
    }
    if insert(connection, statement, new).await? {
        Ok(Ok(Started::New))
    } else {
        Ok(Err(StoreError::Exists { what: format!("an instance `{}`", new.id) }.into()))
    }
}

async fn used_key(connection: &mut SqliteConnection, key: &str) -> Result<Option<(String, String)>, sqlx::Error> {
    let sql = "
        select id, request_digest
        from instance
        where idempotency_key = ?";
    let row = sqlx::query(sql).bind(key).fetch_optional(connection).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

async fn running_release(connection: &mut SqliteConnection, release: &str) -> Result<Option<String>, sqlx::Error> {
    let sql = "
        select id
        from instance
        where release_id = ?
        and phase in ('pending', 'running', 'waiting')";
    sqlx::query_scalar(sql).bind(release).fetch_optional(connection).await
}

async fn keep_definition(connection: &mut SqliteConnection, digest: &Digest, source: &str) -> Result<(), sqlx::Error> {
    let sql = "
        insert into definition (digest, source)
        values (?, ?)
        on conflict do nothing";
    sqlx::query(sql).bind(digest.as_str()).bind(source).execute(connection).await?;
    Ok(())
}

/// False if there is an instance with this id.
async fn insert(
    connection: &mut SqliteConnection,
    statement: &ManyRows,
    new: &NewInstance,
) -> Result<bool, sqlx::Error> {
    let (sql, _) = statement.chunks(1).next().expect("one row is one chunk");
    Ok(bind_row(sqlx::query(sql), new).fetch_optional(connection).await?.is_some())
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// The columns of [`statement`].
fn bind_row<'q>(query: Query<'q>, new: &NewInstance) -> Query<'q> {
    let (first, last) = match new.events.as_slice() {
        [] => unreachable!("`StartJob::new` refuses an instance without events"),
        [first, ..] => (first.at, new.events[new.events.len() - 1].at),
    };
    query
        .bind(new.id.as_str().to_owned())
        .bind(new.idempotency_key.clone())
        .bind(new.request_digest.as_str().to_owned())
        .bind(new.release_id.clone())
        .bind(new.definition.as_str().to_owned())
        .bind((*new.definition_name).to_owned())
        .bind(shard_of(&new.id))
        .bind(new.projection.phase.name())
        .bind(integer(new.events.len() as u64))
        .bind(new.projection.wake_at.map(time_text))
        .bind(time_text(first))
        .bind(time_text(last))
        .bind(new.projection.suspended)
        .bind(new.parent.as_ref().map(|parent| parent.as_str().to_owned()))
}

fn corrupt_id(id: &str) -> StoreError {
    StoreError::Corrupt { what: format!("an instance id `{id}`") }
}
