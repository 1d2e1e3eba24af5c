//! Which tasks hold secrets before a person has been asked.

use std::collections::HashMap;

use super::model::{Ask, Definition, Task, TaskKind, TaskList};
use super::outbound::Outbound;
use super::targets;
use crate::event::FlowTarget;

/// Tasks with secrets that some path reaches without an answered `ask`.
///
/// Publishing, signing and tagging are what secrets are for, and each needs a
/// person's approval (S6). A path counts as approved after an `ask` that is
/// never skipped and that no timeout answers in a person's place. Inside a `for`
/// or a `try` only what stands before it counts, and what it does itself. A
/// branch of a `fork` has been approved when it asks itself; what follows the
/// fork, when one of the branches does, or all that compete.
pub fn tasks_with_secrets_before_an_approval(definition: &Definition) -> Vec<&Task> {
    let mut found = walk_list(&definition.tasks).found;
    found.sort_by_key(|task| task.line);
    found.dedup_by_key(|task| &task.reference);
    found
}

/// What a task or a list does when nothing was approved before it. After an
/// approval there is nothing to find, and nothing takes it back.
struct Walk<'d> {
    /// Whether every way through it has been approved.
    approves: bool,
    /// The tasks that hold secrets on a way that has not.
    found: Vec<&'d Task>,
}

/// Follows the ways that have not been approved; each task is looked at once.
fn walk_list(tasks: &TaskList) -> Walk<'_> {
    let positions: HashMap<&str, usize> =
        tasks.0.iter().enumerate().map(|(index, task)| (task.name.as_str(), index)).collect();
    let end = tasks.0.len();
    let mut reached = vec![false; end + 1];
    reached[0] = true;
    let mut open = vec![0];
    let mut found = Vec::new();
    while let Some(index) = open.pop() {
        let Some(task) = tasks.0.get(index) else { continue };
        let walk = walk_task(task);
        found.extend(walk.found);
        if walk.approves {
            continue;
        }
        for target in targets(task) {
            let next = match target {
                FlowTarget::Continue => index + 1,
                FlowTarget::Exit => end,
                // Nothing follows that could need an approval.
                FlowTarget::End => continue,
                FlowTarget::Task(name) => positions.get(name.as_str()).copied().unwrap_or(end),
            };
            if !std::mem::replace(&mut reached[next], true) {
                open.push(next);
            }
        }
    }
    Walk { approves: !reached[end], found }
}

fn walk_task(task: &Task) -> Walk<'_> {
    let mut found = Vec::new();
    let mut inside = |tasks| {
        let walk = walk_list(tasks);
        found.extend(walk.found);
        walk.approves
    };
    // What happens around a task may be left out, so it approves nothing.
    for extension in &task.extensions {
        inside(&extension.before);
        inside(&extension.after);
    }
    let approves = match &task.kind {
        TaskKind::Ask(ask) => is_answered_by_a_person(ask),
        TaskKind::Do(tasks) => inside(tasks),
        TaskKind::Function(function) => inside(&function.body),
        TaskKind::For(block) => {
            inside(&block.tasks);
            false
        }
        TaskKind::Try(block) => {
            let done = inside(&block.tasks);
            let caught = block.handler.as_ref().is_some_and(&mut inside);
            done && caught
        }
        TaskKind::Fork(fork) => {
            let branches: Vec<Walk<'_>> = fork.branches.0.iter().map(walk_task).collect();
            // All of them come to their end, or only the one that wins.
            let mut each = branches.iter().map(|branch| branch.approves);
            let approves = if fork.compete { each.all(|approves| approves) } else { each.any(|approves| approves) };
            found.extend(branches.into_iter().flat_map(|branch| branch.found));
            approves
        }
        // It may end before any event or message has come.
        TaskKind::Listen(_) | TaskKind::Outbound(_) => {
            task.kind.foreach().into_iter().for_each(|foreach| {
                inside(&foreach.tasks);
            });
            false
        }
        TaskKind::Set(_)
        | TaskKind::Switch(_)
        | TaskKind::Assert(_)
        | TaskKind::Call(_)
        | TaskKind::Run(_)
        // What it runs is held to this by itself.
        | TaskKind::RunWorkflow(_)
        | TaskKind::Raise(_)
        | TaskKind::Wait(_)
        | TaskKind::Emit(_) => false,
    };
    let writes_as = |outbound: &Outbound| outbound.may_write() && outbound.secrets().next().is_some();
    let calls_with_secrets = matches!(&task.kind, TaskKind::Outbound(outbound) if writes_as(outbound));
    if calls_with_secrets || !task.light.secrets.is_empty() {
        found.push(task);
    }
    // A task with an `if`, or with an extension that stands for it, may be left out.
    let is_replaced = task.extensions.iter().any(|extension| may_exit(&extension.before));
    Walk { approves: approves && task.condition.is_none() && !is_replaced, found }
}

fn may_exit(tasks: &TaskList) -> bool {
    tasks.0.iter().any(|task| targets(task).contains(&&FlowTarget::Exit))
}

