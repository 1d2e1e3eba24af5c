//! How a [`Node`] becomes something typed.
//!
//! A reader names the fields it knows and gets one [`Slot`] for each; every
//! other field is refused on the spot:
//!
//! ```ignore
//! let [command, stdin] = shell.fields(["command", "stdin"])?;
//! let command = command.required(Field::text);
//! let stdin = stdin.optional(Field::text);
//! Some(Shell { command: command?, stdin: stdin? })
//! ```
//!
//! Whatever returns `None` has recorded the reason, so a reader takes all of
//! its fields before it gives up with `?`.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use super::{Node, NodeValue, Problems, among, closest};

/// A value on its way to becoming something typed.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    pub node: &'a Node,
    pub problems: &'a Problems,
    /// What messages call it: `run.shell.command`; empty for the whole file.
    pub label: String,
}

/// The place of a field that may be absent.
#[derive(Debug, Clone)]
pub struct Slot<'a> {
    around: Field<'a>,
    name: &'static str,
    node: Option<&'a Node>,
}

impl<'a> Slot<'a> {
    /// The field if it is there. `null` is a value.
    pub fn given(&self) -> Option<Field<'a>> {
        self.node.map(|node| self.around.inner(node, self.name))
    }

    pub fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// The field, which must be there.
    pub fn required_field(&self) -> Option<Field<'a>> {
        if self.node.is_none() && !self.is_misspelt() {
            self.around.error(format!("`{}` is missing", self.around.label_of(self.name)), None);
        }
        self.given()
    }

    /// A field with nearly this name has been refused, which says enough.
    fn is_misspelt(&self) -> bool {
        let keys = self.around.members().into_iter().flatten().map(|(key, _)| key);
        keys.filter(|key| self.around.problems.has_error_at(key))
            .any(|key| closest(key.text().unwrap_or_default(), [self.name]).is_some())
    }

    /// Its value, which must be there.
    pub fn required<T>(&self, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<T> {
        read(&self.required_field()?)
    }

    /// `Some(None)` if it is not there, `None` if it is there and wrong.
    pub fn optional<T>(&self, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.given() {
            Some(field) => read(&field).map(Some),
            None => Some(None),
        }
    }

    /// Its value, or `absent` if it is not there.
    pub fn or<T>(&self, absent: T, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<T> {
        match self.given() {
            Some(field) => read(&field),
            None => Some(absent),
        }
    }
}

impl<'a> Field<'a> {
    /// The whole file.
    pub fn root(node: &'a Node, problems: &'a Problems) -> Self {
        Self { node, problems, label: String::new() }
    }

    /// A value inside this one, called after both.
    pub fn inner(&self, node: &'a Node, name: &str) -> Field<'a> {
        Field { node, problems: self.problems, label: self.label_of(name) }
    }

    /// The same value under another name.
    pub fn called(&self, label: impl Into<String>) -> Field<'a> {
        Field { label: label.into(), ..self.clone() }
    }

    fn label_of(&self, name: &str) -> String {
        if self.label.is_empty() { name.to_owned() } else { format!("{}.{name}", self.label) }
    }

    pub fn error(&self, message: impl Into<String>, help: Option<&str>) {
        self.problems.error(self.node, message, help.map(str::to_owned));
    }

    /// One slot for each of `names`; any other field is an error.
    pub fn fields<const N: usize>(&self, names: [&'static str; N]) -> Option<[Slot<'a>; N]> {
        self.fields_refusing(names, &[])
    }

    /// Like [`Self::fields`], where `unsupported` names fields of the
    /// specification that do not work here yet: each is refused as that.
    pub fn fields_refusing<const N: usize>(
        &self,
        names: [&'static str; N],
        unsupported: &[&'static str],
    ) -> Option<[Slot<'a>; N]> {
        let members = self.members()?;
        for (key, _) in members {
            let name = key.text().unwrap_or_default();
            if unsupported.contains(&name) {
                self.unsupported_at(key, name);
            } else if !names.contains(&name) {
                let place = if self.label.is_empty() { String::new() } else { format!(" in `{}`", self.label) };
                self.unknown(key, &place, names.iter().copied());
            }
        }
        Some(names.map(|name| self.slot(name)))
    }

    /// One field, whatever else there is; for readers that refuse the rest themselves.
    pub fn slot(&self, name: &'static str) -> Slot<'a> {
        Slot { around: self.clone(), name, node: self.node.get(name) }
    }

    /// Refuses the field `key`, and says which one was probably meant. `place`
    /// is empty or ` in …`.
    pub fn unknown(&self, key: &Node, place: &str, known: impl Iterator<Item = &'static str> + Clone) {
        if self.problems.is_full() {
            return;
        }
        let name = key.text().unwrap_or_default();
        let help = match closest(name, known.clone()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.clone().next().is_none() => "it takes no fields".to_owned(),
            None => format!("the fields here are {}", among(known)),
        };
        self.problems.error(key, format!("unknown field `{name}`{place}"), Some(help));
    }

    /// Refuses a part of the specification that does not work here: `docs/dsl.md` says why.
    pub fn unsupported_at(&self, key: &Node, name: &str) {
        let label = self.label_of(name);
        self.problems.error(key, format!("`{label}` is refused (see docs/dsl.md)"), None);
    }

    /// Refuses this value as `what`, which does not work here.
    pub fn unsupported<T>(&self, what: &str) -> Option<T> {
        self.error(format!("{what} is refused (see docs/dsl.md)"), None);
        None
    }

    /// Keys and values of a mapping.
    pub fn members(&self) -> Option<&'a [(Node, Node)]> {
        match &self.node.value {
            NodeValue::Map(members) => Some(members),
            _ => self.must_be("a mapping"),
        }
    }

    /// Keys of a mapping with their values as fields.
    pub fn entries(&self) -> Option<Vec<(&'a Node, Field<'a>)>> {
        let members = self.members()?;
        Some(members.iter().map(|(key, value)| (key, self.inner(value, key.text().unwrap_or_default()))).collect())
    }

    pub fn items(&self) -> Option<Vec<Field<'a>>> {
        match &self.node.value {
            NodeValue::List(items) => {
                Some(items.iter().enumerate().map(|(index, item)| self.item(item, index)).collect())
            }
            _ => self.must_be("a list"),
        }
    }

    /// The items of a list that has at least one.
    pub fn items_some(&self) -> Option<Vec<Field<'a>>> {
        let items = self.items()?;
        if items.is_empty() {
            self.error(format!("`{}` is empty", self.label), Some("give it at least one item"));
            return None;
        }
        Some(items)
    }

    fn item(&self, node: &'a Node, index: usize) -> Field<'a> {
        Field { node, problems: self.problems, label: format!("{}[{index}]", self.label) }
    }

    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            NodeValue::Text(text) => Some(text),
            _ => self.must_be("text"),
        }
    }

    /// Text that is not only blanks.
    pub fn text_some(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.error(format!("`{}` is empty", self.label), Some("write something there"));
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self) -> Option<bool> {
        match &self.node.value {
            NodeValue::Bool(value) => Some(*value),
            _ => self.must_be("true or false"),
        }
    }

    /// A whole number between the two, both included.
    pub fn integer(&self, least: u64, most: u64) -> Option<u64> {
        let number = match &self.node.value {
            NodeValue::Number(number) => number.as_u64().filter(|number| (least..=most).contains(number)),
            _ => None,
        };
        number.or_else(|| self.must_be(&format!("a whole number from {least} to {most}")))
    }

    /// One of the named values.
    pub fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names = choices.iter().map(|(name, _)| *name);
            let help = match closest(text, names.clone()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it can be {}", among(names)),
            };
            self.error(format!("`{text}` is not a value of `{}`", self.label), Some(&help));
        }
        found.map(|(_, value)| *value)
    }

    /// Text in the form of a name type; its error says which form that is.
    pub fn name<T: FromStr<Err: std::fmt::Display>>(&self) -> Option<T> {
        match self.text()?.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.error(format!("`{}`: {error}", self.label), None);
                None
            }
        }
    }

    /// Reads every item, and says no only after the last.
    pub fn each<T>(&self, mut read: impl FnMut(&Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = self.items()?.iter().map(&mut read).collect();
        read.into_iter().collect()
    }

    /// Reads every value of a mapping, and says no only after the last.
    pub fn each_entry<T>(&self, mut read: impl FnMut(&str, &Field<'a>) -> Option<T>) -> Option<BTreeMap<String, T>> {
        let entries =
            self.entries()?.into_iter().map(|(key, value)| (key.text().unwrap_or_default().to_owned(), value));
        let read: Vec<Option<(String, T)>> = entries
            .map(|(name, value)| {
                let value = read(&name, &value);
                value.map(|value| (name, value))
            })
            .collect();
        read.into_iter().collect()
    }

    /// A path below some folder, in its one spelling.
    pub fn relative_path(&self) -> Option<&'a str> {
        let path = self.text_some()?;
        let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if plain && !path.contains('\\') && !path.chars().any(char::is_control) {
            return Some(path);
        }
        let help = "write it without a leading `/`, without `.` or `..` parts and with single `/`";
        self.error(format!("`{}`: `{path}` is not a relative path", self.label), Some(help));
        None
    }

    /// Reports the items whose text was there before.
    pub fn no_item_twice(&self, items: &[Field<'a>]) {
        let mut seen = HashSet::new();
        for item in items {
            if let Some(text) = item.node.text().filter(|text| !seen.insert(text.to_owned())) {
                item.error(format!("`{text}` is given twice in `{}`", self.label), Some("keep one of the two"));
            }
        }
    }

    fn must_be<T>(&self, wanted: &str) -> Option<T> {
        let help = match (&self.node.value, wanted) {
            (NodeValue::Number(_) | NodeValue::Bool(_), "text") => Some("put it in quotes"),
            _ => None,
        };
        let what = if self.label.is_empty() { "the file".to_owned() } else { format!("`{}`", self.label) };
        let given = match &self.node.value {
            NodeValue::Number(number) => format!("`{number}`"),
            NodeValue::Bool(value) => format!("`{value}`"),
            _ => self.node.kind().to_owned(),
        };
        self.error(format!("{what} must be {wanted}, not {given}"), help);
        None
    }
}
