//! A report for people: a table for a terminal, Markdown for a review.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Ask, CommandReach, Count, PluginRow, Reach, Report, SandboxReach, TaskRow};

/// A longer argument is cut in a table; JSON has it whole.
const ARGUMENT_CHARS_MAX: usize = 72;

impl Report {
    /// For a terminal. The text may hold what a definition or a template says: make it plain before it is shown.
    pub fn table(&self) -> String {
        let mut text = String::new();
        self.plugins.iter().for_each(|plugin| plugin_block(&mut text, plugin));
        self.tasks.iter().for_each(|task| task_block(&mut text, task));
        let commands = self.commands();
        if !commands.is_empty() {
            text.push_str("through the command templates\n");
        }
        for command in commands.values() {
            let _ = writeln!(text, "  {}  {}", command.command, command.summary);
            for (name, value) in through(command) {
                let _ = writeln!(text, "    {name:<9} {value}");
            }
        }
        for finding in &self.findings {
            let about = about(finding);
            let _ = writeln!(text, "{:<10} {}: {about}{}", finding.verdict.name(), finding.place, finding.message);
        }
        let _ = writeln!(text, "result     {}", self.result());
        text
    }

    /// For a review in a repository.
    pub fn markdown(&self) -> String {
        let mut page = format!("# What plugins can reach\n\nAs of {}. {}.\n", self.today, capital(&self.result()));
        if !self.findings.is_empty() {
            page.push_str("\n## Findings\n\n| verdict | where | what |\n| --- | --- | --- |\n");
        }
        for finding in &self.findings {
            let about = about(finding);
            let what = cell(&format!("{about}{}", finding.message));
            let _ = writeln!(page, "| **{}** | `{}` | {what} |", finding.verdict.name(), finding.place);
        }
        page.push_str("\n## Plugins\n");
        self.plugins.iter().for_each(|plugin| plugin_section(&mut page, plugin));
        page.push_str("\n## Tasks\n\n| task | plugin | capability | subject | bound | used | granted at |\n");
        page.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for task in &self.tasks {
            let plugin = task.plugin.as_ref().map_or("—", |plugin| plugin.as_str());
            if task.refused {
                let _ = writeln!(page, "| {} | {plugin} | refused | | | | `{}` |", cell(&task.task), task.place);
            }
            for reach in &task.reaches {
                let _ = writeln!(
                    page,
                    "| {} | {plugin} | {} | `{}` | {} | {} | `{}` |",
                    cell(&task.task),
                    reach.capability,
                    cell(&reach.subject),
                    reach.bound.as_deref().unwrap_or(""),
                    used(reach.used),
                    reach.place
                );
            }
        }
        page.push_str("\n## Through the command templates\n\n");
        page.push_str("| command | argv | sandbox | egress | mounts | secrets | limits |\n");
        page.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for command in self.commands().values() {
            let fields: BTreeMap<_, _> = through(command).into_iter().collect();
            let field = |name: &str| cell(fields.get(name).map_or("", String::as_str));
            let _ = writeln!(
                page,
                "| `{}` | `{}` | {} | {} | {} | {} | {} |",
                command.command,
                field("argv"),
                field("image"),
                field("egress"),
                field("mounts"),
                field("secrets"),
                field("limits")
            );
        }
        page
    }

    /// How it ends, in a sentence.
    pub fn result(&self) -> String {
        let errors = self.findings.iter().filter(|finding| finding.verdict.is_error()).count();
        let warnings = self.findings.len() - errors;
        match (errors, warnings) {
            (0, 0) => "nothing stands against it".to_owned(),
            (0, _) => format!("nothing stands against it; {warnings} to look at"),
            _ => format!("refused: {errors} against it, {warnings} to look at"),
        }
    }

    /// Every command that is reached, once.
    pub fn commands(&self) -> BTreeMap<String, &CommandReach> {
        let reaches = self.tasks.iter().flat_map(|task| &task.reaches);
        let key = |command: &CommandReach| format!("{} {}", command.command, command.argv.join(" "));
        reaches.filter_map(|reach| reach.through.as_deref()).map(|command| (key(command), command)).collect()
    }
}

