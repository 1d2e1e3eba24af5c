//! The one task of this process that writes.
//!
//! It takes everything that waits in the queue, carries it out in one
//! transaction, commits once, and only then answers. Nothing waits for company:
//! while one commit is on its way to the disk the next batch collects itself.
//!
//! A refused request has written nothing, so it stands alone without a
//! savepoint: refusals are found by reading under the write lock, or by a
//! `where` that matches no row. What SQLite itself refuses (a broken constraint)
//! rolls the batch back, and then each request is tried in a transaction of its own.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection};
use tokio::sync::{broadcast, mpsc};
use tracing::{error, warn};
use workflow::Digest;

use super::append::Round;
use super::events::Log;
use super::many_rows::ManyRows;
use super::requests::{Request, SharedError};
use super::statistics::{Counters, add};
use super::{append, cloud_events, events, messages, names, schedules, shards, start};
use crate::audit::{AuditKey, ORIGIN};
use crate::rows::{Change, Published};

/// Requests in one transaction: enough that the fsync is a small part of each,
/// and a bound on what one failure takes with it.
const BATCH: usize = 512;

/// How often the writer lets others run before it begins: those whose answers
/// have just been sent get to ask for the next thing in the same batch.
const YIELDS: usize = 2;

pub(super) struct Writer {
    /// None after it broke; made again for the next batch.
    connection: Option<SqliteConnection>,
    connect: SqliteConnectOptions,
    key: AuditKey,
    changes: broadcast::Sender<Change>,
    counters: Arc<Counters>,
    statements: Statements,
    /// Definitions that the store has; none is ever removed.
    known: HashSet<Digest>,
}

/// Statements in every chunk size.
pub(super) struct Statements {
    pub start: ManyRows,
    pub append: ManyRows,
    pub insert_events: ManyRows,
    pub insert_attempts: ManyRows,
    pub complete_attempts: ManyRows,
}

