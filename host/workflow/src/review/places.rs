//! Where the parts of a definition are written.

use crate::definition::Definition;
use crate::located::{Node, NodeValue, Problems, yaml};

use super::Place;

/// A definition's source, read again for its lines.
pub struct Places {
    file: String,
    root: Node,
}

impl Places {
    pub fn of(definition: &Definition, file: &str) -> Self {
        match yaml::read(definition.text(), &Problems::of(file)) {
            Some(root) => Self { file: file.to_owned(), root },
            None => unreachable!("a definition exists, so its source was read before"),
        }
    }

    /// The value that a JSON pointer leads to, or the last one on the way there.
    pub fn at(&self, pointer: &str) -> Place {
        self.place(self.root.nearest(pointer))
    }

    /// Where a task grants `subject` by `key` (`sandbox.commands`): the item of
    /// the list, or the nearest part of the grant.
    pub fn grant(&self, reference: &str, key: &str, subject: &str) -> Place {
        let pointer = format!("{reference}/metadata/lightWorkflow/grants/{}", key.replace('.', "/"));
        let nearest = self.root.nearest(&pointer);
        let item = match &nearest.value {
            NodeValue::List(items) => items.iter().find(|item| item.is_text(subject)),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::Map(_) => {
                None
            }
        };
        self.place(item.unwrap_or(nearest))
    }

    fn place(&self, node: &Node) -> Place {
        Place { file: self.file.clone(), line: node.line }
    }
}
