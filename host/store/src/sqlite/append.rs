//! Appends and starts of one transaction, written together.

use std::collections::HashSet;

use sqlx::{Row as _, SqliteConnection};
use workflow::{Digest, InstanceId};

use super::events::{self, Log};
use super::many_rows::ManyRows;
use super::requests::{Also, AppendJob, Job, NewEvents, StartJob};
use super::text::{integer, json_text, time_text};
use super::writer::Statements;
use super::{cloud_events, messages, start};
use crate::errors::{AppendError, StartError, StoreError};
use crate::rows::{Change, Started, shard_of};

/// The write that every append depends on: revision and fence stand in its
/// `where`, so an owner that is late changes nothing and gets no row back.
pub(super) fn statement() -> ManyRows {
    ManyRows::new(
        "update instance
        set revision = a.column5, phase = a.column6, wake_at = a.column7, updated_at = a.column8,
            suspended = a.column9
        from (values",
        9,
        ") as a
        where instance.id = a.column1
        and instance.revision = a.column2
        and instance.shard = a.column3
        and exists (select 1 from shard where id = a.column3 and fence = a.column4 and owner is not null)
        returning id",
    )
}

/// Appends and starts, each instance at most once.
#[derive(Default)]
pub(super) struct Round<'a> {
    instances: HashSet<InstanceId>,
    appends: Vec<&'a mut Job<AppendJob, Result<(), AppendError>>>,
    starts: Vec<&'a mut Job<StartJob, Result<Started, StartError>>>,
}

/// What a round has written.
#[derive(Default)]
pub(super) struct Flushed {
    pub appends: u64,
    pub started: u64,
    pub events: u64,
    pub changes: Vec<Change>,
    /// Definitions that the store has once this is committed.
    pub definitions: Vec<Digest>,
}

impl<'a> Round<'a> {
    pub(super) fn names(&self, instance: &InstanceId) -> bool {
        self.instances.contains(instance)
    }

    pub(super) fn append(&mut self, job: &'a mut Job<AppendJob, Result<(), AppendError>>) {
        self.instances.insert(job.what.events.id.clone());
        self.appends.push(job);
    }

    /// With an answer, its row is written already and its events are not;
    /// without one, both are still to be written.
    pub(super) fn start(&mut self, job: &'a mut Job<StartJob, Result<Started, StartError>>) {
        self.instances.insert(job.what.events.id.clone());
        self.starts.push(job);
    }

    /// Writes the round and leaves it empty. Refused appends get their answer and write nothing.
    pub(super) async fn flush(
        &mut self,
        connection: &mut SqliteConnection,
        statements: &Statements,
        known: &HashSet<Digest>,
        log: &mut Log,
    ) -> Result<Flushed, sqlx::Error> {
        self.instances.clear();
        let mut starts = std::mem::take(&mut self.starts);
        let mut appends = std::mem::take(&mut self.appends);
        if starts.is_empty() && appends.is_empty() {
            return Ok(Flushed::default());
        }
        let definitions = start::start_plain(connection, &statements.start, known, &mut starts).await?;
        let started: Vec<&StartJob> =
            starts.iter().filter(|job| job.answer.as_ref().is_some_and(start::is_new)).map(|job| &job.what).collect();
        let accepted = update_instances(connection, &statements.append, &appends).await?;
        for job in &mut appends {
            let answer = if accepted.contains(&*job.what.events.instance) {
                Ok(())
            } else {
                Err(refusal(connection, &job.what).await?)
            };
            job.answer = Some(answer);
        }
        let accepted: Vec<&AppendJob> =
            appends.iter().filter(|job| matches!(job.answer, Some(Ok(())))).map(|job| &job.what).collect();
        let also: Vec<&Also> =
            started.iter().map(|start| &start.also).chain(accepted.iter().map(|append| &append.also)).collect();
        let children = start_children(connection, &statements.start, &also).await?;
        let histories: Vec<&NewEvents> = started
            .iter()
            .map(|start| &start.events)
            .chain(accepted.iter().map(|append| &append.events))
            .chain(children.iter().copied())
            .collect();
        let count = events::insert(connection, statements, log, &histories).await?;
        let mut changes: Vec<Change> = histories.iter().map(|events| appended(events)).collect();
        changes.extend(cloud_events::follow(connection, &histories).await?);
        changes.extend(send_messages(connection, &also).await?);
        keep_snapshots(connection, &accepted).await?;
        take_messages(connection, &accepted).await?;
        drop_messages(connection, &accepted).await?;
        Ok(Flushed {
            appends: accepted.len() as u64,
            started: (started.len() + children.len()) as u64,
            events: count,
            changes,
            definitions,
        })
    }
}