/// What a transaction has done so far.
#[derive(Default)]
struct Done {
    wrote: bool,
    appends: u64,
    started: u64,
    events: u64,
    changes: Vec<Change>,
    definitions: Vec<Digest>,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        connect: SqliteConnectOptions,
        key: AuditKey,
        changes: broadcast::Sender<Change>,
        counters: Arc<Counters>,
    ) -> Self {
        let statements = Statements {
            start: start::statement(),
            append: append::statement(),
            insert_events: events::insert_events(),
            insert_attempts: events::insert_attempts(),
            complete_attempts: events::complete_attempts(),
        };
        Self { connection: Some(connection), connect, key, changes, counters, statements, known: HashSet::new() }
    }

    /// Works until the store and every request are gone.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
                while batch.len() < BATCH
                    && let Ok(request) = queue.try_recv()
                {
                    batch.push(request);
                }
            }
            add(&self.counters.requests, batch.len() as u64);
            self.carry_out(&mut batch).await;
        }
    }

    /// Commits the batch and answers it; leaves it empty.
    async fn carry_out(&mut self, batch: &mut Vec<Request>) {
        match self.transaction(batch).await {
            Ok(()) => batch.drain(..).for_each(Request::settle),
            Err(error) if is_constraint(&error) && batch.len() > 1 => {
                warn!(batch.requests = batch.len(), "A batch broke a constraint: trying its requests one by one");
                for request in batch.drain(..) {
                    self.carry_out_alone(request).await;
                }
            }
            Err(error) => {
                let error = SharedError(Arc::new(error));
                error!(error = %error, batch.requests = batch.len(), "A transaction failed");
                batch.drain(..).for_each(|request| request.fail(&error));
            }
        }
    }

    async fn carry_out_alone(&mut self, mut request: Request) {
        request.reset();
        match self.transaction(std::slice::from_mut(&mut request)).await {
            Ok(()) => request.settle(),
            Err(error) => request.fail(&SharedError(Arc::new(error))),
        }
    }

    async fn transaction(&mut self, batch: &mut [Request]) -> Result<(), sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect.connect().await?,
        };
        let result = self.attempt(&mut connection, batch).await;
        match result {
            Ok(done) => {
                self.connection = Some(connection);
                self.publish(done);
                Ok(())
            }
            Err(error) => {
                add(&self.counters.failures, 1);
                // A failed commit may have ended the transaction already; a
                // connection that still has one open, or cannot say, is dropped.
                let _ = sqlx::raw_sql("rollback").execute(&mut connection).await;
                if sqlx::raw_sql("begin immediate; rollback").execute(&mut connection).await.is_ok() {
                    self.connection = Some(connection);
                }
                Err(error)
            }
        }
    }

    async fn attempt(&self, connection: &mut SqliteConnection, batch: &mut [Request]) -> Result<Done, sqlx::Error> {
        let mut log = begin(connection).await?;
        let mut done = Done::default();
        let mut round = Round::default();
        for request in batch {
            match request {
                Request::Append(job) => {
                    if round.names(&job.what.events.id) {
                        done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    }
                    round.append(job);
                }
                Request::Start(job) => {
                    if round.names(&job.what.events.id) {
                        done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    }
                    if start::is_plain(&job.what.new) {
                        round.start(job);
                    } else {
                        // What is asked of other instances must be written by then.
                        done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                        let answer = start::start(connection, &self.statements.start, &job.what.new).await?;
                        let is_new = start::is_new(&answer);
                        job.answer = Some(answer);
                        if is_new {
                            round.start(job);
                        }
                    }
                }
                Request::ClaimShards(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    job.answer = Some(shards::claim(connection, &job.what).await?);
                    done.wrote = true;
                }
                Request::ReleaseShards(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    job.answer = Some(shards::release(connection, &job.what).await?);
                    done.wrote = true;
                }
                Request::Send(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    let (instance, message) = &job.what;
                    job.answer = Some(done.message(messages::send(connection, instance, message).await?));
                }
                Request::Decide(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    let (id, decision) = &job.what;
                    job.answer = Some(done.message(messages::decide(connection, id, decision).await?));
                }
                Request::Publish(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    let sent =
                        cloud_events::publish(connection, &job.what.event, &job.what.by, job.what.at, None).await?;
                    job.answer = Some(sent.map(|(published, changes)| {
                        done.wrote |= matches!(published, Published::New { .. });
                        done.changes.extend(changes);
                        published
                    }));
                }
                Request::Schedule(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    let (definition, trigger, now) = &job.what;
                    job.answer = Some(schedules::get(connection, definition, *trigger, *now).await?);
                    done.wrote = true;
                }
                Request::KeepSchedule(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    job.answer = Some(schedules::keep(connection, &job.what).await?);
                    done.wrote = true;
                }
                Request::Dismiss(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    job.answer = Some(messages::dismiss(connection, &job.what).await?);
                    done.wrote = true;
                }
                Request::NameArtifact(job) => {
                    done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
                    job.answer = Some(names::name_artifact(connection, &job.what).await?);
                    done.wrote = true;
                }
            }
        }
        done.take(round.flush(connection, &self.statements, &self.known, &mut log).await?);
        self.commit(connection, &log, &done).await?;
        Ok(done)
    }

    /// The checkpoint of the last leaf commits together with the leaf.
    async fn commit(&self, connection: &mut SqliteConnection, log: &Log, done: &Done) -> Result<(), sqlx::Error> {
        if done.events == 0 {
            sqlx::query("commit").execute(connection).await?;
            return Ok(());
        }
        let checkpoint = self.key.checkpoint(log.size, &log.hash);
        let sql = "
            insert into checkpoint (id, size, hash, public_key, signature)
            values (1, ?1, ?2, ?3, ?4)
            on conflict (id) do update
            set size = ?1, hash = ?2, public_key = ?3, signature = ?4;
            commit";
        sqlx::query(sql)
            .bind(super::text::integer(checkpoint.size))
            .bind(checkpoint.hash)
            .bind(checkpoint.key)
            .bind(checkpoint.signature)
            .execute(connection)
            .await?;
        Ok(())
    }

    fn publish(&mut self, done: Done) {
        self.known.extend(done.definitions);
        let wrote = done.wrote || done.events > 0;
        add(&self.counters.commits, u64::from(wrote));
        add(&self.counters.appends, done.appends);
        add(&self.counters.instances_started, done.started);
        add(&self.counters.events, done.events);
        for change in done.changes {
            // Nobody listening is fine: `Store::ready` sees it.
            let _ = self.changes.send(change);
        }
    }
}

impl Done {
    fn take(&mut self, flushed: append::Flushed) {
        self.appends += flushed.appends;
        self.started += flushed.started;
        self.events += flushed.events;
        self.changes.extend(flushed.changes);
        self.definitions.extend(flushed.definitions);
    }

    fn message<E>(&mut self, answer: Result<Change, E>) -> Result<(), E> {
        let change = answer?;
        self.wrote = true;
        self.changes.push(change);
        Ok(())
    }
}

/// Takes the write lock and reads where the log ends: another process may have
/// written since our last transaction.
async fn begin(connection: &mut SqliteConnection) -> Result<Log, sqlx::Error> {
    let sql = "
        begin immediate;
        select leaf, hash
        from event
        order by leaf desc
        limit 1";
    let last = sqlx::query(sql).fetch_optional(connection).await?;
    Ok(match last {
        Some(row) => Log { size: u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0) + 1, hash: row.try_get(1)? },
        None => Log { size: 0, hash: ORIGIN.to_owned() },
    })
}

/// SQLITE_CONSTRAINT in any of its extended forms.
fn is_constraint(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 19)
}
