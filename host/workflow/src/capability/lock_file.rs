//! `plugins.lock` as people keep it: an entry changes, and everything else in
//! the file stays as it was written.

use toml_edit::{ArrayOfTables, Document, DocumentMut, Item, Table, Value, value};

use super::{LockEntry, LockError, PluginsLock};
use crate::ids::PluginName;

impl PluginsLock {
    /// The line of a plugin's entry, from 1.
    pub fn line_of(text: &str, name: &PluginName) -> Option<usize> {
        let document = Document::parse(text).ok()?;
        let entries = document.get("plugin")?.as_array_of_tables()?;
        let entry = entries.iter().find(|entry| is_of(entry, name))?;
        let start = entry.span()?.start;
        Some(text[..start].matches('\n').count() + 1)
    }

    /// The text of the lock with this entry in place of the plugin's earlier one,
    /// or after all others. Comments and order of the rest stay.
    ///
    /// # Errors
    ///
    /// Those of [`PluginsLock::parse`], before or after the change.
    pub fn approve(text: &str, entry: &LockEntry) -> Result<String, LockError> {
        Self::parse(text)?;
        let toml = |error: &dyn std::fmt::Display| LockError::Toml(error.to_string());
        let mut document: DocumentMut = text.parse().map_err(|error| toml(&error))?;
        let fresh = Self { plugins: [(entry.name.clone(), entry.clone())].into() }.to_text();
        let fresh: DocumentMut = fresh.parse().map_err(|error| toml(&error))?;
        let fresh = fresh.get("plugin").and_then(Item::as_array_of_tables).and_then(|entries| entries.get(0));
        let fresh = fresh.expect("a lock of one entry has one").clone();
        let entries = document.entry("plugin").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        let entries = entries.as_array_of_tables_mut().ok_or_else(|| toml(&"`plugin` is no list of tables"))?;
        let at = entries.iter().position(|old| is_of(old, &entry.name));
        match at.and_then(|at| entries.get_mut(at)) {
            Some(old) => renew(old, &fresh),
            None => {
                let mut fresh = fresh;
                unplace(&mut fresh);
                fresh.decor_mut().set_prefix("\n");
                entries.push(fresh);
            }
        }
        let changed = document.to_string();
        Self::parse(&changed)?;
        Ok(changed)
    }
}

fn is_of(entry: &Table, name: &PluginName) -> bool {
    entry.get("name").and_then(Item::as_str) == Some(name.as_str())
}

/// Takes over what changed, key by key, so that comments beside the rest stay.
fn renew(old: &mut Table, fresh: &Table) {
    let gone: Vec<String> = old.iter().map(|(key, _)| key.to_owned()).filter(|key| !fresh.contains_key(key)).collect();
    for key in gone {
        old.remove(&key);
    }
    for (key, item) in fresh {
        match (old.get_mut(key), item) {
            (Some(Item::Table(old)), Item::Table(fresh)) => renew(old, fresh),
            (Some(Item::Value(old)), Item::Value(fresh)) => {
                if plain(old) != plain(fresh) {
                    let decor = old.decor().clone();
                    *old = fresh.clone();
                    *old.decor_mut() = decor;
                }
            }
            (_, Item::Value(fresh)) => {
                old.insert(key, value(fresh.clone()));
            }
            (_, other) => {
                let mut other = other.clone();
                if let Item::Table(table) = &mut other {
                    unplace(table);
                    table.decor_mut().set_prefix("\n");
                }
                old.insert(key, other);
            }
        }
    }
}

/// A table that came from another file stands where it is put.
fn unplace(table: &mut Table) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        if let Item::Table(inner) = item {
            unplace(inner);
        }
    }
}

/// What a value says, without how it is written.
fn plain(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("\u{1f}"),
        Value::String(text) => format!("\"{}", text.value()),
        Value::Integer(number) => number.value().to_string(),
        Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::InlineTable(_) => value.to_string(),
    }
}
