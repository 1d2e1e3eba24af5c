//! Which variables an expression may name, and where one names another.
//!
//! jq would say so too, but only in the middle of a release.

use std::collections::BTreeSet;

use super::consumption::{EventConsumption, Until};
use super::listen::{Foreach, Listen};
use super::model::{AssertCheck, DataFlow, Definition, Process, Raise, Task, TaskKind, TaskList, TimeLimit, Try};
use crate::expression::{Expression, Template};
use crate::located::{Node, Problems, among, closest};

/// The variables that an expression sees by its place, beside those of the
/// loops and handlers around it.
///
/// Source: the table of arguments in the specification (“Runtime expressions”).
const OF_DOCUMENT_INPUT: &[&str] = &["workflow", "runtime"];
const OF_DOCUMENT_OUTPUT: &[&str] = &["context", "workflow", "runtime"];
/// `if` and `input.from`: the task has no input of its own yet.
const BEFORE_INPUT: &[&str] = &["context", "task", "workflow", "runtime"];
const OF_TASK: &[&str] = &["context", "input", "task", "workflow", "runtime"];
/// `export.as`: the output has been made.
const OF_EXPORT: &[&str] = &["context", "input", "output", "task", "workflow", "runtime"];

/// Reports every expression that names a variable which is not there.
pub fn refuse_unknown(definition: &Definition, root: &Node, problems: &Problems) {
    let check = Check { root, problems, at: "" };
    check.data_flow(&definition.input, "/input", "/from", OF_DOCUMENT_INPUT);
    check.limit(definition.timeout.as_ref(), "/timeout", OF_DOCUMENT_INPUT);
    definition.functions.iter().for_each(|function| check.task(function, &[]));
    for (index, extension) in definition.extensions.iter().enumerate() {
        let place = format!("/use/extensions/{index}/{}", extension.name);
        check.expression(extension.when.as_ref(), &format!("{place}/when"), OF_TASK);
        check.list(&extension.before, &[]);
        check.list(&extension.after, &[]);
    }
    check.list(&definition.tasks, &[]);
    // Before there is an instance, there is nothing to see but the event.
    let on = definition.schedule.as_ref().and_then(|schedule| schedule.on.as_ref());
    on.iter().for_each(|wanted| check.consumption(wanted, "/schedule/on", &[]));
    check.data_flow(&definition.output, "/output", "/as", OF_DOCUMENT_OUTPUT);
}

/// The same for a function that is a document of its own.
pub fn refuse_unknown_in(function: &Task, root: &Node, problems: &Problems) {
    Check { root, problems, at: &function.reference }.task(function, &[]);
}

struct Check<'a> {
    root: &'a Node,
    problems: &'a Problems,
    /// The pointer of `root` in the definition; empty for the definition itself.
    at: &'a str,
}

