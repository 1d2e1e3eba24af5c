//! `call`: a function of the definition, a plugin by name, or a protocol that
//! the host speaks itself.

use serde_json::json;

use super::super::model::{Call, TaskKind};
use super::tasks::Context;
use super::{expand, outbound, values};
use crate::expression::Template;
use crate::ids::PluginName;
use crate::located::Field;

/// Calls of the product before this one that are no plugins.
const OTHER_CALLS: [&str; 4] = ["agent", "jsonrpc", "openrpc", "rule"];

pub fn call(task: &Field, field: &Field, context: Context) -> Option<TaskKind> {
    if let Some(function) = field.node.text().and_then(|name| context.uses.functions.get(name)) {
        return expand::call(task, field, function, context).map(TaskKind::Function);
    }
    if let Some(protocol) = field.node.text().filter(|text| outbound::PROTOCOLS.contains(text)) {
        return outbound::outbound(task, field, protocol, context);
    }
    let function = function(field);
    let with = match task.slot("with").given() {
        Some(with) => with.members().and_then(|_| values::template(&with)),
        None => Template::compile(&json!({})).ok(),
    };
    let (plugin, version) = function?;
    Some(TaskKind::Call(Call { plugin, version, with: with? }))
}

/// `NAME` or `NAME:VERSION@default`; `default` is the catalog of this host.
fn function(field: &Field) -> Option<(PluginName, Option<String>)> {
    let text = field.text()?;
    if OTHER_CALLS.contains(&text) {
        return field.unsupported(&format!("`call: {text}`"));
    }
    if text.contains("://") {
        return field.unsupported("`call` of a function by its URL");
    }
    let (function, catalog) = match text.split_once('@') {
        Some((function, catalog)) => (function, Some(catalog)),
        None => (text, None),
    };
    let (name, version) = match function.split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (function, None),
    };
    if catalog.is_some_and(|catalog| catalog != "default") {
        return field.unsupported(&format!("`call` of a function in the catalog `{}`", catalog.unwrap_or_default()));
    }
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
