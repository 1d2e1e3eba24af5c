//! From a denial to the line that would allow it, and to what else that line
//! would allow.

use serde::{Deserialize, Serialize};

use super::{DefinitionFacts, Facts, Place, Places, PluginFacts};
use crate::capability::{Grants, TaskPolicy};
use crate::definition::{Task, TaskKind, each_task};
use crate::ids::{ArtifactUri, CommandName};

/// Something that a plugin wanted and did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// None: any task that calls a plugin.
    pub task: Option<String>,
    /// Key of the grant: `sandbox`.
    pub capability: String,
    /// Empty: the capability as a whole.
    pub subject: String,
}

/// What a denial can be about. `sandbox-secret` is granted as `sandbox`.
const CAPABILITIES: [&str; 9] =
    ["log", "artifacts-read", "artifacts-write", "sandbox", "secrets", "model", "mcp", "http", "wasi-baseline"];

/// Why a text is no denial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDenial {
    #[error(
        "`{0}` names no denial; write `TASK/CAPABILITY/SUBJECT` (`build/sandbox/rust-release/cargo-test`), \
         or paste the error's text"
    )]
    Unreadable(String),
    #[error("`{given}` is no capability; there are {known}")]
    Capability { given: String, known: String },
}

impl Denied {
    /// Reads `task/capability/subject`, or the text of an error that this host wrote.
    pub fn parse(text: &str) -> Result<Self, NoDenial> {
        if let Some(denied) = Self::of_message(text) {
            return Ok(denied);
        }
        let unreadable = || NoDenial::Unreadable(text.chars().take(200).collect());
        let mut parts = text.trim().splitn(3, '/');
        let (task, capability) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(unreadable)?);
        if task.is_empty() || text.contains(char::is_whitespace) {
            return Err(unreadable());
        }
        let Some(capability) = known(capability) else {
            let known = CAPABILITIES.map(|name| format!("`{name}`")).join(", ");
            return Err(NoDenial::Capability { given: capability.to_owned(), known });
        };
        let subject = parts.next().unwrap_or_default().to_owned();
        Ok(Self { task: Some(task.to_owned()), capability: capability.to_owned(), subject })
    }

    /// The denials of an error's text: what the host writes has the name of the
    /// capability before the subject, in one of a few forms.
    fn of_message(text: &str) -> Option<Self> {
        let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
        let task =
            text.split_once("task `").and_then(|(_, rest)| rest.split_once('`')).map(|(name, _)| name.to_owned());
        // "sandbox `rust-release/cargo-test`: the command is not in …"
        for capability in ["sandbox-secret"].into_iter().chain(CAPABILITIES) {
            for (at, _) in text.match_indices(&format!("{capability} `")) {
                let starts = at == 0 || !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
                let subject = text[at + capability.len() + 2..].split('`').next().unwrap_or_default();
                if starts && !subject.is_empty() {
                    return Some(Self { task, capability: known(capability)?.to_owned(), subject: subject.to_owned() });
                }
            }
        }
        // "the task grants `t/c` in `sandbox.commands`, which was not approved"
        if let Some((_, rest)) = text.split_once("grants `") {
            let mut parts = rest.split('`');
            let (subject, between, key) = (parts.next()?, parts.next()?, parts.next()?);
            if between == " in " {
                let capability = known(key.split('.').next()?)?;
                return Some(Self { task, capability: capability.to_owned(), subject: subject.to_owned() });
            }
        }
        // "plugin `p` imports `lightapi:release/log` (emit), which the task does not grant"
        let imported = quoted.iter().find_map(|name| name.strip_prefix("lightapi:release/"))?;
        let imported = imported.split('@').next()?;
        Some(Self { task, capability: known(imported)?.to_owned(), subject: String::new() })
    }
}

fn known(capability: &str) -> Option<&'static str> {
    let capability = if capability == "sandbox-secret" { "sandbox" } else { capability };
    CAPABILITIES.into_iter().find(|known| *known == capability)
}

