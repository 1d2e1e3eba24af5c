//! Driving one instance until it rests: it is final, or waits for a person or a timer.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use store::{AppendError, Lease};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::error;
use workflow::event::Event;
use workflow::{EffectKey, EffectOutcome, TaskPath, Timestamp};

use crate::act::{Attempt, Journal, JournalEntry};
use crate::drive::DriveError;
use crate::schedule::{Leases, stopped};
use crate::{Driver, Worker, keep_summary};

/// How a run ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Final,
    Waiting {
        wake_at: Option<Timestamp>,
    },
    /// The host stops; what runs goes on by itself.
    Stopped,
}

/// An instance that waits for a timer further away than this leaves memory.
const STAY_IN_MEMORY: Duration = Duration::from_secs(2);

pub(crate) struct Run<'a> {
    worker: &'a Worker,
    driver: Driver,
    shard: u32,
    leases: watch::Receiver<Leases>,
    messages: mpsc::UnboundedReceiver<()>,
    stop: watch::Receiver<bool>,
    attempts: JoinSet<Option<EffectOutcome>>,
    acting: HashMap<Id, (EffectKey, AbortHandle)>,
    entries: mpsc::Receiver<JournalEntry>,
    journal: Journal,
}

/// Path and number of an attempt.
type OpenKey = (TaskPath, u32);

/// What woke the run.
#[derive(Default)]
struct Incoming {
    events: Vec<Event>,
    inbox: bool,
    /// Attempts with journal entries to acknowledge after the commit.
    committed: Vec<(OpenKey, oneshot::Sender<()>)>,
    /// Attempts whose outcome is among the events.
    outcomes: Vec<EffectKey>,
}

impl<'a> Run<'a> {
    pub fn new(
        worker: &'a Worker,
        driver: Driver,
        shard: u32,
        leases: watch::Receiver<Leases>,
        messages: mpsc::UnboundedReceiver<()>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (sender, entries) = mpsc::channel(64);
        Self {
            worker,
            driver,
            shard,
            leases,
            messages,
            stop,
            attempts: JoinSet::new(),
            acting: HashMap::new(),
            entries,
            journal: Journal::new(sender),
        }
    }

    pub fn into_messages(self) -> mpsc::UnboundedReceiver<()> {
        self.messages
    }

    pub async fn until_rest(&mut self) -> Result<Rest, DriveError> {
        self.forget_last_results().await;
        let mut incoming = Incoming { inbox: true, ..Incoming::default() };
        loop {
            let lease = self.lease()?;
            let now = self.worker.clock.now();
            self.driver.take_up(lease, incoming.events, incoming.inbox, now).await?;
            for (event, waiting) in incoming.committed {
                // An attempt that was closed meanwhile records nothing any more: dropping
                // the sender tells it to stop before it does what it asked for.
                if self.is_open(&event) {
                    let _ = waiting.send(());
                }
            }
            for key in &incoming.outcomes {
                self.worker.act.forget(key).await;
            }
            self.start_open_attempts();
            self.stop_closed_attempts().await;
            if let Some(rest) = self.rest().await {
                return Ok(rest);
            }
            let mut stop = self.stop.clone();
            incoming = tokio::select! {
                incoming = self.next() => incoming,
                () = stopped(&mut stop) => return Ok(Rest::Stopped),
            };
        }
    }

    /// A host that died right after a commit did not forget what it had recorded.
    async fn forget_last_results(&self) {
        let instance = self.driver.instance();
        for last in instance.ended_commands().rev() {
            let key = EffectKey {
                instance: instance.id().clone(),
                path: last.path.clone(),
                attempt: last.attempt,
                sequence: last.sequence,
            };
            self.worker.act.forget(&key).await;
        }
    }

    fn lease(&self) -> Result<Lease, DriveError> {
        let lease = self.leases.borrow().get(&self.shard).copied();
        lease.ok_or(DriveError::Append(AppendError::LeaseLost { shard: self.shard }))
    }

