//! `call: http`.

use super::super::super::outbound::{HttpOutbound, Outbound};
use super::super::tasks::Context;
use super::super::values;
use super::{endpoint, mapping};
use crate::calls::HttpOutput;
use crate::expression::Template;
use crate::located::Field;

pub fn with(field: &Field, context: Context) -> Option<Outbound> {
    let [method, endpoint, headers, query, body, output, redirect] =
        field.fields(["method", "endpoint", "headers", "query", "body", "output", "redirect"])?;
    let method = method.required(self::method);
    let endpoint = endpoint.required(|field| self::endpoint(field, context));
    let headers = headers.optional(mapping);
    let query = query.optional(mapping);
    let body = body.optional(values::template);
    let output = output.or(HttpOutput::Content, self::output);
    let redirect = redirect.or(false, Field::boolean);
    Some(Outbound::Http(HttpOutbound {
        method: method?,
        endpoint: endpoint?,
        headers: headers?,
        query: query?,
        body: body?,
        output: output?,
        redirect: redirect?,
    }))
}

/// A method, in capitals or not; or an expression that gives one.
fn method(field: &Field) -> Option<Template> {
    let text = field.text_some()?;
    if values::has_expression(field.node) {
        return values::text_template(field);
    }
    if text.eq_ignore_ascii_case("connect") || text.eq_ignore_ascii_case("trace") {
        field.error(format!("`{}`: `{text}` is not a method that a call may use", field.label), None);
        return None;
    }
    if !text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
        field.error(format!("`{}`: `{text}` is no HTTP method", field.label), Some("write `get`, `post`, `put`, …"));
        return None;
    }
    values::text_template(field)
}

pub fn output(field: &Field) -> Option<HttpOutput> {
    field.choice(&[("raw", HttpOutput::Raw), ("content", HttpOutput::Content), ("response", HttpOutput::Response)])
}
