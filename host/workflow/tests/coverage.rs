//! Every property of the specification's schema is used by something that runs
//! here, or `docs/dsl.md` says that it is refused.
//!
//! Both sides are calculated: what there is, by a walk through the schema; what is
//! used, by going through each definition along the schema. What counts as used:
//! scenarios of the conformance kits that are not refused, examples of the page,
//! the specification's own examples, and the definitions of the crash sweeps.

#![allow(clippy::disallowed_methods, reason = "this test compares files with each other")]

#[allow(dead_code, reason = "its scenarios are read here, and played elsewhere")]
#[path = "../../../tests/conformance/tests/vocabulary/mod.rs"]
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use workflow::definition::{self, Reading};
use workflow::documents::Documents;
use workflow::expression::Pattern;
use workflow::located::{Problems, yaml};

use vocabulary::play::{files, scenarios};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn specification() -> PathBuf {
    root().join("../shared/data/sw-spec")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// None: it is no YAML of ours.
fn json(text: &str) -> Option<Value> {
    yaml::read(text, &Problems::of("any.yaml")).map(|node| node.to_json())
}

/// A schema; its nodes are named by JSON pointers.
struct Schema(Value);

/// What the page says is refused.
struct Refusals {
    /// `call: X`.
    calls: Vec<String>,
    /// `a.b`, as names.
    fields: Vec<Vec<String>>,
}

impl Refusals {
    fn of(page: &str) -> Self {
        let (_, table) = page.split_once("\n## What is refused\n").expect("the page has a list of refusals");
        let table = table.split("\n## ").next().unwrap_or_default();
        let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let (mut calls, mut fields) = (Vec::new(), Vec::new());
        for cell in cells {
            match cell.split_once(": ") {
                Some(("call", kind)) => calls.push(kind.to_owned()),
                // One value is refused, and others are not.
                Some(_) => {}
                None => fields.push(cell.split('.').map(str::to_owned).collect()),
            }
        }
        Self { calls, fields }
    }

    fn refuses(&self, names: &[&str]) -> bool {
        self.fields
            .iter()
            .any(|field| field.len() > 1 && names.ends_with(&field.iter().map(String::as_str).collect::<Vec<_>>()))
    }
}

impl Schema {
    fn node(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or_else(|| panic!("the schema has no `{pointer}`"))
    }

    /// The schemas below one that apply to the same value.
    fn same_value(&self, pointer: &str) -> (Vec<String>, Vec<Vec<String>>) {
        let node = self.node(pointer);
        let list = |word: &str| -> Vec<String> {
            let count = node[word].as_array().map_or(0, Vec::len);
            (0..count).map(|place| format!("{pointer}/{word}/{place}")).collect()
        };
        let referred = node["$ref"].as_str().map(|to| to.trim_start_matches('#').to_owned());
        let all = referred.into_iter().chain(list("allOf")).collect();
        (all, [list("oneOf"), list("anyOf")].into_iter().filter(|choices| !choices.is_empty()).collect())
    }

    fn properties(&self, pointer: &str) -> impl Iterator<Item = (&str, String)> {
        let members = self.node(pointer)["properties"].as_object();
        let pointer = pointer.to_owned();
        members.into_iter().flatten().map(move |(name, _)| {
            (name.as_str(), format!("{pointer}/properties/{}", name.replace('~', "~0").replace('/', "~1")))
        })
    }

    /// Every property that can be reached without passing through a refusal.
    fn walk<'s>(
        &'s self,
        pointer: &str,
        names: &[&'s str],
        refused: &Refusals,
        found: &mut BTreeSet<String>,
        seen: &mut BTreeSet<String>,
    ) {
        if !seen.insert(pointer.to_owned()) || self.is_refused_call(pointer, refused) {
            return;
        }
        for (name, property) in self.properties(pointer) {
            let names = [names, &[name]].concat();
            if self.node(&property) == &Value::Bool(false) || refused.refuses(&names) {
                continue;
            }
            found.insert(property.clone());
            self.walk(&property, &names, refused, found, seen);
        }
        let (all, choices) = self.same_value(pointer);
        let inner = ["items", "additionalProperties"].map(|word| format!("{pointer}/{word}"));
        let inner = inner.into_iter().filter(|inner| self.0.pointer(inner).is_some_and(Value::is_object));
        for next in all.into_iter().chain(choices.into_iter().flatten()).chain(inner) {
            self.walk(&next, names, refused, found, seen);
        }
    }

    fn is_refused_call(&self, pointer: &str, refused: &Refusals) -> bool {
        let parts = self.node(pointer)["allOf"].as_array();
        let kinds = parts.into_iter().flatten().filter_map(|part| part["properties"]["call"]["const"].as_str());
        kinds.into_iter().any(|kind| refused.calls.iter().any(|call| call == kind))
    }

    /// The properties that a value uses. Of several choices it is the one that fits and of which most is used.
    fn used(&self, pointer: &str, value: &Value) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        let (all, choices) = self.same_value(pointer);
        for next in all {
            used.append(&mut self.used(&next, value));
        }
        for choices in choices {
            let fitting = choices.iter().filter(|choice| self.fits(choice, value));
            let best = fitting.map(|choice| self.used(choice, value)).max_by_key(BTreeSet::len);
            used.append(&mut best.unwrap_or_default());
        }
        match value {
            Value::Object(members) => {
                let mut known = BTreeSet::new();
                for (name, property) in self.properties(pointer) {
                    known.insert(name);
                    if let Some(value) = members.get(name) {
                        used.append(&mut self.used(&property, value));
                        used.insert(property);
                    }
                }
                if self.node(pointer)["additionalProperties"].is_object() {
                    let others = members.iter().filter(|(name, _)| !known.contains(name.as_str()));
                    let inner = format!("{pointer}/additionalProperties");
                    others.for_each(|(_, value)| used.append(&mut self.used(&inner, value)));
                }
            }
            Value::Array(items) if self.node(pointer)["items"].is_object() => {
                items.iter().for_each(|item| used.append(&mut self.used(&format!("{pointer}/items"), item)));
            }
            _ => {}
        }
        used
    }

    /// Whether a value can be meant by a schema, as far as one sees without looking into its members.
    fn fits(&self, pointer: &str, value: &Value) -> bool {
        let node = self.node(pointer);
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_of_kind = node["type"].as_str().is_none_or(|wanted| wanted == kind);
        let has_all = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let has_all = has_all.into_iter().all(|name| value.get(name).is_some());
        let is_among = |node: &Value| node["enum"].as_array().is_none_or(|values| values.contains(value));
        let is_not = node["not"]["enum"].as_array().is_none_or(|values| !values.contains(value));
        let is_const = node.get("const").is_none_or(|wanted| wanted == value);
        let matches = match (node["pattern"].as_str(), value.as_str()) {
            (Some(pattern), Some(text)) => {
                Pattern::compile(pattern).is_ok_and(|pattern| pattern.is_match(text).unwrap_or(false))
            }
            _ => true,
        };
        // What tells the kinds of a call apart.
        let members_fit = self.properties(pointer).all(|(name, property)| {
            let told = |node: &Value| node.get("const").is_some() || node["not"]["enum"].is_array();
            !told(self.node(&property)) || value.get(name).is_none_or(|member| self.fits(&property, member))
        });
        let (all, choices) = self.same_value(pointer);
        is_of_kind
            && has_all
            && is_among(node)
            && is_not
            && is_const
            && matches
            && members_fit
            && all.iter().all(|next| self.fits(next, value))
            && choices.iter().all(|choices| choices.iter().any(|choice| self.fits(choice, value)))
    }
}