/// Writes the rows of children; gives the events of those that were not there.
async fn start_children<'a>(
    connection: &mut SqliteConnection,
    statement: &ManyRows,
    also: &[&'a Also],
) -> Result<Vec<&'a NewEvents>, sqlx::Error> {
    let mut started = Vec::new();
    for child in also.iter().flat_map(|also| &also.starts) {
        if start::is_new(&start::start(connection, statement, &child.new).await?) {
            started.push(&child.events);
        }
    }
    Ok(started)
}

/// Messages to instances that have ended are nobody's business any more.
async fn send_messages(connection: &mut SqliteConnection, also: &[&Also]) -> Result<Vec<Change>, sqlx::Error> {
    let mut changes = Vec::new();
    for (instance, message) in also.iter().flat_map(|also| &also.messages) {
        changes.extend(messages::send(connection, instance, message).await?.ok());
    }
    Ok(changes)
}

fn appended(events: &NewEvents) -> Change {
    Change::Appended {
        instance: events.id.clone(),
        shard: shard_of(&events.id),
        revision: events.events.last().map_or(0, |event| event.revision),
        phase: events.phase,
    }
}

/// Gives the instances whose revision and fence were right.
async fn update_instances(
    connection: &mut SqliteConnection,
    statement: &ManyRows,
    appends: &[&mut Job<AppendJob, Result<(), AppendError>>],
) -> Result<HashSet<String>, sqlx::Error> {
    let mut accepted = HashSet::with_capacity(appends.len());
    for (sql, rows) in statement.chunks(appends.len()) {
        let mut query = sqlx::query(sql);
        for append in appends[rows].iter().map(|job| &job.what) {
            query = query
                .bind(append.events.instance.clone())
                .bind(integer(append.expected_revision))
                .bind(i64::from(append.lease.shard))
                .bind(append.lease.fence)
                .bind(integer(append.revision()))
                .bind(append.projection.phase.name())
                .bind(append.projection.wake_at.map(time_text))
                .bind(time_text(append.events.last_at))
                .bind(append.projection.suspended);
        }
        for row in query.fetch_all(&mut *connection).await? {
            accepted.insert(row.try_get(0)?);
        }
    }
    Ok(accepted)
}

/// Why the write matched no row; read under the same lock.
async fn refusal(connection: &mut SqliteConnection, append: &AppendJob) -> Result<AppendError, sqlx::Error> {
    let sql = "
        select instance.shard, shard.fence, shard.owner is not null
        from instance
        join shard on shard.id = instance.shard
        where instance.id = ?";
    let Some(row) = sqlx::query(sql).bind(append.events.instance.clone()).fetch_optional(connection).await? else {
        return Ok(StoreError::NotFound { what: format!("instance `{}`", append.events.id) }.into());
    };
    let (shard, fence, owned): (i64, i64, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let lease = append.lease;
    Ok(if shard == i64::from(lease.shard) && fence == lease.fence && owned {
        AppendError::Conflict { instance: append.events.id.clone(), expected: append.expected_revision }
    } else {
        AppendError::LeaseLost { shard: lease.shard }
    })
}

/// Their events are written by then.
async fn keep_snapshots(connection: &mut SqliteConnection, accepted: &[&AppendJob]) -> Result<(), sqlx::Error> {
    let sql = "
        insert or replace into snapshot (instance, revision, hash, state)
        select instance, revision, hash, ?3
        from event
        where instance = ?1
        and revision = ?2";
    for append in accepted {
        let Some(state) = &append.snapshot else { continue };
        sqlx::query(sql)
            .bind(append.events.instance.clone())
            .bind(integer(append.revision()))
            .bind(state.as_slice())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn take_messages(connection: &mut SqliteConnection, accepted: &[&AppendJob]) -> Result<(), sqlx::Error> {
    let sql = "
        delete from inbox
        where instance = ?1
        and id in (select value from json_each(?2))";
    for append in accepted.iter().filter(|append| !append.taken.is_empty()) {
        sqlx::query(sql)
            .bind(append.events.instance.clone())
            .bind(json_text(&append.taken))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// An instance that has ended hears nothing any more.
async fn drop_messages(connection: &mut SqliteConnection, accepted: &[&AppendJob]) -> Result<(), sqlx::Error> {
    let ended: Vec<&str> = accepted
        .iter()
        .filter(|append| append.projection.phase.is_final())
        .map(|append| &*append.events.instance)
        .collect();
    if ended.is_empty() {
        return Ok(());
    }
    let sql = "
        delete from inbox
        where instance in (select value from json_each(?))";
    sqlx::query(sql).bind(json_text(&ended)).execute(connection).await?;
    Ok(())
}