fn about(finding: &super::Finding) -> String {
    match (&finding.task, &finding.plugin) {
        (Some(task), _) => format!("task `{task}` "),
        (None, Some(plugin)) => format!("plugin `{plugin}`: "),
        (None, None) => String::new(),
    }
}

fn plugin_block(text: &mut String, plugin: &PluginRow) {
    let version = plugin.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
    let summary = plugin.summary.as_deref().unwrap_or("");
    let _ = writeln!(text, "plugin     {}{version}  {summary}", plugin.name);
    if let Some(component) = &plugin.component {
        let _ = writeln!(text, "bytes      {}  {} bytes  {}", plugin.file, component.size_bytes, component.digest);
        let smallest = component.smallest_world.map_or("none of ours", super::World::name);
        let asked = plugin.world.map_or(String::new(), |world| format!("; asks for world {world}"));
        let _ = writeln!(text, "class      {}, imports of world {smallest}{asked}", component.class.name());
        for (interface, functions) in &component.functions {
            let names: Vec<_> = functions.iter().map(String::as_str).collect();
            let _ = writeln!(text, "imports    {interface}: {}", names.join(" "));
        }
    }
    for ask in &plugin.asks {
        let _ = writeln!(text, "{:<10} {}", ask.capability_short(), ask.reason);
        let _ = writeln!(text, "  asked    {}", listed(&ask.asked));
        if ask.approved != ask.asked {
            let _ = writeln!(text, "  approved {}", listed(&ask.approved));
        }
    }
    match &plugin.approval {
        Some(approval) => {
            let _ = writeln!(
                text,
                "approved   by {} on {}, until {}  {}",
                approval.reviewer, approval.reviewed, approval.expires, approval.place
            );
        }
        None => text.push_str("approved   by nobody\n"),
    }
    for change in &plugin.changes {
        let _ = writeln!(text, "changed    {change}");
    }
    text.push('\n');
}

impl Ask {
    fn capability_short(&self) -> &str {
        match self.capability.as_str() {
            "artifacts-read" => "reads",
            "artifacts-write" => "writes",
            other => other,
        }
    }
}

fn task_block(text: &mut String, task: &TaskRow) {
    let calls = task.plugin.as_ref().map_or("runs a command of its own".to_owned(), |plugin| format!("calls {plugin}"));
    let _ = writeln!(text, "task       {}  {calls}  {}  {}", task.task, task.place, task.definition);
    match (&task.template, task.mode) {
        (Some(template), Some(mode)) => {
            let _ = writeln!(text, "  sandbox  {template}, {}", mode.name());
        }
        _ => text.push_str("  refused: it reaches nothing\n"),
    }
    for reach in &task.reaches {
        let _ = writeln!(text, "  {}", reach_line(reach));
    }
    text.push('\n');
}

fn reach_line(reach: &Reach) -> String {
    let bound = reach.bound.as_ref().map_or(String::new(), |bound| format!(", {bound}"));
    let used = match reach.used {
        Some(count) => format!("; {}", used(Some(count))),
        None => String::new(),
    };
    let subject = shorten(&reach.subject);
    format!("{:<15} {subject}{bound}{used}  {}", reach.capability, reach.place)
}

fn used(count: Option<Count>) -> String {
    match count {
        None => "not counted".to_owned(),
        Some(Count { used, denied: 0 }) => format!("used {used} times"),
        Some(Count { used, denied }) => format!("used {used} times, denied {denied} times"),
    }
}

