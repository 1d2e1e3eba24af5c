//! Checks a template's document, and says where it is wrong.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use workflow::Digest;
use workflow::command::SandboxMode;

use super::document::{CommandDocument, Document, RootfsDocument};
use super::parameter::{Parameter, ParameterKind};
use super::pattern::{Item, Text};
use super::{CommandTemplate, Rootfs, Template};

/// Line from 1, and what is wrong there.
type Mistake = (usize, String);

/// Programs whose `-c` argument is a script.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "ksh", "zsh"];

/// Variables that the sandbox sets itself.
const RESERVED: [&str; 6] = ["PATH", "HOME", "USER", "TMPDIR", "CARGO_HOME", "LD_PRELOAD"];

pub fn parse(source: &str, folder: Option<&str>) -> Result<Template, Mistake> {
    let lines = Lines(source);
    let document: Document = toml::from_str(source).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.of(span.start));
        (line, error.message().to_owned())
    })?;
    if folder.is_some_and(|folder| folder != document.name.get_ref().as_str()) {
        let message = format!("template `{}` lies in a folder of another name", document.name.get_ref());
        return Err((lines.of(document.name.span().start), message));
    }
    let rootfs = match document.rootfs.into_inner() {
        RootfsDocument::Host {} => Rootfs::Host,
        RootfsDocument::Container {} => Rootfs::Container,
    };
    let egress = targets(&document.egress, None, lines)?;
    for name in document.environment.keys() {
        variable(name).map_err(|message| (lines.containing(name), message))?;
    }
    let mut commands = BTreeMap::new();
    for (name, command) in document.commands {
        let at = lines.of(command.span().start);
        let context = Context { name: &name, at, lines, egress: &egress, limit: document.limits.time_limit_seconds };
        let command = context.command(command.into_inner())?;
        commands.insert(name, command);
    }
    Ok(Template {
        name: document.name.into_inner(),
        version: document.version,
        summary: document.summary,
        digest: Digest::of(source.as_bytes()),
        rootfs,
        tools: document.tools,
        limits: document.limits,
        environment: document.environment,
        egress,
        commands,
    })
}