/// Each definition that runs somewhere, with where it stands.
fn definitions() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    for folder in [root().join("tests/conformance/features"), specification().join("ctk")] {
        for file in files(&folder) {
            for scenario in scenarios(&file) {
                if scenario
                    .steps
                    .iter()
                    .any(|step| step.value.contains("should be refused") && step.value.contains("definition"))
                {
                    continue;
                }
                let texts = scenario
                    .steps
                    .iter()
                    .filter(|step| step.value.contains("workflow"))
                    .filter_map(|step| step.docstring.as_deref());
                let texts = texts.filter_map(|text| {
                    json(text.trim_start().trim_start_matches("yaml\n").trim_start_matches("json\n"))
                });
                all.extend(texts.map(|text| (format!("{}: {}", name(&file), scenario.name), text)));
            }
        }
    }
    let page = read(&root().join("docs/dsl.md"));
    let examples = page.split("\n## Examples\n").nth(1).unwrap_or_default().split("```yaml\n").skip(1);
    all.extend(examples.filter_map(|text| Some(("dsl.md".to_owned(), json(text.split("\n```").next()?)?))));
    let of_yaml = |folder: PathBuf| {
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
    };
    for path in of_yaml(specification().join("examples")).chain(of_yaml(root().join("tests/house/definitions"))) {
        let text = read(&path);
        match definition::read(&text, "example.yaml", &Documents::default()) {
            Reading::Refused(_) => {}
            Reading::Definition(_) | Reading::Wanting(_) => {
                all.extend(json(&text).map(|value| (format!("example {}", name(&path)), value)));
            }
        }
    }
    all
}

/// A property for people: `callTask/oneOf/2/with/method`.
fn shown(property: &str) -> String {
    let parts: Vec<&str> = property.split('/').skip(1).collect();
    let mut shown = Vec::new();
    let mut place = 0;
    while place < parts.len() {
        match parts[place] {
            "$defs" => {}
            "allOf" => place += 1,
            "properties" => {
                place += 1;
                shown.push(parts[place]);
            }
            other => shown.push(other),
        }
        place += 1;
    }
    shown.join("/")
}

#[test]
fn every_property_of_the_schema_is_used_or_refused() {
    let schema = Schema(json(&read(&specification().join("schema/workflow.yaml"))).expect("the schema is YAML"));
    let refused = Refusals::of(&read(&root().join("docs/dsl.md")));
    let mut there = BTreeSet::new();
    schema.walk("", &[], &refused, &mut there, &mut BTreeSet::new());
    assert!(there.len() > 200, "the walk found only {} properties", there.len());
    let mut used: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for (name, value) in definitions() {
        for property in schema.used("", &value) {
            used.entry(property).or_insert_with(|| (name.clone(), 0)).1 += 1;
        }
    }
    for property in &there {
        match used.get(property) {
            Some((first, count)) => println!("{:<60} {count:>4}  {first}", shown(property)),
            None => println!("{:<60}    -", shown(property)),
        }
    }
    let missing: Vec<String> =
        there.iter().filter(|property| !used.contains_key(*property)).map(|p| shown(p)).collect();
    assert!(
        missing.is_empty(),
        "no scenario and no example uses these, and docs/dsl.md does not say that they are refused;\n\
         add a scenario to tests/conformance/features, or a row to the page:\n{}",
        missing.join("\n")
    );
}
