//! Reads: short transactions on the pool, never in the writer's way.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqlitePool};
use workflow::command::Artifact;
use workflow::{ArtifactUri, Digest, InstanceId, Recorded, TaskPath, Timestamp};

use super::text::{
    count, got, integer, json, json_option, json_text, named, named_option, parsed, parsed_option, time_text,
};
use crate::audit::{AuditLeaf, Checkpoint};
use crate::errors::StoreError;
use crate::rows::{ArtifactRow, AttemptRow, HumanTask, InboxItem, InstanceFilter, InstanceRow, KeptState, Phase};

const INSTANCE: &str = "
    select id, release_id, definition, definition_name, phase, revision, shard, wake_at, created_at, updated_at,
        suspended, parent
    from instance";

pub(super) const HUMAN_TASK: &str = "
    select human_task.id, human_task.instance, instance.release_id, human_task.path, human_task.question,
        human_task.asked_at, human_task.decision, human_task.closed_at
    from human_task
    join instance on instance.id = human_task.instance";

const ARTIFACT: &str = "
    select uri, instance, digest, size_bytes, media_type, created_at
    from artifact";

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::Database { doing, source: Box::new(error) }
}

pub(super) async fn history(
    pool: &SqlitePool,
    instance: &InstanceId,
    revision: u64,
) -> Result<Vec<Recorded>, StoreError> {
    let sql = "
        select revision, at, body
        from event
        where instance = ?
        and revision > ?
        order by revision";
    let rows = sqlx::query(sql)
        .bind(instance.as_str())
        .bind(integer(revision))
        .fetch_all(pool)
        .await
        .map_err(failed("read a history"))?;
    let recorded =
        |row| Ok(Recorded { revision: count(row, "revision")?, at: parsed(row, "at")?, event: json(row, "body")? });
    rows.iter().map(recorded).collect()
}

pub(super) async fn snapshot(pool: &SqlitePool, instance: &InstanceId) -> Result<Option<KeptState>, StoreError> {
    let sql = "
        select snapshot.revision, snapshot.state
        from snapshot
        join event
        on event.instance = snapshot.instance
        and event.revision = snapshot.revision
        and event.hash = snapshot.hash
        where snapshot.instance = ?";
    let row = sqlx::query(sql).bind(instance.as_str()).fetch_optional(pool).await;
    let row = row.map_err(failed("read the state of an instance"))?;
    row.map(|row| {
        let state = row.try_get("state").map_err(failed("read the state of an instance"))?;
        Ok(KeptState { revision: count(&row, "revision")?, state })
    })
    .transpose()
}

pub(super) async fn instance(pool: &SqlitePool, id: &InstanceId) -> Result<Option<InstanceRow>, StoreError> {
    let sql = AssertSqlSafe(format!("{INSTANCE} where id = ?"));
    let row = sqlx::query(sql).bind(id.as_str()).fetch_optional(pool).await.map_err(failed("read an instance"))?;
    row.as_ref().map(instance_row).transpose()
}

pub(super) async fn instances(pool: &SqlitePool, filter: InstanceFilter) -> Result<Vec<InstanceRow>, StoreError> {
    // Only the clauses that are asked for: `or ?1 is null` would keep SQLite from its indexes.
    let clauses = [
        filter.phase.map(|_| "and phase = ?1"),
        filter.release_id.as_ref().map(|_| "and release_id = ?2"),
        filter.releases_only.then_some("and release_id is not null"),
        filter.before.as_ref().map(|_| "and sequence < (select sequence from instance where id = ?3)"),
        filter.parent.as_ref().map(|_| "and parent = ?5"),
        filter.suspended.map(|suspended| if suspended { "and suspended" } else { "and not suspended" }),
    ];
    let clauses: Vec<&str> = clauses.into_iter().flatten().collect();
    let sql = AssertSqlSafe(format!("{INSTANCE} where true {} order by sequence desc limit ?4", clauses.join(" ")));
    let limit = if filter.limit == 0 { -1 } else { i64::from(filter.limit) };
    let rows = sqlx::query(sql)
        .bind(filter.phase.map(Phase::name))
        .bind(filter.release_id)
        .bind(filter.before.map(String::from))
        .bind(limit)
        .bind(filter.parent.map(String::from))
        .fetch_all(pool)
        .await
        .map_err(failed("list instances"))?;
    rows.iter().map(instance_row).collect()
}

