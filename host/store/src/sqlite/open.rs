//! Opening: folder, schema, key, connections, writer.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{broadcast, mpsc};

use super::statistics::Counters;
use super::writer::Writer;
use super::{CHANGES, DATABASE_FILE, QUEUE, SqliteOptions, SqliteStore};
use crate::artifact_files::ArtifactFiles;
use crate::audit::AuditKey;
use crate::errors::OpenError;

/// Each entry takes the schema from its index to the next number.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
];

/// Other processes hold the write lock for one batch at a time; this only
/// protects against one that is stopped in the middle.
const BUSY: Duration = Duration::from_secs(10);

/// How often the first connection is tried within `BUSY`.
const CONNECT_TRIES: u32 = 200;

/// A file up to this size is checked for damage at every start: some tens of milliseconds.
const CHECKED_BYTES_MAX: u64 = 32 << 20;

/// The log is copied into the database when it has this many pages (16 MiB),
/// so that its two extra fsyncs are rare.
const CHECKPOINT_PAGES: &str = "4000";

/// Prepared statements kept per connection: all of ours, in every chunk size.
const STATEMENTS: usize = 256;

pub(super) async fn open(dir: &Path, options: SqliteOptions) -> Result<SqliteStore, OpenError> {
    let folder_error = |source| OpenError::Folder { path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(folder_error)?;
    let path = dir.join(DATABASE_FILE);
    let database_error = |source| OpenError::Database { path: path.clone(), source };

    let connect = connect_options(&path);
    let mut connection = first_connection(&connect).await.map_err(database_error)?;
    let checked = std::fs::metadata(&path).is_ok_and(|file| file.len() <= CHECKED_BYTES_MAX);
    if checked {
        check(&mut connection, &path).await?;
    }
    migrate(&mut connection, &path).await?;
    let key = open_key(&mut connection, dir, &path).await?;
    let files = ArtifactFiles::open(dir).map_err(folder_error)?;

    let readers = SqlitePoolOptions::new()
        .min_connections(0)
        .max_connections(options.readers.max(1))
        .connect_with(connect.clone().pragma("query_only", "on"))
        .await
        .map_err(database_error)?;
    let (requests, queue) = mpsc::channel(QUEUE);
    let (changes, _) = broadcast::channel(CHANGES);
    let counters = Arc::new(Counters::default());
    let writer = Writer::new(connection, connect, key, changes.clone(), counters.clone());
    tokio::spawn(writer.run(queue));
    Ok(SqliteStore { requests, readers, files, changes, counters, clock: options.clock })
}

/// Only one connection makes the file a write-ahead one. SQLite tells another
/// that comes in between that it is busy at once, whatever `busy_timeout` says.
async fn first_connection(connect: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let pause = BUSY / CONNECT_TRIES;
    for _ in 1..CONNECT_TRIES {
        match connect.connect().await {
            Err(error) if is_busy(&error) => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    connect.connect().await
}

/// SQLITE_BUSY in any of its extended forms.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging()
}

async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let damaged = |finding: String| OpenError::Damaged { path: path.to_owned(), finding };
    let finding: String = sqlx::query_scalar("pragma quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| damaged(error.to_string()))?;
    if finding == "ok" { Ok(()) } else { Err(damaged(finding)) }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let database_error = |source| OpenError::Database { path: path.to_owned(), source };
    let known = MIGRATIONS.len() as i64;
    // The lock first: another process may be doing the same.
    let mut transaction = connection.begin_with("begin immediate").await.map_err(database_error)?;
    let found: i64 =
        sqlx::query_scalar("pragma user_version").fetch_one(&mut *transaction).await.map_err(database_error)?;
    if found > known {
        return Err(OpenError::TooNew { path: path.to_owned(), found, known });
    }
    for migration in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(database_error)?;
    }
    if found < known {
        let set = format!("pragma user_version = {known}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&mut *transaction).await.map_err(database_error)?;
    }
    transaction.commit().await.map_err(database_error)
}

async fn open_key(connection: &mut SqliteConnection, dir: &Path, database: &Path) -> Result<AuditKey, OpenError> {
    let database_error = |source| OpenError::Database { path: database.to_owned(), source };
    let signed: Option<String> = sqlx::query_scalar("select public_key from checkpoint")
        .fetch_optional(&mut *connection)
        .await
        .map_err(database_error)?;
    let path = dir.join("audit.key");
    if let Some(signed) = signed.as_ref().filter(|_| !path.exists()) {
        return Err(OpenError::KeyChanged { path, signed: signed.clone(), found: "nothing".to_owned() });
    }
    let key = AuditKey::open(&path)?;
    match signed {
        Some(signed) if signed != key.public() => {
            Err(OpenError::KeyChanged { path, signed, found: key.public().to_owned() })
        }
        Some(_) | None => Ok(key),
    }
}