/// One key of the four, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyState {
    /// `task`, `approval`, `plugin.toml`, `ceiling`.
    pub key: String,
    pub allows: bool,
    pub place: Place,
    /// What to write there; none if it allows it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
}

/// What would allow something for one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub definition: String,
    pub task: String,
    pub plugin: String,
    pub capability: String,
    pub subject: String,
    pub keys: Vec<KeyState>,
    /// What else becomes possible, a line each.
    pub consequences: Vec<String>,
}

/// What would allow `denied`, for each task that could have asked.
pub fn explain(facts: &Facts, ceiling: Option<(&Place, &Grants)>, denied: &Denied) -> Vec<Explanation> {
    let mut explanations = Vec::new();
    for of in facts.definitions {
        let places = Places::of(of.definition, &of.file);
        each_task(&of.definition.tasks, &mut |task| {
            let TaskKind::Call(call) = &task.kind else { return };
            if denied.task.as_ref().is_some_and(|name| *name != task.name) {
                return;
            }
            let Some(plugin) = facts.plugins.iter().find(|plugin| plugin.name == call.plugin) else { return };
            let asking = Asking { facts, of, places: &places, task, plugin, denied };
            explanations.push(asking.explanation(ceiling));
        });
    }
    explanations
}

struct Asking<'a> {
    facts: &'a Facts<'a>,
    of: &'a DefinitionFacts<'a>,
    places: &'a Places,
    task: &'a Task,
    plugin: &'a PluginFacts,
    denied: &'a Denied,
}