fn is_answered_by_a_person(ask: &Ask) -> bool {
    // A free answer says neither yes nor no.
    ask.answer.is_none() && ask.on_timeout.as_ref().is_none_or(|value| !ask.proceed_on.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::parse;

    /// Names of the tasks that are found.
    fn found(tasks: &str) -> String {
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }}\nuse: {{ secrets: [key] }}\ndo:\n{tasks}"
        );
        let send = "{ run: { shell: { command: send } }, metadata: { lightWorkflow: { security: { sandbox: { mode: per-task }, secrets: [key] } } } }";
        let text = text.replace("SEND", send).replace("ASK", "{ ask: { prompt: Publish? } }");
        let definition = parse(&text, "d.yaml").unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let names: Vec<&str> =
            tasks_with_secrets_before_an_approval(&definition).iter().map(|task| task.name.as_str()).collect();
        names.join(" ")
    }

    #[test]
    fn an_extension_around_a_question_approves_nothing_and_may_leave_it_out() {
        let found = |before: &str| {
            let text = format!(
                "document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }}
use: {{ secrets: [key], extensions: [ {{ e: {{ extend: all, before: [ {before} ] }} }} ] }}
do:
- ask: {{ ask: {{ prompt: Publish? }} }}
- send: {{ run: {{ shell: {{ command: send }} }}, metadata: {{ lightWorkflow: {{ security: {{ sandbox: {{ mode: per-task }}, secrets: [key] }} }} }} }}
"
            );
            let definition = parse(&text, "d.yaml").unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
            tasks_with_secrets_before_an_approval(&definition).len()
        };
        assert_eq!(found("{ note: { set: { a: 1 } } }"), 0);
        assert_eq!(found("{ instead: { set: { a: 1 }, then: exit } }"), 1);
        assert_eq!(found("{ choose: { switch: [ { a: { when: .x, then: exit } }, { b: { then: continue } } ] } }"), 1);
    }

    #[test]
    fn secrets_wait_for_an_approval_on_every_path() {
        for (why, tasks, expected) in [
            ("asked before", "- ask: ASK\n- send: SEND", ""),
            ("asked after", "- send: SEND\n- ask: ASK", "send"),
            ("never asked", "- send: SEND", "send"),
            ("asked around it", "- ask: ASK\n- group: { do: [ { send: SEND } ] }", ""),
            ("asked in a group", "- group: { do: [ { ask: ASK } ] }\n- send: SEND", ""),
            (
                "a question that may be left out",
                "- ask: { if: .really, ask: { prompt: Publish? } }\n- send: SEND",
                "send",
            ),
            (
                "a timeout that approves",
                "- ask: { ask: { prompt: p, timeout: { after: PT1H }, onTimeout: { action: default, default: approved } } }\n- send: SEND",
                "send",
            ),
            (
                "a timeout that rejects",
                "- ask: { ask: { prompt: p, timeout: { after: PT1H }, onTimeout: { action: default, default: rejected } } }\n- send: SEND",
                "",
            ),
            (
                "a way around the question",
                "- choose: { switch: [ { urgent: { when: .urgent, then: send } }, { other: { then: ask } } ] }\n- ask: ASK\n- send: SEND",
                "send",
            ),
            (
                "every way asks",
                "- choose: { switch: [ { urgent: { when: .urgent, then: second } }, { other: { then: first } } ] }\n- first: { ask: { prompt: a }, then: send }\n- second: ASK\n- send: SEND",
                "",
            ),
            (
                "a jump back to before the question",
                "- start: { set: { a: 1 }, then: ask }\n- send: SEND\n- done: { set: { b: 1 }, then: end }\n- ask: { ask: { prompt: p }, then: send }",
                "",
            ),
            (
                "a loop may never ask",
                "- each: { for: { in: .x }, do: [ { ask: ASK }, { inside: SEND } ] }\n- send: SEND",
                "send",
            ),
            (
                "a caught error may come before the question",
                "- guarded: { try: [ { look: { set: { a: 1 } } }, { ask: ASK } ], catch: {} }\n- send: SEND",
                "send",
            ),
            (
                "a question in a branch beside",
                "- both: { fork: { branches: [ { ask: ASK }, { send: SEND } ] } }\n- after: SEND",
                "send",
            ),
            (
                "a question in a branch that may lose",
                "- race: { fork: { compete: true, branches: [ { ask: ASK }, { rest: { wait: PT1H } } ] } }\n- send: SEND",
                "send",
            ),
            (
                "a question in every branch that competes",
                "- race: { fork: { compete: true, branches: [ { ask: ASK }, { or: ASK } ] } }\n- send: SEND",
                "",
            ),
            (
                "a handler that sends without a question",
                "- guarded: { try: [ { ask: ASK }, { send: SEND } ], catch: { do: [ { again: SEND } ] } }",
                "again",
            ),
        ] {
            assert_eq!(found(tasks), expected, "{why}");
        }
    }

    /// With a search that starts anew for each list around a task, none of these ever ends.
    #[test]
    fn deep_and_long_definitions_are_searched_once() {
        let mut deep = "{ send: SEND }".to_owned();
        for level in 0..15 {
            deep = format!(
                "{{ a{level}: {{ set: {{ x: 1 }} }} }}, {{ n{level}: {{ do: [ {deep} ] }} }}, {{ c{level}: {{ set: {{ x: 1 }} }} }}"
            );
        }
        assert_eq!(found(&format!("- all: {{ do: [ {deep} ] }}")), "send");
        let long: String = (0..5_000).map(|task| format!("- s{task}: {{ set: {{ x: 1 }} }}\n")).collect();
        assert_eq!(found(&format!("{long}- send: SEND")), "send");
    }
}
