//! `use`: what tasks refer to by name.

use std::collections::{BTreeMap, BTreeSet};

use super::super::authentication::Authentication;
use super::super::model::{Raise, Retry, TimeLimit};
use super::expand::{ExtensionSource, FunctionSource};
use super::{authentication, expand, flow, resource, values};
use crate::ids::SecretName;
use crate::located::{Field, Slot};

/// An entry is `None` when it could not be read: who refers to it is not wrong.
#[derive(Debug, Default)]
pub struct Uses<'a> {
    pub authentications: BTreeMap<String, Option<Authentication>>,
    /// Where each begins: a URL, or a folder below that of the definition.
    pub catalogs: BTreeMap<String, Option<String>>,
    pub errors: BTreeMap<String, Option<Raise>>,
    pub retries: BTreeMap<String, Option<Retry>>,
    pub timeouts: BTreeMap<String, Option<TimeLimit>>,
    /// None: the definition does not list its secrets.
    pub secrets: Option<BTreeSet<SecretName>>,
    /// Read again at each call, with the place of that.
    pub functions: BTreeMap<&'a str, FunctionSource<'a>>,
    /// Read again at each task that one extends, in their order.
    pub extensions: Vec<ExtensionSource<'a>>,
}

pub fn uses<'a>(field: &Field<'a>) -> Uses<'a> {
    let slots = field.fields([
        "authentications",
        "catalogs",
        "errors",
        "retries",
        "timeouts",
        "secrets",
        "functions",
        "extensions",
    ]);
    let Some([authentications, catalogs, errors, retries, timeouts, secrets, functions, extensions]) = slots else {
        return Uses::default();
    };
    let secrets: Option<BTreeSet<SecretName>> =
        secrets.given().and_then(|field| Some(field.each(Field::name::<SecretName>)?.into_iter().collect()));
    Uses {
        authentications: entries(&authentications, |field| authentication::policy(field, secrets.as_ref())),
        catalogs: catalogs.given().map(|field| self::catalogs(&field)).unwrap_or_default(),
        errors: entries(&errors, flow::error),
        retries: entries(&retries, flow::retry_policy),
        timeouts: entries(&timeouts, |field| values::timeout(field, &BTreeMap::new())),
        secrets,
        functions: functions.given().map(|field| expand::function_sources(&field)).unwrap_or_default(),
        extensions: extensions.given().map(|field| expand::extension_sources(&field)).unwrap_or_default(),
    }
}

/// `use.catalogs`: folders of functions, each under `functions/NAME/VERSION/function.yaml`.
fn catalogs(field: &Field) -> BTreeMap<String, Option<String>> {
    let entries = field.entries().unwrap_or_default();
    let read = entries.into_iter().map(|(key, catalog)| {
        let name = key.text().unwrap_or_default();
        if name == DEFAULT_CATALOG {
            let message = format!("`{name}` is the catalog of this host: its plugins");
            field.problems.error(key, message, Some("choose another name".to_owned()));
        }
        let root = catalog.fields(["endpoint"]).and_then(|[endpoint]| {
            let (_, text) = resource::reference(&endpoint.required_field()?)?;
            Some(raw_files(&text))
        });
        (name.to_owned(), root)
    });
    read.collect()
}

/// The catalog that every host has.
pub const DEFAULT_CATALOG: &str = "default";

/// Where the files of a folder on GitHub or GitLab are, if `url` is the page that shows it.
fn raw_files(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let github = url.strip_prefix("https://github.com/").and_then(|rest| {
        let mut parts = rest.splitn(4, '/');
        let (owner, name, tree, reference) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (tree == "tree").then(|| format!("https://raw.githubusercontent.com/{owner}/{name}/{reference}"))
    });
    let gitlab = || url.starts_with("https://gitlab.com/").then(|| url.replacen("/-/tree/", "/-/raw/", 1));
    github.or_else(gitlab).unwrap_or_else(|| url.to_owned())
}

fn entries<T>(slot: &Slot, read: impl Fn(&Field) -> Option<T>) -> BTreeMap<String, Option<T>> {
    slot.given().and_then(|field| field.each_entry(|_, value| Some(read(value)))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::raw_files;

    #[test]
    fn the_page_of_a_folder_leads_to_its_files() {
        for (page, files) in [
            ("https://github.com/o/r/tree/main/", "https://raw.githubusercontent.com/o/r/main"),
            ("https://github.com/o/r/tree/v1/sub/folder", "https://raw.githubusercontent.com/o/r/v1/sub/folder"),
            ("https://github.com/o/r", "https://github.com/o/r"),
            ("https://gitlab.com/g/s/p/-/tree/main", "https://gitlab.com/g/s/p/-/raw/main"),
            ("https://catalog.example/x/", "https://catalog.example/x"),
            ("catalog", "catalog"),
        ] {
            assert_eq!(raw_files(page), files, "{page}");
        }
    }
}
