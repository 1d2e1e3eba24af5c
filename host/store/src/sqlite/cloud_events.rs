//! Events: kept once, and left for everybody who listens in the same transaction.

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use workflow::engine::Listener;
use workflow::engine::actor_of;
use workflow::{Actor, CloudEvent, InstanceId, TaskPath, Timestamp};

use super::requests::NewEvents;
use super::text::{count, got, integer, json, json_text, parsed, time_text};
use crate::errors::{PublishError, StoreError};
use crate::rows::{Change, Published, StoredEvent, shard_of};

/// Who listens from now on, and what the histories send: in the order of the histories.
pub(super) async fn follow(
    connection: &mut SqliteConnection,
    histories: &[&NewEvents],
) -> Result<Vec<Change>, sqlx::Error> {
    let mut changes = Vec::new();
    for history in histories {
        if let Some(listeners) = &history.listeners {
            replace_listeners(connection, &history.id, listeners).await?;
        }
        for (revision, event) in &history.derived.emitted {
            let emitter = Emitter { instance: &history.id, revision: *revision };
            let sent = publish(connection, event, &actor_of(&history.id), history.last_at, Some(emitter)).await?;
            // The definition chose a source and id that are taken: the first event stands.
            changes.extend(sent.ok().into_iter().flat_map(|(_, changes)| changes));
        }
    }
    Ok(changes)
}

async fn replace_listeners(
    connection: &mut SqliteConnection,
    instance: &InstanceId,
    listeners: &[Listener],
) -> Result<(), sqlx::Error> {
    let sql = "
        delete from listener
        where instance = ?";
    sqlx::query(sql).bind(instance.as_str()).execute(&mut *connection).await?;
    let sql = "
        insert into listener (type, instance, path, registered)
        values (?, ?, ?, ?)";
    for listener in listeners {
        let any = [String::new()];
        let types = if listener.types.is_empty() { &any[..] } else { &listener.types };
        for kind in types {
            sqlx::query(sql)
                .bind(kind)
                .bind(instance.as_str())
                .bind(listener.path.as_str())
                .bind(integer(listener.registered))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// The instance that emits an event: who of it listened only later does not get it.
#[derive(Clone, Copy)]
pub(super) struct Emitter<'a> {
    instance: &'a InstanceId,
    revision: u64,
}

pub(super) async fn publish(
    connection: &mut SqliteConnection,
    event: &CloudEvent,
    by: &Actor,
    at: Timestamp,
    emitter: Option<Emitter<'_>>,
) -> Result<Result<(Published, Vec<Change>), PublishError>, sqlx::Error> {
    let body = json_text(event);
    let sql = "
        insert into cloud_event (source, id, body, sent_by, at)
        values (?, ?, ?, ?, ?)
        on conflict (source, id) do nothing
        returning sequence";
    let row = sqlx::query(sql)
        .bind(event.source())
        .bind(event.id())
        .bind(&body)
        .bind(by.as_str())
        .bind(time_text(at))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return known(connection, event).await };
    let sequence = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
    let sql = "
        insert into inbox (instance, message)
        select instance,
            json_object('kind', 'event', 'path', path, 'registered', registered, 'event', json(?2))
        from listener
        where type in (?1, '')
        and not (instance = ?3 and registered > ?4)
        order by instance, path
        returning instance";
    let rows = sqlx::query(sql)
        .bind(event.kind())
        .bind(&body)
        .bind(emitter.map_or("", |emitter| emitter.instance.as_str()))
        .bind(emitter.map_or(0, |emitter| integer(emitter.revision)))
        .fetch_all(connection)
        .await?;
    let mut changes = Vec::new();
    for row in rows {
        if let Ok(instance) = row.try_get::<String, _>(0)?.parse::<InstanceId>() {
            changes.push(Change::Inbox { shard: shard_of(&instance), instance });
        }
    }
    Ok(Ok((Published::New { sequence }, changes)))
}

async fn known(
    connection: &mut SqliteConnection,
    event: &CloudEvent,
) -> Result<Result<(Published, Vec<Change>), PublishError>, sqlx::Error> {
    let sql = "
        select sequence, body
        from cloud_event
        where source = ?
        and id = ?";
    let row = sqlx::query(sql).bind(event.source()).bind(event.id()).fetch_one(connection).await?;
    let first = json::<CloudEvent>(&row, "body");
    Ok(match first {
        Ok(first) if first == *event => {
            let sequence = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
            Ok((Published::Known { sequence }, Vec::new()))
        }
        Ok(_) => Err(PublishError::Differs { source_uri: event.source().to_owned(), id: event.id().to_owned() }),
        Err(error) => Err(error.into()),
    })
}

pub(super) async fn list(pool: &SqlitePool, after: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
    let sql = "
        select sequence, body, sent_by, at
        from cloud_event
        where sequence > ?
        order by sequence
        limit ?";
    let rows =
        sqlx::query(sql).bind(integer(after)).bind(limit).fetch_all(pool).await.map_err(failed("list events"))?;
    let event = |row| {
        Ok(StoredEvent {
            sequence: count(row, "sequence")?,
            event: json(row, "body")?,
            sent_by: parsed(row, "sent_by")?,
            at: parsed(row, "at")?,
        })
    };
    rows.iter().map(event).collect()
}

pub(super) async fn listeners(pool: &SqlitePool, instance: &InstanceId) -> Result<Vec<Listener>, StoreError> {
    let sql = "
        select path, registered, type
        from listener
        where instance = ?
        order by path, type";
    let rows = sqlx::query(sql).bind(instance.as_str()).fetch_all(pool).await.map_err(failed("list listeners"))?;
    let mut listeners: Vec<Listener> = Vec::new();
    for row in &rows {
        let path = TaskPath::from_text(got::<String>(row, "path")?);
        let kind: String = got(row, "type")?;
        let types = if kind.is_empty() { Vec::new() } else { vec![kind] };
        match listeners.last_mut().filter(|last| last.path == path) {
            Some(last) => last.types.extend(types),
            None => listeners.push(Listener { path, registered: count(row, "registered")?, types }),
        }
    }
    Ok(listeners)
}

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::Database { doing, source: Box::new(error) }
}
