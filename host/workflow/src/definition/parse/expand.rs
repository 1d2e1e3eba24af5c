//! `use.functions` and `use.extensions`, written out where they are used.
//!
//! A function is read again at each call, an extension at each task that it
//! extends: so every task has one place in the flow, which names its policy
//! and its effects. What is wrong in one of them is said once, where it stands.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::json;

use super::super::model::{Extension, Function, Task, TaskList};
use super::super::variables;
use super::resource::Document;
use super::tasks::{self, Context};
use super::values;
use crate::expression::{Expression, Template};
use crate::ids::TaskPath;
use crate::located::{Field, Node};

/// Most tasks that functions and extensions may make of a definition: one that
/// calls two others, each of which calls two more, is soon too much for anyone.
const EXPANDED_TASKS_MAX: usize = 10_000;

/// Names that `call` has a meaning for.
const TAKEN: [&str; 6] = ["http", "grpc", "openapi", "asyncapi", "a2a", "mcp"];

/// Kinds of task by the names that `extend` has for them; `all` is every kind.
const EXTENDABLE: [(&str, &str); 12] = [
    ("call", "call"),
    ("composite", "do"),
    ("emit", "emit"),
    ("for", "for"),
    ("listen", "listen"),
    ("raise", "raise"),
    ("run", "run"),
    ("set", "set"),
    ("switch", "switch"),
    ("try", "try"),
    ("wait", "wait"),
    ("all", ALL),
];

const ALL: &str = "";

/// What is being written out around a task.
#[derive(Clone, Copy)]
pub struct Expansion<'c> {
    pub function: Option<&'c OpenFunction<'c>>,
    /// Extensions are not extended.
    pub in_extension: bool,
    /// The line of the call that leads into a document: what stands there has no line of the definition.
    pub called_at: Option<usize>,
    /// How many tasks were written out so far.
    pub tasks: &'c Cell<usize>,
}

/// A function, and the one that called it.
pub struct OpenFunction<'c> {
    name: &'c str,
    caller: Option<&'c OpenFunction<'c>>,
}

impl<'c> Expansion<'c> {
    fn is_inside(&self, name: &str) -> bool {
        std::iter::successors(self.function, |function| function.caller).any(|function| function.name == name)
    }

    /// Counts a task; false when there are too many.
    pub fn has_room(&self, field: &Field, name: &Node) -> bool {
        if self.function.is_none() && !self.in_extension {
            return true;
        }
        self.tasks.set(self.tasks.get().saturating_add(1));
        if self.tasks.get() > EXPANDED_TASKS_MAX {
            let message =
                format!("functions and extensions make more than {EXPANDED_TASKS_MAX} tasks of this definition");
            field.problems.error(name, message, Some("call or extend less".to_owned()));
            return false;
        }
        true
    }
}

#[derive(Debug)]
pub struct FunctionSource<'a> {
    key: &'a Node,
    body: Field<'a>,
}

#[derive(Debug)]
pub struct ExtensionSource<'a> {
    name: &'a str,
    /// The kind of task, by the field that makes one.
    kind: &'static str,
    when: Option<Expression>,
    before: Option<Field<'a>>,
    after: Option<Field<'a>>,
}

pub fn function_sources<'a>(field: &Field<'a>) -> BTreeMap<&'a str, FunctionSource<'a>> {
    let mut sources = BTreeMap::new();
    for (key, body) in field.entries().unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        if TAKEN.contains(&name) {
            let message = format!("`call: {name}` has a meaning of its own");
            field.problems.error(key, message, Some("choose another name".to_owned()));
        } else if tasks::can_be_in_a_path(key, field.problems, "a function") {
            sources.insert(name, FunctionSource { key, body });
        }
    }
    sources
}

pub fn extension_sources<'a>(field: &Field<'a>) -> Vec<ExtensionSource<'a>> {
    let items = field.items().unwrap_or_default();
    items.iter().filter_map(extension_source).collect()
}

fn extension_source<'a>(item: &Field<'a>) -> Option<ExtensionSource<'a>> {
    let [(key, body)] = item.members()? else {
        item.error(format!("`{}` must be one extension under its name", item.label), Some("begin each with `- name:`"));
        return None;
    };
    if !tasks::can_be_in_a_path(key, item.problems, "an extension") {
        return None;
    }
    let body = item.inner(body, key.text()?);
    let [extend, when, before, after] = body.fields(["extend", "when", "before", "after"])?;
    let kind = extend.required(|field| field.choice(&EXTENDABLE));
    let when = when.optional(values::expression);
    if !before.is_given() && !after.is_given() {
        body.error(format!("`{}` does nothing", body.label), Some("give it `before` or `after`"));
    }
    Some(ExtensionSource { name: key.text()?, kind: kind?, when: when?, before: before.given(), after: after.given() })
}

