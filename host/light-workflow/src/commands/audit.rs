//! `audit`: export the log, and find whatever was done to it and to what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind};
use std::path::Path;

use anyhow::Context as _;
use store::audit::{self, Export, ExportError, Verified, Verifier};
use store::{Difference, InstanceFilter, Projection, SharedStore, StoreError};
use workflow::definition::Definition;
use workflow::engine::{Instance, Snapshot};
use workflow::event::Event;
use workflow::{Digest, InstanceId, Recorded};

use super::Context;
use crate::cli::{Audit, AuditExport, AuditVerify};
use crate::host::Host;
use crate::output::{DONE, FAILED, Failure, counted, errln, one_line, outln};

/// Leaves read at a time.
const PAGE: u32 = 1_000;

pub async fn run(context: &Context, audit: Audit) -> Result<u8, Failure> {
    match audit {
        Audit::Export(export_) => export(context, export_).await,
        Audit::Verify(verify_) => verify(context, verify_).await,
    }
}

async fn export(context: &Context, export: AuditExport) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let store = host.shared_store();
    let Some(path) = &export.output else {
        let mut out = BufWriter::new(std::io::stdout());
        return match audit::export(store.as_ref(), &mut out).await {
            Ok(_) => Ok(DONE),
            // A reader that went away (`| head`) has what it wanted.
            Err(ExportError::File(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(DONE),
            Err(error) => Err(error.into()),
        };
    };
    let doing = || format!("failed to write the export `{}`", path.display());
    let file = File::create(path).map_err(|error| Failure::used_wrongly(format!("{}: {error}", doing())))?;
    audit::export(store.as_ref(), &mut BufWriter::new(file)).await.with_context(doing)?;
    Ok(DONE)
}

async fn verify(context: &Context, verify: AuditVerify) -> Result<u8, Failure> {
    let key = verify.key.as_ref().map(|key| key.0.as_str());
    let (found, what) = match &verify.file {
        Some(path) => (verify_file(path, key)?, path.display().to_string()),
        None => {
            let host = context.existing_host().await?;
            (verify_store(&host, key).await?, context.data.display().to_string())
        }
    };
    for finding in &found.findings {
        errln!("error: {what}: {}", one_line(finding));
    }
    let Some(verified) = found.verified.filter(|_| found.findings.is_empty()) else { return Ok(FAILED) };
    let events = counted(usize::try_from(verified.leaves).unwrap_or(usize::MAX), "event", "events");
    outln!("{what}: {events}, all in place; {}", signed(&verified));
    if let Some(compared) = found.compared {
        compared.tell(&what);
    }
    if key.is_none() && verified.signed_by.is_some() {
        outln!("compare the key with the one you trust, or name it with --key");
    }
    Ok(DONE)
}

fn signed(verified: &Verified) -> String {
    match &verified.signed_by {
        Some(key) => format!("signed by {key}"),
        None => "nobody has signed it".to_owned(),
    }
}

/// What was found in a log, and in what follows from it.
#[derive(Default)]
struct Found {
    /// None when something is wrong with the log itself.
    verified: Option<Verified>,
    /// None for a file: it has nothing beside the log.
    compared: Option<Compared>,
    /// One problem a line.
    findings: Vec<String>,
}

/// What was compared with the histories, and what could not be.
#[derive(Default)]
struct Compared {
    instances: usize,
    /// URIs of files that stand in no event.
    unnamed: Vec<String>,
    /// URIs of summaries that another version of the program made.
    other_summaries: Vec<String>,
}

impl Compared {
    fn tell(&self, what: &str) {
        let instances = counted(self.instances, "instance", "instances");
        outln!("{what}: the rows of {instances} and the files that the events name are what the events say");
        if !self.unnamed.is_empty() {
            let files = counted(self.unnamed.len(), "file", "files");
            outln!(
                "{what}: no event names {files}: logs of plugins, and what an attempt left that a crash cut off; \
                 nothing vouches for what they say"
            );
            for uri in &self.unnamed {
                outln!("  {}", one_line(uri));
            }
        }
        if !self.other_summaries.is_empty() {
            let files = counted(self.other_summaries.len(), "file", "files");
            outln!("{what}: not compared, since they say that another version of this program made them: {files}");
            for uri in &self.other_summaries {
                outln!("  {}", one_line(uri));
            }
        }
    }
}

impl Found {
    fn of(verified: Result<Verified, ExportError>) -> Result<Self, Failure> {
        let finding = match verified {
            // Whoever can remove the signature can make the whole chain anew.
            Ok(verified) if verified.leaves > 0 && verified.signed_by.is_none() => {
                format!("the checkpoint is missing: nobody has signed these {} events", verified.leaves)
            }
            Ok(verified) => return Ok(Self { verified: Some(verified), ..Self::default() }),
            Err(error @ (ExportError::NoHeader | ExportError::Line { .. } | ExportError::Problem(_))) => {
                error.to_string()
            }
            Err(ExportError::Store(StoreError::Corrupt { what })) => {
                format!("it holds {what} that cannot be read back")
            }
            Err(error @ (ExportError::File(_) | ExportError::Store(_))) => return Err(error.into()),
        };
        Ok(Self { findings: vec![finding], ..Self::default() })
    }
}

fn verify_file(path: &Path, key: Option<&str>) -> Result<Found, Failure> {
    let file = File::open(path)
        .map_err(|error| Failure::used_wrongly(format!("failed to open the export `{}`: {error}", path.display())))?;
    let verified = Export::read(BufReader::new(file)).and_then(|export| export.verify(key));
    match verified {
        Err(ExportError::File(error)) => {
            Err(Failure::used_wrongly(format!("failed to read the export `{}`: {error}", path.display())))
        }
        Err(error @ ExportError::NoHeader) => Err(Failure::used_wrongly(format!("{}: {error}", path.display()))),
        verified => Found::of(verified),
    }
}

/// The log of this host, and whatever it keeps beside it.
async fn verify_store(host: &Host, key: Option<&str>) -> Result<Found, Failure> {
    let store = host.shared_store();
    let mut logged = BTreeSet::new();
    let mut found = Found::of(verify_log(&store, key, &mut logged).await)?;
    let definitions = definitions(host, &store).await?;
    let project = |id: &InstanceId, history: &[Recorded]| project(&definitions, id, history);
    match store::rebuild(store.as_ref(), Some(&project)).await {
        Ok(rebuilt) => {
            found.findings.extend(rebuilt.differences.iter().map(Difference::to_string));
            let lost = logged.difference(&rebuilt.instances);
            found.findings.extend(lost.map(|id| format!("instance `{id}` has events, and is not there itself")));
            let mut compared = Compared { instances: rebuilt.instances.len(), ..Compared::default() };
            for instance in &rebuilt.instances {
                found.findings.extend(kept_state(&store, &definitions, instance).await?);
                let kept = store::check_kept_bytes(store.as_ref(), instance).await?;
                found.findings.extend(kept.differences.iter().map(Difference::to_string));
                compared.unnamed.extend(kept.unnamed);
                compared.other_summaries.extend(kept.other_summary);
            }
            found.compared = Some(compared);
        }
        Err(StoreError::Corrupt { what }) => found.findings.push(format!("it holds {what} that cannot be read back")),
        Err(error) => return Err(error.into()),
    }
    Ok(found)
}

/// As of the newest checkpoint; `logged` is who has events in it.
async fn verify_log(
    store: &SharedStore,
    key: Option<&str>,
    logged: &mut BTreeSet<InstanceId>,
) -> Result<Verified, ExportError> {
    // The checkpoint first: what is appended from now on is not part of this.
    let checkpoint = store.checkpoint().await?;
    let size = checkpoint.as_ref().map(|checkpoint| checkpoint.size);
    let mut verifier = Verifier::new(checkpoint, key)?;
    let mut next = 0;
    while size.is_none_or(|size| next < size) {
        let leaves = store.audit(next, PAGE).await?;
        let Some(last) = leaves.last() else { break };
        next = last.index.max(next) + 1;
        for leaf in leaves.into_iter().filter(|leaf| size.is_none_or(|size| leaf.index < size)) {
            logged.insert(leaf.instance.clone());
            verifier.take(leaf)?;
        }
    }
    verifier.end().map_err(ExportError::from)
}

/// What the instances of a store run, as far as it can be read.
async fn definitions(
    host: &Host,
    store: &SharedStore,
) -> Result<BTreeMap<Digest, std::sync::Arc<Definition>>, Failure> {
    let mut definitions = BTreeMap::new();
    let rows = match store.instances(InstanceFilter::default()).await {
        Ok(rows) => rows,
        // Told where the rows are compared.
        Err(StoreError::Corrupt { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for row in rows {
        // One that cannot be read is told where its instance is compared.
        if let Ok(definition) = host.definitions.get(store.as_ref(), &row.definition).await {
            definitions.insert(row.definition, definition);
        }
    }
    Ok(definitions)
}

/// What is wrong with the state that is kept of an instance, if one is that this program made.
async fn kept_state(
    store: &SharedStore,
    definitions: &BTreeMap<Digest, std::sync::Arc<Definition>>,
    id: &InstanceId,
) -> Result<Option<String>, Failure> {
    let Some(kept) = store.snapshot(id).await?.and_then(|kept| Snapshot::read(&kept.state)) else { return Ok(None) };
    let Some(definition) = definitions.get(kept.definition()).cloned() else { return Ok(None) };
    let mut history = match store.history(id, 0).await {
        Ok(history) => history,
        // Told with the rows.
        Err(StoreError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let revision = kept.revision();
    history.retain(|recorded| recorded.revision <= revision);
    let resumed = Instance::resume(id, definition.clone(), kept, []);
    let same = match (&resumed, Instance::fold(id.clone(), definition, history)) {
        (Ok(resumed), Ok(folded)) => *resumed == folded,
        (Err(_), _) | (_, Err(_)) => false,
    };
    Ok((!same).then(|| format!("instance `{id}`: its kept state is not what its first {revision} events give")))
}

/// What the rows should say, by the history alone.
fn project(
    definitions: &BTreeMap<Digest, std::sync::Arc<Definition>>,
    id: &InstanceId,
    history: &[Recorded],
) -> Result<Projection, String> {
    let Some(Recorded { event: Event::InstanceStarted { definition, .. }, .. }) = history.first() else {
        return Err("that it never started".to_owned());
    };
    let definition =
        definitions.get(definition).ok_or_else(|| format!("definition `{definition}`, which cannot be read"))?;
    match Instance::fold(id.clone(), definition.clone(), history.to_vec()) {
        Ok(instance) => Ok(worker::projection(&instance)),
        Err(error) => Err(format!("what cannot be: {error}")),
    }
}
