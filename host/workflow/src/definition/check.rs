//! What can be checked of a definition once it parses.

use std::collections::{BTreeMap, HashMap};

use super::circles;
use super::model::{Definition, Task, TaskKind, TaskList, WorkflowName};
use crate::calls::AuthenticationScheme;
use crate::event::FlowTarget;
use crate::expression::{Dialect, Language};
use crate::ids::PluginName;
use crate::located::{Node, NodeValue, Problem, Problems, Severity, among, closest, yaml};

/// Problems of plugins that a definition calls: unknown ones, and other versions.
///
/// `known` holds the version of each plugin if it has one.
pub fn check_plugins(
    definition: &Definition,
    file: &str,
    known: &BTreeMap<PluginName, Option<String>>,
) -> Vec<Problem> {
    let place = Places::of(definition, file);
    each_task(&definition.tasks, &mut |task| {
        if let TaskKind::Call(call) = &task.kind {
            let node = place.at(&format!("{}/call", task.reference));
            match known.get(&call.plugin) {
                None => place.unknown_plugin(node, &call.plugin, known),
                Some(Some(have)) if call.version.as_ref().is_some_and(|wanted| wanted != have) => {
                    let message = format!("plugin `{}` is here in version `{have}`", call.plugin);
                    place.problems.error(node, message, Some(format!("call `{}:{have}@default`", call.plugin)));
                }
                Some(_) => {}
            }
        }
    });
    place.problems.into_sorted()
}

/// What works, though hardly as meant.
pub fn warnings(definition: &Definition, file: &str) -> Vec<Problem> {
    let place = Places::of(definition, file);
    let mut unreached = |tasks: &TaskList| {
        for task in unreachable_tasks(tasks) {
            let message = format!("task `{}` is never reached", task.name);
            let help = "name it in a `then` before it, or remove it";
            place.problems.warning(place.at(&task.reference), message, Some(help.to_owned()));
        }
    };
    each_list(&definition.tasks, &mut unreached);
    for list in definition.functions.iter().flat_map(|function| function.kind.lists()) {
        each_list(list, &mut unreached);
    }
    for extension in &definition.extensions {
        each_list(&extension.before, &mut unreached);
        each_list(&extension.after, &mut unreached);
    }
    if let Some(shared) = place.root.get("use").and_then(|uses| uses.get("authentications")) {
        written_credentials(&place, shared);
    }
    each_task(&definition.tasks, &mut |task| {
        if let TaskKind::Outbound(_) = &task.kind {
            written_credentials(&place, place.at(&format!("{}/with", task.reference)));
        }
        let TaskKind::Try(block) = &task.kind else {
            return;
        };
        let endless =
            block.retry.as_ref().is_some_and(|retry| retry.count_max.is_none() && retry.duration_max.is_none());
        if endless {
            let node = place.at(&format!("{}/catch/retry", task.reference));
            let help = "add `limit: { attempt: { count: 5 } }`";
            place.problems.warning(node, "this retry never gives up", Some(help.to_owned()));
        }
    });
    circles::warn_of_restless(definition, &place.root, &place.problems);
    for task in super::tasks_with_secrets_before_an_approval(definition) {
        let message = format!("task `{}` may hold secrets before a person has been asked", task.name);
        let help = "put an `ask` before it on every path; no release is started with this definition";
        place.problems.warning(place.at(&task.reference), message, Some(help.to_owned()));
    }
    place.problems.into_sorted()
}

/// Fields of authentication that hold a credential.
const CREDENTIALS: [&str; 4] = ["password", "token", "secret", "assertion"];

/// What stands in a definition or comes from data is kept in the history, where everybody can read it.
fn written_credentials(place: &Places, node: &Node) {
    let members = match &node.value {
        NodeValue::Map(members) => members,
        NodeValue::List(items) => return items.iter().for_each(|item| written_credentials(place, item)),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) => return,
    };
    for (key, value) in members {
        let scheme = AuthenticationScheme::ALL.into_iter().find(|scheme| key.is_text(scheme.name()));
        match scheme {
            Some(scheme) => scheme_credentials(place, scheme, value),
            None => written_credentials(place, value),
        }
    }
}

fn scheme_credentials(place: &Places, scheme: AuthenticationScheme, node: &Node) {
    let NodeValue::Map(members) = &node.value else { return };
    for (key, value) in members {
        match value.text() {
            Some(text) if names_secret(text) => {}
            Some(text) if CREDENTIALS.iter().any(|name| key.is_text(name)) => {
                let name = key.text().unwrap_or_default();
                let from = if text.trim().starts_with("${") { "comes from data" } else { "stands in the definition" };
                let message = format!("`{name}` {from}, so it is kept in the history");
                let help = format!("put it into a secret of the host and write `{}: {{ use: NAME }}`", scheme.name());
                place.problems.warning(value, message, Some(help));
            }
            Some(_) => {}
            // `endpoints.token` is a path.
            None if key.is_text("endpoints") => {}
            None => scheme_credentials(place, scheme, value),
        }
    }
}

fn names_secret(text: &str) -> bool {
    let languages = [Language::Jq, Language::Cel].map(|language| Dialect { language, is_loose: false });
    languages.iter().any(|dialect| dialect.secret_named_by(text).is_some())
}

