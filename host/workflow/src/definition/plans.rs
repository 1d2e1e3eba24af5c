//! `metadata.lightWorkflow.plan` of an `ask`: the tasks whose plan a person approves.

use std::collections::BTreeMap;

use super::model::{Ask, Definition, Task, TaskKind};
use crate::capability::Planned;
use crate::located::{Node, Problems, among, closest};

/// For each `ask` that names tasks, their references; reports names that cannot stand there.
pub(super) fn resolve(definition: &Definition, root: &Node, problems: &Problems) -> BTreeMap<String, Vec<String>> {
    let mut all: Vec<&Task> = Vec::new();
    let mut asks = Vec::new();
    collect(definition, &mut |task| {
        all.push(task);
        if let TaskKind::Ask(ask) = &task.kind
            && !task.light.plan.is_empty()
        {
            asks.push((task, ask));
        }
    });
    let mut plans = BTreeMap::new();
    for (task, ask) in asks {
        let pointer = format!("{}/metadata/lightWorkflow/plan", task.reference);
        if ask.answer.is_some() {
            let message = "`plan` belongs to a choice: a free answer approves nothing";
            problems.error(root.nearest(&pointer), message, Some("use `mode: approval` or `choice`".to_owned()));
        } else if let Some((field, message, help)) = unclear(ask) {
            let node = root.nearest(&format!("{}/ask/{field}", task.reference));
            problems.error(node, message, Some(help.to_owned()));
        }
        let named = task.light.plan.iter().enumerate().filter_map(|(index, name)| {
            let node = root.nearest(&format!("{pointer}/{index}"));
            match named(&all, name) {
                Ok(reference) => Some(reference),
                Err((message, help)) => {
                    problems.error(node, message, Some(help));
                    None
                }
            }
        });
        plans.insert(task.reference.clone(), named.collect());
    }
    plans
}

/// Why no answer, or nobody, would approve just what the plan shows: the field, what is wrong with it and what helps.
fn unclear(ask: &Ask) -> Option<(&'static str, &'static str, &'static str)> {
    let Some(approving) = ask.one_way_on() else {
        return Some((
            "proceedOn",
            "`plan` shows what follows from one answer, and here more than one lets the flow go on",
            "add `proceedOn` with the one value that approves; a `catch` of `authorization` can take up the others",
        ));
    };
    (ask.on_timeout.as_deref() == Some(approving)).then_some((
        "onTimeout",
        "`onTimeout` would approve a plan that nobody has seen",
        "use `action: fault`, or answer with a value that is not in `proceedOn`",
    ))
}

fn collect<'d>(definition: &'d Definition, act: &mut impl FnMut(&'d Task)) {
    fn walk<'d>(task: &'d Task, act: &mut impl FnMut(&'d Task)) {
        act(task);
        task.lists().into_iter().flat_map(|list| &list.0).for_each(|task| walk(task, act));
    }
    definition.tasks.0.iter().for_each(|task| walk(task, act));
}

/// The reference of the task that a name or a JSON pointer means, or what is wrong with it and what helps.
fn named(all: &[&Task], name: &str) -> Result<String, (String, String)> {
    let matching: Vec<&&Task> = all.iter().filter(|task| task.name == name || task.reference == name).collect();
    let calls: Vec<&&Task> = matching.iter().filter(|task| matches!(task.kind, TaskKind::Call(_))).copied().collect();
    match calls[..] {
        [task] => match &task.light.grants.sandbox {
            Some(grant) if grant.planned == Planned::Strict => Ok(task.reference.clone()),
            Some(_) => Err((
                format!("task `{name}` is not held to a plan, so approving one would promise nothing"),
                "add `planned: strict` to its `grants.sandbox`".to_owned(),
            )),
            None => Err((format!("task `{name}` may run no commands, so it has no plan"), "take it off".to_owned())),
        },
        [] if matching.is_empty() => {
            let plugins = || all.iter().filter(|task| matches!(task.kind, TaskKind::Call(_)));
            let help = match closest(name, plugins().map(|task| task.name.as_str())) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name a task that calls a plugin, or give its JSON pointer".to_owned(),
            };
            Err((format!("there is no task `{name}` here"), help))
        }
        [] => Err((
            format!("task `{name}` calls no plugin, and only a plugin says beforehand what it would run"),
            "name a task with `call: PLUGIN`".to_owned(),
        )),
        [..] => {
            let references = calls.iter().map(|task| &task.reference);
            Err((format!("several tasks are named `{name}`"), format!("give a JSON pointer: {}", among(references))))
        }
    }
}
