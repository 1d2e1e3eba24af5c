//! `run`: a command or a script in a sandbox.

use std::collections::BTreeMap;

use super::super::model::{Process, Run, RunReturn, RunWorkflow, TaskKind, WorkflowName};
use super::secrets::{self, Declared, Variables};
use super::tasks::Context;
use super::{container, document, resource, values};
use crate::expression::Template;
use crate::located::{Field, Slot};

pub fn run(_: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    let [shell, script, container, child, wait, returns] =
        field.fields(["shell", "script", "container", "workflow", "await", "return"])?;
    if let Some(child) = child.given() {
        if shell.given().or(script.given()).or(container.given()).is_some() {
            field.error("`run` has `workflow` and something else", Some("make two tasks of it"));
        }
        return workflow(&child, &wait, &returns);
    }
    let wait = wait.or(true, Field::boolean);
    let returns = returns.or(RunReturn::Result, |field| {
        field.choice(&[
            ("stdout", RunReturn::Stdout),
            ("stderr", RunReturn::Stderr),
            ("code", RunReturn::Code),
            ("all", RunReturn::All),
            ("none", RunReturn::None),
            ("result", RunReturn::Result),
        ])
    });
    let declared = context.uses.secrets.as_ref();
    let process = match (shell.given(), script.given(), container.given()) {
        (Some(shell), None, None) => self::shell(&shell, declared),
        (None, Some(script), None) => self::script(&script, declared),
        (None, None, Some(container)) => container::container(&container, declared),
        (None, None, None) => {
            let help = "give it `shell`, `script`, `container` or `workflow`";
            field.error("`run` does not say what to run", Some(help));
            None
        }
        (_, _, _) => {
            field.error("`run` has more than one of `shell`, `script` and `container`", Some("make two tasks of it"));
            None
        }
    };
    let (process, shared) = process?;
    Some(TaskKind::Run(Run {
        process,
        awaits: wait?,
        environment: shared.variables.0,
        secrets: shared.variables.1,
        arguments: shared.arguments,
        stdin: shared.stdin,
        returns: returns?,
    }))
}

/// A child has an output and nothing else that could be returned.
fn workflow(field: &Field, wait: &Slot, returns: &Slot) -> Option<TaskKind> {
    let [namespace, name, version, input] = field.fields(["namespace", "name", "version", "input"])?;
    let namespace = namespace.required(document::dns_label);
    let name = name.required(document::dns_label);
    let version = version.required(|field| match field.text()? {
        "latest" => Some(None),
        _ => document::semantic_version(field).map(|version| Some(version.to_string())),
    });
    let input = input.optional(values::template);
    let awaits = wait.or(true, Field::boolean);
    let returns_output = returns.or(true, |field| match field.text()? {
        "stdout" => Some(true),
        "none" => Some(false),
        other => {
            let message = format!("`return: {other}` is of processes, and a workflow is none");
            field.error(message, Some("leave it out to get the output of the workflow, or write `none`"));
            None
        }
    });
    Some(TaskKind::RunWorkflow(RunWorkflow {
        workflow: WorkflowName { namespace: namespace?, name: name?, version: version? },
        input: input?,
        awaits: awaits?,
        returns_output: returns_output?,
    }))
}

/// What all kinds of process have.
pub(super) struct Shared {
    variables: Variables,
    arguments: Vec<Template>,
    stdin: Option<Template>,
}

fn shell(field: &Field, declared: Declared) -> Option<(Process, Shared)> {
    let [command, stdin, arguments, environment] =
        field.fields_refusing(["command", "stdin", "arguments", "environment"], &["commandTemplateId"])?;
    let command = command.required(values::code_template);
    let shared = shared(&stdin, &arguments, &environment, declared);
    Some((Process::Shell { command: command? }, shared?))
}

fn script(field: &Field, declared: Declared) -> Option<(Process, Shared)> {
    let [language, code, source, stdin, arguments, environment] =
        field.fields(["language", "code", "source", "stdin", "arguments", "environment"])?;
    let language = language.required(Field::text_some);
    let code = match (code.given(), source.given()) {
        (Some(_), Some(source)) => {
            source.error("`script` has `code` and `source`", Some("keep one of the two"));
            None
        }
        (None, Some(source)) => resource::code(&source),
        (_, None) => code.required(values::code_template),
    };
    let shared = shared(&stdin, &arguments, &environment, declared);
    Some((Process::Script { language: language?.to_owned(), code: code? }, shared?))
}

pub(super) fn shared(stdin: &Slot, arguments: &Slot, environment: &Slot, declared: Declared) -> Option<Shared> {
    let stdin = stdin.optional(values::text_template);
    let arguments = arguments.or(Vec::new(), values::text_templates);
    let variables = environment.or(Variables::default(), |field| {
        refuse_unusable_names(field);
        secrets::variables(field, declared)
    });
    Some(Shared { variables: variables?, arguments: arguments?, stdin: stdin? })
}

/// Variables of a process that gets no secret so.
pub fn environment(field: &Field) -> Option<BTreeMap<String, Template>> {
    refuse_unusable_names(field);
    values::named_text_templates(field)
}

/// What no shell could see as an environment variable.
fn refuse_unusable_names(environment: &Field) {
    for (key, _) in environment.members().unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        let is_usable = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !name.chars().all(is_usable) {
            let message = format!("`{name}` cannot name an environment variable");
            environment.problems.error(key, message, Some("use letters, digits and `_`, no digit first".to_owned()));
        }
    }
}
