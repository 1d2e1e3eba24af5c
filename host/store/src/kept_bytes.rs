//! Proves that stored files are what their rows and the events say.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use workflow::command::Artifact;
use workflow::{CommandResult, EffectOutcome, Event, InstanceId, Recorded};

use crate::contract::Store;
use crate::errors::StoreError;
use crate::rebuild::Difference;
use crate::rows::ArtifactRow;

/// Read and hashed at a time.
const BLOCK_BYTES: u64 = 1 << 20;

/// Reads every file that an instance keeps, and compares its bytes with its row
/// and the row with the events.
///
/// # Errors
///
/// A store that does not answer.
pub async fn check_kept_bytes(store: &dyn Store, instance: &InstanceId) -> Result<Vec<Difference>, StoreError> {
    let mut found = Vec::new();
    let mut differs = |what: String, stored: String, told: String| {
        found.push(Difference { instance: instance.clone(), what, stored, told });
    };
    let rows: BTreeMap<String, ArtifactRow> = match store.artifacts(instance).await {
        Ok(rows) => rows.into_iter().map(|row| (row.artifact.uri.to_string(), row)).collect(),
        Err(StoreError::Corrupt { what }) => {
            differs(
                "the list of its artifacts".to_owned(),
                format!("{what} that cannot be read back"),
                "one".to_owned(),
            );
            return Ok(found);
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
        Err(StoreError::Corrupt { .. }) => return Ok(found),
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
    Ok(found)
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
