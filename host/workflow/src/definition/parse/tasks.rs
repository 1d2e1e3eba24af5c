//! Lists of tasks, and what every task has whatever its kind.

use std::collections::{BTreeSet, HashMap};

use super::super::model::{DataFlow, DocumentSecurity, LightMetadata, Task, TaskKind, TaskList};
use super::expand::{self, Expansion};
use super::reuse::Uses;
use super::{ask, call, data, flow, light, listen, network, outbound, run, secrets, values};
use crate::event::FlowTarget;
use crate::ids::TaskPath;
use crate::located::{Field, Node, Problems, among, closest};

/// What a task may refer to.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    pub uses: &'c Uses<'c>,
    pub security: &'c DocumentSecurity,
    /// Names in the list that the task is in: where `then` may go.
    pub siblings: &'c BTreeSet<&'c str>,
    /// Of the task itself, or of the one around a list.
    pub path: &'c TaskPath,
    pub expansion: Expansion<'c>,
}

/// The fields that every task may have.
const COMMON: [&str; 7] = ["if", "input", "output", "export", "timeout", "then", "metadata"];

/// A kind of task: the field that makes it one, and the fields beside that.
struct Kind {
    name: &'static str,
    beside: &'static [&'static str],
    read: Reader,
}

/// Gets the task, its field that names the kind, and what it may refer to.
type Reader = fn(&Field, &Field, Context) -> Option<TaskKind>;

/// `for` stands before `do`, which is also one of its fields.
const KINDS: [Kind; 14] = [
    Kind { name: "for", beside: &["while", "do"], read: flow::for_ },
    Kind { name: "do", beside: &[], read: flow::do_ },
    Kind { name: "set", beside: &[], read: data::set },
    Kind { name: "switch", beside: &[], read: flow::switch },
    Kind { name: "assert", beside: &[], read: data::assert },
    Kind { name: "call", beside: &["with"], read: call::call },
    Kind { name: "run", beside: &[], read: run::run },
    Kind { name: "ask", beside: &[], read: ask::ask },
    Kind { name: "try", beside: &["catch"], read: flow::try_ },
    Kind { name: "raise", beside: &[], read: flow::raise },
    Kind { name: "wait", beside: &[], read: flow::wait },
    Kind { name: "emit", beside: &[], read: data::emit },
    Kind { name: "fork", beside: &[], read: flow::fork },
    Kind { name: "listen", beside: &["foreach"], read: listen::listen },
];

/// A list of named tasks; `key` is the field it stands in, below `context.path`.
pub fn list(field: &Field, context: Context, key: &str) -> Option<TaskList> {
    named_tasks(field, context, key, true)
}

/// The branches of a `fork`: tasks with names of their own, that do not go on to each other.
pub fn branches(field: &Field, context: Context) -> Option<TaskList> {
    named_tasks(field, context, "fork/branches", false)
}

fn named_tasks(field: &Field, context: Context, key: &str, in_sequence: bool) -> Option<TaskList> {
    let items = field.items_some()?;
    let named: Vec<Option<(&Node, &Node)>> = items.iter().map(task_item).collect();
    let names = named.iter().flatten().filter_map(|(name, _)| name.text());
    let siblings: BTreeSet<&str> = names.filter(|_| in_sequence).collect();
    refuse_names_given_twice(field, named.iter().flatten().map(|(name, _)| *name));
    let tasks: Vec<Option<Task>> = named
        .into_iter()
        .enumerate()
        .map(|(index, named)| {
            let (name, body) = named?;
            let path = context.path.child(key, index, name.text()?);
            let context = Context { siblings: &siblings, path: &path, ..context };
            task(&Field::root(body, field.problems), name, context)
        })
        .collect();
    tasks.into_iter().collect::<Option<_>>().map(TaskList)
}

/// `- name: { … }`.
fn task_item<'a>(item: &Field<'a>) -> Option<(&'a Node, &'a Node)> {
    let [(name, body)] = item.members()? else {
        let keys = item.members()?.iter().filter_map(|(key, _)| key.text());
        let help = format!("begin each task with its own `- name:`, as {} here do not", among(keys.take(20)));
        item.error(format!("`{}` must be one task under its name", item.label), Some(&help));
        return None;
    };
    can_be_in_a_path(name, item.problems, "a task").then_some((name, body))
}

/// A name becomes part of paths like `/do/3/publish[1]`, which must stay readable.
pub fn can_be_in_a_path(name: &Node, problems: &Problems, what: &str) -> bool {
    let text = name.text().unwrap_or_default();
    let fits = !text.is_empty() && text.len() <= 126 && !text.contains(['/', '~', '[', ']']);
    if !fits || text.chars().any(char::is_control) {
        let help = "use 1 to 126 bytes without `/`, `~`, `[`, `]`";
        problems.error(name, format!("`{text}` cannot name {what}"), Some(help.to_owned()));
        return false;
    }
    true
}

fn refuse_names_given_twice<'a>(list: &Field, names: impl Iterator<Item = &'a Node>) {
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for name in names {
        let text = name.text().unwrap_or_default();
        if let Some(first) = lines.insert(text, name.line) {
            list.problems.error(
                name,
                format!("two tasks of this list are named `{text}`, the first on line {first}"),
                Some("rename one of them".to_owned()),
            );
        }
    }
}

