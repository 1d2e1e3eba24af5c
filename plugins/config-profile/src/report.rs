//! Dry-run reports of the event importer, one for each portal: what would
//! change there, what cannot be resolved, and what would be deleted.
//!
//! The portal's design shows the report's fields with nothing missing and
//! nothing deleted, so this is read by its rule and not by its example: any
//! field named `missing…` that holds something closes the gate, and any field
//! named `…ToDelete`, `…ToRemove` or `…ToUnlink` is a deletion.

use std::collections::BTreeSet;

use light_workflow_sdk::{Level, PureHost, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Finding, Findings, Portal, hold};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Those of the release request.
    portals: Vec<Portal>,
    reports: Vec<ReportFile>,
    /// The request asks to delete what the manifests no longer have.
    #[serde(default)]
    replace: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReportFile {
    portal: String,
    /// What the importer wrote, as it is.
    text: String,
}

/// Nothing is missing. Deletions, if any, still need a person's approval.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    ok: bool,
    portals: Vec<Summary>,
    deletions: Vec<Deletion>,
    approval_required: bool,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Summary {
    portal: String,
    profiles: usize,
    products: usize,
    configs_to_create: u64,
    properties_to_create: u64,
    links_to_create: u64,
}

/// What replacing would delete in a portal.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct Deletion {
    portal: String,
    /// A profile, a product, or the report itself.
    subject: String,
    /// The report's own word: `propertiesToDelete`.
    what: String,
    count: u64,
}

impl Gate {
    pub fn execute(&self, host: &mut impl PureHost) -> Result<Open, StepError> {
        let (mut findings, mut portals, mut deletions) = (Vec::new(), Vec::new(), Vec::new());
        let known: BTreeSet<_> = self.portals.iter().map(|portal| portal.name.as_str()).collect();
        for file in self.reports.iter().filter(|file| !known.contains(file.portal.as_str())) {
            let problem = "has a report, but the request does not name it".to_owned();
            findings.push(Finding { subject: file.portal.clone(), place: String::new(), problem });
        }
        for portal in &self.portals {
            let mut of_portal = Findings::of(&portal.name);
            let reports: Vec<_> = self.reports.iter().filter(|file| file.portal == portal.name).collect();
            match reports.as_slice() {
                [] if portal.dry_run_required => of_portal.add("", "has no report of a dry run"),
                [] => {}
                [file] => portals.extend(read(&mut of_portal, &mut deletions, portal, &file.text)),
                [_, _, ..] => of_portal.add("", "has more than one report"),
            }
            findings.extend(of_portal.all);
        }
        if !self.replace {
            findings.extend(deletions.iter().map(|Deletion { portal, subject, what, count }| Finding {
                subject: portal.clone(),
                place: String::new(),
                problem: format!("{subject}: {what} is {count}, and the request does not ask to replace"),
            }));
        }
        hold(host, "the ConfigProfile gate stays closed", &findings)?;
        host.log(Level::Info, &format!("dry runs of {} portals miss nothing", portals.len()));
        Ok(Open { ok: true, portals, approval_required: !deletions.is_empty(), deletions })
    }
}

fn read(findings: &mut Findings<'_>, deletions: &mut Vec<Deletion>, portal: &Portal, text: &str) -> Option<Summary> {
    let report = match step_kit::json::parse(text) {
        Ok(Value::Object(report)) => report,
        Ok(_) => {
            findings.add("", "the report is no JSON object");
            return None;
        }
        Err(error) => {
            findings.add("", format!("the report is no JSON object without doubt: {error}"));
            return None;
        }
    };
    let mut summary = Summary { portal: portal.name.clone(), ..Summary::default() };
    rules(findings, deletions, "", "the report", &report);
    for (at, profile) in entries(findings, &report, "profiles").into_iter().enumerate() {
        let place = format!("/profiles/{at}");
        let name = subject(findings, &place, profile, "profileName");
        for list in ["missingConfigs", "missingProperties"] {
            if !profile.get(list).is_some_and(Value::is_array) {
                findings.add(&place, format!("`{name}` does not say `{list}`"));
            }
        }
        summary.profiles += 1;
        summary.configs_to_create += number(profile, "configsToCreate");
        summary.properties_to_create += number(profile, "propertiesToCreate");
    }
    for (at, product) in entries(findings, &report, "products").into_iter().enumerate() {
        let place = format!("/products/{at}");
        let name = subject(findings, &place, product, "productId");
        if product.get("hostId").and_then(Value::as_str) != Some(&portal.host_id) {
            findings.add(format!("{place}/hostId"), format!("`{name}` is not of this portal's host"));
        }
        for id in ["productVersionId", "profileId"] {
            if product.get(id).and_then(Value::as_str).is_none_or(str::is_empty) {
                findings.add(format!("{place}/{id}"), format!("`{name}` could not be resolved"));
            }
        }
        let says = |field: &str| product.get(field).and_then(Value::as_bool) == Some(true);
        if !says("linkToCreate") && !says("alreadyLinked") {
            findings.add(&place, format!("`{name}` is neither linked nor would be"));
        }
        summary.products += 1;
        summary.links_to_create += u64::from(says("linkToCreate"));
    }
    Some(summary)
}

