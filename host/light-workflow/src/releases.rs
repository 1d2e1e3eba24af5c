//! Starting an instance: definition, policy and input become its first commit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use store::{NewInstance, StartError, Started, StoreError};
use workflow::approval::canonical;
use workflow::definition::{self, Definition, workflows_run};
use workflow::engine::Violation;
use workflow::policy::PolicyProblem;
use workflow::request::{ReleaseRequest, ReleaseType};
use workflow::{Actor, Digest, InstanceId};

use crate::documents;
use crate::host::{Host, Parts};
use crate::library::Library;
use crate::output::Failure;

/// What is to run, already checked.
pub struct NewRun {
    pub definition: Arc<Definition>,
    /// None: a new one.
    pub id: Option<InstanceId>,
    pub input: Value,
    pub release_id: Option<String>,
    pub idempotency_key: Option<String>,
    pub started_by: Actor,
    /// Whether the one who asks leaves approvals to `--yes`.
    pub auto_approval: bool,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error("{} does not fit this host's policy", definition)]
    Policy { definition: String, problems: Vec<PolicyProblem> },
    /// A release publishes; what holds its secrets needs a person first.
    #[error("{definition} publishes without an approval")]
    Unapproved { definition: String, problems: Vec<String> },
    /// A plugin would refuse what a task passes to it, when it is too late.
    #[error("{definition} passes to a plugin what it does not take")]
    Calls { definition: String, problems: Vec<String> },
    /// The request is not what the definition's `input.schema` demands.
    #[error("{definition} does not take this request")]
    NotTaken { definition: String, violations: Vec<Violation> },
    /// Secrets and images that are not there, origins that nobody approved.
    #[error("this host lacks what it needs")]
    Lacking { problems: Vec<String> },
    #[error(transparent)]
    Store(#[from] StartError),
    #[error(transparent)]
    Drive(#[from] worker::DriveError),
}

/// Commits the start of an instance, first intent included.
pub async fn start(host: &Host, run: NewRun) -> Result<(InstanceId, Started), NotStarted> {
    let definition = run.definition;
    let allow_auto_approval = run.auto_approval && host.parts.config.policy.auto_approve;
    if run.release_id.is_some() {
        let violations = violations(&definition, &run.input);
        if !violations.is_empty() {
            return Err(NotStarted::NotTaken { definition: definition.full_name(), violations });
        }
    }
    let store = host.shared_store();
    let library = Library::for_definition(&host.parts, store.as_ref(), &definition).await.map_err(StartError::from)?;
    let mut policy = host
        .parts
        .policy(&definition, &library, allow_auto_approval)
        .map_err(|problems| NotStarted::Policy { definition: definition.full_name(), problems })?;
    let images = host.parts.pin_images(&mut policy).await;
    let problems = [Parts::unapproved_calls(&policy), host.parts.missing_secrets(&policy), images].concat();
    if !problems.is_empty() {
        return Err(NotStarted::Lacking { problems });
    }
    let mut problems = wrong_calls(&host.parts, &definition, &definition.full_name());
    for child in library.all().filter(|child| policy.definitions.contains_key(&child.digest)) {
        problems.extend(wrong_calls(&host.parts, child, &child.full_name()));
    }
    if !problems.is_empty() {
        return Err(NotStarted::Calls { definition: definition.full_name(), problems });
    }
    let mut problems = unapproved(&definition, &definition.full_name());
    for child in library.all().filter(|child| policy.definitions.contains_key(&child.digest)) {
        // A child asks for itself: what its parent asked does not count.
        problems.extend(unapproved(child, &child.full_name()));
    }
    if run.release_id.is_some() && !problems.is_empty() {
        return Err(NotStarted::Unapproved { definition: definition.full_name(), problems });
    }
    let id = run.id.unwrap_or_else(|| host.new_instance_id());
    let request = json!({ "definition": definition.digest, "input": run.input });
    let now = host.now();
    let (instance, events) = workflow::engine::start(&definition, id.clone(), run.input, run.started_by, policy, now);
    host.definitions.insert(definition.clone());
    let pinned = library.pinned(&definition, instance.policy());
    for child in pinned.values() {
        host.definitions.insert(child.clone());
    }
    let also = worker::alongside(store.as_ref(), &host.definitions, BTreeSet::new(), &instance, &events, now).await?;
    let started = store
        .start_instance(NewInstance {
            id: id.clone(),
            idempotency_key: run.idempotency_key,
            request_digest: Digest::of(canonical(&request).as_bytes()),
            release_id: run.release_id,
            definition: definition.digest.clone(),
            definition_name: definition.full_name(),
            definition_source: definition.source.clone(),
            definitions: pinned.into_iter().map(|(digest, child)| (digest, child.source.clone())).collect(),
            parent: None,
            events,
            projection: worker::projection(&instance),
            listeners: instance.listeners(),
            also,
        })
        .await?;
    Ok(match started {
        Started::New => (id, Started::New),
        Started::Existing(existing) => (existing.clone(), Started::Existing(existing)),
    })
}

/// Where the definition does not take a release, by JSON pointers into the request: such a release is not recorded.
pub fn violations(definition: &Definition, input: &Value) -> Vec<Violation> {
    let found = workflow::engine::input_violations(definition, input).unwrap_or_else(|fault| {
        vec![Violation { pointer: String::new(), message: fault.detail.unwrap_or(fault.kind) }]
    });
    let in_request = |violation: Violation| Violation {
        pointer: violation.pointer.strip_prefix("/release").unwrap_or(&violation.pointer).to_owned(),
        ..violation
    };
    found.into_iter().map(in_request).collect()
}

/// What calls pass to plugins that do not take it, with the places in `file`.
fn wrong_calls(parts: &Parts, definition: &Definition, file: &str) -> Vec<String> {
    match parts.plugin_facts() {
        Ok(plugins) => definition::check_calls(definition, file, &plugins).iter().map(ToString::to_string).collect(),
        Err(failure) => vec![failure.to_string()],
    }
}

/// Tasks that could publish before anybody has been asked, with their places in `file`.
pub fn unapproved(definition: &Definition, file: &str) -> Vec<String> {
    let problem = |task: &definition::Task| {
        let message =
            format!("task `{}` holds secrets, and a path leads to it on which no `ask` was answered", task.name);
        definition::problem_at(definition, file, &task.reference, &message, Some("put one before it")).to_string()
    };
    definition::tasks_with_secrets_before_an_approval(definition).into_iter().map(problem).collect()
}

/// The definition that releases of this type run.
pub fn definition_path(definitions: &Path, release_type: ReleaseType) -> PathBuf {
    definitions.join(match release_type {
        ReleaseType::RustProducts => "rust-products.yaml",
        ReleaseType::JavaTrain => "java-train.yaml",
    })
}

/// The definition that somebody named, or the host's for releases of this type.
pub fn definition_for(parts: &Parts, named: Option<&Path>, release_type: ReleaseType) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let path = definition_path(&parts.config.paths.definitions, release_type);
    if path.is_file() {
        return Ok(path);
    }
    let kind = serde_json::to_value(release_type)?;
    Err(Failure::used_wrongly(format!(
        "this host has no definition for releases of type `{}`: there is no `{}`; name one with --definition",
        kind.as_str().unwrap_or_default(),
        path.display()
    )))
}

