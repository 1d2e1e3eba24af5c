//! `template`: sandbox templates and their commands.

mod stubs;

use std::fs;

use sandbox::Template;
use workflow::TemplateName;

use super::Context;
use crate::cli;
use crate::output::{DONE, Failure, listed, write_out};

pub fn run(context: &Context, template: cli::Template) -> Result<u8, Failure> {
    match template {
        cli::Template::Stubs(stubs) => write_stubs(context, &stubs),
    }
}

fn write_stubs(context: &Context, arguments: &cli::TemplateStubs) -> Result<u8, Failure> {
    let text = stubs::rust(&find(context, arguments)?);
    match &arguments.output {
        Some(path) => fs::write(path, text)
            .map_err(|error| Failure::used_wrongly(format!("failed to write `{}`: {error}", path.display())))?,
        None => write_out(format_args!("{text}")),
    }
    Ok(DONE)
}

/// A folder with a `template.toml`, or a template of this host by its name.
fn find(context: &Context, arguments: &cli::TemplateStubs) -> Result<Template, Failure> {
    if arguments.template.join("template.toml").is_file() {
        return Template::load(&arguments.template).map_err(Failure::used_wrongly);
    }
    let templates = context.parts()?.templates;
    let name = arguments.template.to_str().and_then(|name| TemplateName::new(name).ok());
    name.and_then(|name| templates.get(&name).cloned()).ok_or_else(|| {
        Failure::used_wrongly(format!(
            "there is no sandbox template `{}`; name the folder of one, or one of {}",
            arguments.template.display(),
            listed(templates.iter().map(Template::name))
        ))
    })
}
