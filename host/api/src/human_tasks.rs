//! What waits for a person, as it is shown.

mod decide;
mod get;
mod list;

use serde::Serialize;
use serde_json::Value;
use store::{HumanTask, SharedStore};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use workflow::Timestamp;
use workflow::event::{AnswerForm, Decision};
use workflow::plan::ShownPlan;

use crate::ApiState;
use crate::problem::{ErrorType, Problem};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_human_tasks))
        .routes(routes!(get::get_human_task))
        .routes(routes!(decide::decide_human_task))
}

/// A question to a person, and the answer if there is one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HumanTask)]
pub(crate) struct HumanTaskView {
    id: String,
    /// The instance that asks.
    instance: String,
    release_id: Option<String>,
    /// Place of the task that asks.
    task: String,
    task_name: String,
    prompt: String,
    assignee: Option<String>,
    role: Option<String>,
    /// The values that a decision may have.
    options: Vec<OptionView>,
    /// What the answer must be where it is no choice: `isText`, `schema` (JSON schema), `required`, `default`.
    #[schema(value_type = Option<Object>)]
    answer: Option<AnswerForm>,
    category: Option<String>,
    reason: Option<String>,
    /// What a decision is on: artifacts, results.
    #[schema(value_type = Object)]
    subject: Value,
    /// What an approval lets run: `steps` with `path`, `plugin`, `digest`, `certain` (false: an error or a condition on
    /// the way says whether it runs) and `commands` (`command`, `parameters`, `why`); `notKnown` names tasks that may not run.
    #[schema(value_type = Option<Object>)]
    plan: Option<ShownPlan>,
    /// A decision must name this digest: it covers prompt, options, subject and plan.
    subject_digest: String,
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    due: Option<Timestamp>,
    /// The value that is chosen when `due` passes.
    on_timeout: Option<String>,
    /// Whether it can still be decided.
    open: bool,
    decision: Option<DecisionView>,
    #[schema(value_type = Option<String>, format = DateTime)]
    closed_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HumanTaskOption)]
struct OptionView {
    label: String,
    value: String,
    description: Option<String>,
}

/// A person's recorded answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Decision)]
struct DecisionView {
    value: String,
    decided_by: String,
    #[schema(value_type = String, format = DateTime)]
    decided_at: Timestamp,
    subject_digest: String,
    comment: Option<String>,
}

impl From<HumanTask> for HumanTaskView {
    fn from(task: HumanTask) -> Self {
        let open = task.is_open();
        let HumanTask { id, instance, release_id, path, question, asked_at, decision, closed_at } = task;
        let options = question.options.into_iter().map(|option| OptionView {
            label: option.label,
            value: option.value,
            description: option.description,
        });
        Self {
            id,
            instance: instance.into(),
            release_id,
            task_name: path.task_name().to_owned(),
            task: path.to_string(),
            prompt: question.prompt,
            assignee: question.assignee,
            role: question.role,
            options: options.collect(),
            answer: question.answer,
            category: question.category,
            reason: question.reason,
            subject: question.subject,
            plan: question.plan.map(|plan| *plan),
            subject_digest: question.subject_digest.into(),
            asked_at,
            due: question.due,
            on_timeout: question.on_timeout,
            open,
            decision: decision.map(DecisionView::from),
            closed_at,
        }
    }
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        Self {
            value: decision.value,
            decided_by: decision.decided_by.into(),
            decided_at: decision.decided_at,
            subject_digest: decision.subject_digest.into(),
            comment: decision.comment,
        }
    }
}

async fn find(store: &SharedStore, id: &str) -> Result<HumanTask, Problem> {
    let task = store.human_task(id).await?;
    task.ok_or_else(|| Problem::new(ErrorType::HumanTaskNotFound, format!("there is no human task `{id}`")))
}
