//! What is not the same in two components: what a reviewer of an update reads.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ComponentFacts, World};
use crate::capability::{Grants, PluginManifest};

/// One side of a comparison.
#[derive(Debug, Clone)]
pub struct Side {
    pub component: ComponentFacts,
    /// None: nobody says what it asks for.
    pub manifest: Option<PluginManifest>,
    /// None: it cannot be called on this host.
    pub description: Option<StepDescription>,
}

/// What a step says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDescription {
    pub input_schema: Value,
    pub output_schema: Value,
    pub idempotent: bool,
}

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `function`, `ask`, `reason`, `world`, `class`, `version`, `bytes`, `input schema`, `output schema`, `idempotent`.
    pub what: String,
    pub text: String,
    /// The new one can do something that the old one could not.
    pub widens: bool,
}

/// Every difference; none if the two are the same bytes with the same asks.
pub fn difference(old: &Side, new: &Side) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    let (before, after) = (&old.component, &new.component);
    if before.digest != after.digest {
        changes.note("bytes", format!("{} is {} now", before.digest, after.digest), false);
    }
    if before.class != after.class {
        // Each class has what the one before has, and more.
        let widens = after.class > before.class;
        changes.note("class", format!("{} is {} now", before.class.name(), after.class.name()), widens);
    }
    let world = |world: Option<World>| world.map_or("none of ours", World::name);
    if before.smallest_world != after.smallest_world {
        let widens = after.smallest_world.is_none() || after.smallest_world > before.smallest_world;
        let text = format!("imports of `{}`, now of `{}`", world(before.smallest_world), world(after.smallest_world));
        changes.note("world", text, widens);
    }
    changes.functions(&before.imports(), &after.imports());
    match (&old.manifest, &new.manifest) {
        (Some(before), Some(after)) => changes.manifests(before, after),
        (None, None) => {}
        (None, Some(_)) => {
            changes.note("ask", "the old one has no `plugin.toml`: asks are not compared".to_owned(), false)
        }
        (Some(_), None) => {
            changes.note("ask", "the new one has no `plugin.toml`: asks are not compared".to_owned(), false)
        }
    }
    match (&old.description, &new.description) {
        (Some(before), Some(after)) => changes.descriptions(before, after),
        _ => changes.note("input schema", "not compared: one of the two cannot be called here".to_owned(), false),
    }
    changes.0
}

struct Changes(Vec<Change>);

impl Changes {
    fn note(&mut self, what: &str, text: String, widens: bool) {
        self.0.push(Change { what: what.to_owned(), text, widens });
    }

    fn functions(&mut self, before: &BTreeSet<String>, after: &BTreeSet<String>) {
        for added in after.difference(before) {
            self.note("function", format!("imports `{added}`"), true);
        }
        for removed in before.difference(after) {
            self.note("function", format!("no longer imports `{removed}`"), false);
        }
    }

    fn manifests(&mut self, before: &PluginManifest, after: &PluginManifest) {
        if before.version != after.version {
            self.note("version", format!("{} is {} now", before.version, after.version), false);
        }
        if before.world != after.world {
            let text = format!("asks for `{}`, now for `{}`", before.world, after.world);
            self.note("world", text, after.world > before.world);
        }
        self.grants(&before.asks, &after.asks);
        for (key, reason) in &after.reasons {
            if before.reasons.get(key).is_some_and(|old| old != reason) {
                self.note("reason", format!("`{key}` is asked for because: {reason}"), false);
            }
        }
    }

    /// Asks and their limits: what is more, and what is less.
    fn grants(&mut self, before: &Grants, after: &Grants) {
        for excess in after.exceeds(before) {
            self.note("ask", format!("`{}` {} (before: {})", excess.key, excess.granted, excess.allowed), true);
        }
        for excess in before.exceeds(after) {
            self.note("ask", format!("no longer `{}` {}; now {}", excess.key, excess.granted, excess.allowed), false);
        }
    }

    fn descriptions(&mut self, before: &StepDescription, after: &StepDescription) {
        self.schemas("input schema", &before.input_schema, &after.input_schema);
        self.schemas("output schema", &before.output_schema, &after.output_schema);
        if before.idempotent != after.idempotent {
            let text =
                if after.idempotent { "says that doing it twice is doing it once" } else { "may not be done twice" };
            self.note("idempotent", text.to_owned(), false);
        }
    }

    fn schemas(&mut self, what: &str, before: &Value, after: &Value) {
        let mut lines = Vec::new();
        values("", before, after, &mut lines);
        for line in lines {
            self.note(what, line, false);
        }
    }
}

/// Where two values differ, by JSON pointer.
fn values(pointer: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    let place = if pointer.is_empty() { "/" } else { pointer };
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let inner = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (before.get(key), after.get(key)) {
                    (Some(old), Some(new)) => values(&inner, old, new, lines),
                    (None, Some(new)) => lines.push(format!("`{inner}` is {new} now, and was not there")),
                    (Some(_), None) => lines.push(format!("`{inner}` is gone")),
                    (None, None) => unreachable!("the key came from one of the two"),
                }
            }
        }
        (old, new) if old == new => {}
        (old, new) => lines.push(format!("`{place}` was {old} and is {new}")),
    }
}