/// All functions as they stand, whether they are called or not.
pub fn functions(context: Context) -> Option<Vec<Task>> {
    let sources = context.uses.functions.iter();
    let read: Vec<Option<Task>> = sources
        .map(|(name, source)| {
            let path = TaskPath::from_text(format!("/use/functions/{name}"));
            body(name, source, Context { path: &path, ..context })
        })
        .collect();
    read.into_iter().collect()
}

/// All extensions as they stand, whether they extend something or not.
pub fn extensions(context: Context) -> Option<Vec<Extension>> {
    let sources = context.uses.extensions.iter().enumerate();
    let read: Vec<Option<Extension>> = sources
        .map(|(index, source)| {
            let path = TaskPath::from_text(format!("/use/extensions/{index}/{}", source.name));
            extension(source, Context { path: &path, ..context }, ["before", "after"])
        })
        .collect();
    read.into_iter().collect()
}

/// `call` of a function.
pub fn call(task: &Field, field: &Field, source: &FunctionSource, context: Context) -> Option<Function> {
    let name = field.text()?;
    let with = with(task);
    if context.expansion.is_inside(name) {
        field.error(format!("function `{name}` calls itself, for ever"), Some("use `for` to do something again"));
        return None;
    }
    let path = context.path.child("function", 0, name);
    let body = body(name, source, Context { path: &path, ..context });
    Some(Function { name: name.to_owned(), with: with?, body: TaskList(vec![body?]) })
}

/// `call` of a function that stands in a document: the document is one task.
pub fn call_document(task: &Field, field: &Field, document: &Document, context: Context) -> Option<Function> {
    let with = with(task);
    let name = document.name.as_str();
    if context.expansion.is_inside(name) {
        field.error(format!("function `{name}` calls itself, for ever"), Some("use `for` to do something again"));
        return None;
    }
    let (node, problems) = field.problems.shelf.read(&document.name, &document.text, field.problems);
    let body = node.as_ref().and_then(|node| {
        let label = document.name.label();
        let key = Node::name_of_file(&label);
        let source = FunctionSource { key: &key, body: Field::root(node, &problems) };
        let path = context.path.child("function", 0, &label);
        let called_at = context.expansion.called_at.or(Some(field.node.line));
        let expansion = Expansion { called_at, ..context.expansion };
        let task = body(name, &source, Context { path: &path, expansion, ..context })?;
        variables::refuse_unknown_in(&task, node, &problems);
        Some(task)
    });
    field.problems.take_in(problems);
    Some(Function { name: name.to_owned(), with: with?, body: TaskList(vec![body?]) })
}

/// What a function gets; nothing is an empty mapping.
fn with(task: &Field) -> Option<Template> {
    match task.slot("with").given() {
        Some(with) => with.members().and_then(|_| values::template(&with)),
        None => Some(Template::literal(json!({}))),
    }
}

fn body(name: &str, source: &FunctionSource, context: Context) -> Option<Task> {
    let open = OpenFunction { name, caller: context.expansion.function };
    let expansion = Expansion { function: Some(&open), ..context.expansion };
    let nothing_beside = std::collections::BTreeSet::new();
    tasks::task(&source.body, source.key, Context { siblings: &nothing_beside, expansion, ..context })
}

/// The extensions of a task of this kind, whose path is that of `context`.
pub fn around(kind: &str, context: Context) -> Option<Vec<Extension>> {
    if context.expansion.in_extension {
        return Some(Vec::new());
    }
    let sources = context.uses.extensions.iter().filter(|source| source.kind == ALL || source.kind == kind);
    let read: Vec<Option<Extension>> = sources
        .enumerate()
        .map(|(index, source)| {
            let keys = [format!("extensions/{index}/before"), format!("extensions/{index}/after")];
            extension(source, context, [&keys[0], &keys[1]])
        })
        .collect();
    read.into_iter().collect()
}

fn extension(source: &ExtensionSource, context: Context, [before, after]: [&str; 2]) -> Option<Extension> {
    let context = Context { expansion: Expansion { in_extension: true, ..context.expansion }, ..context };
    let list = |field: &Option<Field>, key: &str| match field {
        Some(field) => tasks::list(field, context, key),
        None => Some(TaskList::default()),
    };
    let before = list(&source.before, before);
    let after = list(&source.after, after);
    Some(Extension { name: source.name.to_owned(), when: source.when.clone(), before: before?, after: after? })
}
