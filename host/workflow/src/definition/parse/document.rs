//! `document` and `evaluate`: what the definition is, and how it is to be read.

use super::super::model::DocumentSecurity;
use super::light;
use crate::expression::{Dialect, Language};
use crate::located::Field;

pub struct Document {
    pub namespace: String,
    pub name: String,
    pub version: String,
    pub title: Option<String>,
    pub security: DocumentSecurity,
}

pub fn document(field: &Field) -> Option<Document> {
    let [dsl, namespace, name, version, title, summary, tags, metadata] =
        field.fields(["dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"])?;
    let dsl = dsl.required(dsl_version);
    let namespace = namespace.required(dns_label);
    let name = name.required(dns_label);
    let version = version.required(semantic_version);
    let title = title.optional(Field::text);
    let summary = summary.optional(Field::text);
    let tags = tags.optional(Field::members);
    let security = metadata.or(DocumentSecurity::default(), light::document);
    dsl.and(summary).and(tags)?;
    Some(Document {
        namespace: namespace?,
        name: name?,
        version: version?.to_string(),
        title: title?.map(str::to_owned),
        security: security?,
    })
}

/// Versions 1.0.0 to 1.0.3 of the specification differ in nothing that works here.
fn dsl_version(field: &Field) -> Option<()> {
    match field.text()? {
        "1.0.0" | "1.0.1" | "1.0.2" | "1.0.3" => Some(()),
        other => {
            field.error(format!("version `{other}` of the DSL is not supported"), Some("write `dsl: '1.0.3'`"));
            None
        }
    }
}

/// The form that the specification asks of names.
pub fn dns_label(field: &Field) -> Option<String> {
    let text = field.text()?;
    let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if inner && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-') {
        return Some(text.to_owned());
    }
    field.error(
        format!("`{}`: `{text}` is not a name", field.label),
        Some("use 1 to 63 letters, digits and `-`, with `-` neither first nor last"),
    );
    None
}

pub fn semantic_version(field: &Field) -> Option<semver::Version> {
    let text = field.text()?;
    let version = semver::Version::parse(text);
    if let Err(error) = &version {
        let message = format!("`{}`: `{text}` is not a semantic version: {error}", field.label);
        field.error(message, Some("write it like `1.2.3`"));
    }
    version.ok()
}

/// `evaluate`: how all other fields are read.
pub fn evaluate(field: &Field) -> Option<()> {
    let [language, mode] = field.fields(["language", "mode"])?;
    let language = language.or(Language::Jq, |field| match field.text()? {
        "jq" => Some(Language::Jq),
        "cel" => Some(Language::Cel),
        other => field.unsupported(&format!("expression language `{other}`")),
    });
    let is_loose = mode.or(false, |field| field.choice(&[("strict", false), ("loose", true)]));
    field.problems.dialect.set(Dialect { language: language?, is_loose: is_loose? });
    Some(())
}
