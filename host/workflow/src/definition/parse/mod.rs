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
mod container;
mod data;
mod document;
mod expand;
mod flow;
mod light;
mod listen;
mod network;
mod outbound;
mod resource;
mod reuse;
mod run;
mod schedule;
mod secrets;
mod tasks;
mod values;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::model::{DataFlow, Definition};
use super::{circles, detached, plans, variables};
use crate::documents::{self, DocumentName, Documents, Shelf};
use crate::ids::{Digest, TaskPath};
use crate::located::{Field, Problem, Problems, yaml};
use expand::Expansion;

/// What came of reading a definition.
#[derive(Debug)]
pub enum Reading {
    Definition(Box<Definition>),
    /// It names documents that were not given: fetch them, and read again.
    Wanting(BTreeSet<DocumentName>),
    /// Everything that is wrong, in the order of the file.
    Refused(Vec<Problem>),
}

/// Reads a definition that names no documents, or brings them with it, as kept
/// ones do. `file` is only for messages.
///
/// # Errors
///
/// Everything that is wrong, in the order of the file.
pub fn parse(source: &str, file: &str) -> Result<Definition, Vec<Problem>> {
    read_all(source, file, Documents::default()).map_err(|(_, problems)| problems)
}

/// Reads a definition with the documents that were fetched for it so far.
pub fn read(source: &str, file: &str, documents: &Documents) -> Reading {
    match read_all(source, file, documents.clone()) {
        Ok(definition) => Reading::Definition(Box::new(definition)),
        Err((wanted, problems)) if wanted.is_empty() => Reading::Refused(problems),
        Err((wanted, _)) => Reading::Wanting(wanted),
    }
}

/// Wanted documents, if that is all that is wrong so far, and problems.
type Refusal = (BTreeSet<DocumentName>, Vec<Problem>);

fn read_all(source: &str, file: &str, documents: Documents) -> Result<Definition, Refusal> {
    let (text, tail) = documents::split(source);
    // What brings its documents gets no others: it is the same everywhere.
    let documents = match tail.map(documents::kept).transpose() {
        Ok(kept) => kept.unwrap_or(documents),
        Err(why) => {
            let problems = Problems::of(file);
            let line = text.lines().count() + 2;
            problems.unreadable(line, 1, format!("the documents of this definition cannot be read: {why}"), None);
            return Err((BTreeSet::new(), problems.into_sorted()));
        }
    };
    let shelf = Shelf::of(file, documents);
    let problems = Problems::with(file, shelf.clone());
    let definition = yaml::read(text, &problems).and_then(|root| {
        let mut definition = workflow(&Field::root(&root, &problems), text)?;
        variables::refuse_unknown(&definition, &root, &problems);
        circles::refuse_endless(&definition, &root, &problems);
        definition.plans = plans::resolve(&definition, &root, &problems);
        match detached::all(&definition) {
            Ok(all) => definition.detached = all,
            Err((task, said)) => {
                let why = said.first().map(ToString::to_string).unwrap_or_default();
                let message = format!("what this task starts and does not wait for cannot be kept: {why}");
                problems.error(root.nearest(&task), message, Some("make what it is given smaller".to_owned()));
            }
        }
        let used = shelf.used();
        definition.documents =
            used.iter().map(|(name, text)| (name.to_string(), Digest::of(text.as_bytes()))).collect();
        definition.source = if tail.is_some() { source.to_owned() } else { documents::bundled(text, &used) };
        definition.digest = Digest::of(definition.source.as_bytes());
        Some(definition)
    });
    if let (Some(name), true) = (shelf.unused(), tail.is_some() && problems.is_empty()) {
        let line = text.lines().count() + 2;
        problems.unreadable(line, 1, format!("nothing in this definition names its document `{name}`"), None);
    }
    match definition {
        Some(definition) if problems.is_empty() => Ok(definition),
        refused => {
            assert!(!problems.is_empty(), "a definition was refused without a reason: {refused:?}");
            let wanted = if tail.is_some() { BTreeSet::new() } else { shelf.wanted() };
            Err((wanted, problems.into_sorted()))
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
    match yaml::read(documents::split(source).0, &problems) {
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
        expansion: Expansion { function: None, in_extension: false, called_at: None, tasks: &expanded },
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
        plans: BTreeMap::new(),
        detached: BTreeMap::new(),
        documents: BTreeMap::new(),
        source: source.to_owned(),
        value: Arc::new(root.node.to_json()),
    })
}
