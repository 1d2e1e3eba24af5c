//! Definitions that start by themselves: what is due is started, then kept.
//!
//! The id of an instance follows from its definition and its cause, and where a
//! schedule stands is kept only when what it started is committed: after a
//! crash, and on a second host, the same cause finds its instance there already.

use async_trait::async_trait;
use serde_json::{Value, json};
use store::{ScheduleRow, Store, StoreError};
use workflow::definition::{Definition, Schedule};
use workflow::schedule::{self, Due, Trigger};
use workflow::{InstanceId, Timestamp};

/// Events that are read at once.
const PAGE: u32 = 200;

/// Commits the start of an instance that a schedule causes.
#[async_trait]
pub trait StartScheduled: Send + Sync {
    /// An instance that is there already is a success.
    async fn start(&self, start: ScheduledStart<'_>) -> Result<(), NotScheduled>;
}

/// What is to start.
#[derive(Debug, Clone)]
pub struct ScheduledStart<'a> {
    pub definition: &'a Definition,
    pub trigger: Trigger,
    pub id: InstanceId,
    pub input: Value,
}

/// Why a schedule does not go on: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum NotScheduled {
    #[error("this host cannot run it: {detail}")]
    Refused { detail: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Starts what is due of one definition at `now`; gives the time to look again
/// if only time matters.
pub async fn start_due(
    store: &dyn Store,
    starter: &dyn StartScheduled,
    definition: &Definition,
    now: Timestamp,
) -> Result<Option<Timestamp>, NotScheduled> {
    let Some(Schedule { every, cron, after, on }) = &definition.schedule else { return Ok(None) };
    let mut next = Vec::new();
    let work = Work { store, starter, definition };
    if let Some(interval) = every {
        let row = store.schedule(&definition.digest, Trigger::Every, now).await?;
        let due = schedule::every(*interval, row.first_seen, row.last_due, now);
        next.extend(work.at(row, due).await?);
    }
    if let Some(cron) = cron {
        let row = store.schedule(&definition.digest, Trigger::Cron, now).await?;
        let due = schedule::cron(cron, row.first_seen, row.last_due, now);
        next.extend(work.at(row, due).await?);
    }
    if let Some(delay) = after {
        let row = store.schedule(&definition.digest, Trigger::After, now).await?;
        let last = match &row.last_instance {
            Some(last) => store.instance(last).await?,
            None => None,
        };
        match last {
            // Its end is a commit, and the next look sees it.
            Some(last) if !last.phase.is_final() => {}
            last => {
                let due = schedule::after(*delay, row.first_seen, last.map(|last| last.updated_at), now);
                next.extend(work.at(row, due).await?);
            }
        }
    }
    if let Some(wanted) = on {
        let mut row = store.schedule(&definition.digest, Trigger::On, now).await?;
        loop {
            let page = store.cloud_events(row.read, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                match row.windows.take(wanted, stored.sequence, &stored.event) {
                    Ok(None) => {}
                    Ok(Some(started)) => drop(work.start(Trigger::On, &started.cause, started.input).await?),
                    Err(fault) => {
                        let detail = fault.detail.unwrap_or(fault.kind);
                        tracing::warn!(
                            definition = definition.full_name(),
                            event.id = stored.event.id(),
                            detail,
                            "A schedule leaves out an event: {detail}"
                        );
                    }
                }
                row.read = stored.sequence;
            }
            store.keep_schedule(row.clone()).await?;
        }
    }
    Ok(next.into_iter().min())
}

struct Work<'a> {
    store: &'a dyn Store,
    starter: &'a dyn StartScheduled,
    definition: &'a Definition,
}

impl Work<'_> {
    async fn at(&self, row: ScheduleRow, due: Due) -> Result<Option<Timestamp>, NotScheduled> {
        if let Some(at) = due.now {
            let id = self.start(row.trigger, &at.to_string(), json!({})).await?;
            self.store.keep_schedule(ScheduleRow { last_due: Some(at), last_instance: Some(id), ..row }).await?;
        }
        Ok(due.next)
    }

    async fn start(&self, trigger: Trigger, cause: &str, input: Value) -> Result<InstanceId, NotScheduled> {
        let id = schedule::instance_id(&self.definition.digest, trigger, cause);
        let start = ScheduledStart { definition: self.definition, trigger, id: id.clone(), input };
        self.starter.start(start).await?;
        Ok(id)
    }
}