impl Asking<'_> {
    fn explanation(&self, ceiling: Option<(&Place, &Grants)>) -> Explanation {
        let pattern = self.wanted();
        let nothing = Grants::default();
        let nowhere = Place { file: self.plugin.file.clone(), line: 1 };
        let approved = self.plugin.approval.as_ref();
        let (place, grants) = approved.map_or((&nowhere, &nothing), |(place, entry)| (place, &entry.grants));
        let form = Form::Yaml { approved: grants };
        let mut keys = vec![self.key("task", &self.task.light.grants, self.task_place(), &pattern, form)];
        let mut approval = self.key("approval", grants, place.clone(), &pattern, Form::Toml("plugin.grants"));
        if !approval.allows {
            approval.write = Some(format!("light-workflow plugin approve {}", self.plugin.name));
        }
        keys.push(approval);
        let asked = self.plugin.manifest.as_ref();
        let (place, grants) = asked.map_or((&nowhere, &nothing), |(place, manifest)| (place, &manifest.asks));
        keys.push(self.key("plugin.toml", grants, place.clone(), &pattern, Form::Toml("asks")));
        if let Some((place, grants)) = ceiling {
            keys.push(self.key("ceiling", grants, place.clone(), &pattern, Form::Toml("policy.ceiling")));
        }
        Explanation {
            definition: self.of.definition.full_name(),
            task: self.task.name.clone(),
            plugin: self.plugin.name.to_string(),
            capability: self.denied.capability.clone(),
            subject: self.denied.subject.clone(),
            consequences: self.consequences(&pattern),
            keys,
        }
    }

    /// The subject as a grant names it: the narrowest that a review can hold.
    fn wanted(&self) -> String {
        if self.denied.capability != "artifacts-read" {
            return self.denied.subject.clone();
        }
        let rest = self.denied.subject.strip_prefix("artifact://").and_then(|rest| rest.split_once('/'));
        let Some((_, name)) = rest else { return self.denied.subject.clone() };
        // The number of the attempt is not known before it runs.
        match name.splitn(3, '/').collect::<Vec<_>>().as_slice() {
            [task, _attempt, name] => format!("{task}/*/{name}"),
            _ => name.to_owned(),
        }
    }

    fn task_place(&self) -> Place {
        self.places.grant(&self.task.reference, &field(&self.denied.capability).join("."), &self.denied.subject)
    }

    fn key(&self, key: &str, grants: &Grants, place: Place, wanted: &str, form: Form<'_>) -> KeyState {
        let allows = allows(grants, &self.denied.capability, &self.denied.subject);
        let write = (!allows).then(|| line(grants, &self.denied.capability, wanted, form));
        KeyState { key: key.to_owned(), allows, place, write }
    }

    fn consequences(&self, wanted: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let task = &self.task.name;
        match self.denied.capability.as_str() {
            "sandbox" => self.command_consequences(wanted, &mut lines),
            "artifacts-read" => {
                lines.push(format!("`{task}` may read every artifact of its own instance that matches `{wanted}`, of each attempt and loop"));
            }
            "artifacts-write" => {
                lines.push(format!("`{task}` may store a file `{wanted}`, which later tasks and people may take for a result"));
            }
            "secrets" => {
                lines.push(format!("`{task}` may hand secret `{wanted}` to every granted command that takes it; the plugin sees no value"));
                lines.push(format!("the task must name it in `security.secrets` and run in mode `per-task`; here it is {}", self.mode()));
            }
            "log" => lines.push(format!("`{task}` may write lines into the release's log")),
            "model" => lines.push(format!(
                "`{task}` may send model `{wanted}` what it read: a question leaves this host as the operator configured the model"
            )),
            "mcp" => lines.push(format!("`{task}` may call tool `{wanted}`, with parameters of the plugin's choice")),
            "http" => lines.push(format!("`{task}` may read every path below `{wanted}`; what it asks for is seen there")),
            "wasi-baseline" => lines.push("the component gets clock and randomness of the journal, and the log to write to".to_owned()),
            _ => {}
        }
        let loops = self.task.reference.matches("/do/").count() > 1;
        if loops {
            lines.push("the task is inside another one: a loop grants it once for each item".to_owned());
        }
        lines
    }

    fn mode(&self) -> &'static str {
        let policy: Option<&TaskPolicy> = self.of.policy.tasks.get(&self.task.reference);
        policy.map_or("not settled", |policy| policy.mode.name())
    }

    fn command_consequences(&self, wanted: &str, lines: &mut Vec<String>) {
        let command = CommandName::new(wanted).ok().and_then(|name| (self.facts.commands)(&name));
        let Some(command) = command else {
            lines.push(format!(
                "no sandbox template of this host has a command `{wanted}`: the grant would allow nothing"
            ));
            return;
        };
        let argv: Vec<&str> = command.argv.iter().map(|argument| argument.lines().next().unwrap_or_default()).collect();
        lines.push(format!("it runs `{}`, as often as `sandbox.commands-max` allows in all", argv.join(" ")));
        let hosts: Vec<&str> = command.egress.iter().map(String::as_str).collect();
        match hosts.is_empty() {
            true => lines.push("it reaches no host".to_owned()),
            false => lines.push(format!("it reaches {}", hosts.join(", "))),
        }
        for (name, accepts) in &command.parameters {
            lines.push(format!("the plugin chooses `{name}`: {accepts}"));
        }
        for (variable, secret) in &command.secrets {
            lines.push(format!("it needs secret `{secret}` (as `{variable}`), to be granted too"));
        }
        if let Some(mode) = command.mode {
            lines.push(format!("it runs in mode `{}` only; the task's is {}", mode.name(), self.mode()));
        }
    }
}