pub(super) async fn definition(pool: &SqlitePool, digest: &Digest) -> Result<Option<String>, StoreError> {
    let sql = "
        select source
        from definition
        where digest = ?";
    sqlx::query_scalar(sql).bind(digest.as_str()).fetch_optional(pool).await.map_err(failed("read a definition"))
}

pub(super) async fn definition_named(pool: &SqlitePool, name: &str) -> Result<Option<String>, StoreError> {
    let sql = "
        select definition.source
        from instance
        join definition on definition.digest = instance.definition
        where instance.definition_name = ?
        order by instance.sequence desc
        limit 1";
    sqlx::query_scalar(sql).bind(name).fetch_optional(pool).await.map_err(failed("find a definition"))
}

pub(super) async fn attempts(pool: &SqlitePool, instance: &InstanceId) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = "
        select path, attempt, effect, class, started_at, completed_at, outcome
        from attempt
        where instance = ?
        order by path, attempt";
    let rows = sqlx::query(sql).bind(instance.as_str()).fetch_all(pool).await.map_err(failed("list attempts"))?;
    let attempt = |row| {
        Ok(AttemptRow {
            path: TaskPath::from_text(got::<String>(row, "path")?),
            attempt: count(row, "attempt")?,
            effect: named(row, "effect")?,
            class: named(row, "class")?,
            started_at: parsed(row, "started_at")?,
            completed_at: parsed_option(row, "completed_at")?,
            outcome: named_option(row, "outcome")?,
        })
    };
    rows.iter().map(attempt).collect()
}

pub(super) async fn ready(pool: &SqlitePool, shards: &[u32], now: Timestamp) -> Result<Vec<InstanceId>, StoreError> {
    let sql = "
        select id
        from instance
        where sequence in (
            select sequence
            from instance
            where phase in ('pending', 'running')
            and shard in (select value from json_each(?1))
            union all
            select sequence
            from instance
            where phase in ('pending', 'running', 'waiting')
            and wake_at <= ?2
            and shard in (select value from json_each(?1))
            union all
            select instance.sequence
            from inbox
            cross join instance on instance.id = inbox.instance
            where instance.phase in ('pending', 'running', 'waiting')
            and instance.shard in (select value from json_each(?1)))
        order by sequence";
    let rows = sqlx::query(sql)
        .bind(json_text(&shards))
        .bind(time_text(now))
        .fetch_all(pool)
        .await
        .map_err(failed("find ready instances"))?;
    rows.iter().map(|row| parsed(row, "id")).collect()
}

pub(super) async fn next_wake(
    pool: &SqlitePool,
    shards: &[u32],
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let sql = "
        select wake_at
        from instance
        where phase in ('pending', 'running', 'waiting')
        and wake_at > ?2
        and shard in (select value from json_each(?1))
        order by wake_at
        limit 1";
    let row = sqlx::query(sql)
        .bind(json_text(&shards))
        .bind(time_text(now))
        .fetch_optional(pool)
        .await
        .map_err(failed("find the next timer"))?;
    row.map(|row| parsed(&row, "wake_at")).transpose()
}

pub(super) async fn inbox(pool: &SqlitePool, instance: &InstanceId) -> Result<Vec<InboxItem>, StoreError> {
    let sql = "
        select id, message
        from inbox
        where instance = ?
        order by id";
    let rows = sqlx::query(sql).bind(instance.as_str()).fetch_all(pool).await.map_err(failed("read messages"))?;
    let item = |row| Ok(InboxItem { id: got(row, "id")?, instance: instance.clone(), message: json(row, "message")? });
    rows.iter().map(item).collect()
}

pub(super) async fn human_tasks(
    pool: &SqlitePool,
    instance: Option<&InstanceId>,
    open: bool,
) -> Result<Vec<HumanTask>, StoreError> {
    let clauses = [
        open.then_some("and human_task.decision is null and human_task.closed_at is null"),
        instance.map(|_| "and human_task.instance = ?1"),
    ];
    let clauses: Vec<&str> = clauses.into_iter().flatten().collect();
    let sql = AssertSqlSafe(format!(
        "{HUMAN_TASK} where true {} order by human_task.asked_at, human_task.id",
        clauses.join(" ")
    ));
    let rows = sqlx::query(sql)
        .bind(instance.map(InstanceId::as_str))
        .fetch_all(pool)
        .await
        .map_err(failed("list human tasks"))?;
    rows.iter().map(human_task).collect()
}

