//! `run.container`: a command in an image.

use super::super::model::{ContainerProcess, Process};
use super::run::{Shared, shared};
use super::secrets::Declared;
use super::values;
use crate::expression::Template;
use crate::image::{PullPolicy, check_host_name, read_name};
use crate::located::Field;

pub fn container(field: &Field, declared: Declared) -> Option<(Process, Shared)> {
    let [image, name, command, stdin, arguments, environment, pull, lifetime] = field.fields_refusing(
        ["image", "name", "command", "stdin", "arguments", "environment", "pullPolicy", "lifetime"],
        &["ports", "volumes"],
    )?;
    let image = image.required(|field| match read_name(field.text_some()?) {
        Ok(image) => Some(image),
        Err(error) => {
            field.error(error.to_string(), None);
            None
        }
    });
    let name = name.optional(self::name);
    let command = command.optional(values::code_template);
    let pull = pull.or(PullPolicy::default(), |field| {
        field.choice(&[
            ("ifNotPresent", PullPolicy::IfNotPresent),
            ("always", PullPolicy::Always),
            ("never", PullPolicy::Never),
        ])
    });
    let lifetime = lifetime.optional(self::lifetime);
    let shared = shared(&stdin, &arguments, &environment, declared);
    lifetime?;
    let process = ContainerProcess { image: image?, pull: pull?, name: name?, command: command? };
    Some((Process::Container(Box::new(process)), shared?))
}

/// One that is computed is checked when it is known.
fn name(field: &Field) -> Option<Template> {
    let template = values::text_template(field)?;
    let literal = template.source.as_str().filter(|_| template.is_literal());
    match literal.map_or(Ok(()), check_host_name) {
        Ok(()) => Some(template),
        Err(wrong) => {
            field.error(wrong, None);
            None
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cleanup {
    Always,
    Eventually,
    Never,
}

/// Nothing of it is kept: a sandbox is gone with its command, and that is no
/// later than anybody may ask for.
fn lifetime(field: &Field) -> Option<()> {
    let [cleanup, after] = field.fields(["cleanup", "after"])?;
    let cleanup = cleanup.required(|field| {
        field.choice(&[("always", Cleanup::Always), ("eventually", Cleanup::Eventually), ("never", Cleanup::Never)])
    });
    let is_given = after.is_given();
    let after = after.optional(values::duration);
    match cleanup? {
        Cleanup::Never => field.unsupported("`run.container.lifetime.cleanup: never`"),
        Cleanup::Eventually if !is_given => {
            field.error("`cleanup: eventually` does not say when", Some("give it `after`, a duration"));
            None
        }
        Cleanup::Always if is_given => {
            field.error("`after` is of `cleanup: eventually`", Some("remove it"));
            None
        }
        Cleanup::Always | Cleanup::Eventually => after.map(drop),
    }
}
