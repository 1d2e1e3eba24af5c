//! Names of stored files. The bytes are on disk before their name is written.

use sqlx::{Row as _, SqliteConnection};
use workflow::Digest;

use super::requests::NameJob;
use super::text::{integer, time_text};
use crate::errors::StoreError;

pub(super) async fn name_artifact(
    connection: &mut SqliteConnection,
    job: &NameJob,
) -> Result<Result<(), StoreError>, sqlx::Error> {
    let sql = "
        insert into artifact (uri, instance, digest, size_bytes, media_type, created_at)
        select ?1, id, ?3, ?4, ?5, ?6
        from instance
        where id = ?2
        on conflict (uri) do nothing";
    let result = sqlx::query(sql)
        .bind(job.new.uri.as_str())
        .bind(job.new.instance.as_str())
        .bind(job.artifact.digest.as_str())
        .bind(integer(job.artifact.size_bytes))
        .bind(&job.new.media_type)
        .bind(time_text(job.now))
        .execute(&mut *connection)
        .await?;
    if result.rows_affected() == 1 {
        return Ok(Ok(()));
    }
    let sql = "
        select digest
        from artifact
        where uri = ?";
    let Some(row) = sqlx::query(sql).bind(job.new.uri.as_str()).fetch_optional(connection).await? else {
        return Ok(Err(StoreError::NotFound { what: format!("instance `{}`", job.new.instance) }));
    };
    let stored: String = row.try_get(0)?;
    if stored == job.artifact.digest.as_str() {
        return Ok(Ok(()));
    }
    Ok(Err(match Digest::new(&*stored) {
        Ok(stored) => {
            StoreError::ArtifactDiffers { uri: job.new.uri.clone(), stored, offered: job.artifact.digest.clone() }
        }
        Err(_) => StoreError::Corrupt { what: format!("a digest `{stored}`") },
    }))
}