/// The objects of an array that a report must have.
fn entries<'a>(findings: &mut Findings<'_>, report: &'a Map<String, Value>, key: &str) -> Vec<&'a Map<String, Value>> {
    let Some(list) = report.get(key).and_then(Value::as_array) else {
        findings.add("", format!("the report has no `{key}`"));
        return Vec::new();
    };
    let objects: Vec<_> = list.iter().filter_map(Value::as_object).collect();
    if objects.len() != list.len() {
        findings.add(format!("/{key}"), "holds what is no object");
    }
    objects
}

fn subject(findings: &mut Findings<'_>, place: &str, entry: &Map<String, Value>, key: &str) -> String {
    match entry.get(key).and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => {
            findings.add(place, format!("has no `{key}`"));
            "?".to_owned()
        }
    }
}

/// How many missing names a finding shows.
const SHOWN_MAX: usize = 5;

/// Both rules, for every field of an object and of what it holds; JSON that is read has at most 128 levels.
fn rules(
    findings: &mut Findings<'_>,
    deletions: &mut Vec<Deletion>,
    place: &str,
    around: &str,
    entry: &Map<String, Value>,
) {
    let name = ["profileName", "productId"].iter().find_map(|key| entry.get(*key)?.as_str());
    let subject = name.unwrap_or(around);
    for (key, value) in entry {
        let place = format!("{place}/{key}");
        if key.starts_with("missing") && count(value) > 0 {
            missing(findings, &place, value);
        }
        if ["ToDelete", "ToRemove", "ToUnlink"].iter().any(|end| key.ends_with(end)) && count(value) > 0 {
            let (portal, subject) = (findings.subject.to_owned(), subject.to_owned());
            deletions.push(Deletion { portal, subject, what: key.clone(), count: count(value) });
        }
        rules_inside(findings, deletions, &place, subject, value);
    }
}

