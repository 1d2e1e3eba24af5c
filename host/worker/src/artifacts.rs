//! Where an attempt's files are kept in the artifact store.

use std::fs::File;

use sandbox::ExecOutcome;
use store::{ArtifactBytes, NewArtifact, Store, StoreError};
use workflow::command::Artifact;
use workflow::{ArtifactUri, Command, CommandResult, EffectKey, InstanceId, TaskPath};

/// The folder of a task's artifacts: the names along its path, with iteration
/// indexes: `/do/3/publish[1]/do/0/publish-crate` is `publish.1.publish-crate`.
pub fn folder(path: &TaskPath) -> String {
    let parts: Vec<&str> = path.as_str().split('/').skip(1).collect();
    let mut names: Vec<String> = Vec::new();
    let mut list: Vec<&str> = Vec::new();
    let mut rest = parts.into_iter().peekable();
    while let Some(part) = rest.next() {
        let is_index = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match (is_index && !list.is_empty(), rest.peek()) {
            (true, Some(_)) => {
                // `do` and `try` are what a task list is called anyway; only other lists are told apart.
                names.extend(list.drain(..).filter(|name| *name == "catch").map(str::to_owned));
                let name = rest.next().unwrap_or_default();
                names.push(name.replace('[', ".").replace(']', ""));
            }
            _ => list.push(part),
        }
    }
    names.join(".")
}

/// `artifact://<instance>/<task folder>/<attempt>[.<sequence>]/<name>`.
pub fn uri(key: &EffectKey, name: &str) -> Result<ArtifactUri, StoreError> {
    let turn = if key.sequence == 0 { key.attempt.to_string() } else { format!("{}.{}", key.attempt, key.sequence) };
    ArtifactUri::new(format!("artifact://{}/{}/{turn}/{name}", key.instance, folder(&key.path)))
        .map_err(|source| StoreError::Database { doing: "name an artifact", source: Box::new(source) })
}

/// The part of a reference that grants speak about: `<task folder>/<attempt>/<name>`;
/// none for another instance's artifact.
pub fn name_within<'a>(instance: &InstanceId, uri: &'a ArtifactUri) -> Option<&'a str> {
    uri.as_str().strip_prefix("artifact://")?.strip_prefix(instance.as_str())?.strip_prefix('/')
}

/// Moves the files of a finished command into the store and gives its result contract.
pub async fn keep(
    store: &dyn Store,
    key: &EffectKey,
    line: String,
    outcome: ExecOutcome,
) -> Result<CommandResult, StoreError> {
    let stdout = put_file(store, key, "stdout.log", "text/plain; charset=utf-8", &outcome.stdout).await?;
    let stderr = put_file(store, key, "stderr.log", "text/plain; charset=utf-8", &outcome.stderr).await?;
    let mut artifacts = Vec::with_capacity(outcome.captured.len());
    for captured in &outcome.captured {
        let name = format!("files/{}", captured.path);
        artifacts.push(put_file(store, key, &name, media_type(&captured.path), &captured.file).await?);
    }
    let duration = outcome.completed_at.duration_since(outcome.started_at);
    Ok(CommandResult {
        task_name: key.path.task_name().to_owned(),
        task_path: key.path.clone(),
        attempt: key.attempt,
        command: line,
        exit_code: outcome.exit_code,
        status: outcome.status,
        started_at: outcome.started_at,
        completed_at: outcome.completed_at,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(0),
        stdout_ref: stdout.uri,
        stderr_ref: stderr.uri,
        summary: outcome.summary,
        changed_files: outcome.changed_files,
        artifacts,
        egress: outcome.egress,
        sandbox_digest: outcome.sandbox_digest,
        stdout_excerpt: outcome.stdout_excerpt,
        stderr_excerpt: outcome.stderr_excerpt,
    })
}

/// Host files of a command's inputs, checked against their digests by the store.
pub async fn inputs(
    store: &dyn Store,
    command: &Command,
) -> Result<std::collections::BTreeMap<String, std::path::PathBuf>, StoreError> {
    let mut files = std::collections::BTreeMap::new();
    for (path, uri) in &command.inputs {
        let missing = || StoreError::NotFound { what: format!("artifact `{uri}`") };
        let row = store.artifact(uri).await?.ok_or_else(missing)?;
        files.insert(path.clone(), store.artifact_path(&row.artifact.digest).ok_or_else(missing)?);
    }
    Ok(files)
}

async fn put_file(
    store: &dyn Store,
    key: &EffectKey,
    name: &str,
    media_type: &str,
    path: &std::path::Path,
) -> Result<Artifact, StoreError> {
    let file = File::open(path)
        .map_err(|source| StoreError::Database { doing: "open a file of the spool", source: Box::new(source) })?;
    let new = NewArtifact { uri: uri(key, name)?, instance: key.instance.clone(), media_type: media_type.to_owned() };
    store.put_artifact(new, ArtifactBytes::File(file)).await
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("json") => "application/json",
        Some("txt" | "log" | "md" | "toml" | "yaml") => "text/plain; charset=utf-8",
        Some("gz" | "crate") => "application/gzip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_task_is_its_names_and_iterations() {
        let cases = [
            ("/do/2/build", "build"),
            ("/do/3/publish[1]/do/0/publish-crate", "publish.1.publish-crate"),
            ("/do/1/t/try/0/x", "t.x"),
            ("/do/1/t/catch/do/0/x", "t.catch.x"),
        ];
        for (path, expected) in cases {
            assert_eq!(folder(&TaskPath::from_text(path)), expected, "{path}");
        }
    }

    #[test]
    fn an_artifact_of_another_instance_has_no_name_here() {
        let ours = InstanceId::new("i1").unwrap();
        let uri = |text: &str| ArtifactUri::new(text).unwrap();
        assert_eq!(name_within(&ours, &uri("artifact://i1/build/1/x")), Some("build/1/x"));
        assert_eq!(name_within(&ours, &uri("artifact://i12/build/1/x")), None);
    }
}
