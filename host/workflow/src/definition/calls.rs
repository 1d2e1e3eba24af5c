//! Typed steps: `with` of a `call` against the schema of the plugin's input.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::check::{Places, each_task};
use super::holes::wrongs;
use super::model::{Call, Definition, Task, TaskKind};
use crate::ids::PluginName;
use crate::located::Problem;

/// What a check knows of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginFacts {
    pub version: String,
    /// None if the component does not say: then `with` is not checked.
    pub input_schema: Option<Value>,
}

/// Problems of calls of plugins that this host has: another version than the
/// one it has, and input that cannot fit whatever the expressions give.
pub fn check_calls(definition: &Definition, file: &str, plugins: &BTreeMap<PluginName, PluginFacts>) -> Vec<Problem> {
    let places = Places::of(definition, file);
    each_task(&definition.tasks, &mut |task| {
        if let TaskKind::Call(call) = &task.kind
            && let Some(facts) = plugins.get(&call.plugin)
        {
            check_call(&places, task, call, facts);
        }
    });
    places.problems.into_sorted()
}

fn check_call(places: &Places, task: &Task, call: &Call, facts: &PluginFacts) {
    let plugin = &call.plugin;
    if call.version.as_ref().is_some_and(|wanted| *wanted != facts.version) {
        let have = &facts.version;
        let node = places.at(&format!("{}/call", task.reference));
        let message = format!("plugin `{plugin}` is here in version `{have}`");
        places.problems.error(node, message, Some(format!("call `{plugin}:{have}@default`")));
    }
    let Some(schema) = &facts.input_schema else { return };
    for wrong in wrongs(schema, &call.with.source) {
        let node = places.at(&format!("{}/with{}", task.reference, wrong.pointer));
        let path = wrong.pointer.replace('/', ".").replace("~1", "/").replace("~0", "~");
        let message = format!("`with{path}` {}, for plugin `{plugin}`", wrong.message);
        places.problems.error(node, message, wrong.help);
    }
}

/// Names of the plugins that a definition calls.
pub fn plugins_called(definition: &Definition) -> BTreeSet<PluginName> {
    let mut names = BTreeSet::new();
    each_task(&definition.tasks, &mut |task| {
        if let TaskKind::Call(call) = &task.kind {
            names.insert(call.plugin.clone());
        }
    });
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition;

    #[test]
    fn a_wrong_input_is_told_with_its_place_and_what_to_do() {
        let text = "document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }
do:
- build:
    call: cargo:0.2.0@default
    with:
      directory: ${ .checkout.directory }
      fetsh: true
- inner:
    do:
    - again:
        call: cargo
        with: { directory: 7 }
- other:
    call: unknown
";
        let definition = definition::parse(text, "d.yaml").unwrap();
        let schema = json!({ "type": "object", "properties": { "directory": { "type": "string" }, "fetch": { "type": "boolean" } },
            "required": ["directory"], "additionalProperties": false });
        let facts = PluginFacts { version: "0.1.0".to_owned(), input_schema: Some(schema) };
        let plugins = BTreeMap::from([(PluginName::new("cargo").unwrap(), facts)]);
        let said: Vec<String> = check_calls(&definition, "d.yaml", &plugins).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        for (said, parts) in said.iter().zip([
            ["d.yaml:4:11", "plugin `cargo` is here in version `0.1.0`", "call `cargo:0.1.0@default`"],
            ["d.yaml:7:14", "`with.fetsh` is not known, for plugin `cargo`", "did you mean `fetch`?"],
            ["d.yaml:12:28", "`with.directory` is a number, not a text, for plugin `cargo`", ""],
        ]) {
            assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
        }
        let names: Vec<_> = plugins_called(&definition).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["cargo", "unknown"]);
    }
}