fn rules_inside(findings: &mut Findings<'_>, deletions: &mut Vec<Deletion>, place: &str, subject: &str, value: &Value) {
    match value {
        Value::Object(entry) => rules(findings, deletions, place, subject, entry),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                rules_inside(findings, deletions, &format!("{place}/{at}"), subject, item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn missing(findings: &mut Findings<'_>, place: &str, value: &Value) {
    let shown = match value {
        Value::Array(items) => items.iter().take(SHOWN_MAX).map(plain).collect::<Vec<_>>().join(", "),
        other => plain(other),
    };
    findings.add(place, format!("the portal does not know {} of them: {shown}", count(value)));
}

fn number(entry: &Map<String, Value>, key: &str) -> u64 {
    entry.get(key).map_or(0, count)
}

/// How much a value stands for: a number itself, a list its items.
fn count(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(false) => 0,
        Value::Bool(true) => 1,
        // What is no natural number is more than nothing.
        Value::Number(number) => number.as_u64().unwrap_or(1),
        Value::String(text) => u64::from(!text.is_empty()),
        Value::Array(items) => items.len() as u64,
        Value::Object(fields) => fields.len() as u64,
    }
}

fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::Script;
    use serde_json::json;

    use super::*;
    use crate::ConfigProfile;

    const HOST: &str = "01964b05-552a-7c4b-9184-6857e7f3dc5f";

    fn report() -> Value {
        json!({
            "releaseSet": "java-2026-06",
            "profiles": [{
                "profileName": "light-gateway-java-2.3.5", "profileId": "019f", "configsToCreate": 15,
                "propertiesToCreate": 183, "alreadyMappedConfigs": 0, "alreadyMappedProperties": 0,
                "missingConfigs": [], "missingProperties": [],
            }],
            "products": [{
                "hostId": HOST, "productId": "lg", "productVersion": "2.0.0", "productVersionId": "019f",
                "profileId": "019f", "linkToCreate": true, "alreadyLinked": false,
            }],
        })
    }

    fn gate(reports: &[(&str, &Value)], replace: bool) -> Result<Value, StepError> {
        let reports: Vec<_> =
            reports.iter().map(|(portal, report)| json!({ "portal": portal, "text": report.to_string() })).collect();
        let portals = json!([{ "name": "dev", "hostId": HOST, "dryRunRequired": true }]);
        Script::new().execute::<ConfigProfile>(
            json!({ "operation": "gate", "portals": portals, "reports": reports, "replace": replace }),
        )
    }

    fn closed(result: Result<Value, StepError>, expected: &str) {
        let Err(StepError::NeedsHuman(text)) = &result else { panic!("not closed: {result:?}") };
        assert!(text.starts_with("the ConfigProfile gate stays closed: ") && text.contains(expected), "{text}");
    }

    #[test]
    fn a_dry_run_that_misses_nothing_opens_the_gate() {
        assert_eq!(
            gate(&[("dev", &report())], false),
            Ok(json!({
                "ok": true, "deletions": [], "approvalRequired": false,
                "portals": [{ "portal": "dev", "profiles": 1, "products": 1, "configsToCreate": 15, "propertiesToCreate": 183, "linksToCreate": 1 }],
            }))
        );
    }

    #[test]
    fn each_thing_that_cannot_be_resolved_closes_the_gate() {
        for (pointer, value, expected) in [
            (
                "/profiles/0/missingConfigs",
                json!(["server.yml"]),
                "dev /profiles/0/missingConfigs: the portal does not know 1 of them: server.yml",
            ),
            (
                "/profiles/0/missingProperties",
                json!([{ "configName": "a", "propertyName": "b" }]),
                r#"{"configName":"a","propertyName":"b"}"#,
            ),
            ("/profiles/0/missingProperties", Value::Null, "does not say `missingProperties`"),
            ("/missingProducts", json!(["lps"]), "/missingProducts: the portal does not know 1"),
            ("/products/0/productVersionId", Value::Null, "/products/0/productVersionId: `lg` could not be resolved"),
            ("/products/0/profileId", json!(""), "/products/0/profileId: `lg` could not be resolved"),
            ("/products/0/hostId", json!("another"), "`lg` is not of this portal's host"),
            ("/products/0/linkToCreate", json!(false), "neither linked nor would be"),
            ("/profiles", json!(["x"]), "/profiles: holds what is no object"),
            ("/products", Value::Null, "the report has no `products`"),
            (
                "/profiles/0/detail",
                json!([{ "links": { "missingLinks": ["a"] } }]),
                "dev /profiles/0/detail/0/links/missingLinks: the portal does not know 1 of them: a",
            ),
            ("/summary", json!({ "missingHosts": 3 }), "/summary/missingHosts: the portal does not know 3"),
            ("/linksToUnlink", json!(["a"]), "the report: linksToUnlink is 1, and the request does not ask to replace"),
            ("/products/0/links", json!({ "configsToRemove": 4 }), "lg: configsToRemove is 4, and the request"),
            ("/profiles/0/configsToDelete", json!(2), "configsToDelete is 2, and the request does not ask to replace"),
        ] {
            let mut changed = report();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[key] = value;
            closed(gate(&[("dev", &changed)], false), expected);
        }
        closed(gate(&[], false), "dev: has no report of a dry run");
        closed(gate(&[("dev", &report()), ("prod", &report())], false), "prod: has a report, but");
        closed(gate(&[("dev", &report()), ("dev", &report())], false), "dev: has more than one report");
        closed(gate(&[("dev", &json!([]))], false), "the report is no JSON object");
    }

    #[test]
    fn a_report_that_says_one_thing_twice_closes_the_gate() {
        // The last value of `missingConfigs` alone would open it.
        let text = report().to_string();
        for (once, twice) in [
            (r#""missingConfigs":[]"#, r#""missingConfigs":["server.yml"],"missingConfigs":[]"#),
            (r#""linkToCreate":true"#, r#""linkToCreate":false,"linkToCreate":true"#),
            (r#""products":["#, r#""products":[],"products":["#),
        ] {
            let doubtful = text.replacen(once, twice, 1);
            assert_ne!(doubtful, text);
            let portals = json!([{ "name": "dev", "hostId": HOST, "dryRunRequired": true }]);
            let reports = json!([{ "portal": "dev", "text": doubtful }]);
            let gate = json!({ "operation": "gate", "portals": portals, "reports": reports });
            closed(Script::new().execute::<ConfigProfile>(gate), "is there twice");
        }
    }

    #[test]
    fn what_replacing_would_delete_needs_an_approval() {
        let mut changed = report();
        changed["profiles"][0]["propertiesToDelete"] = json!(["a", "b"]);
        let output = gate(&[("dev", &changed)], true).unwrap();
        assert_eq!(output["approvalRequired"], true);
        let deletion =
            json!({ "portal": "dev", "subject": "light-gateway-java-2.3.5", "what": "propertiesToDelete", "count": 2 });
        assert_eq!(output["deletions"], json!([deletion]));

        changed["profiles"][0]["propertiesToDelete"] = json!([{ "configsToDelete": ["a"], "missingConfigs": [] }]);
        let output = gate(&[("dev", &changed)], true).unwrap();
        assert_eq!(output["deletions"].as_array().unwrap().len(), 2);
        changed["profiles"][0]["propertiesToDelete"][0]["missingConfigs"] = json!(["b"]);
        closed(gate(&[("dev", &changed)], true), "/profiles/0/propertiesToDelete/0/missingConfigs");
    }
}
