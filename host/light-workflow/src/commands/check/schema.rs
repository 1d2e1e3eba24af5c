//! `check --schema`: the JSON schema of whole definitions on this host, for editors.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use workflow::PluginName;
use workflow::definition::PluginFacts;

/// Of the specification, unchanged; see `schema/README.md`.
const WORKFLOW: &str = include_str!("../../../schema/workflow-1.0.3.json");
/// `ask`, `assert` and `metadata.lightWorkflow`.
const ADDITIONS: &str = include_str!("../../../schema/additions.json");

/// Definitions as this host reads them: each `call` of a plugin with that plugin's input.
pub fn of_definitions(plugins: &BTreeMap<PluginName, PluginFacts>) -> Value {
    let mut schema: Value = serde_json::from_str(WORKFLOW).expect("the schema beside this source is JSON");
    let additions: Map<String, Value> = serde_json::from_str(ADDITIONS).expect("the schema beside this source is JSON");
    schema["$id"] = json!("https://light-workflow.invalid/definition-1.0.3.json");
    let definitions = schema["$defs"].as_object_mut().expect("the specification's schema has definitions");
    definitions.extend(additions);
    definitions["taskBase"]["properties"]["metadata"]["properties"] =
        json!({ "lightWorkflow": { "$ref": "#/$defs/lightWorkflowTask" } });
    push(&mut definitions["task"]["oneOf"], json!({ "$ref": "#/$defs/askTask" }));
    push(&mut definitions["task"]["oneOf"], json!({ "$ref": "#/$defs/assertTask" }));
    let mut taken = vec![];
    for (name, facts) in plugins {
        let Some(input) = &facts.input_schema else { continue };
        let key = format!("plugin-{name}");
        definitions.insert(key.clone(), with_holes(input, &format!("#/$defs/{key}"), true));
        push(&mut definitions["callTask"]["oneOf"], call_of(name, facts, &key));
        taken.push(pattern(name, ".*"));
    }
    // What is no plugin of this host stays as the specification has it.
    let branches = definitions["callTask"]["oneOf"].as_array_mut().expect("a call is one of several");
    let function = branches.iter_mut().find(|branch| branch["title"] == "CallFunction");
    let function = function.expect("the specification knows calls of functions");
    let call = &mut function["allOf"][1]["properties"]["call"];
    let not_ours: Vec<Value> = taken.iter().map(|pattern| json!({ "not": { "pattern": pattern } })).collect();
    if !not_ours.is_empty() {
        call["allOf"] = Value::Array(not_ours);
    }
    schema["properties"]["document"]["properties"]["metadata"]["properties"] =
        json!({ "lightWorkflow": { "$ref": "#/$defs/lightWorkflowDocument" } });
    schema
}

/// `NAME` or `NAME:VERSION@default`; `version` is a pattern.
fn pattern(name: &PluginName, version: &str) -> String {
    let name = name.as_str().replace('.', "\\.");
    format!("^{name}(:{version}@default)?$")
}

fn call_of(name: &PluginName, facts: &PluginFacts, key: &str) -> Value {
    let version = facts.version.replace(['.', '+'], ".");
    json!({
        "title": format!("CallPlugin {name}"),
        "type": "object",
        "required": ["call"],
        "unevaluatedProperties": false,
        "allOf": [
            { "$ref": "#/$defs/taskBase" },
            { "properties": {
                "call": { "type": "string", "pattern": pattern(name, &version) },
                "with": { "$ref": format!("#/$defs/{key}") },
            } },
        ],
    })
}

/// The schema with an expression allowed in the place of each value; references
/// lead below `root`. The outermost value is a mapping and no expression.
fn with_holes(schema: &Value, root: &str, is_outermost: bool) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut inner = Map::new();
    for (key, value) in members {
        let value = match (key.as_str(), value) {
            ("$schema" | "$id", _) => continue,
            ("$ref", Value::String(target)) => json!(target.replacen('#', root, 1)),
            ("properties" | "$defs" | "patternProperties", Value::Object(named)) => {
                let each = named.iter().map(|(name, schema)| (name.clone(), with_holes(schema, root, false)));
                Value::Object(each.collect())
            }
            ("allOf" | "oneOf" | "anyOf", Value::Array(each)) => {
                // A choice between mappings stays one; a hole is allowed around it.
                Value::Array(each.iter().map(|schema| with_holes(schema, root, true)).collect())
            }
            ("items" | "additionalProperties", value) => with_holes(value, root, false),
            (_, value) => value.clone(),
        };
        inner.insert(key.clone(), value);
    }
    if is_outermost {
        return Value::Object(inner);
    }
    json!({ "anyOf": [inner, { "type": "string", "pattern": "^\\s*\\$\\{[\\s\\S]*\\}\\s*$" }] })
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().expect("the specification has a list here").push(item);
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders below the root")
    }

    fn plugins() -> BTreeMap<PluginName, PluginFacts> {
        let input_schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": { "directory": { "$ref": "#/$defs/Directory" }, "fetch": { "type": "boolean" } },
            "required": ["directory"],
            "additionalProperties": false,
            "$defs": { "Directory": { "type": "string", "minLength": 1 } },
        });
        let facts = PluginFacts { version: "0.1.0".to_owned(), input_schema: Some(input_schema) };
        BTreeMap::from([(PluginName::new("builder").unwrap(), facts)])
    }

    fn read(path: &Path) -> Value {
        let text = std::fs::read_to_string(path).unwrap();
        workflow::definition::as_json(&text, &path.display().to_string()).unwrap()
    }

    fn definitions(folder: PathBuf) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect()
    }

    #[test]
    fn every_definition_and_example_fits() {
        let validator = jsonschema::validator_for(&of_definitions(&plugins())).unwrap();
        let examples = root().join("../shared/data/sw-spec/examples");
        let ours = [root().join("definitions"), root().join("definitions/examples")];
        let mut files: Vec<_> = ours.into_iter().flat_map(definitions).collect();
        let of_ours = files.len();
        files.extend(definitions(examples));
        assert!(of_ours >= 3 && files.len() > of_ours + 50, "{}", files.len());
        for file in files {
            let wrong: Vec<_> = validator.iter_errors(&read(&file)).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{}: {}", file.display(), wrong.join("; ").chars().take(600).collect::<String>());
        }
    }

    #[test]
    fn a_call_of_a_plugin_has_that_plugins_input() {
        let validator = jsonschema::validator_for(&of_definitions(&plugins())).unwrap();
        let fits = |call: &str, with: Value| {
            validator.is_valid(&json!({
                "document": { "dsl": "1.0.3", "namespace": "n", "name": "d", "version": "1.0.0" },
                "do": [{ "t": { "call": call, "with": with } }],
            }))
        };
        assert!(fits("builder", json!({ "directory": "a", "fetch": true })));
        assert!(fits("builder:0.1.0@default", json!({ "directory": "${ .d }", "fetch": "${ .f }" })));
        assert!(fits("another", json!({ "directroy": 7 })), "what is no plugin of the host is not known");
        for (call, with) in [
            ("builder", json!({ "directroy": "a" })),
            ("builder", json!({ "directory": "" })),
            ("builder", json!({ "directory": "a", "fetch": "yes" })),
            ("builder:0.2.0@default", json!({ "directory": "a" })),
        ] {
            assert!(!fits(call, with.clone()), "{call} {with}");
        }
    }
}
