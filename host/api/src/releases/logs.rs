//! `GET /v1/releases/{id}/logs`: what commands wrote, as text.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Deserialize;
use store::{SharedStore, StoreError};
use utoipa::{IntoParams, ToSchema};
use workflow::summary::{CommandLine, Summary};
use workflow::{ArtifactUri, Recorded};

use super::find;
use crate::ApiState;
use crate::http::{Content, Part, PathParam, QueryParams};
use crate::problem::{ErrorType, Problem};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogParams {
    /// Path of a task, such as `/do/2/build`: only its commands and those of the tasks inside it.
    task: Option<String>,
    /// Only this attempt of the task.
    attempt: Option<u32>,
    /// Only this stream; both if not given, standard output first.
    #[param(inline)]
    stream: Option<Stream>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Read the logs of a release
///
/// The redacted output of every command that has ended, one after another in that order. It only grows:
/// `Range: bytes=N-` reads on from where a client stopped.
#[utoipa::path(get, path = "/v1/releases/{id}/logs", operation_id = "getLogs", tag = "releases",
    params(
        ("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id"),
        LogParams,
        ("Range" = Option<String>, Header, description = "One range of bytes"),
    ),
    responses(
        (status = 200, description = "The logs", body = String, content_type = "text/plain"),
        (status = 206, description = "A range of them", body = String, content_type = "text/plain"),
        (status = 404, description = "No such release, or no such task in it"),
        (status = 416, description = "The range lies outside"),
    ))]
pub(crate) async fn get_logs(
    State(state): State<ApiState>,
    PathParam(name): PathParam,
    QueryParams(params): QueryParams<LogParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = find(&state.store, &name).await?;
    let history = state.store.history(&row.id, 0).await?;
    if let Some(task) = &params.task
        && !has_task(&history, task)
    {
        let detail = format!("release `{name}` has no task `{task}`, or has not come to it yet");
        return Err(Problem::new(ErrorType::TaskNotFound, detail));
    }
    let commands = Summary::of(&history).map(|summary| summary.commands).unwrap_or_default();
    let mut parts = Vec::new();
    for uri in commands.into_iter().filter(|command| params.wants(command)).flat_map(|command| params.streams(command))
    {
        parts.push(part(&state.store, uri).await?);
    }
    let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
    Content { store: state.store, parts, media_type }.respond(&headers)
}

impl LogParams {
    fn wants(&self, command: &CommandLine) -> bool {
        self.task.as_ref().is_none_or(|task| covers(task, command.task.as_str()))
            && self.attempt.is_none_or(|attempt| attempt == command.attempt)
    }

    fn streams(&self, command: CommandLine) -> impl Iterator<Item = ArtifactUri> + use<> {
        let stdout = (self.stream != Some(Stream::Stderr)).then_some(command.stdout_ref);
        let stderr = (self.stream != Some(Stream::Stdout)).then_some(command.stderr_ref);
        stdout.into_iter().chain(stderr)
    }
}

fn has_task(history: &[Recorded], task: &str) -> bool {
    history.iter().filter_map(|recorded| recorded.event.path()).any(|path| path.as_str() == task)
}

/// Whether `path` is this task or a task inside it, in whichever iteration.
fn covers(task: &str, path: &str) -> bool {
    path.strip_prefix(task).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('['))
}

async fn part(store: &SharedStore, uri: ArtifactUri) -> Result<Part, StoreError> {
    let row = store.artifact(&uri).await?;
    let row =
        row.ok_or_else(|| StoreError::Corrupt { what: format!("a history that names `{uri}`, which is not stored") })?;
    Ok(Part { uri, size_bytes: row.artifact.size_bytes })
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_task_covers_itself_and_what_is_inside_it() {
        let publish = "/do/3/publish";
        for path in ["/do/3/publish", "/do/3/publish[1]", "/do/3/publish[1]/do/0/x", "/do/3/publish/try/0/x"] {
            assert!(covers(publish, path), "{path}");
        }
        for path in ["/do/3/publish-crate", "/do/3", "/do/13/publish"] {
            assert!(!covers(publish, path), "{path}");
        }
    }
}