impl Check<'_> {
    /// `bound` are the variables of the loops and handlers around the list.
    fn list(&self, tasks: &TaskList, bound: &[&str]) {
        tasks.0.iter().for_each(|task| self.task(task, bound));
    }

    fn task(&self, task: &Task, bound: &[&str]) {
        let before_input = &[BEFORE_INPUT, bound].concat();
        let known = &[OF_TASK, bound].concat();
        let below = |pointer: &str| format!("{}{pointer}", task.reference);
        self.expression(task.condition.as_ref(), &below("/if"), before_input);
        self.data_flow(&task.input, &below("/input"), "/from", before_input);
        self.data_flow(&task.output, &below("/output"), "/as", known);
        self.data_flow(&task.export, &below("/export"), "/as", &[OF_EXPORT, bound].concat());
        self.limit(task.timeout.as_ref(), &below("/timeout"), before_input);
        for (path, input) in &task.light.inputs {
            let path = path.replace('~', "~0").replace('/', "~1");
            self.template(input, &below(&format!("/metadata/lightWorkflow/artifactPolicy/inputs/{path}")), known);
        }
        for call in &task.light.on_failure.0 {
            if let TaskKind::Call(call) = &call.kind {
                self.template(&call.with, &below("/metadata/lightWorkflow/onFailure/with"), known);
            }
        }
        match &task.kind {
            TaskKind::Do(tasks) => self.list(tasks, bound),
            TaskKind::Fork(fork) => self.list(&fork.branches, bound),
            // The function itself is checked where it stands: it sees nothing of its caller.
            TaskKind::Function(function) => self.template(&function.with, &below("/with"), known),
            TaskKind::Set(values) => self.template(values, &below("/set"), known),
            TaskKind::Switch(cases) => {
                for (index, case) in cases.iter().enumerate() {
                    self.expression(case.when.as_ref(), &below(&format!("/switch/{index}/{}/when", case.name)), known);
                }
            }
            TaskKind::Assert(assert) => {
                let inner = assert.checks.iter().flat_map(|check| match check {
                    AssertCheck::At(at) => at.checks.as_slice(),
                    _ => std::slice::from_ref(check),
                });
                let checks = inner.filter_map(|check| match check {
                    AssertCheck::Equals(template) | AssertCheck::Contains(template) => Some(template),
                    AssertCheck::Holds
                    | AssertCheck::Matches(_)
                    | AssertCheck::Exists(_)
                    | AssertCheck::Schema(_)
                    | AssertCheck::At(_) => None,
                });
                let templates = checks.chain([&assert.value]).chain(&assert.message);
                templates.for_each(|template| self.template(template, &below("/assert"), known));
            }
            TaskKind::Call(call) => self.template(&call.with, &below("/with"), known),
            TaskKind::Outbound(outbound) => {
                outbound.templates().into_iter().for_each(|template| self.template(template, &below("/with"), known));
                if let Some(subscription) = outbound.subscription() {
                    let place = below("/with/subscription");
                    for (field, condition) in subscription.conditions() {
                        self.expression(Some(condition), &format!("{place}/{field}"), known);
                    }
                    subscription.foreach.iter().for_each(|foreach| self.foreach(foreach, &place, bound));
                }
            }
            TaskKind::Run(run) => {
                let process = match &run.process {
                    Process::Shell { command } => [Some(command), None],
                    Process::Script { code, language: _ } => [Some(code), None],
                    Process::Container(container) => [container.command.as_ref(), container.name.as_ref()],
                };
                let process = process.into_iter().flatten();
                let templates = run.arguments.iter().chain(run.environment.values()).chain(&run.stdin).chain(process);
                templates.for_each(|template| self.template(template, &below("/run"), known));
            }
            TaskKind::RunWorkflow(run) => {
                run.input.iter().for_each(|input| self.template(input, &below("/run/workflow/input"), known));
            }
            TaskKind::Ask(ask) => {
                let templates = [&ask.prompt].into_iter().chain(&ask.assignee).chain(&ask.role).chain(&ask.subject);
                let templates = templates.chain(&ask.category).chain(&ask.reason).chain(&ask.options_from);
                templates.for_each(|template| self.template(template, &below("/ask"), known));
                self.limit(ask.timeout.as_ref(), &below("/ask/timeout"), known);
            }
            TaskKind::Try(block) => {
                self.try_(block, &below(""), bound);
                let limits = block.retry.iter().flat_map(|retry| [&retry.attempt_duration_max, &retry.duration_max]);
                limits.for_each(|limit| self.limit(limit.as_ref(), &below("/catch/retry/limit"), before_input));
            }
            TaskKind::Raise(Raise::Inline(error)) => self.template(error, &below("/raise/error"), known),
            TaskKind::Raise(Raise::Named(_)) => {}
            TaskKind::For(block) => {
                self.template(&block.items, &below("/for/in"), known);
                let inside = [bound, &[block.each.as_str(), block.at.as_str()]].concat();
                self.expression(block.while_.as_ref(), &below("/while"), &[OF_TASK, &inside].concat());
                self.list(&block.tasks, &inside);
            }
            TaskKind::Wait(duration) => self.limit(Some(duration), &below("/wait"), known),
            TaskKind::Emit(event) => self.template(event, &below("/emit"), known),
            TaskKind::Listen(listen) => self.listen(listen, &below(""), bound),
        }
    }

    fn try_(&self, block: &Try, reference: &str, bound: &[&str]) {
        self.list(&block.tasks, bound);
        let inside = [bound, &[block.bind.as_str()]].concat();
        let known = &[OF_TASK, &inside].concat();
        self.expression(block.when.as_ref(), &format!("{reference}/catch/when"), known);
        self.expression(block.except_when.as_ref(), &format!("{reference}/catch/exceptWhen"), known);
        if let Some(retry) = &block.retry {
            self.expression(retry.when.as_ref(), &format!("{reference}/catch/retry/when"), known);
            self.expression(retry.except_when.as_ref(), &format!("{reference}/catch/retry/exceptWhen"), known);
            self.limit(Some(&retry.delay), &format!("{reference}/catch/retry/delay"), known);
            let jitter = retry.jitter.iter().flat_map(|(from, to)| [from, to]);
            jitter.for_each(|bound| self.limit(Some(bound), &format!("{reference}/catch/retry/jitter"), known));
        }
        block.handler.iter().for_each(|handler| self.list(handler, &inside));
    }

    fn listen(&self, listen: &Listen, reference: &str, bound: &[&str]) {
        self.consumption(&listen.to, &format!("{reference}/listen/to"), &[OF_TASK, bound].concat());
        listen.foreach.iter().for_each(|foreach| self.foreach(foreach, reference, bound));
    }

    fn foreach(&self, foreach: &Foreach, reference: &str, bound: &[&str]) {
        let inside = [bound, &[foreach.item.as_str(), foreach.at.as_str()]].concat();
        self.list(&foreach.tasks, &inside);
        let output = [OF_TASK, &inside].concat();
        self.data_flow(&foreach.output, &format!("{reference}/foreach/output"), "/as", &output);
        let export = [OF_EXPORT, &inside].concat();
        self.data_flow(&foreach.export, &format!("{reference}/foreach/export"), "/as", &export);
    }

    fn consumption(&self, wanted: &EventConsumption, pointer: &str, known: &[&str]) {
        for filter in wanted.filters() {
            filter.with.values().for_each(|value| self.template(value, pointer, known));
            for correlation in filter.correlate.values() {
                self.expression(Some(&correlation.from), pointer, known);
                correlation.expect.iter().for_each(|expect| self.template(expect, pointer, known));
            }
        }
        if let EventConsumption::Any { until: Some(Until::Holds(condition)), .. } = wanted {
            self.expression(Some(condition), &format!("{pointer}/until"), known);
        }
    }

    fn data_flow(&self, flow: &DataFlow, pointer: &str, transform: &str, known: &[&str]) {
        if let Some(template) = &flow.transform {
            self.template(template, &format!("{pointer}{transform}"), known);
        }
    }

    fn limit(&self, limit: Option<&TimeLimit>, pointer: &str, known: &[&str]) {
        if let Some(template) = limit.and_then(TimeLimit::template) {
            self.template(template, pointer, known);
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
            let around = self.root.nearest(pointer.strip_prefix(self.at).unwrap_or(pointer));
            let naming = around.texts().into_iter().find(|(_, text)| text.contains(&format!("${name}")));
            let node = naming.map_or(around, |(node, _)| node);
            // One of another place is no slip of the finger.
            let meant = closest(name, known.iter().copied()).filter(|_| !OF_EXPORT.contains(&name));
            let help = match meant {
                _ if name == "authorization" => {
                    "it holds a credential, and no expression sees one; name its secret with `use`".to_owned()
                }
                Some(meant) => format!("did you mean `${meant}`?"),
                None if known.is_empty() => "an expression sees nothing here but its input".to_owned(),
                None => format!("the variables here are {}", among(known.iter().map(|name| format!("${name}")))),
            };
            self.problems.error(node, format!("there is no variable `${name}` here"), Some(help));
        }
    }
}