/// One task under its name.
pub fn task(task: &Field, name: &Node, context: Context) -> Option<Task> {
    if !context.expansion.has_room(task, name) {
        return None;
    }
    let title = name.text()?;
    let kind = kind_of(task, name)?;
    refuse_other_fields(task, title, kind);

    let condition = task.slot("if").optional(values::expression);
    let input = task.slot("input").or(DataFlow::default(), |field| values::data_flow(field, "from"));
    let output = task.slot("output").or(DataFlow::default(), |field| values::data_flow(field, "as"));
    let export = task.slot("export").or(DataFlow::default(), |field| values::data_flow(field, "as"));
    let timeout = task.slot("timeout").optional(|field| values::timeout(field, &context.uses.timeouts));
    let then = task.slot("then").or(FlowTarget::Continue, |field| values::flow_target(field, context.siblings));
    let named = light_kind(task, kind, context);
    let light = task.slot("metadata").or(LightMetadata::default(), |field| light::task(field, named, context));
    let read = task.slot(kind.name).required(|field| (kind.read)(task, field, context));
    let run = read.as_ref().and_then(|read| if let TaskKind::Run(run) = read { Some(run) } else { None });
    let light = light.map(|light| network::confined(light, run, task)).map(|light| match run {
        Some(run) => secrets::held(light, run, task, context),
        None => light,
    });
    if let Some(read) = &read {
        network::refuse(read, task);
        let unawaited = matches!(read, TaskKind::Run(run) if !run.awaits);
        if unawaited && light.as_ref().is_some_and(|light| !light.on_failure.0.is_empty()) {
            let help = "remove one of the two, or run a workflow with `await: false` whose task has the `onFailure`";
            task.error("`onFailure` is told of no failure with `await: false`", Some(help));
        }
    }
    let extensions = expand::around(kind.name, context);

    Some(Task {
        name: title.to_owned(),
        reference: context.path.reference(),
        line: context.expansion.called_at.unwrap_or(name.line),
        condition: condition?,
        input: input?,
        output: output?,
        export: export?,
        timeout: timeout?,
        then: then?,
        light: light?,
        extensions: extensions?,
        source: task.node.to_json(),
        kind: read?,
    })
}

/// What `metadata.lightWorkflow` is about: of a function, its own tasks say what
/// they may do; of an outbound call, nothing of a sandbox applies unless it
/// starts a server.
fn light_kind(task: &Field, kind: &Kind, context: Context) -> &'static str {
    let called = task.slot("call").given().and_then(|field| field.node.text()).filter(|_| kind.name == "call");
    let transport = || task.node.get("with")?.get("transport");
    match called {
        Some(name) if context.uses.functions.contains_key(name) || call::is_document(name) => "call of a function",
        Some("mcp") if transport().is_some_and(|transport| transport.get("stdio").is_some()) => light::SERVER,
        Some(name) if outbound::PROTOCOLS.contains(&name) => light::OUTBOUND,
        Some(_) | None => kind.name,
    }
}

/// The one kind that the fields of a task say it is.
fn kind_of(task: &Field, name: &Node) -> Option<&'static Kind> {
    let title = name.text()?;
    task.called(format!("task {title}")).members()?;
    let mut kinds: Vec<&'static Kind> = KINDS.iter().filter(|kind| task.node.get(kind.name).is_some()).collect();
    if let Some(outer) = kinds.first().copied() {
        kinds.retain(|kind| !outer.beside.contains(&kind.name));
    }
    match kinds[..] {
        [kind] => Some(kind),
        [] if task.problems.is_full() => None,
        [] => {
            let unknown =
                task.members()?.iter().map(|(key, _)| key).filter(|key| {
                    closest(key.text().unwrap_or_default(), KINDS.iter().map(|kind| kind.name)).is_some()
                });
            let mut said = false;
            for key in unknown {
                task.unknown(key, &format!(" in task `{title}`"), KINDS.iter().map(|kind| kind.name));
                said = true;
            }
            if !said {
                let kinds = KINDS.iter().map(|kind| kind.name);
                let help = format!("give it one of {}", among(kinds));
                task.problems.error(name, format!("task `{title}` does not say what to do"), Some(help));
            }
            None
        }
        [first, second, ..] => {
            let message = format!("task `{title}` has both `{}` and `{}`", first.name, second.name);
            task.problems.error(name, message, Some("a task does one thing: make two of it".to_owned()));
            None
        }
    }
}

/// Refuses what is neither common to all tasks nor part of this kind.
fn refuse_other_fields(task: &Field, title: &str, kind: &Kind) {
    let known = || COMMON.into_iter().chain([kind.name]).chain(kind.beside.iter().copied());
    for (key, _) in task.members().unwrap_or_default() {
        let field = key.text().unwrap_or_default();
        if known().any(|name| name == field) {
            continue;
        }
        match KINDS.iter().find(|other| other.beside.contains(&field)) {
            Some(owner) => {
                let message =
                    format!("`{field}` in task `{title}` belongs to `{}`, and this is `{}`", owner.name, kind.name);
                task.problems.error(key, message, Some("remove it, or nest it where it belongs".to_owned()));
            }
            None => task.unknown(key, &format!(" in task `{title}`"), known()),
        }
    }
}
