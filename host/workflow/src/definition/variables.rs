//! Which variables an expression may name, and where one names another.
//!
//! jq would say so too, but only in the middle of a release.

use std::collections::BTreeSet;

use super::model::{AssertCheck, DataFlow, Definition, Process, Raise, Task, TaskKind, TaskList, Try, Wait};
use crate::expression::{Expression, Template};
use crate::located::{Node, Problems, among, closest};

/// What every expression of a task sees; those of the document see fewer.
const OF_TASKS: [&str; 6] = ["context", "input", "output", "task", "workflow", "runtime"];

/// Reports every expression that names a variable which is not there.
pub fn refuse_unknown(definition: &Definition, root: &Node, problems: &Problems) {
    let check = Check { root, problems };
    let known = OF_TASKS.to_vec();
    check.data_flow(&definition.input, "/input", "/from", &known);
    definition.functions.iter().for_each(|function| check.task(function, &known));
    for (index, extension) in definition.extensions.iter().enumerate() {
        let place = format!("/use/extensions/{index}/{}", extension.name);
        check.expression(extension.when.as_ref(), &format!("{place}/when"), &known);
        check.list(&extension.before, &known);
        check.list(&extension.after, &known);
    }
    check.list(&definition.tasks, &known);
    check.data_flow(&definition.output, "/output", "/as", &known);
}

struct Check<'a> {
    root: &'a Node,
    problems: &'a Problems,
}

impl Check<'_> {
    fn list(&self, tasks: &TaskList, known: &[&str]) {
        tasks.0.iter().for_each(|task| self.task(task, known));
    }

    fn task(&self, task: &Task, known: &[&str]) {
        let below = |pointer: &str| format!("{}{pointer}", task.reference);
        self.expression(task.condition.as_ref(), &below("/if"), known);
        self.data_flow(&task.input, &below("/input"), "/from", known);
        self.data_flow(&task.output, &below("/output"), "/as", known);
        self.data_flow(&task.export, &below("/export"), "/as", known);
        for (path, input) in &task.light.inputs {
            let path = path.replace('~', "~0").replace('/', "~1");
            self.template(input, &below(&format!("/metadata/lightWorkflow/artifactPolicy/inputs/{path}")), known);
        }
        match &task.kind {
            TaskKind::Do(tasks) => self.list(tasks, known),
            TaskKind::Fork(fork) => self.list(&fork.branches, known),
            // The function itself is checked where it stands: it sees nothing of its caller.
            TaskKind::Function(function) => self.template(&function.with, &below("/with"), known),
            TaskKind::Set(values) => self.template(values, &below("/set"), known),
            TaskKind::Switch(cases) => {
                for (index, case) in cases.iter().enumerate() {
                    self.expression(case.when.as_ref(), &below(&format!("/switch/{index}/{}/when", case.name)), known);
                }
            }
            TaskKind::Assert(assert) => {
                let checks = assert.checks.iter().filter_map(|check| match check {
                    AssertCheck::Equals(template) | AssertCheck::Contains(template) => Some(template),
                    AssertCheck::Holds | AssertCheck::Matches(_) | AssertCheck::Exists(_) => None,
                });
                let templates = checks.chain([&assert.value]).chain(&assert.message);
                templates.for_each(|template| self.template(template, &below("/assert"), known));
            }
            TaskKind::Call(call) => self.template(&call.with, &below("/with"), known),
            TaskKind::Run(run) => {
                let process = match &run.process {
                    Process::Shell { command } => command,
                    Process::Script { code, language: _ } => code,
                };
                let templates = run.arguments.iter().chain(run.environment.values()).chain(&run.stdin).chain([process]);
                templates.for_each(|template| self.template(template, &below("/run"), known));
            }
            TaskKind::RunWorkflow(run) => {
                run.input.iter().for_each(|input| self.template(input, &below("/run/workflow/input"), known));
            }
            TaskKind::Ask(ask) => {
                let templates = [&ask.prompt].into_iter().chain(&ask.assignee).chain(&ask.role).chain(&ask.subject);
                templates.for_each(|template| self.template(template, &below("/ask"), known));
            }
            TaskKind::Try(block) => self.try_(block, &below(""), known),
            TaskKind::Raise(Raise::Inline(error)) => self.template(error, &below("/raise/error"), known),
            TaskKind::Raise(Raise::Named(_)) | TaskKind::Wait(Wait::For(_)) => {}
            TaskKind::For(block) => {
                self.template(&block.items, &below("/for/in"), known);
                let inside = [known, &[block.each.as_str(), block.at.as_str()]].concat();
                self.expression(block.while_.as_ref(), &below("/while"), &inside);
                self.list(&block.tasks, &inside);
            }
            TaskKind::Wait(Wait::Expression(duration)) => self.template(duration, &below("/wait"), known),
            TaskKind::Emit(event) => self.template(event, &below("/emit"), known),
        }
    }

    fn try_(&self, block: &Try, reference: &str, known: &[&str]) {
        self.list(&block.tasks, known);
        let inside = [known, &[block.bind.as_str()]].concat();
        self.expression(block.when.as_ref(), &format!("{reference}/catch/when"), &inside);
        self.expression(block.except_when.as_ref(), &format!("{reference}/catch/exceptWhen"), &inside);
        if let Some(retry) = &block.retry {
            self.expression(retry.when.as_ref(), &format!("{reference}/catch/retry/when"), &inside);
            self.expression(retry.except_when.as_ref(), &format!("{reference}/catch/retry/exceptWhen"), &inside);
        }
        block.handler.iter().for_each(|handler| self.list(handler, &inside));
    }

    fn data_flow(&self, flow: &DataFlow, pointer: &str, transform: &str, known: &[&str]) {
        if let Some(template) = &flow.transform {
            self.template(template, &format!("{pointer}{transform}"), known);
        }
    }

    fn expression(&self, expression: Option<&Expression>, pointer: &str, known: &[&str]) {
        if let Some(expression) = expression {
            self.names(expression.variables().collect(), pointer, known);
        }
    }

    fn template(&self, template: &Template, pointer: &str, known: &[&str]) {
        self.names(template.variables(), pointer, known);
    }

    fn names(&self, named: BTreeSet<&str>, pointer: &str, known: &[&str]) {
        for name in named.into_iter().filter(|name| !known.contains(name)) {
            let around = self.root.nearest(pointer);
            let naming = around.texts().into_iter().find(|(_, text)| text.contains(&format!("${name}")));
            let node = naming.map_or(around, |(node, _)| node);
            let help = match closest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `${meant}`?"),
                None => format!("the variables here are {}", among(known.iter().map(|name| format!("${name}")))),
            };
            self.problems.error(node, format!("there is no variable `${name}` here"), Some(help));
        }
    }
}
