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
    let mut found = Vec::new();
    after_list(&definition.tasks, false, &mut found);
    found.sort_by_key(|task| task.line);
    found.dedup_by_key(|task| &task.reference);
    found
}

/// Whether every way through the list has been approved, when it starts with `approved`.
fn after_list<'d>(tasks: &'d TaskList, approved: bool, found: &mut Vec<&'d Task>) -> bool {
    let positions: HashMap<&str, usize> =
        tasks.0.iter().enumerate().map(|(index, task)| (task.name.as_str(), index)).collect();
    let end = tasks.0.len();
    // What holds on every path to a task, and to the end: at first all does, then less and less.
    let mut before = vec![true; end + 1];
    before[0] = approved;
    loop {
        let mut next = vec![true; end + 1];
        next[0] = approved;
        for (index, task) in tasks.0.iter().enumerate() {
            let after = after_task(task, before[index], &mut Vec::new());
            for target in targets(task) {
                let reached = match target {
                    FlowTarget::Continue => index + 1,
                    FlowTarget::Exit => end,
                    // Nothing follows that could need an approval.
                    FlowTarget::End => continue,
                    FlowTarget::Task(name) => positions.get(name.as_str()).copied().unwrap_or(end),
                };
                next[reached] &= after;
            }
        }
        if next == before {
            break;
        }
        before = next;
    }
    for (index, task) in tasks.0.iter().enumerate() {
        after_task(task, before[index], found);
    }
    before[end]
}

/// Whether a task leaves an approved path, and what it and the tasks inside it do without one.
fn after_task<'d>(task: &'d Task, approved: bool, found: &mut Vec<&'d Task>) -> bool {
    let writes_as = |outbound: &Outbound| outbound.may_write() && outbound.secrets().next().is_some();
    let calls_with_secrets = matches!(&task.kind, TaskKind::Outbound(outbound) if writes_as(outbound));
    let holds_secrets = calls_with_secrets || !task.light.secrets.is_empty();
    if !approved && holds_secrets {
        found.push(task);
    }
    // What happens around a task may be left out, so it approves nothing.
    for extension in &task.extensions {
        after_list(&extension.before, approved, found);
        after_list(&extension.after, approved, found);
    }
    let after = match &task.kind {
        TaskKind::Ask(ask) => approved || is_answered_by_a_person(ask),
        TaskKind::Do(tasks) => after_list(tasks, approved, found),
        TaskKind::Function(function) => after_list(&function.body, approved, found),
        TaskKind::For(block) => {
            after_list(&block.tasks, approved, found);
            approved
        }
        TaskKind::Try(block) => {
            let done = after_list(&block.tasks, approved, found);
            let caught = match &block.handler {
                Some(handler) => after_list(handler, approved, found),
                None => approved,
            };
            done && caught
        }
        TaskKind::Fork(fork) => {
            let branches: Vec<bool> =
                fork.branches.0.iter().map(|branch| after_task(branch, approved, found)).collect();
            // All of them come to their end, or only the one that wins.
            if fork.compete { branches.iter().all(|after| *after) } else { branches.contains(&true) }
        }
        // It may end before any event or message has come.
        TaskKind::Listen(_) | TaskKind::Outbound(_) => {
            task.kind.foreach().into_iter().for_each(|foreach| {
                after_list(&foreach.tasks, approved, found);
            });
            approved
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
        | TaskKind::Emit(_) => approved,
    };
    // A task with an `if`, or with an extension that stands for it, may be left out.
    let is_replaced = task.extensions.iter().any(|extension| may_exit(&extension.before));
    if task.condition.is_some() || is_replaced { approved } else { after }
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
}