/// Finds the line of an offset.
#[derive(Clone, Copy)]
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(self, offset: usize) -> usize {
        1 + self.0.as_bytes()[..offset.min(self.0.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    fn of_item<T>(self, item: &Spanned<T>) -> usize {
        self.of(item.span().start)
    }

    /// The first line that begins with a key.
    fn containing(self, key: &str) -> usize {
        1 + self.0.lines().position(|line| line.trim_start().starts_with(key)).unwrap_or(0)
    }
}

/// `host:port` with a lower-case name. `within`: what the template allows at most.
fn targets(
    items: &[Spanned<String>],
    within: Option<&BTreeSet<String>>,
    lines: Lines<'_>,
) -> Result<BTreeSet<String>, Mistake> {
    let mut targets = BTreeSet::new();
    for item in items {
        let target = item.get_ref();
        let problem = if !crate::egress::is_target(target) {
            Some(format!("`{target}` is not `host:port` with a lower-case name and no wildcard"))
        } else if within.is_some_and(|within| !within.contains(target)) {
            Some(format!("`{target}` is not in the template's own `egress`"))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err((lines.of_item(item), problem));
        }
        targets.insert(target.clone());
    }
    Ok(targets)
}

fn variable(name: &str) -> Result<(), String> {
    let plain = !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain {
        return Err(format!("`{name}` is not a name for an environment variable"));
    }
    if RESERVED.contains(&name) {
        return Err(format!("`{name}` is set by the sandbox itself"));
    }
    Ok(())
}

/// Checks one command.
struct Context<'a> {
    name: &'a str,
    at: usize,
    lines: Lines<'a>,
    egress: &'a BTreeSet<String>,
    limit: u64,
}

impl Context<'_> {
    fn wrong<T>(&self, line: usize, message: impl std::fmt::Display) -> Result<T, Mistake> {
        Err((line, format!("command `{}`: {message}", self.name)))
    }

    fn command(&self, document: CommandDocument) -> Result<CommandTemplate, Mistake> {
        let label = workflow::CommandName::new(format!("t/{}", self.name));
        if label.is_err() {
            return self.wrong(self.at, "its name is not a plain label");
        }
        let mut parameters = BTreeMap::new();
        for (name, parameter) in document.parameters {
            let line = self.lines.of_item(&parameter);
            match Parameter::new(parameter.into_inner()) {
                Ok(parameter) => parameters.insert(name, parameter),
                Err(message) => return self.wrong(line, format!("parameter `{name}`: {message}")),
            };
        }
        let mut used = Used { parameters: &parameters, names: BTreeSet::new() };
        let argv = self.argv(&document.argv, &mut used)?;
        let working_directory = match &document.working_directory {
            Some(text) => self.text(text, &mut used)?,
            None => Text::literal(""),
        };
        let mut environment = BTreeMap::new();
        for (name, text) in &document.environment {
            if let Err(message) = variable(name) {
                return self.wrong(self.lines.of_item(text), message);
            }
            environment.insert(name.clone(), self.text(text, &mut used)?);
        }
        let capture = document.capture.iter().map(|glob| self.text(glob, &mut used)).collect::<Result<Vec<_>, _>>()?;
        let inputs = self.inputs(&document.inputs, &mut used)?;
        let names = used.names;
        if let Some(unused) = parameters.keys().find(|name| !names.contains(*name)) {
            return self.wrong(self.at, format!("parameter `{unused}` is used nowhere"));
        }
        self.secrets(&document.secrets, document.mode)?;
        let time_limit_seconds = match document.time_limit_seconds {
            Some(seconds) if *seconds.get_ref() == 0 || *seconds.get_ref() > self.limit => {
                let message = format!("`time_limit_seconds` is not 1 to the template's own {}", self.limit);
                return self.wrong(self.lines.of_item(&seconds), message);
            }
            other => other.map(Spanned::into_inner),
        };
        Ok(CommandTemplate {
            summary: document.summary,
            argv,
            mode: document.mode,
            parameters,
            working_directory,
            time_limit_seconds,
            environment,
            egress: targets(&document.egress, Some(self.egress), self.lines)?,
            secrets: document.secrets,
            inputs,
            capture,
        })
    }

    fn argv(&self, items: &[Spanned<toml::Value>], used: &mut Used<'_>) -> Result<Vec<Item>, Mistake> {
        let mut argv = Vec::with_capacity(items.len());
        let mut before = "";
        for (index, spanned) in items.iter().enumerate() {
            let line = self.lines.of_item(spanned);
            let item = match Item::parse(spanned.get_ref()) {
                Ok(item) => item,
                Err(message) => return self.wrong(line, message),
            };
            if let Err(message) = used.item(&item) {
                return self.wrong(line, message);
            }
            let plain = matches!(&item, Item::One(text) if text.parameters().next().is_none());
            if index == 0 && !plain {
                return self.wrong(line, "the program is a plain text: no parameter may choose it");
            }
            let is_script = SHELLS.contains(&program(items))
                && before.starts_with('-')
                && !before.starts_with("--")
                && before.contains('c');
            if is_script && !plain {
                let message = "a script takes no placeholders; pass the parameter after it and read \"$1\"";
                return self.wrong(line, message);
            }
            before = spanned.get_ref().as_str().unwrap_or_default();
            argv.push(item);
        }
        if argv.is_empty() {
            return self.wrong(self.at, "`argv` names no program");
        }
        Ok(argv)
    }

    fn text(&self, text: &Spanned<String>, used: &mut Used<'_>) -> Result<Text, Mistake> {
        let parsed = Text::parse(text.get_ref()).and_then(|parsed| used.text(&parsed, None).map(|()| parsed));
        parsed.or_else(|message| self.wrong(self.lines.of_item(text), message))
    }

    fn inputs(
        &self,
        inputs: &BTreeMap<String, Spanned<String>>,
        used: &mut Used<'_>,
    ) -> Result<BTreeMap<String, String>, Mistake> {
        let mut checked = BTreeMap::new();
        for (path, parameter) in inputs {
            let line = self.lines.of_item(parameter);
            if !crate::capture::is_plain_path(path) {
                return self.wrong(line, format!("input `{path}` is not a plain path below the workspace"));
            }
            let name = parameter.get_ref();
            match used.parameters.get(name).map(|parameter| &parameter.kind) {
                Some(ParameterKind::Artifact) => used.names.insert(name.clone()),
                Some(_) | None => return self.wrong(line, format!("`{name}` is no parameter of type artifact")),
            };
            checked.insert(path.clone(), name.clone());
        }
        Ok(checked)
    }

    fn secrets(
        &self,
        secrets: &BTreeMap<String, workflow::SecretName>,
        mode: Option<SandboxMode>,
    ) -> Result<(), Mistake> {
        for name in secrets.keys() {
            if let Err(message) = variable(name) {
                return self.wrong(self.at, message);
            }
        }
        if !secrets.is_empty() && mode != Some(SandboxMode::PerTask) {
            return self.wrong(self.at, "secrets go only to `mode = \"per-task\"`");
        }
        Ok(())
    }
}

