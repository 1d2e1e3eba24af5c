//! What is wrong in a file, where, and what to do about it.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::Node;
use crate::documents::Shelf;
use crate::expression::Dialect;

/// One thing that is wrong in a file.
///
/// Shown as `definitions/x.yaml:12:7: what is wrong; what to do`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// The file as the caller named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// JSON pointer of the value in question; empty for the whole file.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works, though hardly as meant.
    Warning,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// More than anyone reads at once; a file that is wrong everywhere stops here.
const PROBLEMS_MAX: usize = 100;

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Problems {
    file: String,
    found: RefCell<Vec<Problem>>,
    /// What the document says about its expressions, for whoever reads one.
    pub dialect: Cell<Dialect>,
    /// Where documents that the file names are looked up.
    pub shelf: Shelf,
}

impl Problems {
    pub fn of(file: &str) -> Self {
        Self::with(file, Shelf::default())
    }

    /// Of a file that may name documents of this shelf.
    pub(crate) fn with(file: &str, shelf: Shelf) -> Self {
        Self { file: file.to_owned(), found: RefCell::default(), dialect: Cell::default(), shelf }
    }

    /// Of a document that this file names; what is wrong there is [taken in](Self::take_in) afterwards.
    pub(crate) fn of_document(&self, file: &str, shelf: Shelf) -> Self {
        let problems = Self::with(file, shelf);
        problems.dialect.set(self.dialect.get());
        problems
    }

    /// Takes in what is wrong in a document.
    pub(crate) fn take_in(&self, document: Problems) {
        document.into_sorted().into_iter().for_each(|problem| self.push(problem));
    }

    pub fn error(&self, node: &Node, message: impl Into<String>, help: Option<String>) {
        self.add(Severity::Error, node, message.into(), help);
    }

    pub fn warning(&self, node: &Node, message: impl Into<String>, help: Option<String>) {
        self.add(Severity::Warning, node, message.into(), help);
    }

    /// An error where there is no value yet: the text could not be read.
    pub fn unreadable(&self, line: usize, column: usize, message: impl Into<String>, help: Option<String>) {
        self.push(Problem {
            severity: Severity::Error,
            file: self.file.clone(),
            line,
            column,
            pointer: String::new(),
            message: message.into(),
            help,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Whether more problems would be dropped, so that searching for help is in vain.
    pub fn is_full(&self) -> bool {
        self.found.borrow().len() >= PROBLEMS_MAX
    }

    pub fn has_error_at(&self, node: &Node) -> bool {
        self.found.borrow().iter().any(|problem| {
            problem.severity == Severity::Error
                && problem.file == self.file
                && (problem.line, problem.column) == (node.line, node.column)
        })
    }

    /// In the order of the file; those of its documents come last.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_cached_key(|problem| {
            let document = (problem.file != self.file).then(|| problem.file.clone());
            (document, problem.line, problem.column)
        });
        found
    }

    fn add(&self, severity: Severity, node: &Node, message: String, help: Option<String>) {
        self.push(Problem {
            severity,
            file: self.file.clone(),
            line: node.line,
            column: node.column,
            pointer: node.pointer(),
            message,
            help,
        });
    }

    fn push(&self, problem: Problem) {
        let mut found = self.found.borrow_mut();
        // What is read more than once is wrong only once.
        if found.len() < PROBLEMS_MAX && !found.contains(&problem) {
            found.push(problem);
        }
    }
}

/// `` `a`, `b` `` for messages.
pub fn among<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// So many names are compared with a wrong one; who has more is not helped by one of them.
const NAMES_MAX: usize = 1000;

/// The name that was probably meant: at most two slips away, and fewer than half of its letters.
pub fn closest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A slip of the finger does not make a name this long; and the search stays cheap.
    if wrong.chars().count() > 64 {
        return None;
    }
    names
        .into_iter()
        .take(NAMES_MAX)
        .filter(|name| name.len() <= 4 * 64)
        .map(|name| (slips(wrong, name), name))
        .filter(|(slips, name)| *slips <= 2 && slips * 2 < name.chars().count().max(2))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// Letters to add, drop, replace or swap with their neighbour to get from `a` to `b`, in any case.
fn slips(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let names = ["command", "stdin", "arguments", "as", "if"];
        assert_eq!(closest("comand", names), Some("command"));
        assert_eq!(closest("agruments", names), Some("arguments"));
        assert_eq!(closest("STDIN", names), Some("stdin"));
        assert_eq!(closest("environment", names), None);
        assert_eq!(closest("xy", names), None);
    }
}
