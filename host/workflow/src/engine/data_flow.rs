//! How data enters and leaves a task, and how long it may take.
//!
//! `if` (raw input) → `input.schema` → `input.from` → the task → `output.as` →
//! `output.schema` → `export.as` → `export.schema`.
//!
//! Source: “Data flow” in the specification.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::frame::{Branch, Frame, State};
use super::instance::Instance;
use super::schema;
use super::scope::{Scope, TaskScope};
use crate::definition::{DataFlow, Task, TaskKind, TimeLimit, parse_duration};
use crate::effect::{Fault, StandardError};
use crate::event::{Event, FlowTarget, RetryLimits};
use crate::expression::Variables;
use crate::ids::{TaskPath, Timestamp};

/// One running task, with all that its expressions may see.
#[derive(Clone, Copy)]
pub(super) struct Running<'a> {
    pub instance: &'a Instance,
    pub path: &'a TaskPath,
    pub frame: &'a Frame,
    pub task: &'a Task,
}

impl<'a> Running<'a> {
    /// The input after `input.from`: `$input`, and what the task works on.
    ///
    /// # Errors
    ///
    /// The raw input does not conform, or the expression fails.
    pub fn input(self) -> Result<Arc<Value>, Fault> {
        let scope = || Scope {
            enclosing: self.frame.parent.as_ref(),
            context: Some(&self.frame.context),
            task: Some(self.task_scope(None)),
            ..Scope::of_instance(self.instance)
        };
        self.frame.memo.input.get_or_init(|| transform_input(&self.task.input, &self.frame.input, scope)).clone()
    }

