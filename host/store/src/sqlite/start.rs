//! Starting an instance: the row and its definition; the events follow with the round.

use sqlx::{Row as _, SqliteConnection};
use workflow::{Digest, InstanceId};

use super::text::{integer, time_text};
use crate::errors::{StartError, StoreError};
use crate::rows::{NewInstance, Started, shard_of};

pub(super) fn is_new(answer: &Result<Started, StartError>) -> bool {
    matches!(answer, Ok(Started::New))
}

/// Checks what may not be started twice under the write lock, then inserts.
pub(super) async fn start(
    connection: &mut SqliteConnection,
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
    if insert(connection, new).await? {
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
async fn insert(connection: &mut SqliteConnection, new: &NewInstance) -> Result<bool, sqlx::Error> {
    let (first, last) = match new.events.as_slice() {
        [] => unreachable!("`StartJob::new` refuses an instance without events"),
        [first, ..] => (first.at, new.events[new.events.len() - 1].at),
    };
    let sql = "
        insert into instance (
            id, idempotency_key, request_digest, release_id, definition, definition_name,
            shard, phase, revision, wake_at, created_at, updated_at, suspended, parent)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        on conflict (id) do nothing";
    let result = sqlx::query(sql)
        .bind(new.id.as_str())
        .bind(new.idempotency_key.as_deref())
        .bind(new.request_digest.as_str())
        .bind(new.release_id.as_deref())
        .bind(new.definition.as_str())
        .bind(&*new.definition_name)
        .bind(shard_of(&new.id))
        .bind(new.projection.phase.name())
        .bind(integer(new.events.len() as u64))
        .bind(new.projection.wake_at.map(time_text))
        .bind(time_text(first))
        .bind(time_text(last))
        .bind(new.projection.suspended)
        .bind(new.parent.as_ref().map(InstanceId::as_str))
        .execute(connection)
        .await?;
    Ok(result.rows_affected() == 1)
}

fn corrupt_id(id: &str) -> StoreError {
    StoreError::Corrupt { what: format!("an instance id `{id}`") }
}