/// What a command reaches, by name.
fn through(command: &CommandReach) -> Vec<(&'static str, String)> {
    let sandbox = &command.sandbox;
    let argv: Vec<_> = command.argv.iter().map(|argument| quoted(argument)).collect();
    let parameters = pairs(&command.parameters);
    let time = match command.time_limit_seconds {
        0 => "the template's time".to_owned(),
        seconds => format!("{seconds} s"),
    };
    let mut mounts = sandbox.mounts.clone();
    mounts.extend(command.mounts.iter().map(|(path, from)| format!("{path} from artifact `{from}`")));
    vec![
        ("argv", argv.join(" ")),
        ("takes", parameters),
        ("image", image(sandbox)),
        ("tools", pairs(&sandbox.tools)),
        ("mode", command.mode.map_or("any".to_owned(), |mode| mode.name().to_owned())),
        ("egress", listed(command.egress.iter())),
        ("mounts", mounts.join("; ")),
        ("secrets", pairs(&command.secrets)),
        ("keeps", listed(&command.capture)),
        (
            "limits",
            format!(
                "{time}, {} MiB memory, {} processes, {} MiB output, {} MiB workspace",
                sandbox.memory_mib, sandbox.processes, sandbox.output_mib, sandbox.workspace_mib
            ),
        ),
    ]
}

fn image(sandbox: &SandboxReach) -> String {
    let image = match (&sandbox.image_name, &sandbox.image) {
        (Some(name), Some(id)) => format!("image {name}, id {id}"),
        (Some(name), None) => format!("image {name}, which an instance asks its registry for when it starts"),
        (None, Some(id)) => format!("image {id}"),
        (None, None) => "no image: the machine's own /usr".to_owned(),
    };
    format!("{image}; template {} {}", sandbox.template, sandbox.template_digest)
}

fn pairs<V: std::fmt::Display>(map: &BTreeMap<String, V>) -> String {
    listed(map.iter().map(|(name, value)| format!("{name} {value}")))
}

fn listed<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}

fn quoted(argument: &str) -> String {
    let short = shorten(argument);
    let is_plain = !short.is_empty() && !short.contains(|c: char| c.is_whitespace() || "'\"\\$`|&;<>()*".contains(c));
    if is_plain { short } else { format!("'{}'", short.replace('\'', "'\\''")) }
}

/// The first line, or a part of it, and how many lines there are.
fn shorten(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default();
    let more = lines.count();
    let mut short: String = first.chars().take(ARGUMENT_CHARS_MAX).collect();
    if short.len() < first.len() {
        short.push('…');
    }
    if more > 0 {
        let _ = write!(short, " … {more} lines more");
    }
    short
}

fn plugin_section(page: &mut String, plugin: &PluginRow) {
    let version = plugin.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
    let _ = writeln!(page, "\n### {}{version}\n\n{}\n", plugin.name, plugin.summary.as_deref().unwrap_or(""));
    if let Some(component) = &plugin.component {
        let _ = writeln!(page, "- bytes: `{}`, {} bytes", component.digest, component.size_bytes);
        let world = component.smallest_world.map_or("none of ours", super::World::name);
        let _ = writeln!(page, "- class: {}, imports of world `{world}`", component.class.name());
    }
    match &plugin.approval {
        Some(approval) => {
            let _ = writeln!(
                page,
                "- approved by {} on {}, until {} (`{}`)",
                approval.reviewer, approval.reviewed, approval.expires, approval.place
            );
        }
        None => page.push_str("- approved by nobody\n"),
    }
    for change in &plugin.changes {
        let _ = writeln!(page, "- **changed**: {}", cell(change));
    }
    page.push_str("\n| capability | functions | why | asked | approved |\n| --- | --- | --- | --- | --- |\n");
    for ask in &plugin.asks {
        let functions = listed(ask.functions.iter().map(|name| format!("`{name}`")));
        let (asked, approved) = (cell(&listed(&ask.asked)), cell(&listed(&ask.approved)));
        let _ = writeln!(page, "| {} | {functions} | {} | {asked} | {approved} |", ask.capability, cell(&ask.reason));
    }
}

/// A text that stays in its cell and cannot begin markup of its own.
fn cell(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.replace('|', "\\|").replace('<', "&lt;")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