    /// What the task's own expressions see: `$context`, `$input`, `$task`, and
    /// the variables around it.
    pub fn scope(self, input: &'a Value) -> Scope<'a> {
        Scope {
            enclosing: self.frame.parent.as_ref(),
            context: Some(&self.instance.context),
            input: Some(input),
            task: Some(self.task_scope(None)),
            ..Scope::of_instance(self.instance)
        }
    }

    /// In an extension it is the task which that extends.
    fn task_scope(self, output: Option<&'a Value>) -> TaskScope<'a> {
        let scope_of = |frame: &'a Frame, task: &'a Task, output: Option<&'a Value>| TaskScope {
            task,
            input: &frame.input,
            output,
            started_at: Some(frame.started_at),
            with_definition: false,
        };
        match extended(self.instance, self.frame) {
            Some((frame, task)) => TaskScope { with_definition: true, ..scope_of(frame, task, None) },
            None => scope_of(self.frame, self.task, output),
        }
    }

    /// For the `when` of an extension: the task as its extensions see it.
    pub fn scope_of_extension(self, input: &'a Value) -> Scope<'a> {
        let task = TaskScope { with_definition: true, ..self.task_scope(None) };
        Scope { task: Some(task), ..self.scope(input) }
    }

    /// The task is done and gave `raw_output`.
    pub fn complete(self, raw_output: Value) -> Event {
        self.complete_then(raw_output, FlowTarget::Continue)
    }

    /// As [`Running::complete`]; `then` unless it is `continue`, else the task's own.
    pub fn complete_then(self, raw_output: Value, then: FlowTarget) -> Event {
        if self.is_followed_by_extensions() {
            return Event::ExtendedTaskEnded { path: self.path.clone(), output: raw_output, then };
        }
        match self.output_and_context(raw_output) {
            Ok((output, context)) => Event::TaskCompleted {
                path: self.path.clone(),
                output,
                context,
                then: match then {
                    FlowTarget::Continue => self.task.then.clone(),
                    FlowTarget::Exit | FlowTarget::End | FlowTarget::Task(_) => then,
                },
            },
            Err(error) => self.fault(error),
        }
    }

    fn is_followed_by_extensions(self) -> bool {
        let has_after = |extension: &usize| {
            self.task.extensions.get(*extension).is_some_and(|extension| !extension.after.0.is_empty())
        };
        !matches!(self.frame.state, State::Extending(_)) && self.frame.applied.iter().any(has_after)
    }

    fn output_and_context(self, raw_output: Value) -> Result<(Value, Option<Value>), Fault> {
        let Task { output: flow, export, .. } = self.task;
        if is_plain(flow) && is_plain(export) {
            return Ok((raw_output, None));
        }
        let input = self.input()?;
        let scope = Scope { task: Some(self.task_scope(Some(&raw_output))), ..self.scope(&input) };
        transform_output(flow, export, &raw_output, scope)
    }

    /// The task ends with an error; it says where it came from.
    pub fn fault(self, mut error: Fault) -> Event {
        error.instance.get_or_insert_with(|| self.task.reference.clone());
        Event::TaskFaulted { path: self.path.clone(), error }
    }

    /// As a step of a task that may fail.
    pub fn or_fault(self, step: Result<Event, Fault>) -> Event {
        step.unwrap_or_else(|error| self.fault(error))
    }
}

/// The task that is extended by the extension which the task of `frame` is part of.
fn extended<'a>(instance: &'a Instance, frame: &'a Frame) -> Option<(&'a Frame, &'a Task)> {
    let depth = frame.place.iter().position(|step| matches!(step.branch, Branch::Before(_) | Branch::After(_)))?;
    let mut around = frame;
    while around.place.len() > depth {
        around = instance.frames.get(around.parent.as_ref()?)?;
    }
    Some((around, around.task(instance.definition())?))
}

/// `output.as` and its schema, then `export.as` and its schema: what flows on,
/// and the new `$context` if there is one.
pub(super) fn transform_output(
    flow: &DataFlow,
    export: &DataFlow,
    raw: &Value,
    scope: Scope<'_>,
) -> Result<(Value, Option<Value>), Fault> {
    let output = match &flow.transform {
        Some(transform) => transform.evaluate(raw, &scope)?,
        None => raw.clone(),
    };
    schema::check(flow.schema.as_ref(), &output, "output")?;
    let context = match &export.transform {
        Some(transform) => {
            let scope = Scope { output: Some(&output), ..scope };
            Some(transform.evaluate(&output, &scope)?)
        }
        None => None,
    };
    if let Some(context) = &context {
        schema::check(export.schema.as_ref(), context, "export")?;
    }
    Ok((output, context))
}

fn is_plain(flow: &DataFlow) -> bool {
    flow.transform.is_none() && flow.schema.is_none()
}

fn transform_input<V: Variables>(
    flow: &DataFlow,
    raw: &Arc<Value>,
    scope: impl Fn() -> V,
) -> Result<Arc<Value>, Fault> {
    schema::check(flow.schema.as_ref(), raw, "input")?;
    match &flow.transform {
        Some(transform) => transform.evaluate(raw, &scope()).map(Arc::new),
        None => Ok(raw.clone()),
    }
}

/// The instance's input after the document's `input.from`.
///
/// # Errors
///
/// The raw input does not conform, or the expression fails.
pub(super) fn instance_input(instance: &Instance, root: &Frame) -> Result<Arc<Value>, Fault> {
    let flow = &instance.definition().input;
    root.memo.input.get_or_init(|| transform_input(flow, &root.input, || Scope::of_instance(instance))).clone()
}

/// The document is done: its `output.as` and `output.schema`.
pub(super) fn complete_instance(instance: &Instance, raw_output: Value) -> Event {
    let flow = &instance.definition().output;
    let scope = Scope { context: Some(&instance.context), ..Scope::of_instance(instance) };
    let output = match &flow.transform {
        Some(transform) => transform.evaluate(&raw_output, &scope),
        None => Ok(raw_output),
    };
    let checked = output.and_then(|output| schema::check(flow.schema.as_ref(), &output, "output").map(|()| output));
    match checked {
        Ok(output) => Event::InstanceCompleted { output },
        Err(error) => Event::InstanceFaulted { error },
    }
}

/// Whether the next task of a list is to run: its `if`, on the raw input.
pub(super) fn is_wanted(instance: &Instance, parent: &TaskPath, task: &Task, raw: &Value) -> Result<bool, Fault> {
    let Some(condition) = &task.condition else { return Ok(true) };
    if instance.imagined.as_ref().is_some_and(|wanted| wanted.contains(&task.reference)) {
        return Ok(true);
    }
    before_task(instance, parent, task, raw, |scope| condition.holds(raw, scope))
}

/// What expressions in `timeout.after` and in the limits of a `retry` give for the next task of a list.
pub(super) fn computed_limits(
    instance: &Instance,
    parent: &TaskPath,
    task: &Task,
    raw: &Value,
) -> Result<(Option<u64>, RetryLimits), Fault> {
    let computed = |limit: Option<&TimeLimit>, field: &str| match limit {
        Some(limit @ TimeLimit::Computed(_)) => {
            let limit = before_task(instance, parent, task, raw, |scope| duration_of(limit, field, raw, scope))?;
            Ok(Some(milliseconds(limit)))
        }
        Some(TimeLimit::Fixed(_)) | None => Ok(None),
    };
    let retry = match &task.kind {
        TaskKind::Try(block) => block.retry.as_ref(),
        TaskKind::Do(_)
        | TaskKind::Set(_)
        | TaskKind::Switch(_)
        | TaskKind::Assert(_)
        | TaskKind::Call(_)
        | TaskKind::Outbound(_)
        | TaskKind::Run(_)
        | TaskKind::RunWorkflow(_)
        | TaskKind::Ask(_)
        | TaskKind::Raise(_)
        | TaskKind::For(_)
        | TaskKind::Fork(_)
        | TaskKind::Function(_)
        | TaskKind::Wait(_)
        | TaskKind::Emit(_)
        | TaskKind::Listen(_) => None,
    };
    let attempt = retry.and_then(|retry| retry.attempt_duration_max.as_ref());
    let all = retry.and_then(|retry| retry.duration_max.as_ref());
    let limits = RetryLimits {
        attempt_ms: computed(attempt, "retry.limit.attempt.duration")?,
        all_ms: computed(all, "retry.limit.duration")?,
    };
    Ok((computed(task.timeout.as_ref(), "timeout.after")?, limits))
}

/// A duration as it is written, or what its expression gives for `value`.
pub(super) fn duration_of(limit: &TimeLimit, field: &str, value: &Value, scope: &Scope<'_>) -> Result<Duration, Fault> {
    let template = match limit {
        TimeLimit::Fixed(duration) => return Ok(*duration),
        TimeLimit::Computed(template) => template,
    };
    let given = template.evaluate(value, scope)?;
    let refuse = |why: String| StandardError::Expression.fault(format!("`{field}` has no duration: {why}"));
    let text = given.as_str().ok_or_else(|| refuse(format!("{given} is not an ISO 8601 text")))?;
    parse_duration(text).map_err(|error| refuse(error.to_string()))
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Before anything else happens: when the instance will have taken too long, if that depends on its input.
pub(super) fn deadline(instance: &Instance) -> Option<Event> {
    let limit = instance.definition().timeout.as_ref()?;
    if limit.fixed().is_some() || instance.deadline.is_some() {
        return None;
    }
    let limit = duration_of(limit, "timeout.after", instance.input(), &Scope::of_instance(instance));
    Some(match limit {
        Ok(limit) => Event::DeadlineSet { due: after(instance.started_at, limit) },
        Err(mut error) => {
            error.instance.get_or_insert_with(|| "/timeout/after".to_owned());
            Event::InstanceFaulted { error }
        }
    })
}

/// Evaluates what decides about a task that has not been entered yet.
fn before_task<T>(
    instance: &Instance,
    parent: &TaskPath,
    task: &Task,
    raw: &Value,
    evaluate: impl FnOnce(&Scope<'_>) -> T,
) -> T {
    let own = TaskScope { task, input: raw, output: None, started_at: None, with_definition: false };
    let extended = instance.frames.get(parent).and_then(|frame| match frame.state {
        State::Extending(_) => Some((frame, frame.task(instance.definition())?)),
        _ => extended(instance, frame),
    });
    let described = match extended {
        Some((frame, task)) => TaskScope {
            task,
            input: &frame.input,
            output: None,
            started_at: Some(frame.started_at),
            with_definition: true,
        },
        None => own,
    };
    let scope = Scope {
        enclosing: Some(parent),
        context: Some(&instance.context),
        task: Some(described),
        ..Scope::of_instance(instance)
    };
    evaluate(&scope)
}

/// A command enforces the task's timeout itself and its result tells more than
/// ours: give it this long to arrive.
pub(super) const RESULT_GRACE: Duration = Duration::from_secs(15);

/// When the whole instance has taken too long.
pub(super) fn instance_due(instance: &Instance) -> Option<Timestamp> {
    let written = instance.definition().timeout.as_ref().and_then(TimeLimit::fixed);
    instance.deadline.or(written.map(|limit| after(instance.started_at, limit)))
}

/// `at` and `duration` later, or the end of time.
pub(super) fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

pub(super) fn timeout_fault(what: &str, timeout: Duration) -> Fault {
    StandardError::Timeout.fault(format!("{what} took longer than {} ms", timeout.as_millis()))
}
