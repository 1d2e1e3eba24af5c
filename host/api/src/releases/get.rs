//! `GET /v1/releases/{id}`: one release with all that ran, from its history.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use store::{InstanceFilter, Runs};
use utoipa::ToSchema;
use workflow::summary::{Cancellation, CommandLine, Summary, TaskLine, TaskStatus};
use workflow::{CommandStatus, Timestamp};

use super::{ReleaseLine, find_runs};
use crate::ApiState;
use crate::http::PathParam;
use crate::human_tasks::HumanTaskView;
use crate::problem::Problem;

/// A release with all that ran.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Release)]
pub(crate) struct ReleaseView {
    #[serde(flatten)]
    line: ReleaseLine,
    started_by: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Digest over the canonical JSON of the effective policy, which was fixed at the start; the policy itself is in the
    /// first event.
    policy_digest: String,
    /// Id of the instance that it is a child of.
    parent: Option<String>,
    /// Instances that its tasks started with `run.workflow`, newest first.
    children: Vec<ReleaseLine>,
    /// The other runs of the same release, newest first; name one by its `id`.
    other_runs: Vec<ReleaseLine>,
    /// Every execution of a task, in the order they started.
    tasks: Vec<TaskView>,
    /// Every command that ended, in that order.
    commands: Vec<CommandView>,
    /// What was asked of people, answered or not.
    human_tasks: Vec<HumanTaskView>,
    /// Once completed.
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
    /// Once faulted: `type`, `status`, `title`, `detail`, and the task as `instance`.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// Once cancelled.
    cancelled: Option<CancelledView>,
}

/// One execution of a task; a task in a loop has several.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Task)]
struct TaskView {
    name: String,
    path: String,
    /// `running`, `completed`, `faulted`, `skipped` or `cancelled`.
    #[schema(value_type = String)]
    status: TaskStatus,
    /// The newest attempt of its effect, which counts all at this path; 0 for a task without one.
    attempt: u32,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// One line for people: how the command ended, what the error says.
    summary: Option<String>,
}

/// A command that ended, well or not.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Command)]
struct CommandView {
    task: String,
    attempt: u32,
    /// 0 for the task's own command, else the number of the plugin's call.
    sequence: u32,
    /// The command line, shell-quoted and redacted.
    command: String,
    /// `succeeded`, `failed`, `timed-out`, `killed` or `policy-violation`.
    #[schema(value_type = String)]
    status: CommandStatus,
    exit_code: Option<i32>,
    /// One line for people.
    summary: String,
    duration_ms: u64,
    /// Digest of what it ran in.
    sandbox_digest: String,
    stdout_ref: String,
    stderr_ref: String,
    artifacts: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Cancelled)]
struct CancelledView {
    by: String,
    reason: String,
}

/// Show a release
#[utoipa::path(get, path = "/v1/releases/{id}", operation_id = "getRelease", tag = "releases",
    params(("id" = String, Path, description = "Release id (the run of it that goes on, else the first that completed, else the newest) or instance id")),
    responses(
        (status = 200, description = "The release", body = ReleaseView),
        (status = 404, description = "No such release"),
    ))]
pub(crate) async fn get_release(
    State(state): State<ApiState>,
    PathParam(name): PathParam,
) -> Result<Json<ReleaseView>, Problem> {
    let Runs { meant: row, others } = find_runs(&state.store, &name).await?;
    let history = state.store.history(&row.id, 0).await?;
    let summary =
        Summary::of(&history).ok_or_else(|| Problem::internal(format!("the history of `{}` has no start", row.id)))?;
    let human_tasks = state.store.human_tasks(Some(&row.id), false).await?;
    let filter = InstanceFilter { parent: Some(row.id.clone()), ..Default::default() };
    let children = state.store.instances(filter).await?;
    let parent = row.parent.clone().map(String::from);
    let error = summary.error.map(|error| serde_json::to_value(error).expect("a fault is plain JSON"));
    Ok(Json(ReleaseView {
        line: row.into(),
        started_by: summary.started_by.to_string(),
        ended_at: summary.ended_at,
        policy_digest: summary.policy_digest.into(),
        parent,
        children: children.into_iter().map(ReleaseLine::from).collect(),
        other_runs: others.into_iter().map(ReleaseLine::from).collect(),
        tasks: summary.tasks.into_iter().map(TaskView::from).collect(),
        commands: summary.commands.into_iter().map(CommandView::from).collect(),
        human_tasks: human_tasks.into_iter().map(HumanTaskView::from).collect(),
        output: summary.output,
        error,
        cancelled: summary.cancelled.map(CancelledView::from),
    }))
}

impl From<Cancellation> for CancelledView {
    fn from(Cancellation { by, reason }: Cancellation) -> Self {
        Self { by: by.to_string(), reason }
    }
}

impl From<TaskLine> for TaskView {
    fn from(task: TaskLine) -> Self {
        Self {
            name: task.name,
            path: task.path.to_string(),
            status: task.status,
            attempt: task.attempts,
            started_at: task.started_at,
            ended_at: task.ended_at,
            summary: task.summary,
        }
    }
}

impl From<CommandLine> for CommandView {
    fn from(command: CommandLine) -> Self {
        Self {
            task: command.task.to_string(),
            attempt: command.attempt,
            sequence: command.sequence,
            command: command.command,
            status: command.status,
            exit_code: command.exit_code,
            summary: command.summary,
            duration_ms: command.duration_ms,
            sandbox_digest: command.sandbox_digest.to_string(),
            stdout_ref: command.stdout_ref.to_string(),
            stderr_ref: command.stderr_ref.to_string(),
            artifacts: command.artifacts.iter().map(ToString::to_string).collect(),
        }
    }
}
