//! What others leave for the owner of an instance.

use sqlx::SqliteConnection;
use workflow::InstanceId;
use workflow::event::Decision;

use super::read::{self, HUMAN_TASK};
use super::requests::DismissJob;
use super::text::{integer, json_text};
use crate::errors::{AppendError, DecideError, StoreError};
use crate::rows::{Change, Message, shard_of};

pub(super) async fn send(
    connection: &mut SqliteConnection,
    instance: &InstanceId,
    message: &Message,
) -> Result<Result<Change, StoreError>, sqlx::Error> {
    let sql = "
        insert into inbox (instance, message)
        select id, ?2
        from instance
        where id = ?1
        and phase in ('pending', 'running', 'waiting')";
    let result = sqlx::query(sql).bind(instance.as_str()).bind(json_text(message)).execute(connection).await?;
    if result.rows_affected() == 0 {
        return Ok(Err(StoreError::NotFound { what: format!("running instance `{instance}`") }));
    }
    Ok(Ok(Change::Inbox { instance: instance.clone(), shard: shard_of(instance) }))
}

/// Removes messages that change nothing, if the owner is still that and has read all of the history.
pub(super) async fn dismiss(
    connection: &mut SqliteConnection,
    job: &DismissJob,
) -> Result<Result<(), AppendError>, sqlx::Error> {
    let sql = "
        select instance.revision = ?2
        from instance
        join shard on shard.id = instance.shard
        where instance.id = ?1
        and shard.id = ?3
        and shard.fence = ?4
        and shard.owner is not null";
    let lease = job.lease;
    let current: Option<bool> = sqlx::query_scalar(sql)
        .bind(job.instance.as_str())
        .bind(integer(job.expected_revision))
        .bind(lease.shard)
        .bind(lease.fence)
        .fetch_optional(&mut *connection)
        .await?;
    match current {
        Some(true) => {}
        // What changes nothing for a late owner may change something by now.
        Some(false) => {
            let (instance, expected) = (job.instance.clone(), job.expected_revision);
            return Ok(Err(AppendError::Conflict { instance, expected }));
        }
        None => return Ok(Err(AppendError::LeaseLost { shard: lease.shard })),
    }
    let sql = "
        delete from inbox
        where instance = ?1
        and id in (select value from json_each(?2))";
    sqlx::query(sql).bind(job.instance.as_str()).bind(json_text(&job.messages)).execute(connection).await?;
    Ok(Ok(()))
}

/// Only the first decision that fits the question counts.
pub(super) async fn decide(
    connection: &mut SqliteConnection,
    id: &str,
    decision: &Decision,
) -> Result<Result<Change, DecideError>, sqlx::Error> {
    let sql = format!("{HUMAN_TASK} where human_task.id = ?");
    let Some(row) = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(Err(StoreError::NotFound { what: format!("human task `{id}`") }.into()));
    };
    let task = match read::human_task(&row) {
        Ok(task) => task,
        Err(error) => return Ok(Err(error.into())),
    };
    if let Err(error) = task.accepts(decision) {
        return Ok(Err(error));
    }
    let sql = "
        update human_task
        set decision = ?2
        where id = ?1
        and decision is null
        and closed_at is null";
    sqlx::query(sql).bind(id).bind(json_text(decision)).execute(&mut *connection).await?;
    let message = Message::Decided { path: task.path, decision: decision.clone() };
    Ok(send(connection, &task.instance, &message).await?.map_err(DecideError::from))
}