    fn start_open_attempts(&mut self) {
        let instance = self.driver.instance();
        // Branches may have thousands of them open.
        let acting: HashSet<(&TaskPath, u32)> = self.acting.values().map(|(key, _)| (&key.path, key.attempt)).collect();
        let open: Vec<Attempt> = instance
            .open_attempts()
            .filter(|open| !acting.contains(&(&open.path, open.attempt)))
            .map(|open| Attempt {
                key: EffectKey {
                    instance: instance.id().clone(),
                    path: open.path.clone(),
                    attempt: open.attempt,
                    sequence: 0,
                },
                effect: open.effect.clone(),
                started_at: open.started_at,
                calls: open.host_calls.to_vec(),
                templates: instance.policy().templates.clone(),
                approved_calls: instance.policy().calls.approved.clone(),
            })
            .collect();
        for attempt in open {
            let key = attempt.key.clone();
            let act = self.worker.act.clone();
            let journal = self.journal.clone();
            let task = self.attempts.spawn(async move { act.act(attempt, journal).await });
            self.acting.insert(task.id(), (key, task));
        }
    }

    fn is_open(&self, (path, attempt): &OpenKey) -> bool {
        self.driver.instance().is_attempt_open(path, *attempt)
    }

    /// Attempts that the history closed without us: timed out, or cancelled.
    async fn stop_closed_attempts(&mut self) {
        let instance = self.driver.instance();
        let is_open = |key: &EffectKey| instance.is_attempt_open(&key.path, key.attempt);
        let closed: Vec<Id> = self.acting.iter().filter(|(_, (key, _))| !is_open(key)).map(|(id, _)| *id).collect();
        for id in closed {
            if let Some((key, task)) = self.acting.remove(&id) {
                self.worker.act.stop(&key).await;
                task.abort();
            }
        }
    }

    async fn rest(&mut self) -> Option<Rest> {
        let instance = self.driver.instance();
        if instance.phase().is_final() {
            // Of a release only: two files and two commits are more than a short workflow has in all.
            let is_release = workflow::summary::release_id(instance.input()).is_some();
            if is_release && let Err(error) = keep_summary(self.worker.store.as_ref(), instance.id()).await {
                // It can be made again from the history: `release summary` does.
                error!(error = crate::act::chain(&error), "Failed to keep the summary");
            }
            self.worker.act.close(instance.id()).await;
            return Some(Rest::Final);
        }
        if !self.acting.is_empty() {
            return None;
        }
        let wake_at = instance.next_wake();
        if wake_at.is_some_and(|at| self.worker.until(at) < STAY_IN_MEMORY) {
            return None;
        }
        Some(Rest::Waiting { wake_at })
    }

    /// Waits for something to take up, and takes what else is there already.
    async fn next(&mut self) -> Incoming {
        let mut incoming = Incoming::default();
        let wake = self.driver.instance().next_wake().map(|at| self.worker.until(at));
        tokio::select! {
            Some(ended) = self.attempts.join_next_with_id() => self.note_outcome(ended, &mut incoming),
            Some(entry) = self.entries.recv() => note_entry(entry, &mut incoming),
            Some(()) = self.messages.recv() => incoming.inbox = true,
            () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => {}
        }
        while let Some(ended) = self.attempts.try_join_next_with_id() {
            self.note_outcome(ended, &mut incoming);
        }
        while let Ok(entry) = self.entries.try_recv() {
            note_entry(entry, &mut incoming);
        }
        while self.messages.try_recv().is_ok() {
            incoming.inbox = true;
        }
        incoming
    }

    fn note_outcome(&mut self, ended: Result<(Id, Option<EffectOutcome>), JoinError>, incoming: &mut Incoming) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(panic) => {
                error!(error = %panic, "Acting on an attempt panicked");
                let detail = "the host failed while it acted; see its log".to_owned();
                (panic.id(), Some(EffectOutcome::Unknown { detail }))
            }
        };
        let (Some((key, _)), Some(outcome)) = (self.acting.remove(&id), outcome) else { return };
        incoming.events.push(Event::AttemptCompleted {
            path: key.path.clone(),
            attempt: key.attempt,
            outcome: Box::new(outcome),
        });
        incoming.outcomes.push(key);
    }
}

fn note_entry(entry: JournalEntry, incoming: &mut Incoming) {
    let key = match &entry.event {
        Event::CommandsPlanned { path, attempt, .. }
        | Event::CommandStarted { path, attempt, .. }
        | Event::CommandCompleted { path, attempt, .. }
        | Event::CallStarted { path, attempt, .. }
        | Event::HostCallCompleted { path, attempt, .. } => (path.clone(), *attempt),
        other => unreachable!("`{}` is not an event of the journal", other.name()),
    };
    incoming.events.push(entry.event);
    incoming.committed.push((key, entry.committed));
}
