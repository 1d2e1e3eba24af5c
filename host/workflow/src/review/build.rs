//! From facts to a report.

use super::findings::findings;
use super::{
    ApprovalRow, Ask, CommandReach, DefinitionFacts, Facts, Places, PluginFacts, PluginRow, Reach, Report, SCHEMA,
    TaskRow, Usage,
};
use crate::capability::{Grants, LockEntry, TaskPolicy};
use crate::definition::outbound::{McpTransport, Outbound};
use crate::definition::{Process, Run, Task, TaskKind, TimeLimit, each_task};
use crate::expression::Template;
use crate::ids::CommandName;

/// What plugins and tasks can reach, and what stands against it.
pub fn report(facts: &Facts) -> Report {
    let plugins = facts.plugins.iter().map(plugin_row).collect();
    let tasks: Vec<TaskRow> = facts.definitions.iter().flat_map(|definition| task_rows(facts, definition)).collect();
    Report {
        schema: SCHEMA.to_owned(),
        today: facts.today,
        findings: findings(facts, &tasks),
        plugins,
        tasks,
        runs: facts.usage.map(Usage::instances),
    }
}

fn plugin_row(facts: &PluginFacts) -> PluginRow {
    let manifest = facts.manifest.as_ref().map(|(_, manifest)| manifest);
    let component = facts.component.as_ref().ok();
    PluginRow {
        name: facts.name.clone(),
        version: manifest.map(|manifest| manifest.version.clone()),
        summary: manifest.map(|manifest| manifest.summary.clone()),
        file: facts.file.clone(),
        world: manifest.map(|manifest| manifest.world),
        component: component.cloned(),
        asks: asks(facts),
        approval: facts.approval.as_ref().map(|(place, entry)| ApprovalRow {
            digest: entry.digest.clone(),
            reviewer: entry.reviewer.to_string(),
            reviewed: entry.reviewed,
            expires: entry.expires,
            place: place.clone(),
        }),
        changes: changes(facts),
    }
}

/// One row for each capability that is asked for, approved or imported.
fn asks(facts: &PluginFacts) -> Vec<Ask> {
    let nothing = Grants::default();
    let manifest = facts.manifest.as_ref().map(|(_, manifest)| manifest);
    let asked = manifest.map_or(&nothing, |manifest| &manifest.asks);
    let approved = facts.approval.as_ref().map_or(&nothing, |(_, entry)| &entry.grants);
    let needs = facts.component.as_ref().ok().map(|component| &component.needs);
    let mut keys: Vec<&str> = Vec::new();
    let imported = needs.into_iter().flatten().map(|(key, _)| key.as_str());
    for key in asked.keys().into_iter().chain(approved.keys()).chain(imported) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let row = |key: &&str| Ask {
        capability: (*key).to_owned(),
        reason: manifest.and_then(|manifest| manifest.reasons.get(*key).cloned()).unwrap_or_default(),
        functions: needs.and_then(|needs| needs.get(*key).cloned()).unwrap_or_default(),
        asked: subjects(asked, key),
        approved: subjects(approved, key),
    };
    keys.iter().map(row).collect()
}

/// What `grants` holds of a capability: its names, then how much of it.
fn subjects(grants: &Grants, capability: &str) -> Vec<String> {
    let entries = grants.entries();
    let of_it = || entries.iter().filter(|entry| entry.capability == capability);
    let names = of_it().filter(|entry| entry.subject != capability).map(|entry| entry.subject.clone());
    let bound = of_it().find_map(|entry| entry.bound.clone());
    names.chain(bound).collect()
}

/// What is not as the approval has it.
fn changes(facts: &PluginFacts) -> Vec<String> {
    let Some((_, entry)) = &facts.approval else { return Vec::new() };
    let mut changes = Vec::new();
    if let Ok(component) = &facts.component {
        if component.digest != entry.digest {
            changes.push(format!("bytes: `{}` was approved, `{}` is here", entry.digest, component.digest));
        }
        changes.extend(function_changes(entry, component));
    }
    if let Some((_, manifest)) = &facts.manifest {
        if manifest.version != entry.version {
            changes.push(format!("version: {} was approved, {} is here", entry.version, manifest.version));
        }
        let more = manifest.asks.exceeds(&entry.grants).into_iter();
        changes.extend(
            more.map(|excess| {
                format!("asks for `{}` in `{}`; approved: {}", excess.granted, excess.key, excess.allowed)
            }),
        );
        let less = entry.grants.exceeds(&manifest.asks).into_iter();
        changes.extend(
            less.map(|excess| {
                format!("no longer asks for `{}` in `{}`, which is approved", excess.granted, excess.key)
            }),
        );
    }
    changes
}

/// Compared with the functions that the reviewer saw, if the approval names them.
fn function_changes(entry: &LockEntry, component: &super::ComponentFacts) -> Vec<String> {
    let Some(seen) = &entry.imports else { return Vec::new() };
    let now = component.imports();
    let added = now.difference(seen).map(|name| format!("imports `{name}`, which the reviewer did not see"));
    let removed = seen.difference(&now).map(|name| format!("no longer imports `{name}`"));
    added.chain(removed).collect()
}

