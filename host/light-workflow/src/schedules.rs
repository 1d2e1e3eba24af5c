//! `serve` starts the scheduled definitions of its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use store::{StartError, StoreError};
use tokio::sync::watch;
use tracing::{error, info};
use worker::{NotScheduled, ScheduledStart, StartScheduled, start_due};
use workflow::definition::Definition;
use workflow::{Actor, Digest};

use crate::host::Host;
use crate::library::Library;
use crate::output::one_line;
use crate::releases::{self, NewRun, NotStarted};

/// How often the folder is read again.
const READ: Duration = Duration::from_secs(10);
/// How often events and ends are looked up.
const LOOK: Duration = Duration::from_secs(1);

struct Starter<'a> {
    host: &'a Host,
    /// The definitions of the folder, by digest.
    known: &'a BTreeMap<Digest, Arc<Definition>>,
}

#[async_trait]
impl StartScheduled for Starter<'_> {
    async fn start(&self, start: ScheduledStart<'_>) -> Result<(), NotScheduled> {
        let definition = self.known.get(&start.definition.digest).cloned();
        let refused = |detail: String| NotScheduled::Refused { detail };
        let definition = definition.ok_or_else(|| refused("its file is gone".to_owned()))?;
        let name = definition.full_name();
        let by = Actor::new(format!("schedule:{}", start.trigger.name())).expect("a fixed name is an actor");
        let run = NewRun {
            definition,
            id: Some(start.id.clone()),
            input: start.input,
            release_id: None,
            idempotency_key: None,
            started_by: by,
            auto_approval: false,
        };
        match releases::start(self.host, run).await {
            Ok(_) => info!(instance.id = %start.id, "The schedule of {name} started instance `{}`", start.id),
            // Started before a crash, or by another host.
            Err(NotStarted::Store(StartError::Store(StoreError::Exists { .. }))) => {}
            Err(NotStarted::Store(StartError::Store(error))) => return Err(error.into()),
            Err(error) => return Err(refused(releases::failure_of(error).to_string())),
        }
        Ok(())
    }
}

fn scheduled(library: &Library) -> BTreeMap<Digest, Arc<Definition>> {
    let scheduled = library.all().filter(|definition| definition.schedule.is_some());
    scheduled.map(|definition| (definition.digest.clone(), definition.clone())).collect()
}

/// What the folder holds, as of one reading.
#[derive(Default)]
struct Folder {
    scheduled: BTreeMap<Digest, Arc<Definition>>,
    /// What cannot be read, with place and reason.
    unreadable: BTreeSet<String>,
}

impl Folder {
    fn read(host: &Host) -> Self {
        let library = Library::read(&host.parts);
        Self { scheduled: scheduled(&library), unreadable: library.unreadable().cloned().collect() }
    }
}

/// Works until it is told to stop. A definition that cannot be read or started is said once in the log, and tried again.
pub async fn run(host: Arc<Host>, mut stop: watch::Receiver<bool>) {
    let mut folder = Folder::default();
    let mut read_at: Option<Instant> = None;
    let (mut said, mut followed) = (BTreeSet::new(), BTreeSet::new());
    while !*stop.borrow() {
        if read_at.is_none_or(|at| at.elapsed() >= READ) {
            let reader = host.clone();
            let reading = tokio::task::spawn_blocking(move || Folder::read(&reader));
            // A document that is slow to come does not hold up the end.
            let read = tokio::select! {
                _ = stop.changed() => return,
                read = reading => read,
            };
            match read {
                Ok(read) => {
                    for problem in read.unreadable.difference(&folder.unreadable) {
                        error!("A definition cannot be read, and no schedule of it goes on: {}", one_line(problem));
                    }
                    folder = read;
                }
                Err(problem) => error!("The folder of definitions could not be read: {problem}"),
            }
            read_at = Some(Instant::now());
        }
        let starter = Starter { host: &host, known: &folder.scheduled };
        let store = host.shared_store();
        let mut pause = LOOK;
        for (digest, definition) in &folder.scheduled {
            match start_due(store.as_ref(), &starter, definition, host.now()).await {
                Ok(next) => {
                    if followed.insert(digest.clone()) {
                        let next = next.map_or_else(|| "what it waits for".to_owned(), |next| next.to_string());
                        info!("Following the schedule of {}; next: {next}", definition.full_name());
                    }
                    if let Some(next) = next {
                        let wait = Duration::try_from(next.duration_since(host.now())).unwrap_or(Duration::ZERO);
                        pause = pause.min(wait);
                    }
                }
                Err(problem) => {
                    let text = format!("the schedule of {} does not go on: {problem}", definition.full_name());
                    if said.insert(text.clone()) {
                        error!("{text}");
                    }
                }
            }
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