/// A problem at a place of a definition, for checks made elsewhere. `pointer`
/// is a JSON pointer such as `/do/2/build/call`; of a pointer that leads
/// nowhere the part that leads somewhere counts.
pub fn problem_at(definition: &Definition, file: &str, pointer: &str, message: &str, help: Option<&str>) -> Problem {
    let place = Places::of(definition, file);
    let node = place.at(pointer);
    Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line: node.line,
        column: node.column,
        pointer: pointer.to_owned(),
        message: message.to_owned(),
        help: help.map(str::to_owned),
    }
}

/// The source read again: the model does not carry a place for every value.
pub(super) struct Places {
    root: Node,
    pub(super) problems: Problems,
}

impl Places {
    pub(super) fn of(definition: &Definition, file: &str) -> Self {
        let problems = Problems::of(file);
        match yaml::read(definition.text(), &problems) {
            Some(root) => Self { root, problems },
            None => unreachable!("a definition exists, so its source was read before"),
        }
    }

    pub(super) fn at(&self, pointer: &str) -> &Node {
        // What `onFailure` calls stands in the metadata of its task.
        match pointer.split_once("/onFailure/0/") {
            Some((task, call)) => {
                let field = call.split_once('/').map_or("", |(_name, field)| field);
                self.root.nearest(&format!("{task}/metadata/lightWorkflow/onFailure/{field}"))
            }
            None => self.root.nearest(pointer),
        }
    }

    fn unknown_plugin(&self, node: &Node, plugin: &PluginName, known: &BTreeMap<PluginName, Option<String>>) {
        let help = match closest(plugin.as_str(), known.keys().map(PluginName::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "there are no plugins here".to_owned(),
            None => format!("the plugins here are {}", among(known.keys().map(PluginName::as_str))),
        };
        self.problems.error(node, format!("there is no plugin `{plugin}`"), Some(help));
    }
}

/// Tasks that no path through their list comes to.
fn unreachable_tasks(tasks: &TaskList) -> Vec<&Task> {
    let positions: HashMap<&str, usize> =
        tasks.0.iter().enumerate().map(|(index, task)| (task.name.as_str(), index)).collect();
    let mut reached = vec![false; tasks.0.len()];
    let mut open = vec![0];
    while let Some(index) = open.pop() {
        if index >= reached.len() || std::mem::replace(&mut reached[index], true) {
            continue;
        }
        open.extend(targets(&tasks.0[index]).into_iter().filter_map(|target| match target {
            FlowTarget::Continue => Some(index + 1),
            FlowTarget::Exit | FlowTarget::End => None,
            FlowTarget::Task(name) => positions.get(name.as_str()).copied(),
        }));
    }
    tasks.0.iter().zip(reached).filter(|(_, reached)| !reached).map(|(task, _)| task).collect()
}

/// Where the flow may go after a task.
pub(super) fn targets(task: &Task) -> Vec<&FlowTarget> {
    let skipped = task.condition.iter().map(|_| &FlowTarget::Continue);
    let done: Vec<&FlowTarget> = match &task.kind {
        TaskKind::Switch(cases) => {
            // Without a default case, `then` of the task is the default.
            let otherwise = cases.iter().all(|case| case.when.is_some()).then_some(&task.then);
            cases.iter().map(|case| &case.then).chain(otherwise).collect()
        }
        TaskKind::Try(block) => match &block.then {
            // Without a `then` of its own, a caught error goes where the task goes.
            FlowTarget::Continue => vec![&task.then],
            caught => vec![&task.then, caught],
        },
        TaskKind::Raise(_) => Vec::new(),
        TaskKind::Do(_)
        | TaskKind::Set(_)
        | TaskKind::Assert(_)
        | TaskKind::Call(_)
        | TaskKind::Outbound(_)
        | TaskKind::Run(_)
        | TaskKind::RunWorkflow(_)
        | TaskKind::Ask(_)
        | TaskKind::For(_)
        | TaskKind::Fork(_)
        | TaskKind::Function(_)
        | TaskKind::Wait(_)
        | TaskKind::Emit(_)
        | TaskKind::Listen(_) => vec![&task.then],
    };
    done.into_iter().chain(skipped).collect()
}

/// Every workflow that a task of this definition runs, in the order of the file.
pub fn workflows_run(definition: &Definition) -> Vec<WorkflowName> {
    let mut names = Vec::new();
    each_task(&definition.tasks, &mut |task| {
        if let TaskKind::RunWorkflow(run) = &task.kind {
            names.push(run.workflow.clone());
        }
    });
    names
}

/// Every task of this list and of all lists inside its tasks, in the order of the file.
pub fn each_task(tasks: &TaskList, act: &mut impl FnMut(&Task)) {
    for task in &tasks.0 {
        act(task);
        task.lists().into_iter().for_each(|list| each_task(list, act));
    }
}

/// This list and all lists inside its tasks that are walked one task after the other.
pub(super) fn each_list<'d>(tasks: &'d TaskList, act: &mut impl FnMut(&'d TaskList)) {
    act(tasks);
    for task in &tasks.0 {
        match &task.kind {
            TaskKind::Fork(fork) => {
                let inside = fork.branches.0.iter().flat_map(|branch| branch.kind.lists());
                inside.for_each(|list| each_list(list, act));
            }
            // Looked at where it stands.
            TaskKind::Function(_) => {}
            kind => kind.lists().into_iter().for_each(|list| each_list(list, act)),
        }
    }
}