fn task_rows(facts: &Facts, of: &DefinitionFacts) -> Vec<TaskRow> {
    let places = Places::of(of.definition, &of.file);
    let mut rows = Vec::new();
    each_task(&of.definition.tasks, &mut |task| {
        let plugin = if let TaskKind::Call(call) = &task.kind {
            Some(call.plugin.clone())
        } else if matches!(&task.kind, TaskKind::Run(_)) || server_of(task).is_some() {
            None
        } else {
            return;
        };
        let policy = of.policy.tasks.get(&task.reference);
        let refused = of.problems.iter().any(|problem| problem.reference == task.reference);
        if policy.is_none() && !refused {
            // A function of the host's own: it reaches no plugin and no sandbox.
            return;
        }
        let policy = policy.filter(|_| !refused);
        let context = Rows { facts, places: &places, definition: of.definition.full_name(), task };
        rows.push(TaskRow {
            definition: context.definition.clone(),
            task: task.name.clone(),
            reference: task.reference.clone(),
            place: places.at(&task.reference),
            plugin,
            digest: policy.and_then(|policy| policy.plugin.as_ref()).map(|plugin| plugin.digest.clone()),
            template: policy.map(|policy| policy.template.clone()),
            mode: policy.map(|policy| policy.mode),
            refused,
            reaches: policy.map(|policy| context.reaches(policy)).unwrap_or_default(),
        });
    });
    rows
}

/// The rows of one task.
struct Rows<'a> {
    facts: &'a Facts<'a>,
    places: &'a Places,
    definition: String,
    task: &'a Task,
}

impl Rows<'_> {
    fn reaches(&self, policy: &TaskPolicy) -> Vec<Reach> {
        match (&policy.plugin, &self.task.kind) {
            (Some(plugin), _) => self.granted(&plugin.grants),
            (None, TaskKind::Run(run)) => vec![self.own_command(argv_of(run), "run", policy)],
            (None, _) => server_of(self.task).map(|argv| self.own_command(argv, "with", policy)).into_iter().collect(),
        }
    }

    fn granted(&self, grants: &Grants) -> Vec<Reach> {
        let reach = |entry: crate::capability::GrantEntry| {
            let command = CommandName::new(entry.subject.as_str()).ok().filter(|_| entry.capability == "sandbox");
            Reach {
                place: self.places.grant(&self.task.reference, entry.key, &entry.subject),
                used: self.used(entry.capability, &entry.subject),
                capability: entry.capability.to_owned(),
                subject: entry.subject,
                bound: entry.bound,
                through: command.and_then(|name| (self.facts.commands)(&name)).map(Box::new),
            }
        };
        grants.entries().into_iter().map(reach).collect()
    }

    /// `run.shell`, `run.script` and a server over stdio: the definition itself
    /// says what runs. `field` of the task is where.
    fn own_command(&self, argv: Vec<String>, field: &str, policy: &TaskPolicy) -> Reach {
        let sandbox = (self.facts.sandboxes)(&policy.template).map(|sandbox| match &policy.image {
            None => sandbox,
            Some(image) => sandbox.with_image(image),
        });
        let secrets = policy.secrets.iter().map(|name| (name.to_string(), name.clone())).collect();
        let through = sandbox.and_then(|sandbox| {
            Some(CommandReach {
                command: CommandName::new(format!("{}/run", policy.template)).ok()?,
                summary: "A command of the definition's own.".to_owned(),
                argv: argv.clone(),
                parameters: Default::default(),
                mode: Some(policy.mode),
                egress: self.task.light.egress.iter().cloned().collect(),
                mounts: self.task.light.inputs.iter().map(|(to, from)| (to.clone(), written(from))).collect(),
                secrets,
                capture: self.task.light.capture.clone(),
                time_limit_seconds: self
                    .task
                    .timeout
                    .as_ref()
                    .and_then(TimeLimit::fixed)
                    .map_or(0, |limit| limit.as_secs()),
                sandbox,
            })
        });
        Reach {
            capability: "run".to_owned(),
            subject: argv.first().cloned().unwrap_or_default(),
            bound: None,
            place: self.places.at(&format!("{}/{field}", self.task.reference)),
            through: through.map(Box::new),
            used: self
                .facts
                .usage
                .map(|usage| super::Count { used: usage.attempts(&self.definition, &self.task.reference), denied: 0 }),
        }
    }

    fn used(&self, capability: &str, subject: &str) -> Option<super::Count> {
        let usage = self.facts.usage.filter(|_| Usage::RECORDED.contains(&capability))?;
        Some(usage.count(&self.definition, &self.task.reference, capability, subject))
    }
}

/// As it is written: expressions are not evaluated.
/// The process of a server that a call starts in the task's sandbox.
fn server_of(task: &Task) -> Option<Vec<String>> {
    let TaskKind::Outbound(outbound) = &task.kind else { return None };
    let Outbound::Mcp(mcp) = &**outbound else { return None };
    let McpTransport::Stdio { command, arguments, .. } = &mcp.transport else { return None };
    Some([command].into_iter().chain(arguments).map(written).collect())
}

fn argv_of(run: &Run) -> Vec<String> {
    let mut argv = match &run.process {
        Process::Shell { command } => vec![written(command)],
        Process::Script { language, code } => vec![language.clone(), written(code)],
        Process::Container(container) => {
            [container.image.to_string()].into_iter().chain(container.command.iter().map(written)).collect()
        }
    };
    argv.extend(run.arguments.iter().map(written));
    argv
}

/// A template as the definition has it.
fn written(template: &Template) -> String {
    template.source.as_str().map_or_else(|| template.source.to_string(), str::to_owned)
}
