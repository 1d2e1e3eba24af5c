//! From YAML to a checked [`Definition`].
//!
//! Text → [`Node`](crate::located::Node)s that know their place → model. Every
//! reader here takes a [`Field`] and returns `None` once it has reported why;
//! reading goes on elsewhere, so that all problems come at once. A field of the
//! specification that does not work yet is refused, never ignored.
//!
//! To add a field: add it to the model, to the `fields([…])` of its reader, and
//! to the table in `tests/definition.rs`.

mod ask;
mod authentication;
mod call;
mod data;
mod document;
mod expand;
mod flow;
mod light;
mod listen;
mod outbound;
mod reuse;
mod run;
mod schedule;
mod tasks;
mod values;

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::model::{DataFlow, Definition};
use super::variables;
use crate::ids::{Digest, TaskPath};
use crate::located::{Field, Problem, Problems, yaml};
use expand::Expansion;

/// Reads a definition. `file` is only for messages.
///
/// # Errors
///
/// Everything that is wrong, in the order of the file.
pub fn parse(source: &str, file: &str) -> Result<Definition, Vec<Problem>> {
    let problems = Problems::of(file);
    let definition = yaml::read(source, &problems).and_then(|root| {
        let definition = workflow(&Field::root(&root, &problems), source)?;
        variables::refuse_unknown(&definition, &root, &problems);
        Some(definition)
    });
    match definition {
        Some(definition) if problems.is_empty() => Ok(definition),
        refused => {
            assert!(!problems.is_empty(), "a definition was refused without a reason: {refused:?}");
            Err(problems.into_sorted())
        }
    }
}

/// The document as JSON, whatever it means: what a JSON schema is compared with.
///
/// # Errors
///
/// What keeps it from being YAML of one document.
pub fn as_json(source: &str, file: &str) -> Result<Value, Vec<Problem>> {
    let problems = Problems::of(file);
    match yaml::read(source, &problems) {
        Some(root) if problems.is_empty() => Ok(root.to_json()),
        Some(_) | None => Err(problems.into_sorted()),
    }
}

fn workflow(root: &Field, source: &str) -> Option<Definition> {
    let [document, input, reuse, evaluate, tasks, timeout, output, schedule] =
        root.fields(["document", "input", "use", "evaluate", "do", "timeout", "output", "schedule"])?;
    // First: it says how the others are written.
    let evaluate = evaluate.optional(document::evaluate);
    let document = document.required(document::document);
    let reuse = reuse.given();
    let uses = reuse.as_ref().map(reuse::uses).unwrap_or_default();
    let input = input.or(DataFlow::default(), |field| values::data_flow(field, "from"));
    let output = output.or(DataFlow::default(), |field| values::data_flow(field, "as"));
    let timeout = timeout.optional(|field| values::timeout(field, &uses.timeouts));
    let schedule = schedule.optional(schedule::schedule);

    // With a document that could not be read, the tasks are still worth reading.
    let security = document.as_ref().map(|document| document.security.clone()).unwrap_or_default();
    let expanded = Cell::new(0);
    let context = tasks::Context {
        uses: &uses,
        security: &security,
        siblings: &BTreeSet::new(),
        path: &TaskPath::root(),
        expansion: Expansion { function: None, in_extension: false, tasks: &expanded },
    };
    let functions = expand::functions(context);
    let extensions = expand::extensions(context);
    let tasks = tasks.required(|field| tasks::list(field, context, "do"));

    let document = document?;
    evaluate?;
    Some(Definition {
        digest: Digest::of(source.as_bytes()),
        namespace: document.namespace,
        name: document.name,
        version: document.version,
        title: document.title,
        input: input?,
        output: output?,
        timeout: timeout?,
        schedule: schedule?,
        security: document.security,
        functions: functions?,
        extensions: extensions?,
        tasks: tasks?,
        source: source.to_owned(),
    })
}
