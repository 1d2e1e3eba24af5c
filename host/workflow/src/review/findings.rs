//! What a reviewer should act on.

use std::collections::BTreeSet;

use super::{ComponentFacts, DefinitionFacts, Facts, Finding, Place, Places, PluginFacts, TaskRow, Verdict};
use crate::capability::{Approval, GrantProblem, effective};
use crate::definition::{TaskKind, each_task};

impl ComponentFacts {
    /// Every imported function as an approval names it: `sandbox.exec`.
    pub fn imports(&self) -> BTreeSet<String> {
        let short = |interface: &str| {
            let name = interface.split_once('@').map_or(interface, |(name, _)| name);
            name.strip_prefix("lightapi:release/").unwrap_or(name).to_owned()
        };
        let all = self.functions.iter();
        all.flat_map(|(interface, functions)| functions.iter().map(move |f| format!("{}.{f}", short(interface))))
            .collect()
    }
}

pub fn findings(facts: &Facts, tasks: &[TaskRow]) -> Vec<Finding> {
    let mut all = Vec::new();
    for plugin in facts.plugins {
        of_plugin(facts, plugin, &mut all);
    }
    for unread in facts.unread {
        for (line, message) in &unread.problems {
            let place = Place { file: unread.file.clone(), line: *line };
            all.push(Finding {
                verdict: of_problem(message),
                plugin: None,
                task: None,
                message: message.clone(),
                place,
            });
        }
    }
    for definition in facts.definitions {
        of_definition(facts, definition, tasks, &mut all);
    }
    all.sort_by(|a, b| (a.verdict, &a.place, &a.message).cmp(&(b.verdict, &b.place, &b.message)));
    all.dedup();
    all
}

/// A bound that nobody reads is no bound: it is told apart from other mistakes.
fn of_problem(message: &str) -> Verdict {
    let is_unknown = message.contains("unknown field") || message.contains("is not a field");
    if is_unknown { Verdict::Unenforced } else { Verdict::Refused }
}

fn of_plugin(facts: &Facts, plugin: &PluginFacts, all: &mut Vec<Finding>) {
    let written = plugin.manifest.as_ref().map(|(place, _)| place);
    let approved = plugin.approval.as_ref().map(|(place, _)| place);
    let here = Place { file: plugin.file.clone(), line: 1 };
    let mut note = |verdict, place: Option<&Place>, message: String| {
        let place = place.unwrap_or(&here).clone();
        all.push(Finding { verdict, plugin: Some(plugin.name.clone()), task: None, message, place });
    };
    let component = match &plugin.component {
        Ok(component) => component,
        Err(problem) => return note(Verdict::Refused, written, problem.clone()),
    };
    for problem in &component.problems {
        note(Verdict::Refused, None, problem.clone());
    }
    let Some((_, manifest)) = &plugin.manifest else {
        let message = "it has no `plugin.toml` on this host, so it asks for nothing and can be granted nothing";
        return note(Verdict::Refused, None, message.to_owned());
    };
    let approval = Approval {
        manifest,
        lock: plugin.approval.as_ref().map(|(_, entry)| entry),
        digest: &component.digest,
        ceiling: None,
        today: facts.today,
    };
    let granted = plugin.approval.as_ref().map(|(_, entry)| entry.grants.clone()).unwrap_or_default();
    for problem in effective(&approval, &granted).err().unwrap_or_default() {
        let place = approved.or(written);
        note(verdict_of(&problem), place, problem.to_string());
    }
    let imported: BTreeSet<&str> = component.needs.keys().map(String::as_str).collect();
    for key in manifest.asks.keys() {
        if !imported.contains(key) {
            note(Verdict::OverGrant, written, format!("asks for `{key}` and imports nothing that needs it; remove it"));
        }
    }
    for key in granted.keys().into_iter().filter(|key| !imported.contains(key)) {
        note(Verdict::OverGrant, approved, format!("is approved for `{key}` and imports nothing that needs it"));
    }
    for (key, functions) in &component.needs {
        if !manifest.asks.keys().contains(&key.as_str()) {
            let names: Vec<_> = functions.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("imports {} and does not ask for `{key}`, so no task can call it", names.join(", "));
            note(Verdict::Refused, written, message);
        }
    }
    let fits = component.smallest_world.is_some_and(|smallest| smallest <= manifest.world);
    if !fits && component.problems.is_empty() {
        let needed = component.smallest_world.map_or("none of ours", super::World::name);
        let message = format!("says that it is of world `{}`, and its imports need `{needed}`", manifest.world);
        note(Verdict::Drift, written, message);
    }
}

