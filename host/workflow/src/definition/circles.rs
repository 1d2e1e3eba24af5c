//! Circles in the flow in which nothing waits: what turns in one has no reason to stop.

use std::collections::{BTreeSet, HashMap};

use super::check::each_list;
use super::model::{Definition, Task, TaskKind, TaskList};
use super::targets;
use crate::event::FlowTarget;
use crate::located::{Node, Problems};

/// Refuses circles that nobody who comes in ever leaves.
pub(super) fn refuse_endless(definition: &Definition, root: &Node, problems: &Problems) {
    for circle in circles(definition).into_iter().filter(|circle| circle.is_endless) {
        let message =
            format!("{}, and nothing on the way waits or leads out of it: this would never end", circle.said());
        let help = "lead out of it with a `switch`, or put a `wait` into it";
        problems.error(root.nearest(&circle.pointer()), message, Some(help.to_owned()));
    }
}

/// Warns of circles that something may lead out of, though not time.
pub(super) fn warn_of_restless(definition: &Definition, root: &Node, problems: &Problems) {
    for circle in circles(definition) {
        let message = format!("{}, and nothing on the way waits: many rounds are a fault", circle.said());
        let help = "count with `for`, or put a `wait` into it";
        problems.warning(root.nearest(&circle.pointer()), message, Some(help.to_owned()));
    }
}

/// Tasks that lead back to one before them, or to themselves, with nothing on the way that waits.
struct Circle<'d> {
    /// The task whose `then` closes it.
    task: &'d Task,
    /// Where it leads back to.
    back_to: &'d Task,
    /// Whether no way leads out of it.
    is_endless: bool,
}

impl Circle<'_> {
    /// Of the `then`; the one of a `switch` is further in, and the task is near enough.
    fn pointer(&self) -> String {
        format!("{}/then", self.task.reference)
    }

    fn said(&self) -> String {
        format!("task `{}` leads back to `{}`", self.task.name, self.back_to.name)
    }
}

/// Every circle of a definition, in the order of its lists; of circles that share tasks, one.
fn circles(definition: &Definition) -> Vec<Circle<'_>> {
    let mut found = Vec::new();
    let mut look = |tasks| circles_of(tasks, &mut found);
    each_list(&definition.tasks, &mut look);
    for list in definition.functions.iter().flat_map(|function| function.kind.lists()) {
        each_list(list, &mut look);
    }
    for extension in &definition.extensions {
        each_list(&extension.before, &mut look);
        each_list(&extension.after, &mut look);
    }
    found
}

fn circles_of<'d>(tasks: &'d TaskList, found: &mut Vec<Circle<'d>>) {
    let flow = Flow::of(tasks);
    let mut known = BTreeSet::new();
    for (from, task) in tasks.0.iter().enumerate() {
        for back_to in flow.next[from].iter().flatten().copied().filter(|to| *to <= from) {
            if known.contains(&from) || may_rest(task) || may_rest(&tasks.0[back_to]) {
                continue;
            }
            let turning = flow.reached(back_to, |task| !may_rest(task));
            if turning.contains(&from) {
                let is_endless = flow.is_endless(back_to);
                known.extend(turning);
                found.push(Circle { task, back_to: &tasks.0[back_to], is_endless });
            }
        }
    }
}

/// Where the flow of one list may go.
struct Flow<'d> {
    tasks: &'d TaskList,
    /// For each task the places of those that may follow; none is the end of the list.
    next: Vec<Vec<Option<usize>>>,
}

impl<'d> Flow<'d> {
    fn of(tasks: &'d TaskList) -> Self {
        let positions: HashMap<&str, usize> =
            tasks.0.iter().enumerate().map(|(index, task)| (task.name.as_str(), index)).collect();
        let place = |index: usize, target: &FlowTarget| match target {
            FlowTarget::Continue => Some(index + 1).filter(|next| *next < tasks.0.len()),
            FlowTarget::Exit | FlowTarget::End => None,
            FlowTarget::Task(name) => positions.get(name.as_str()).copied(),
        };
        let after = |(index, task)| targets(task).into_iter().map(|target| place(index, target)).collect();
        Self { tasks, next: tasks.0.iter().enumerate().map(after).collect() }
    }

    /// The tasks that the flow may come to from `start`, itself included, without passing one that is not `wanted`.
    fn reached(&self, start: usize, wanted: impl Fn(&Task) -> bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(index) = open.pop() {
            if wanted(&self.tasks.0[index]) && reached.insert(index) {
                open.extend(self.next[index].iter().flatten());
            }
        }
        reached
    }

    /// Whether the flow, once at `start`, only ever comes to tasks that calculate and go on.
    fn is_endless(&self, start: usize) -> bool {
        self.reached(start, |_| true).into_iter().all(|index| {
            let goes_on = !self.next[index].is_empty() && self.next[index].iter().all(Option::is_some);
            goes_on && only_calculates(&self.tasks.0[index])
        })
    }
}

/// Whether something in a task may wait: for a person, for time, for an effect, for an event.
fn may_rest(task: &Task) -> bool {
    let waits = match &task.kind {
        TaskKind::Call(_) | TaskKind::Outbound(_) | TaskKind::Ask(_) | TaskKind::Wait(_) | TaskKind::Listen(_) => true,
        TaskKind::Run(run) => run.awaits,
        TaskKind::RunWorkflow(run) => run.awaits,
        TaskKind::Do(_)
        | TaskKind::Set(_)
        | TaskKind::Switch(_)
        | TaskKind::Assert(_)
        | TaskKind::Raise(_)
        | TaskKind::For(_)
        | TaskKind::Fork(_)
        | TaskKind::Function(_)
        | TaskKind::Try(_)
        | TaskKind::Emit(_) => false,
    };
    waits || task.lists().into_iter().any(|list| list.0.iter().any(may_rest))
}

/// Whether a task neither ends the flow nor leaves its list by itself.
fn only_calculates(task: &Task) -> bool {
    let calculates = match &task.kind {
        TaskKind::Set(_) | TaskKind::Switch(_) | TaskKind::Emit(_) => true,
        // These may fail, be left from inside, or wait.
        TaskKind::Do(_)
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
        | TaskKind::Try(_)
        | TaskKind::Wait(_)
        | TaskKind::Listen(_) => false,
    };
    calculates && task.extensions.is_empty()
}