fn program(items: &[Spanned<toml::Value>]) -> &str {
    let path = items.first().and_then(|item| item.get_ref().as_str()).unwrap_or_default();
    path.rsplit('/').next().unwrap_or(path)
}

/// Which parameters a command's pattern has used so far.
struct Used<'a> {
    parameters: &'a BTreeMap<String, Parameter>,
    names: BTreeSet<String>,
}

impl Used<'_> {
    fn item(&mut self, item: &Item) -> Result<(), String> {
        match item {
            Item::One(text) => self.text(text, None),
            Item::Flag { parameter, .. } => self.of_kind(parameter, "flag"),
            Item::Each { parameter, value } => {
                self.of_kind(parameter, "texts")?;
                value.iter().try_for_each(|text| self.text(text, Some(parameter)))
            }
            Item::Option { parameter, value } => {
                let Some(declared) = self.parameters.get(parameter) else {
                    return Err(format!("`{parameter}` is no parameter"));
                };
                if declared.required {
                    return Err(format!("`{parameter}` is required: write it without `option`"));
                }
                value.iter().try_for_each(|text| self.text(text, Some(parameter)))?;
                if !self.names.contains(parameter) {
                    return Err(format!("`value` does not use `{{{parameter}}}`"));
                }
                Ok(())
            }
        }
    }

    fn of_kind(&mut self, name: &str, kind: &str) -> Result<(), String> {
        match self.parameters.get(name) {
            Some(parameter) if parameter.kind.name() == kind => {
                self.names.insert(name.to_owned());
                Ok(())
            }
            Some(parameter) => Err(format!("`{name}` is of type {}, not {kind}", parameter.kind.name())),
            None => Err(format!("`{name}` is no parameter")),
        }
    }

    /// `given`: a parameter that is there whenever this text is filled.
    fn text(&mut self, text: &Text, given: Option<&str>) -> Result<(), String> {
        for name in text.parameters() {
            let Some(parameter) = self.parameters.get(name) else {
                return Err(format!("`{{{name}}}` is no parameter"));
            };
            let is_given = given == Some(name);
            match &parameter.kind {
                ParameterKind::Text(_) | ParameterKind::Integer { .. } if parameter.required || is_given => {}
                ParameterKind::Texts { .. } if is_given => {}
                ParameterKind::Text(_) | ParameterKind::Integer { .. } => {
                    return Err(format!("`{name}` is optional: use {{ option = \"{name}\", value = … }}"));
                }
                kind @ (ParameterKind::Texts { .. } | ParameterKind::Flag | ParameterKind::Artifact) => {
                    return Err(format!("`{name}` is of type {} and has no place in a text", kind.name()));
                }
            }
            self.names.insert(name.to_owned());
        }
        Ok(())
    }
}
