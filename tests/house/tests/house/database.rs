//! The database of a host that has ended, as somebody with access to the disk sees it.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use crate::world::Host;

fn with<T>(host: &Host, act: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async {
            let options = SqliteConnectOptions::new().filename(host.data.join("light-workflow.db"));
            let mut connection = options.connect().await?;
            act(&mut connection).await
        })
        .unwrap()
}

/// Reference to SHA-256 in hex of every stored file.
pub fn artifacts(host: &Host) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> =
        with(host, async |connection| sqlx::query_as("select uri, digest from artifact").fetch_all(connection).await);
    rows.into_iter().map(|(uri, digest)| (uri, digest.trim_start_matches("sha256:").to_owned())).collect()
}

/// Digests of the definitions that are kept.
pub fn definitions(host: &Host) -> Vec<String> {
    with(host, async |connection| sqlx::query_scalar("select digest from definition").fetch_all(connection).await)
}

/// Changes rows past everything that protects them.
pub fn tamper(host: &Host, statements: &'static str) {
    with(host, async |connection| {
        let done = sqlx::raw_sql(statements).execute(connection).await?;
        assert!(done.rows_affected() > 0, "nothing was changed");
        Ok(())
    });
}
