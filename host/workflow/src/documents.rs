//! Documents that a definition names and that do not stand in it: schemas,
//! functions, scripts.
//!
//! Reading a definition fetches nothing. It says which documents it wants
//! ([`Reading::Wanting`](crate::definition::Reading)); whoever can fetch does,
//! and reads again. What comes of it is one text, the definition with its
//! documents behind it: its digest covers them, an instance keeps them, and
//! nobody needs to fetch them again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use crate::located::{Node, Problems, TEXT_BYTES_MAX, json, yaml};
use crate::origin;

/// Where the documents of a kept definition begin. To YAML this line begins a
/// second document wherever it stands, so no definition holds it by accident.
const MARK: &str = "\n--- # documents\n";

/// The most documents of one definition: more is a library, and nobody reviews it.
const DOCUMENTS_MAX: usize = 32;

/// The name of a document, in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentName {
    /// A path below the folder of the definition; empty for the definition itself.
    File(String),
    /// `http` or `https`.
    Url(String),
}

impl Default for DocumentName {
    fn default() -> Self {
        DocumentName::File(String::new())
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl DocumentName {
    pub fn as_str(&self) -> &str {
        match self {
            DocumentName::File(name) | DocumentName::Url(name) => name,
        }
    }

    /// The document that `reference` names where it stands in this one.
    ///
    /// # Errors
    ///
    /// What is wrong with the reference, for people.
    pub fn resolve(&self, reference: &str) -> Result<DocumentName, String> {
        if reference.contains(['\\', '#']) || reference.chars().any(|c| c.is_control() || c == ' ') {
            return Err("it has a space, `\\`, `#` or a control character".to_owned());
        }
        if let Some((scheme, _)) = reference.split_once("://") {
            if scheme == "file" {
                return Err("write a path below the folder of the definition instead of a `file` URI".to_owned());
            }
            origin::split_uri(reference).map_err(|error| error.to_string())?;
            return Ok(DocumentName::Url(reference.to_owned()));
        }
        match self {
            DocumentName::File(base) => below(base, reference).map(DocumentName::File),
            DocumentName::Url(base) => beside_url(base, reference).map(DocumentName::Url),
        }
    }

    /// A short name that can stand in the path of a task.
    pub fn label(&self) -> String {
        let parts: Vec<&str> = self.as_str().split('/').filter(|part| !part.is_empty()).collect();
        let tail = parts[parts.len().saturating_sub(3)..].join("-");
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '-' };
        let tail: String = tail.chars().map(plain).take(60).collect();
        format!("{tail}-{}", &crate::Digest::of(self.as_str().as_bytes()).hex()[..8])
    }
}

/// A path that stays below the folder.
fn below(base: &str, reference: &str) -> Result<String, String> {
    if reference.starts_with('/') {
        return Err("write a path below the folder of the definition, without a leading `/`".to_owned());
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    joined(folder, reference).ok_or_else(|| "it leads out of the folder of the definition".to_owned())
}

fn beside_url(base: &str, reference: &str) -> Result<String, String> {
    let (_, path) = origin::split_uri(base).map_err(|error| error.to_string())?;
    let host = &base[..base.len() - path.len()];
    let path = path.split('?').next().unwrap_or_default();
    let folder = if reference.starts_with('/') { "" } else { path.rsplit_once('/').map_or("", |(folder, _)| folder) };
    let path = joined(folder, reference).ok_or_else(|| "it leads out of its host".to_owned())?;
    Ok(format!("{host}/{path}"))
}

/// Both as one path without `.` and `..`; none if it leads above its beginning, or to nothing.
fn joined(folder: &str, reference: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(reference.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    let is_file = !matches!(reference.rsplit('/').next(), Some("" | "." | "..") | None);
    (is_file && !parts.is_empty()).then(|| parts.join("/"))
}

/// Documents that somebody has fetched, each as its text or with the reason why it is not there.
#[derive(Debug, Clone, Default)]
pub struct Documents(BTreeMap<DocumentName, Result<Rc<str>, String>>);

impl Documents {
    /// The most bytes that the documents of one definition have together.
    pub const BYTES_MAX: usize = TEXT_BYTES_MAX;

    pub fn keep(&mut self, name: DocumentName, text: Result<String, String>) {
        let kept: usize = self.0.values().flatten().map(|text| text.len()).sum();
        let text = text.and_then(|text| match kept + text.len() > Self::BYTES_MAX {
            true => Err(format!("the documents of one definition may have {} bytes together", Self::BYTES_MAX)),
            false => Ok(Rc::from(text)),
        });
        self.0.insert(name, text);
    }

    pub fn holds(&self, name: &DocumentName) -> bool {
        self.0.contains_key(name)
    }
}

/// A kept text as its two parts: the definition, and its documents if it has some.
pub(crate) fn split(source: &str) -> (&str, Option<&str>) {
    match source.find(MARK) {
        Some(at) => (&source[..at], Some(&source[at + MARK.len()..])),
        None => (source, None),
    }
}

/// The documents of a kept text.
pub(crate) fn kept(tail: &str) -> Result<Documents, String> {
    let texts: BTreeMap<String, String> = serde_json::from_str(tail).map_err(|error| error.to_string())?;
    let mut documents = Documents::default();
    for (name, text) in texts {
        documents.keep(DocumentName::default().resolve(&name)?, Ok(text));
    }
    Ok(documents)
}

/// What readers of a definition look documents up in; shared by all its files.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// The file that is read: what names in it are relative to.
    base: DocumentName,
    shared: Rc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The definition's file, as its reader named it.
    file: String,
    documents: Documents,
    used: RefCell<BTreeMap<DocumentName, Rc<str>>>,
    wanted: RefCell<BTreeSet<DocumentName>>,
    /// Functions that were read: each is called in many places.
    read: RefCell<BTreeMap<DocumentName, Rc<Node>>>,
}

/// What is known of a document.
pub enum Found {
    Text(DocumentName, Rc<str>),
    /// It is not there, for this reason.
    Missing(String),
}

impl Shelf {
    pub(crate) fn of(file: &str, documents: Documents) -> Self {
        let shared = Shared { file: file.to_owned(), documents, ..Shared::default() };
        Self { base: DocumentName::default(), shared: Rc::new(shared) }
    }

    /// The document that `reference` names in the file that is read now.
    pub fn look_up(&self, reference: &str) -> Found {
        let name = match self.base.resolve(reference) {
            Ok(name) => name,
            Err(why) => return Found::Missing(why),
        };
        match self.shared.documents.0.get(&name) {
            Some(Ok(text)) => {
                self.shared.used.borrow_mut().insert(name.clone(), text.clone());
                Found::Text(name, text.clone())
            }
            Some(Err(why)) => Found::Missing(why.clone()),
            None if self.shared.documents.0.len() + self.shared.wanted.borrow().len() >= DOCUMENTS_MAX => {
                Found::Missing(format!("a definition may name {DOCUMENTS_MAX} documents"))
            }
            None => {
                self.shared.wanted.borrow_mut().insert(name);
                Found::Missing("it has not been fetched".to_owned())
            }
        }
    }

    pub fn is_network(&self) -> bool {
        matches!(self.base, DocumentName::Url(_))
    }

    /// A document as values that know their place, and where its problems are to be kept.
    pub(crate) fn read(&self, name: &DocumentName, text: &str, around: &Problems) -> (Option<Rc<Node>>, Problems) {
        let problems =
            around.of_document(&self.file_of(name), Self { base: name.clone(), shared: self.shared.clone() });
        if let Some(node) = self.shared.read.borrow().get(name) {
            return (Some(node.clone()), problems);
        }
        let is_json =
            text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(text).is_ok();
        let node = if is_json { json::read(text, &problems) } else { yaml::read(text, &problems) };
        let node = node.filter(|_| problems.is_empty()).map(Rc::new);
        if let Some(node) = &node {
            self.shared.read.borrow_mut().insert(name.clone(), node.clone());
        }
        (node, problems)
    }

    /// What messages call a document.
    fn file_of(&self, name: &DocumentName) -> String {
        match (name, self.shared.file.rsplit_once('/')) {
            (DocumentName::File(path), Some((folder, _))) => format!("{folder}/{path}"),
            (DocumentName::File(name), None) | (DocumentName::Url(name), _) => name.clone(),
        }
    }

    pub(crate) fn wanted(&self) -> BTreeSet<DocumentName> {
        self.shared.wanted.borrow().clone()
    }

    /// Every document that was looked up and is there.
    pub(crate) fn used(&self) -> BTreeMap<DocumentName, Rc<str>> {
        self.shared.used.borrow().clone()
    }

    /// A document that was given and that nothing names.
    pub(crate) fn unused(&self) -> Option<DocumentName> {
        let used = self.shared.used.borrow();
        self.shared.documents.0.keys().find(|name| !used.contains_key(*name)).cloned()
    }
}

/// One text of a definition and the documents it uses: what is kept, and what its digest is of.
pub(crate) fn bundled(text: &str, used: &BTreeMap<DocumentName, Rc<str>>) -> String {
    if used.is_empty() {
        return text.to_owned();
    }
    let documents: BTreeMap<&str, &str> = used.iter().map(|(name, text)| (name.as_str(), text.as_ref())).collect();
    let documents = serde_json::to_string_pretty(&documents).expect("texts are JSON");
    format!("{text}{MARK}{documents}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling_and_leads_out_of_nowhere() {
        let file = |path: &str| DocumentName::File(path.to_owned());
        let url = |url: &str| DocumentName::Url(url.to_owned());
        let root = DocumentName::default();
        let cases = [
            (root.clone(), "a/b.yaml", Some(file("a/b.yaml"))),
            (root.clone(), "./a//./b/../c.json", Some(file("a/c.json"))),
            (root.clone(), "../a.yaml", None),
            (root.clone(), "a/../../b.yaml", None),
            (root.clone(), "/etc/passwd", None),
            (root.clone(), "file:///etc/passwd", None),
            (root.clone(), "a/", None),
            (root.clone(), "", None),
            (root.clone(), "a b", None),
            (root.clone(), "a\\..\\b", None),
            (root.clone(), "ftp://a.example/b", None),
            (root.clone(), "https://u:p@a.example/b", None),
            (root.clone(), "https://a.example/b?c", Some(url("https://a.example/b?c"))),
            (file("functions/log.yaml"), "schema.json", Some(file("functions/schema.json"))),
            (file("functions/log.yaml"), "../schema.json", Some(file("schema.json"))),
            (file("functions/log.yaml"), "../../schema.json", None),
            (url("https://a.example/x/f.yaml?v=1"), "s.json", Some(url("https://a.example/x/s.json"))),
            (url("https://a.example/x/f.yaml"), "../s.json", Some(url("https://a.example/s.json"))),
            (url("https://a.example/x/f.yaml"), "/s.json", Some(url("https://a.example/s.json"))),
            (url("https://a.example/f.yaml"), "../../s.json", None),
            (url("https://a.example/f.yaml"), "http://b.example/s", Some(url("http://b.example/s"))),
        ];
        for (base, reference, expected) in cases {
            assert_eq!(base.resolve(reference).ok(), expected, "{reference} in {base}");
        }
    }

    #[test]
    fn a_label_can_stand_in_a_path_and_tells_documents_apart() {
        let label = |name: &str| DocumentName::default().resolve(name).unwrap().label();
        assert!(label("https://c.example/functions/log/1.0.0/function.yaml").starts_with("log-1.0.0-function.yaml-"));
        assert_ne!(label("https://a.example/x/f.yaml"), label("https://b.example/x/f.yaml"));
        let long = label(&format!("https://a.example/{}", "ü[~".repeat(200)));
        assert!(long.len() < 126 && !long.contains(['/', '[', ']', '~']), "{long}");
    }
}
