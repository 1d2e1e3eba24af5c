//! Claims, leases and fences of shards.

use sqlx::SqliteConnection;

use super::requests::ClaimJob;
use super::text::{count, got, time_text};
use crate::errors::StoreError;
use crate::rows::{HostId, Lease};

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    claim: &ClaimJob,
) -> Result<Result<Vec<Lease>, StoreError>, sqlx::Error> {
    let sql = "
        update shard
        set fence = case when owner is ?1 then fence else fence + 1 end,
            owner = ?1,
            until = ?3
        where owner is null
        or owner = ?1
        or until <= ?2
        returning id, fence";
    let rows = sqlx::query(sql)
        .bind(&claim.host)
        .bind(time_text(claim.now))
        .bind(time_text(claim.until))
        .fetch_all(connection)
        .await?;
    let leases =
        rows.iter().map(|row| Ok(Lease { shard: count(row, "id")?, fence: got(row, "fence")?, until: claim.until }));
    Ok(leases.collect::<Result<Vec<_>, StoreError>>().map(|mut leases| {
        leases.sort_by_key(|lease| lease.shard);
        leases
    }))
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    host: &HostId,
) -> Result<Result<(), StoreError>, sqlx::Error> {
    let sql = "
        update shard
        set owner = null, until = null
        where owner = ?";
    sqlx::query(sql).bind(host).execute(connection).await?;
    Ok(Ok(()))
}