/// Refuses, before anything is written, what could not be run to its end on this host.
pub fn refuse_unusable(parts: &Parts, definition: &Definition, path: &Path) -> Result<(), Failure> {
    let library = Library::read(parts);
    if workflows_run(definition).iter().any(|name| library.find(name).is_err()) {
        // It may have run here before: `start` looks into the store, too.
        return Ok(());
    }
    let policy = parts.policy(definition, &library, false).map_err(|problems| {
        Failure::wrong_input(problems.iter().map(|problem| problem.at(definition, &path.display().to_string())))
    })?;
    let calls = wrong_calls(parts, definition, &path.display().to_string());
    let problems = [calls, Parts::unapproved_calls(&policy), parts.missing_secrets(&policy)].concat();
    if problems.is_empty() { Ok(()) } else { Err(Failure::wrong_input(problems)) }
}

/// Reads a definition, and the documents that it names.
pub fn read_definition(parts: &Parts, path: &Path) -> Result<Arc<Definition>, Failure> {
    let source = std::fs::read_to_string(path).map_err(|error| {
        Failure::used_wrongly(format!("failed to read the definition `{}`: {error}", path.display()))
    })?;
    documents::read(parts, &source, path).map(Arc::new).map_err(Failure::wrong_input)
}

/// A release as a run of its definition.
pub fn release_run(
    definition: Arc<Definition>,
    request: &ReleaseRequest,
    idempotency_key: Option<String>,
    started_by: Actor,
) -> Result<NewRun, serde_json::Error> {
    Ok(NewRun {
        definition,
        id: None,
        input: json!({ "release": serde_json::to_value(request)? }),
        release_id: Some(request.release_id.clone()),
        idempotency_key,
        started_by,
        auto_approval: !request.publish_policy.require_human_approval,
    })
}

