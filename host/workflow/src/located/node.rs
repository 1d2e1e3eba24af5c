//! A value with its place in the text it was read from.

use std::rc::Rc;

use serde_json::{Map, Number, Value};

/// A value with its place in the text it was read from.
#[derive(Debug, Clone)]
pub struct Node {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub value: NodeValue,
    pub(super) step: Option<Rc<Step>>,
}

#[derive(Debug, Clone)]
pub enum NodeValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// Keys in the order of the text; no key twice.
    Map(Vec<(Node, Node)>),
}

/// How a value is reached from the one around it. Nodes share these, so that a
/// long path costs nothing until a message wants it.
#[derive(Debug)]
pub(super) struct Step {
    around: Option<Rc<Step>>,
    name: String,
}

impl Step {
    pub(super) fn into(around: Option<&Rc<Step>>, name: impl Into<String>) -> Rc<Step> {
        Rc::new(Step { around: around.cloned(), name: name.into() })
    }
}

impl Node {
    pub(super) fn new(line: usize, column: usize, step: Option<Rc<Step>>, value: NodeValue) -> Self {
        Self { line, column, value, step }
    }

    /// A name that no text gives: that of a whole file.
    pub(crate) fn name_of_file(name: &str) -> Self {
        Self::new(1, 1, None, NodeValue::Text(name.to_owned()))
    }

    /// JSON pointer from the root of the file.
    pub fn pointer(&self) -> String {
        let mut names = Vec::new();
        let mut step = self.step.as_ref();
        while let Some(here) = step {
            names.push(here.name.replace('~', "~0").replace('/', "~1"));
            step = here.around.as_ref();
        }
        names.iter().rev().map(|name| format!("/{name}")).collect()
    }

    /// The value that a JSON pointer leads to; none if there is no such value.
    pub fn at(&self, pointer: &str) -> Option<&Node> {
        let steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
        steps.into_iter().try_fold(self, |node, step| match &node.value {
            NodeValue::List(items) => items.get(step.parse::<usize>().ok()?),
            NodeValue::Map(_) => node.get(&step),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) => None,
        })
    }

    /// The value that a JSON pointer leads to, or the last one on the way there.
    pub fn nearest(&self, pointer: &str) -> &Node {
        let mut pointer = pointer;
        loop {
            match (self.at(pointer), pointer.rfind('/')) {
                (Some(node), _) => return node,
                (None, Some(end)) => pointer = &pointer[..end],
                (None, None) => return self,
            }
        }
    }

    /// A member of a mapping.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            NodeValue::Map(members) => members.iter().find(|(key, _)| key.is_text(name)).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn is_text(&self, text: &str) -> bool {
        self.text() == Some(text)
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Every text at or below this node, in the order of the file; keys are not among them.
    pub fn texts(&self) -> Vec<(&Node, &str)> {
        let mut found = Vec::new();
        self.collect_texts(&mut found);
        found
    }

    fn collect_texts<'a>(&'a self, found: &mut Vec<(&'a Node, &'a str)>) {
        match &self.value {
            NodeValue::Text(text) => found.push((self, text)),
            NodeValue::List(items) => items.iter().for_each(|item| item.collect_texts(found)),
            NodeValue::Map(members) => members.iter().for_each(|(_, value)| value.collect_texts(found)),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) => {}
        }
    }

    /// The same as JSON, without places.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Number(number) => Value::Number(number.clone()),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => items.iter().map(Node::to_json).collect(),
            NodeValue::Map(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, value)| (key.text().unwrap_or_default().to_owned(), value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// What a message calls this kind of value.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "true or false",
            NodeValue::Number(_) => "a number",
            NodeValue::Text(_) => "text",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a mapping",
        }
    }
}