/// How a line is written.
#[derive(Clone, Copy)]
enum Form<'a> {
    /// In a task, which may have no more than what is approved.
    Yaml { approved: &'a Grants },
    /// Below a table of this name.
    Toml(&'static str),
}

/// The capability and the field that lists its names.
fn field(capability: &str) -> Vec<&str> {
    match capability {
        "sandbox" => vec!["sandbox", "commands"],
        "log" | "wasi-baseline" => vec![capability],
        "model" => vec!["model", "models"],
        "mcp" => vec!["mcp", "tools"],
        "http" => vec!["http", "origins"],
        other => vec![other, "names"],
    }
}

fn allows(grants: &Grants, capability: &str, subject: &str) -> bool {
    if subject.is_empty() || matches!(capability, "log" | "wasi-baseline") {
        return grants.keys().contains(&capability);
    }
    if let ("artifacts-read", Ok(uri)) = (capability, ArtifactUri::new(subject)) {
        return grants.artifacts_read.as_ref().is_some_and(|grant| grant.covers(&uri));
    }
    grants.entries().iter().any(|entry| entry.capability == capability && entry.subject == subject)
}

/// The whole line as it must be: what it lists now, and the new name.
fn line(grants: &Grants, capability: &str, wanted: &str, form: Form<'_>) -> String {
    let entries = grants.entries();
    let mut names: Vec<String> =
        entries.into_iter().filter(|entry| entry.capability == capability).map(|entry| entry.subject).collect();
    if !wanted.is_empty() && !names.iter().any(|name| name == wanted) {
        names.push(wanted.to_owned());
    }
    let is_new = !grants.keys().contains(&capability);
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let list = quoted.join(", ");
    let approved = match form {
        Form::Yaml { approved } => Some(approved),
        Form::Toml(_) => None,
    };
    let (yaml, toml) = match (capability, is_new) {
        ("log", _) => {
            let log = approved.and_then(|approved| approved.log.as_ref());
            let lines = log.map_or(200, |grant| grant.lines_max.min(200));
            let bytes = log.map_or(65_536, |grant| grant.bytes_max.min(65_536));
            (format!("log: {{ lines-max: {lines}, bytes-max: {bytes} }}"), "lines-max = 200".to_owned())
        }
        ("wasi-baseline", _) => ("wasi-baseline: {}".to_owned(), String::new()),
        ("model", true) => {
            let model = approved.and_then(|approved| approved.model.as_ref());
            let tokens = model.map_or(2000, |grant| grant.answer_tokens_max.min(2000));
            (
                format!("model: {{ models: [{list}], questions-max: 1, answer-tokens-max: {tokens} }}"),
                format!("models = [{list}]"),
            )
        }
        ("mcp", true) => (format!("mcp: {{ tools: [{list}], calls-max: 1 }}"), format!("tools = [{list}]")),
        ("http", true) => (
            format!("http: {{ origins: [{list}], requests-max: 1, bytes-max: 1048576 }}"),
            format!("origins = [{list}]"),
        ),
        ("model" | "mcp" | "http", false) => {
            let field = field(capability)[1];
            (format!("{field}: [{list}]"), format!("{field} = [{list}]"))
        }
        ("sandbox", true) => {
            (format!("sandbox: {{ commands: [{list}], commands-max: 1 }}"), format!("commands = [{list}]"))
        }
        ("sandbox", false) => (format!("commands: [{list}]"), format!("commands = [{list}]")),
        ("artifacts-write", true) => {
            (format!("artifacts-write: {{ names: [{list}], bytes-max: 1048576 }}"), format!("names = [{list}]"))
        }
        (other, true) => (format!("{other}: {{ names: [{list}] }}"), format!("names = [{list}]")),
        (_, false) => (format!("names: [{list}]"), format!("names = [{list}]")),
    };
    match form {
        Form::Yaml { .. } => yaml,
        Form::Toml(table) => format!("[{table}.{capability}] {toml}"),
    }
}

impl Explanation {
    /// For a terminal.
    pub fn text(&self) -> String {
        let subject = if self.subject.is_empty() { "anything" } else { &self.subject };
        let mut text = format!(
            "task `{}` of {}, plugin `{}`: {} `{subject}`\n",
            self.task, self.definition, self.plugin, self.capability
        );
        for key in &self.keys {
            match (&key.write, key.allows) {
                (Some(write), false) => text += &format!("  {:<11} {}\n              {write}\n", key.key, key.place),
                _ => text += &format!("  {:<11} {} allows it already\n", key.key, key.place),
            }
        }
        text += "  what that allows\n";
        for line in &self.consequences {
            text += &format!("    - {line}\n");
        }
        text
    }
}
