//! `run` with `await: false`: a process that nobody waits for is an instance of its own.
//!
//! Its definition follows from the task: one `run`, which is waited for there, with
//! the same policy. What expressions of the task gave is its input, so it is
//! evaluated in the parent and the definition is known before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::model::{Definition, LightMetadata, Process, Run, RunReturn, Task, TaskKind, TimeLimit};
use super::parse::parse;
use crate::effect::EffectClass;
use crate::expression::{Template, is_expression};
use crate::ids::Digest;
use crate::located::Problem;

/// Of a name in the specification.
const NAME_BYTES_MAX: usize = 63;

/// Digits of a digest at the end of a name that was made.
const MARK_DIGITS: usize = 8;

/// What a task without `await` computes before its process starts, in the order of `values`.
pub fn computed<'a>(run: &'a Run, light: &'a LightMetadata) -> impl Iterator<Item = &'a Template> {
    let process = match &run.process {
        Process::Shell { command } => [Some(command), None],
        Process::Script { code, language: _ } => [Some(code), None],
        Process::Container(container) => [container.command.as_ref(), container.name.as_ref()],
    };
    let of_run = process.into_iter().flatten().chain(&run.arguments).chain(&run.stdin).chain(run.environment.values());
    of_run.chain(light.inputs.values()).filter(|template| is_computed(template))
}

/// Whether the value is known only when the task runs; a text that only looks like an expression is passed on as it is, too.
fn is_computed(template: &Template) -> bool {
    !template.is_literal() || template.source.as_str().is_some_and(is_expression)
}

/// The definition that a `run` of `definition` without `await` starts.
///
/// # Errors
///
/// It would be too large: what a process is given literally is limited like a definition.
pub fn detached(definition: &Definition, task: &Task, run: &Run) -> Result<Definition, Vec<Problem>> {
    let mut values = 0;
    let mut field = |template: &Template| -> Value {
        if !is_computed(template) {
            return template.source.clone();
        }
        values += 1;
        format!("${{ .values[{}] }}", values - 1).into()
    };
    // In the order of `computed`.
    let (kind, mut process) = match &run.process {
        Process::Shell { command } => ("shell", json!({ "command": field(command) })),
        Process::Script { language, code } => ("script", json!({ "language": language, "code": field(code) })),
        Process::Container(container) => {
            let mut process = json!({ "image": container.image.to_string(), "pullPolicy": container.pull });
            if let Some(command) = &container.command {
                process["command"] = field(command);
            }
            if let Some(name) = &container.name {
                process["name"] = field(name);
            }
            ("container", process)
        }
    };
    process["arguments"] = run.arguments.iter().map(&mut field).collect();
    if let Some(stdin) = &run.stdin {
        process["stdin"] = field(stdin);
    }
    let mut named = |templates: &BTreeMap<String, Template>| -> Value {
        templates.iter().map(|(name, template)| (name.clone(), field(template))).collect::<Map<_, _>>().into()
    };
    process["environment"] = named(&run.environment);
    for (variable, secret) in &run.secrets {
        process["environment"][variable] = format!("${{ $secrets[\"{secret}\"] }}").into();
    }
    let inputs = named(&task.light.inputs);

    let mut body = json!({
        "run": { kind: process, "return": return_name(run.returns) },
        "metadata": { "lightWorkflow": light(definition, &task.light, inputs) },
    });
    match &task.timeout {
        Some(TimeLimit::Fixed(limit)) => {
            body["timeout"] = json!({ "after": format!("PT{}S", limit.as_secs_f64()) });
        }
        Some(TimeLimit::Computed(_)) => body["timeout"] = json!({ "after": "${ .timeout }" }),
        None => {}
    }
    let mut document = json!({
        "document": {
            "dsl": "1.0.3",
            "namespace": definition.namespace,
            "name": name(definition, task),
            "version": definition.version,
            "summary": format!("what `{}` of {} runs without waiting for it", task.reference, definition.full_name()),
        },
        "do": [{ (task.name.clone()): body }],
    });
    if !run.secrets.is_empty() {
        document["use"] = json!({ "secrets": task.light.secrets });
    }
    let source = serde_json::to_string_pretty(&document).unwrap_or_default() + "\n";
    parse(&source, &task.reference)
}

/// `metadata.lightWorkflow` of the task, with what it has from its document.
fn light(definition: &Definition, light: &LightMetadata, inputs: Value) -> Value {
    let of_document = &definition.security;
    let sandbox = json!({
        "mode": light.mode.or(of_document.mode).map(|mode| mode.name()),
        "provider": light.provider.as_ref().or(of_document.provider.as_ref()),
        "template": light.template.as_ref().or(of_document.template.as_ref()),
        "reason": light.reason.as_ref().or(of_document.reason.as_ref()),
    });
    let profile = light.execution_profile.as_ref().or(of_document.execution_profile.as_ref());
    let effect = light.class.map(|class| match class {
        EffectClass::Pure => "pure",
        EffectClass::Idempotent => "idempotent",
        EffectClass::Reconcilable => "reconcilable",
        EffectClass::Manual => "manual",
    });
    given(json!({
        "security": given(json!({
            "sandbox": given(sandbox),
            "executionProfile": profile,
            "secrets": light.secrets,
        })),
        "artifactPolicy": { "capture": light.capture, "inputs": inputs },
        "effect": effect,
        "egress": light.egress,
    }))
}

/// Without the fields that nobody gave.
fn given(mut fields: Value) -> Value {
    if let Value::Object(fields) = &mut fields {
        fields.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
    }
    fields
}

fn return_name(returns: RunReturn) -> &'static str {
    match returns {
        RunReturn::Stdout => "stdout",
        RunReturn::Stderr => "stderr",
        RunReturn::Code => "code",
        RunReturn::All => "all",
        RunReturn::None => "none",
        RunReturn::Result => "result",
    }
}

/// `NAME-TASK-1a2b3c4d`: of definition and task for people, and of its place, so that it is one of its own.
fn name(definition: &Definition, task: &Task) -> String {
    let digest = Digest::of(task.reference.as_bytes());
    let mark = &digest.hex()[..MARK_DIGITS];
    let words = format!("{}-{}", definition.name, task.name);
    let plain = words.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let plain: String = plain.take(NAME_BYTES_MAX - MARK_DIGITS - 1).collect();
    format!("{}-{mark}", plain.trim_end_matches('-'))
}

/// Every definition that tasks of `definition` start like this, by the reference of the task.
///
/// # Errors
///
/// As [`detached`], with the task.
pub fn all(definition: &Definition) -> Result<BTreeMap<String, Arc<Definition>>, (String, Vec<Problem>)> {
    let mut found = BTreeMap::new();
    let mut wrong = None;
    super::each_task(&definition.tasks, &mut |task| {
        if let TaskKind::Run(run) = &task.kind
            && !run.awaits
        {
            match detached(definition, task, run) {
                Ok(made) => drop(found.insert(task.reference.clone(), Arc::new(made))),
                Err(problems) => drop(wrong.get_or_insert((task.reference.clone(), problems))),
            }
        }
    });
    match wrong {
        None => Ok(found),
        Some(wrong) => Err(wrong),
    }
}