/// Starts releases for the API, which cannot do it itself.
pub struct ReleaseStarter(pub Arc<Host>);

#[async_trait]
impl api::Starter for ReleaseStarter {
    async fn start_release(
        &self,
        request: ReleaseRequest,
        idempotency_key: Option<String>,
        by: Actor,
    ) -> Result<api::StartedRelease, api::StartReleaseError> {
        let path = definition_path(&self.0.parts.config.paths.definitions, request.release_type);
        let unavailable = |detail: String| api::StartReleaseError::Unavailable { detail };
        let host = self.0.clone();
        let definition = tokio::task::spawn_blocking(move || read_definition(&host.parts, &path))
            .await
            .map_err(|error| unavailable(error.to_string()))?
            .map_err(|failure| unavailable(failure.to_string()))?;
        let release_id = request.release_id.clone();
        let run = release_run(definition, &request, idempotency_key, by)
            .map_err(|error| api::StartReleaseError::Unavailable { detail: error.to_string() })?;
        match start(&self.0, run).await {
            Ok((instance, started)) => {
                Ok(api::StartedRelease { instance, release_id, existing: started != Started::New })
            }
            Err(NotStarted::Policy { problems, definition }) => {
                let list: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Err(api::StartReleaseError::Unavailable { detail: format!("{definition}: {}", list.join("; ")) })
            }
            Err(NotStarted::Unapproved { problems, definition }) => {
                let detail = format!("{definition} publishes without an approval: {}", problems.join("; "));
                Err(api::StartReleaseError::Unavailable { detail })
            }
            Err(NotStarted::Calls { problems, .. }) => {
                Err(api::StartReleaseError::Unavailable { detail: problems.join("; ") })
            }
            Err(NotStarted::NotTaken { definition, violations }) => {
                let problem = |violation: Violation| api::RequestProblem {
                    pointer: violation.pointer,
                    detail: violation.message,
                };
                let problems = violations.into_iter().map(problem).collect();
                Err(api::StartReleaseError::NotTaken { definition, problems })
            }
            Err(NotStarted::Lacking { problems }) => {
                Err(api::StartReleaseError::Unavailable { detail: problems.join("; ") })
            }
            Err(NotStarted::Store(StartError::KeyReused { key })) => Err(api::StartReleaseError::KeyReused { key }),
            Err(NotStarted::Store(StartError::ReleaseRunning { release, instance })) => {
                Err(api::StartReleaseError::AlreadyRunning { release, instance })
            }
            Err(NotStarted::Store(StartError::Store(error))) => Err(api::StartReleaseError::Store(error)),
            Err(NotStarted::Drive(error)) => Err(api::StartReleaseError::Unavailable { detail: error.to_string() }),
        }
    }
}

/// The instance that a person means by an instance id, or by a release id: then the run that counts.
pub async fn find(host: &Host, name: &str) -> Result<store::InstanceRow, Failure> {
    find_in(&host.shared_store(), name).await
}

/// Like [`find`], for those who only read a store.
pub async fn find_in(store: &store::SharedStore, name: &str) -> Result<store::InstanceRow, Failure> {
    Ok(find_runs(store, name).await?.meant)
}

/// Like [`find_in`], with the other runs of the same release.
pub async fn find_runs(store: &store::SharedStore, name: &str) -> Result<store::Runs, Failure> {
    store::runs_of(store.as_ref(), name).await?.ok_or_else(|| {
        Failure::used_wrongly(format!(
            "there is no release or instance `{name}`; `light-workflow release list` shows all"
        ))
    })
}

/// Kept for callers that only have the error's text to show.
pub fn failure_of(error: NotStarted) -> Failure {
    match error {
        NotStarted::Policy { problems, definition } => {
            Failure::wrong_input(problems.into_iter().map(|problem| format!("{definition}: {problem}")))
        }
        NotStarted::Unapproved { problems, .. } | NotStarted::Calls { problems, .. } => Failure::wrong_input(problems),
        NotStarted::NotTaken { definition, violations } => {
            let line = |violation: Violation| {
                format!("{definition} does not take this request: {}: {}", violation.pointer, violation.message)
            };
            Failure::wrong_input(violations.into_iter().map(line))
        }
        NotStarted::Lacking { problems } => Failure::wrong_input(problems),
        NotStarted::Store(StartError::Store(error @ StoreError::Database { .. })) => Failure::from(error),
        NotStarted::Store(error) => Failure::used_wrongly(error),
        NotStarted::Drive(error) => Failure::from(anyhow::Error::from(error)),
    }
}
