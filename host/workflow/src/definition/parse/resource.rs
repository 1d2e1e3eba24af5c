//! External resources: documents that a definition names and that do not stand in it.

use std::rc::Rc;

use serde_json::Value;

use super::values;
use crate::documents::{DocumentName, Found};
use crate::expression::Template;
use crate::located::{Field, NodeValue};

/// A document, and its text as it was fetched.
pub struct Document {
    pub name: DocumentName,
    pub text: Rc<str>,
}

/// `{ name, endpoint }`, where the endpoint is a path below the folder of the
/// definition or a URL: the same for every run, so neither computed nor secret.
pub fn document(field: &Field) -> Option<Document> {
    let [name, endpoint] = field.fields(["name", "endpoint"])?;
    let name = name.optional(Field::text_some);
    let document = reference(&endpoint.required_field()?).and_then(|(field, reference)| at(&field, &reference));
    name?;
    document
}

/// The text of an endpoint and the field that holds it.
pub fn reference<'a>(endpoint: &Field<'a>) -> Option<(Field<'a>, String)> {
    let field = match &endpoint.node.value {
        NodeValue::Map(_) => {
            let [uri, authentication] = endpoint.fields(["uri", "authentication"])?;
            if let Some(authentication) = authentication.given() {
                let help = "put the document below the folder of the definition";
                authentication.error("a document is fetched without a credential", Some(help));
                return None;
            }
            uri.required_field()?
        }
        _ => endpoint.clone(),
    };
    let text = field.text_some()?.trim();
    if values::has_expression(field.node) || text.contains(['{', '}']) {
        let help = "write out its path or its URL: it is fetched before there is an instance";
        field.error(format!("`{}`: the name of a document is not computed", field.label), Some(help));
        return None;
    }
    let text = text.to_owned();
    Some((field, text))
}

/// The document that `reference` names, which stands in `field`.
pub fn at(field: &Field, reference: &str) -> Option<Document> {
    match field.problems.shelf.look_up(reference) {
        Found::Text(name, text) => Some(Document { name, text }),
        Found::Missing(why) => {
            field.error(format!("`{}`: there is no document `{reference}`: {why}", field.label), None);
            None
        }
    }
}

/// `schema.resource`: a JSON schema in JSON or YAML.
pub fn schema(field: &Field) -> Option<Value> {
    let Document { name, text } = document(field)?;
    let (node, problems) = field.problems.shelf.read(&name, &text, field.problems);
    let schema = node.as_ref().and_then(|node| values::schema_of(&Field::root(node, &problems).called("schema")));
    field.problems.take_in(problems);
    schema
}

/// `script.source`: the program as it is. Nothing in it is an expression.
pub fn code(field: &Field) -> Option<Template> {
    let document = document(field)?;
    Some(Template::literal(Value::from(document.text.as_ref())))
}