pub(super) async fn human_task_by_id(pool: &SqlitePool, id: &str) -> Result<Option<HumanTask>, StoreError> {
    let sql = AssertSqlSafe(format!("{HUMAN_TASK} where human_task.id = ?"));
    let row = sqlx::query(sql).bind(id).fetch_optional(pool).await.map_err(failed("read a human task"))?;
    row.as_ref().map(human_task).transpose()
}

pub(super) async fn artifact(pool: &SqlitePool, uri: &ArtifactUri) -> Result<Option<ArtifactRow>, StoreError> {
    let sql = AssertSqlSafe(format!("{ARTIFACT} where uri = ?"));
    let row =
        sqlx::query(sql).bind(uri.as_str()).fetch_optional(pool).await.map_err(failed("read an artifact's name"))?;
    row.as_ref().map(artifact_row).transpose()
}

pub(super) async fn artifacts(pool: &SqlitePool, instance: &InstanceId) -> Result<Vec<ArtifactRow>, StoreError> {
    let sql = AssertSqlSafe(format!("{ARTIFACT} where instance = ? order by uri"));
    let rows = sqlx::query(sql).bind(instance.as_str()).fetch_all(pool).await.map_err(failed("list artifacts"))?;
    rows.iter().map(artifact_row).collect()
}

pub(super) async fn audit(pool: &SqlitePool, from: u64, limit: u32) -> Result<Vec<AuditLeaf>, StoreError> {
    let sql = "
        select leaf, instance, revision, at, body, hash
        from event
        where leaf >= ?
        order by leaf
        limit ?";
    let rows =
        sqlx::query(sql).bind(integer(from)).bind(limit).fetch_all(pool).await.map_err(failed("read the audit log"))?;
    let leaf = |row| {
        Ok(AuditLeaf {
            index: count(row, "leaf")?,
            instance: parsed(row, "instance")?,
            revision: count(row, "revision")?,
            at: parsed(row, "at")?,
            event: json(row, "body")?,
            hash: got(row, "hash")?,
        })
    };
    rows.iter().map(leaf).collect()
}

pub(super) async fn checkpoint(pool: &SqlitePool) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "
        select size, hash, public_key, signature
        from checkpoint";
    let row = sqlx::query(sql).fetch_optional(pool).await.map_err(failed("read the checkpoint"))?;
    row.map(|row| {
        Ok(Checkpoint {
            size: count(&row, "size")?,
            hash: got(&row, "hash")?,
            key: got(&row, "public_key")?,
            signature: got(&row, "signature")?,
        })
    })
    .transpose()
}

fn instance_row(row: &SqliteRow) -> Result<InstanceRow, StoreError> {
    Ok(InstanceRow {
        id: parsed(row, "id")?,
        release_id: got(row, "release_id")?,
        definition: parsed(row, "definition")?,
        definition_name: got(row, "definition_name")?,
        phase: named(row, "phase")?,
        revision: count(row, "revision")?,
        shard: count(row, "shard")?,
        wake_at: parsed_option(row, "wake_at")?,
        suspended: got(row, "suspended")?,
        parent: parsed_option(row, "parent")?,
        created_at: parsed(row, "created_at")?,
        updated_at: parsed(row, "updated_at")?,
    })
}

/// A row of [`HUMAN_TASK`].
pub(super) fn human_task(row: &SqliteRow) -> Result<HumanTask, StoreError> {
    Ok(HumanTask {
        id: got(row, "id")?,
        instance: parsed(row, "instance")?,
        release_id: got(row, "release_id")?,
        path: TaskPath::from_text(got::<String>(row, "path")?),
        question: json(row, "question")?,
        asked_at: parsed(row, "asked_at")?,
        decision: json_option(row, "decision")?,
        closed_at: parsed_option(row, "closed_at")?,
    })
}

fn artifact_row(row: &SqliteRow) -> Result<ArtifactRow, StoreError> {
    Ok(ArtifactRow {
        artifact: Artifact {
            uri: parsed(row, "uri")?,
            digest: parsed(row, "digest")?,
            size_bytes: count(row, "size_bytes")?,
        },
        instance: parsed(row, "instance")?,
        media_type: got(row, "media_type")?,
        created_at: parsed(row, "created_at")?,
    })
}
