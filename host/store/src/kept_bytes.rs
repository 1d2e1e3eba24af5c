//! Proves that stored files are what their rows and the events say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use workflow::command::Artifact;
use workflow::summary::{self, Summary};
use workflow::{CommandResult, Digest, EffectOutcome, Event, InstanceId, Recorded};

use crate::contract::Store;
use crate::errors::StoreError;
use crate::rebuild::Difference;
use crate::rows::ArtifactRow;

/// Read and hashed at a time.
const BLOCK_BYTES: u64 = 1 << 20;

/// What came of reading the files of an instance.
#[derive(Debug, Default)]
pub struct KeptBytes {
    pub differences: Vec<Difference>,
    /// Files that stand in no event, by their URIs: a plugin's log, or what an attempt left that a crash cut
    /// off. Their bytes are as their rows say, and nothing else vouches for either.
    pub unnamed: Vec<String>,
    /// Files of a summary that says that another version of the program made it: they are not compared.
    pub other_summary: Vec<String>,
}

/// Reads every file that an instance keeps, and compares its bytes with its row,
/// the row with the events, and the summary with the history.
///
/// # Errors
///
/// A store that does not answer.
pub async fn check_kept_bytes(store: &dyn Store, instance: &InstanceId) -> Result<KeptBytes, StoreError> {
    let mut kept = KeptBytes::default();
    let mut differs = |what: String, stored: String, told: String| {
        kept.differences.push(Difference { instance: instance.clone(), what, stored, told });
    };
    let rows: BTreeMap<String, ArtifactRow> = match store.artifacts(instance).await {
        Ok(rows) => rows.into_iter().map(|row| (row.artifact.uri.to_string(), row)).collect(),
        Err(StoreError::Corrupt { what }) => {
            let stored = format!("{what} that cannot be read back");
            differs("the list of its artifacts".to_owned(), stored, "one".to_owned());
            return Ok(kept);
        }
        Err(error) => return Err(error),
    };
    for (uri, row) in &rows {
        let wanted = said(&row.artifact);
        match read(store, row).await {
            Ok(bytes) if bytes == wanted => {
                if let Some(length) = length(store, row).filter(|length| *length != row.artifact.size_bytes) {
                    differs(format!("the file of `{uri}`"), format!("{length} bytes long"), wanted);
                }
            }
            Ok(bytes) => differs(format!("the file of `{uri}`"), bytes, wanted),
            Err(error) => differs(format!("the file of `{uri}`"), format!("unreadable ({})", chain(&error)), wanted),
        }
    }
    let history = match store.history(instance, 0).await {
        Ok(history) => history,
        // Told with the rows.
        Err(StoreError::Corrupt { .. }) => return Ok(kept),
        Err(error) => return Err(error),
    };
    for result in history.iter().filter_map(result_of) {
        for artifact in &result.artifacts {
            match rows.get(artifact.uri.as_str()) {
                Some(row) if row.artifact == *artifact => {}
                Some(row) => differs(format!("artifact `{}`", artifact.uri), said(&row.artifact), said(artifact)),
                None => differs(format!("artifact `{}`", artifact.uri), "not there".to_owned(), said(artifact)),
            }
        }
        for stream in
            [&result.stdout_ref, &result.stderr_ref].into_iter().filter(|uri| !rows.contains_key(uri.as_str()))
        {
            differs(format!("artifact `{stream}`"), "not there".to_owned(), "it should be".to_owned());
        }
    }
    let mut named = named(&history);
    let format = summary_format(store, rows.get(&Summary::uri(instance, "summary.json"))).await;
    let told = Summary::of(&history).filter(|summary| summary.ended_at.is_some());
    for (name, _, bytes) in told.iter().flat_map(Summary::files) {
        let uri = Summary::uri(instance, name);
        // A crash may come between the end and its summary.
        let Some(row) = rows.get(&uri) else { continue };
        if format == SummaryFormat::Other {
            kept.other_summary.push(uri.clone());
        } else if row.artifact.digest != Digest::of(&bytes) {
            let told = format!("{} with {} bytes", Digest::of(&bytes), bytes.len());
            let difference =
                Difference { instance: instance.clone(), what: format!("`{uri}`"), stored: said(&row.artifact), told };
            kept.differences.push(difference);
        }
        named.insert(uri);
    }
    kept.unnamed = rows.into_keys().filter(|uri| !named.contains(uri)).collect();
    Ok(kept)
}

/// Who made a kept summary, as far as it tells.
#[derive(PartialEq)]
enum SummaryFormat {
    /// This version of the program; or it does not tell, which no version does.
    Ours,
    Other,
}

async fn summary_format(store: &dyn Store, row: Option<&ArtifactRow>) -> SummaryFormat {
    let Some(row) = row else { return SummaryFormat::Ours };
    let Ok(bytes) = store.read_artifact(&row.artifact.uri, 0, row.artifact.size_bytes).await else {
        return SummaryFormat::Ours;
    };
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(told)) if told.get("format") != Some(&summary::FORMAT.into()) => SummaryFormat::Other,
        Ok(_) | Err(_) => SummaryFormat::Ours,
    }
}

/// Every artifact whose URI stands anywhere in the events.
fn named(history: &[Recorded]) -> BTreeSet<String> {
    fn collect(value: Value, into: &mut BTreeSet<String>) {
        match value {
            Value::String(text) if text.starts_with("artifact://") => drop(into.insert(text)),
            Value::Array(items) => items.into_iter().for_each(|item| collect(item, into)),
            Value::Object(fields) => fields.into_iter().for_each(|(_, field)| collect(field, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut named = BTreeSet::new();
    for recorded in history {
        collect(serde_json::to_value(&recorded.event).unwrap_or_default(), &mut named);
    }
    named
}

fn result_of(recorded: &Recorded) -> Option<&CommandResult> {
    let Recorded { event, .. } = recorded;
    if let Event::CommandCompleted { result, .. } = event {
        return Some(result);
    }
    let Event::AttemptCompleted { outcome, .. } = event else { return None };
    match outcome.as_ref() {
        EffectOutcome::Command { result } => Some(result),
        EffectOutcome::Output { .. } | EffectOutcome::Faulted { .. } | EffectOutcome::Unknown { .. } => None,
    }
}

fn said(artifact: &Artifact) -> String {
    format!("{} with {} bytes", artifact.digest, artifact.size_bytes)
}

/// What the bytes are, in the words of [`said`].
async fn read(store: &dyn Store, row: &ArtifactRow) -> Result<String, StoreError> {
    let mut sum = Sha256::new();
    let mut size_bytes = 0;
    loop {
        let block = store.read_artifact(&row.artifact.uri, size_bytes, BLOCK_BYTES).await?;
        if block.is_empty() {
            return Ok(format!("sha256:{} with {size_bytes} bytes", hex::encode(sum.finalize())));
        }
        sum.update(&block);
        size_bytes += block.len() as u64;
    }
}

/// How long the file is, whatever its row says: a read ends where the row ends.
fn length(store: &dyn Store, row: &ArtifactRow) -> Option<u64> {
    let path = store.artifact_path(&row.artifact.digest)?;
    std::fs::metadata(path).ok().map(|file| file.len())
}

/// An error and its sources.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