fn verdict_of(problem: &GrantProblem) -> Verdict {
    match problem {
        GrantProblem::NotApproved { .. }
        | GrantProblem::GrantedMoreThanApproved { .. }
        | GrantProblem::AboveCeiling { .. } => Verdict::Refused,
        GrantProblem::Changed { .. } | GrantProblem::Version { .. } | GrantProblem::ApprovedMoreThanAsked { .. } => {
            Verdict::Drift
        }
        GrantProblem::Expired { .. } => Verdict::Expired,
    }
}

fn of_definition(facts: &Facts, of: &DefinitionFacts, tasks: &[TaskRow], all: &mut Vec<Finding>) {
    let name = of.definition.full_name();
    let mine = |row: &&TaskRow| row.definition == name && row.place.file == of.file;
    for problem in of.problems {
        let row = tasks.iter().filter(mine).find(|row| row.reference == problem.reference);
        all.push(Finding {
            verdict: Verdict::Refused,
            plugin: row.and_then(|row| row.plugin.clone()),
            task: Some(problem.task.clone()),
            message: problem.message.clone(),
            place: Place { file: of.file.clone(), line: problem.line },
        });
    }
    superfluous(facts, of, all);
    for row in tasks.iter().filter(mine) {
        through(row, all);
        never_used(facts, row, all);
    }
}

/// What a task writes down as granted though its plugin imports nothing of it.
fn superfluous(facts: &Facts, of: &DefinitionFacts, all: &mut Vec<Finding>) {
    let places = Places::of(of.definition, &of.file);
    each_task(&of.definition.tasks, &mut |task| {
        let TaskKind::Call(call) = &task.kind else { return };
        let plugin = facts.plugins.iter().find(|plugin| plugin.name == call.plugin);
        let Some(Ok(component)) = plugin.map(|plugin| &plugin.component) else { return };
        for key in task.light.grants.keys().into_iter().filter(|key| !component.needs.contains_key(*key)) {
            all.push(Finding {
                verdict: Verdict::OverGrant,
                plugin: Some(call.plugin.clone()),
                task: Some(task.name.clone()),
                message: format!("grants `{key}`, and `{}` imports nothing that needs it; remove it", call.plugin),
                place: places.grant(&task.reference, key, key),
            });
        }
    });
}

/// What stands against a command behind the name that is granted.
fn through(row: &TaskRow, all: &mut Vec<Finding>) {
    let mut note = |verdict, message: String, place: &Place| {
        let plugin = row.plugin.clone();
        all.push(Finding { verdict, plugin, task: Some(row.task.clone()), message, place: place.clone() });
    };
    for reach in row.reaches.iter().filter(|reach| reach.capability == "sandbox") {
        let Some(command) = &reach.through else {
            let message = format!("grants command `{}`, which no sandbox template of this host has", reach.subject);
            note(Verdict::OverGrant, message, &reach.place);
            continue;
        };
        if let Some(only) = command.mode.filter(|only| Some(*only) != row.mode) {
            let message = format!(
                "grants command `{}`, which runs in mode `{}` only, and the task's is another",
                reach.subject,
                only.name()
            );
            note(Verdict::OverGrant, message, &reach.place);
        }
        let held = |name: &&crate::ids::SecretName| {
            row.reaches.iter().any(|other| other.capability == "secrets" && other.subject == name.as_str())
        };
        for lacking in command.secrets.values().filter(|name| !held(name)) {
            let message = format!("grants command `{}` without the secret `{lacking}` that it needs", reach.subject);
            note(Verdict::OverGrant, message, &reach.place);
        }
    }
}

/// A task that ran often enough and never used what it may.
fn never_used(facts: &Facts, row: &TaskRow, all: &mut Vec<Finding>) {
    let runs = facts.usage.map_or(0, |usage| usage.attempts(&row.definition, &row.reference));
    if runs < RUNS_TO_JUDGE {
        return;
    }
    for reach in row.reaches.iter().filter(|reach| reach.used.is_some_and(|count| count.used == 0)) {
        all.push(Finding {
            verdict: Verdict::OverGrant,
            plugin: row.plugin.clone(),
            task: Some(row.task.clone()),
            message: format!(
                "never used `{}` ({}) in {runs} runs; remove it if none needs it",
                reach.subject, reach.capability
            ),
            place: reach.place.clone(),
        });
    }
}

/// Fewer runs say little: a rare way through a step may need what they did not.
const RUNS_TO_JUDGE: u64 = 5;
