//! `call`: a function of the definition or of a document, a plugin by name, or a
//! protocol that the host speaks itself.

use serde_json::json;

use super::super::model::{Call, TaskKind};
use super::reuse::DEFAULT_CATALOG;
use super::tasks::Context;
use super::{expand, network, outbound, resource, values};
use crate::expression::Template;
use crate::ids::PluginName;
use crate::located::Field;

/// Calls of the product before this one that are no plugins.
const OTHER_CALLS: [&str; 4] = ["agent", "jsonrpc", "openrpc", "rule"];

pub fn call(task: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    if let Some((name, function)) = field.node.text().and_then(|name| context.uses.functions.get_key_value(name)) {
        if !network::may_call_ours(field, name) {
            return None;
        }
        return expand::call(task, field, function, context).map(TaskKind::Function);
    }
    if let Some(protocol) = field.node.text().filter(|text| outbound::PROTOCOLS.contains(text)) {
        return outbound::outbound(task, field, protocol, context);
    }
    if let Some(reference) = document_of(field, context) {
        let document = resource::at(field, &reference?)?;
        return expand::call_document(task, field, &document, context).map(TaskKind::Function);
    }
    let function = function(field);
    let with = match task.slot("with").given() {
        Some(with) => with.members().and_then(|_| values::template(&with)),
        None => Template::compile(&json!({})).ok(),
    };
    let (plugin, version) = function?;
    Some(TaskKind::Call(Call { plugin, version, with: with? }))
}

/// Whether `call` names a function that stands in a document.
pub fn is_document(name: &str) -> bool {
    name.contains('/') || name.split_once('@').is_some_and(|(_, catalog)| catalog != DEFAULT_CATALOG)
}

/// The document that `call` names by its path, its URL, or `NAME:VERSION@CATALOG`.
/// None if it names something else; `Some(None)` if what it names is wrong.
fn document_of(field: &Field, context: Context) -> Option<Option<String>> {
    let text = field.node.text().filter(|text| is_document(text))?;
    if text.contains('/') {
        return Some(Some(text.to_owned()));
    }
    let (function, catalog) = text.split_once('@')?;
    let Some(root) = values::reused_at(field, catalog, &context.uses.catalogs, "use.catalogs") else {
        return Some(None);
    };
    let parts = function
        .split_once(':')
        .filter(|(name, version)| PluginName::new(*name).is_ok() && semver::Version::parse(version).is_ok());
    let Some((name, version)) = parts else {
        let help = "write `call: NAME:1.2.3@CATALOG`";
        field.error(format!("`call`: `{function}` is not a function with its version"), Some(help));
        return Some(None);
    };
    Some(Some(format!("{root}/functions/{name}/{version}/function.yaml")))
}

/// `NAME` or `NAME:VERSION@default`; `default` is the catalog of this host.
pub fn function(field: &Field) -> Option<(PluginName, Option<String>)> {
    let text = field.text()?;
    if OTHER_CALLS.contains(&text) {
        return field.unsupported(&format!("`call: {text}`"));
    }
    let (function, catalog) = match text.split_once('@') {
        Some((function, catalog)) => (function, Some(catalog)),
        None => (text, None),
    };
    let (name, version) = match function.split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (function, None),
    };
    let wrong_version = version.is_some_and(|version| semver::Version::parse(version).is_err());
    match (PluginName::new(name), version.is_some() == catalog.is_some() && !wrong_version) {
        (Ok(name), true) => Some((name, version.map(str::to_owned))),
        _ => {
            field.error(
                format!("`call`: `{text}` does not name a plugin"),
                Some("write `call: NAME` or `call: NAME:1.2.3@default`"),
            );
            None
        }
    }
}
