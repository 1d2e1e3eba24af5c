//! Rules for manifests, beyond what their types say.

use std::collections::{BTreeMap, BTreeSet};

use light_workflow_sdk::{Level, PureHost, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::manifest::{Config, Manifest, MappingPolicy, Product, Properties, Removal, RuntimeFamily, parse};
use crate::{Finding, Findings, hold};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validate {
    /// Every manifest that the request selects.
    manifests: Vec<ManifestFile>,
    /// Product to the version that is released; a manifest that says another one is wrong.
    #[serde(default)]
    products: BTreeMap<String, String>,
    /// `PRODUCT|CONTRACT VERSION` of profiles that are in no selected manifest and known to exist.
    #[serde(default)]
    known_profiles: BTreeSet<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    /// In the manifests' repository.
    path: String,
    /// What the file holds, as it is.
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Validated {
    ok: bool,
    manifests: Vec<Summary>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Summary {
    path: String,
    runtime_family: RuntimeFamily,
    /// `PRODUCT|CONTRACT VERSION`
    profiles: Vec<String>,
    configs: usize,
    /// `PRODUCT|VERSION`
    products: Vec<String>,
}

impl Validate {
    pub fn execute(&self, host: &mut impl PureHost) -> Result<Validated, StepError> {
        if self.manifests.is_empty() {
            return Err(StepError::InvalidInput("`manifests` is empty: there is nothing to validate".to_owned()));
        }
        let mut findings: Vec<Finding> = Vec::new();
        let mut read: Vec<(&str, Manifest)> = Vec::new();
        for file in &self.manifests {
            match parse(&file.text) {
                Ok(manifest) => read.push((&file.path, manifest)),
                Err((place, problem)) => findings.push(Finding { subject: file.path.clone(), place, problem }),
            }
        }
        let known = self.profiles_of(&read);
        for (path, manifest) in &read {
            let mut of_file = Findings::of(path);
            self.check(&mut of_file, manifest, &known);
            findings.extend(of_file.all);
        }
        findings.extend(unique_across(&read));
        findings.extend(self.missing_products(&read));
        hold(host, "the config profile manifests are not in order", &findings)?;
        host.log(Level::Info, &format!("{} config profile manifests are in order", read.len()));
        Ok(Validated { ok: true, manifests: read.iter().map(|(path, manifest)| summary(path, manifest)).collect() })
    }

    /// Profiles that a product may refer to, with their family.
    fn profiles_of(&self, read: &[(&str, Manifest)]) -> BTreeSet<(RuntimeFamily, String)> {
        let selected = read.iter().flat_map(|(_, manifest)| {
            manifest.profiles.iter().map(|profile| {
                (manifest.runtime_family, format!("{}|{}", profile.product_id, profile.contract_version))
            })
        });
        let given = self.known_profiles.iter();
        let given =
            given.flat_map(|name| [RuntimeFamily::Java, RuntimeFamily::Rust].map(|family| (family, name.clone())));
        selected.chain(given).collect()
    }

    fn check(&self, findings: &mut Findings<'_>, manifest: &Manifest, known: &BTreeSet<(RuntimeFamily, String)>) {
        path(findings, manifest);
        match (manifest.runtime_family, &manifest.light4j_version) {
            (RuntimeFamily::Java, None) => {
                findings.add("/light4jVersion", "a Java manifest says the framework's version")
            }
            (RuntimeFamily::Java, Some(version)) => name(findings, "/light4jVersion", version, 32),
            (RuntimeFamily::Rust, Some(_)) => {
                findings.add("/light4jVersion", "a Rust manifest has no light-4j version")
            }
            (RuntimeFamily::Rust, None) => {}
        }
        if manifest.profiles.is_empty() && manifest.products.is_empty() {
            findings.add("", "it has neither profiles nor products");
        }
        for (at, profile) in manifest.profiles.iter().enumerate() {
            let place = format!("/profiles/{at}");
            name(findings, &format!("{place}/profileName"), &profile.profile_name, 255);
            name(findings, &format!("{place}/productId"), &profile.product_id, PRODUCT_ID_MAX);
            name(findings, &format!("{place}/contractVersion"), &profile.contract_version, 64);
            if profile.configs.is_empty() {
                findings.add(format!("{place}/configs"), "a profile without configs maps nothing");
            }
            configs(findings, &format!("{place}/configs"), &profile.configs);
        }
        for (at, product) in manifest.products.iter().enumerate() {
            let place = format!("/products/{at}");
            name(findings, &format!("{place}/productId"), &product.product_id, PRODUCT_ID_MAX);
            name(findings, &format!("{place}/productVersion"), &product.product_version, PRODUCT_VERSION_MAX);
            origin(findings, &place, product, manifest.runtime_family, known);
            configs(findings, &format!("{place}/add"), &product.add);
            removals(findings, &format!("{place}/remove"), &product.remove);
            if let Some(released) = self.products.get(&product.product_id).filter(|v| **v != product.product_version) {
                let problem = format!("is `{}`, but the release says `{released}`", product.product_version);
                findings.add(format!("{place}/productVersion"), problem);
            }
        }
    }

    /// A released product that no manifest speaks of.
    fn missing_products(&self, read: &[(&str, Manifest)]) -> Vec<Finding> {
        let said = |product: &str| read.iter().any(|(_, m)| m.products.iter().any(|p| p.product_id == product));
        let missing = self.products.keys().filter(|product| !said(product));
        let problem = || "is released, and no selected manifest has it".to_owned();
        missing
            .map(|product| Finding { subject: format!("product {product}"), place: String::new(), problem: problem() })
            .collect()
    }
}

/// The portal's columns: `product_id` has 8 characters, `product_version` 12.
const PRODUCT_ID_MAX: usize = 8;
const PRODUCT_VERSION_MAX: usize = 12;

/// `java/lg/2.3.5/manifest.json`, or `java/light-gateway/2.3.5.json`.
fn path(findings: &mut Findings<'_>, manifest: &Manifest) {
    let subject = findings.subject;
    let parts: Vec<_> = subject.split('/').collect();
    let (family, product, version) = match parts.as_slice() {
        [family, product, version, "manifest.json"] => (*family, Some(*product), *version),
        [family, _, file] if file.ends_with(".json") => (*family, None, file.trim_end_matches(".json")),
        _ => {
            return findings
                .add("", "lies neither at FAMILY/PRODUCT/VERSION/manifest.json nor at FAMILY/PRODUCT/VERSION.json");
        }
    };
    if family != manifest.runtime_family.name() {
        findings.add(
            "/runtimeFamily",
            format!("is `{}`, but the file lies below `{family}`", manifest.runtime_family.name()),
        );
    }
    let is_it = |p: &Product| p.product_version == version && product.is_none_or(|product| product == p.product_id);
    if !manifest.products.is_empty() && !manifest.products.iter().any(is_it) {
        let product = product.map_or_else(String::new, |product| format!(" of `{product}`"));
        findings.add("/products", format!("has no version `{version}`{product}, which the path names"));
    }
}

/// A name that goes into a column of the portal, and holds nothing of a tenant.
fn name(findings: &mut Findings<'_>, place: &str, text: &str, characters_max: usize) {
    let count = text.chars().count();
    if text.is_empty() {
        findings.add(place, "is empty");
    } else if count > characters_max {
        findings.add(place, format!("has {count} characters; the portal keeps {characters_max}"));
    } else if text.chars().any(|c| c.is_control() || c == '|') {
        findings.add(place, "holds a control character or `|`, which separates the parts of a reference");
    } else if is_uuid(text) {
        findings.add(place, "is an identifier of a tenant; names alone are portable");
    }
}

pub fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &&str| part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(hex)
}

/// `server` and `server.yml` name one config.
fn config_key(name: &str) -> &str {
    name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")).unwrap_or(name)
}

fn configs(findings: &mut Findings<'_>, place: &str, configs: &[Config]) {
    let mut seen = BTreeSet::new();
    for (at, config) in configs.iter().enumerate() {
        let place = format!("{place}/{at}");
        name(findings, &format!("{place}/configName"), &config.config_name, 128);
        if !seen.insert(config_key(&config.config_name)) {
            findings.add(format!("{place}/configName"), format!("`{}` is named twice", config.config_name));
        }
        match &config.properties {
            Properties::All(_) => {}
            Properties::Named(names) => properties(findings, &format!("{place}/properties"), names),
        }
    }
}

fn properties(findings: &mut Findings<'_>, place: &str, names: &[String]) {
    if names.is_empty() {
        return findings.add(place, "is empty; `\"*\"` means all properties");
    }
    let mut seen = BTreeSet::new();
    for (at, property) in names.iter().enumerate() {
        name(findings, &format!("{place}/{at}"), property, 128);
        if !seen.insert(property) {
            findings.add(format!("{place}/{at}"), format!("`{property}` is named twice"));
        }
    }
}

fn removals(findings: &mut Findings<'_>, place: &str, removals: &[Removal]) {
    for (at, removal) in removals.iter().enumerate() {
        name(findings, &format!("{place}/{at}/configName"), &removal.config_name, 128);
        if let Some(names) = &removal.properties {
            properties(findings, &format!("{place}/{at}/properties"), names);
        }
    }
}

/// Where a product's profile comes from: one way, and one that its flags allow.
fn origin(
    findings: &mut Findings<'_>,
    place: &str,
    product: &Product,
    family: RuntimeFamily,
    known: &BTreeSet<(RuntimeFamily, String)>,
) {
    let changes = !product.add.is_empty() || !product.remove.is_empty();
    match (&product.config_profile_ref, &product.inherit_from) {
        (Some(_), Some(_)) => findings.add(place, "has both `configProfileRef` and `inheritFrom`"),
        (None, None) => findings.add(place, "has neither `configProfileRef` nor `inheritFrom`: no profile is linked"),
        (Some(reference), None) => {
            if !known.contains(&(family, reference.clone())) {
                let problem = format!("`{reference}` is no {} profile of the selected manifests", family.name());
                findings.add(format!("{place}/configProfileRef"), problem);
            }
            if changes {
                findings.add(place, "has `add` or `remove` without `inheritFrom`; change the profile instead");
            }
        }
        (None, Some(inherit)) => {
            let from = format!("{place}/inheritFrom/productVersion");
            name(findings, &from, &inherit.product_version, PRODUCT_VERSION_MAX);
            if inherit.product_version == product.product_version {
                findings.add(from, "a version cannot inherit from itself");
            }
        }
    }
    if product.break_config == Some(true) && product.config_profile_ref.is_none() {
        findings.add(format!("{place}/breakConfig"), "a break needs an explicit profile: `configProfileRef`");
    }
    if product.config_changed == Some(true) && product.config_profile_ref.is_none() && !changes {
        findings.add(format!("{place}/configChanged"), "a change needs `configProfileRef`, `add` or `remove`");
    }
    if product.config_changed == Some(false) && (product.inherit_from.is_none() || changes) {
        findings.add(format!("{place}/configChanged"), "without a change the profile is inherited as it is");
    }
    match product.config_mapping_policy {
        Some(MappingPolicy::InheritProfileFromPrevious) if product.inherit_from.is_none() => {
            findings.add(format!("{place}/configMappingPolicy"), "needs `inheritFrom`");
        }
        Some(MappingPolicy::InheritProfileFromPrevious) | None => {}
    }
}

/// What must be there once among all selected manifests.
fn unique_across(read: &[(&str, Manifest)]) -> Vec<Finding> {
    let mut first: BTreeMap<(RuntimeFamily, &str, String), &str> = BTreeMap::new();
    let mut twice = Vec::new();
    for (path, manifest) in read {
        let profiles = manifest.profiles.iter().enumerate().flat_map(|(at, profile)| {
            let key = format!("{}|{}", profile.product_id, profile.contract_version);
            [("profile", key, at), ("profile name", profile.profile_name.clone(), at)]
        });
        let products = manifest.products.iter().enumerate();
        let products = products.map(|(at, p)| ("product", format!("{}|{}", p.product_id, p.product_version), at));
        for (what, key, at) in profiles.chain(products) {
            let folder = if what == "product" { "products" } else { "profiles" };
            let problem = format!("{what} `{key}` is there twice");
            match first.get(&(manifest.runtime_family, what, key.clone())) {
                None => {
                    first.insert((manifest.runtime_family, what, key), path);
                }
                Some(other) => twice.push(Finding {
                    subject: (*path).to_owned(),
                    place: format!("/{folder}/{at}"),
                    problem: format!("{problem}, first in {other}"),
                }),
            }
        }
    }
    twice
}

fn summary(path: &str, manifest: &Manifest) -> Summary {
    let profiles = manifest.profiles.iter();
    let products = manifest.products.iter();
    Summary {
        path: path.to_owned(),
        runtime_family: manifest.runtime_family,
        configs: manifest.profiles.iter().map(|profile| profile.configs.len()).sum(),
        profiles: profiles.map(|profile| format!("{}|{}", profile.product_id, profile.contract_version)).collect(),
        products: products.map(|product| format!("{}|{}", product.product_id, product.product_version)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::Script;
    use serde_json::{Value, json};

    use super::*;
    use crate::ConfigProfile;

    fn gateway() -> Value {
        json!({
            "runtimeFamily": "java",
            "light4jVersion": "2.3.5",
            "profiles": [{
                "profileName": "light-gateway-java-2.3.5", "productId": "lg", "contractVersion": "2.3.5",
                "configs": [
                    { "configName": "server.yml", "properties": "*" },
                    { "configName": "handler.yml", "properties": ["enabled", "path"] },
                ],
            }],
            "products": [{ "productId": "lg", "productVersion": "2.3.5", "configProfileRef": "lg|2.3.5" }],
        })
    }

    fn inherited() -> Value {
        json!({ "runtimeFamily": "java", "light4jVersion": "2.3.5", "products": [{
            "productId": "api", "productVersion": "1.0.2", "inheritFrom": { "productVersion": "1.0.1" },
            "remove": [{ "configName": "old-config" }],
            "add": [{ "configName": "new-config", "properties": ["enabled", "endpoint"] }],
        }] })
    }

    fn run(manifests: &[(&str, &Value)], products: Value) -> Result<Value, StepError> {
        let manifests: Vec<_> =
            manifests.iter().map(|(path, value)| json!({ "path": path, "text": value.to_string() })).collect();
        let input = json!({ "operation": "validate", "manifests": manifests, "products": products });
        Script::new().execute::<ConfigProfile>(input)
    }

    const PATH: &str = "java/light-gateway/2.3.5.json";

    fn refused(manifest: &Value) -> String {
        match run(&[(PATH, manifest)], json!({})) {
            Err(StepError::NeedsHuman(text)) => text,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn the_manifests_of_the_portals_design_are_in_order() {
        let output = run(
            &[("java/lg/2.3.5/manifest.json", &gateway()), ("java/api/1.0.2/manifest.json", &inherited())],
            json!({ "lg": "2.3.5" }),
        );
        assert_eq!(
            output,
            Ok(json!({ "ok": true, "manifests": [
                { "path": "java/lg/2.3.5/manifest.json", "runtimeFamily": "java", "profiles": ["lg|2.3.5"], "configs": 2, "products": ["lg|2.3.5"] },
                { "path": "java/api/1.0.2/manifest.json", "runtimeFamily": "java", "profiles": [], "configs": 0, "products": ["api|1.0.2"] },
            ] }))
        );
    }

    /// A change to the good manifest, and what is said of it.
    const WRONG: [(&str, &str, &str); 16] = [
        ("/light4jVersion", "null", "/light4jVersion: a Java manifest says the framework's version"),
        ("/runtimeFamily", "\"rust\"", "/runtimeFamily: is `rust`, but the file lies below `java`"),
        ("/profiles/0/productId", "\"light-gateway\"", "/profiles/0/productId: has 13 characters; the portal keeps 8"),
        ("/profiles/0/profileName", "\"\"", "/profiles/0/profileName: is empty"),
        ("/profiles/0/profileName", "\"a|b\"", "holds a control character or `|`"),
        ("/profiles/0/profileName", "\"01964b05-552a-7c4b-9184-6857e7f3dc5f\"", "is an identifier of a tenant"),
        ("/profiles/0/configs", "[]", "/profiles/0/configs: a profile without configs maps nothing"),
        ("/profiles/0/configs/1/configName", "\"server\"", "/profiles/0/configs/1/configName: `server` is named twice"),
        ("/profiles/0/configs/1/properties", "[]", "/profiles/0/configs/1/properties: is empty"),
        (
            "/profiles/0/configs/1/properties",
            "[\"a\", \"a\"]",
            "/profiles/0/configs/1/properties/1: `a` is named twice",
        ),
        ("/products/0/configProfileRef", "\"lg|2.3.6\"", "`lg|2.3.6` is no java profile of the selected manifests"),
        ("/products/0/configProfileRef", "null", "has neither `configProfileRef` nor `inheritFrom`"),
        ("/products/0/inheritFrom", "{\"productVersion\": \"2.3.4\"}", "has both `configProfileRef` and `inheritFrom`"),
        ("/products/0/configChanged", "false", "/products/0/configChanged: without a change the profile is inherited"),
        (
            "/products/0/configMappingPolicy",
            "\"inheritProfileFromPrevious\"",
            "/configMappingPolicy: needs `inheritFrom`",
        ),
        ("/products/0/productVersion", "\"2.3.4\"", "/products: has no version `2.3.5`, which the path names"),
    ];

    #[test]
    fn each_rule_is_told_with_its_place() {
        for (pointer, value, expected) in WRONG {
            let mut manifest = gateway();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let value: Value = serde_json::from_str(value).unwrap();
            match manifest.pointer_mut(parent).unwrap() {
                Value::Object(fields) => fields.insert(key.to_owned(), value),
                other => panic!("{parent} is {other}"),
            };
            let text = refused(&manifest);
            assert!(text.contains(expected), "{expected} is not in {text}");
            assert!(text.contains(PATH), "{text}");
        }
    }

    #[test]
    fn a_break_needs_a_profile_and_a_change_needs_its_words() {
        let mut manifest = inherited();
        let product = &mut manifest["products"][0];
        product["breakConfig"] = json!(true);
        product["inheritFrom"]["productVersion"] = json!("1.0.2");
        let text = refused(&manifest);
        assert!(text.contains("/products/0/breakConfig: a break needs an explicit profile"), "{text}");
        assert!(text.contains("a version cannot inherit from itself"), "{text}");
    }

    #[test]
    fn every_manifest_is_checked_and_what_is_there_twice_is_told() {
        let broken = json!({ "runtimeFamily": "java", "hostId": "x" });
        let result = run(
            &[(PATH, &gateway()), ("java/lg/2.3.5/manifest.json", &gateway()), ("java/x/1/manifest.json", &broken)],
            json!({ "lps": "1.0.0", "lg": "9.9.9" }),
        );
        let Err(StepError::NeedsHuman(text)) = result else { panic!("{result:?}") };
        for expected in [
            "java/x/1/manifest.json line 1 column 32: unknown field `hostId`",
            "java/lg/2.3.5/manifest.json /profiles/0: profile `lg|2.3.5` is there twice, first in java/light-gateway/2.3.5.json",
            "/products/0: product `lg|2.3.5` is there twice",
            "product lps: is released, and no selected manifest has it",
            "/products/0/productVersion: is `2.3.5`, but the release says `9.9.9`",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }

    #[test]
    fn nothing_to_validate_is_no_success() {
        assert!(matches!(run(&[], json!({})), Err(StepError::InvalidInput(_))));
    }
}
