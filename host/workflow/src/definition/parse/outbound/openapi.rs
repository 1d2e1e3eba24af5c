//! `call: openapi`.

use serde_json::json;

use super::super::super::outbound::{OpenApiOutbound, Outbound};
use super::super::tasks::Context;
use super::super::values;
use super::{authentication, http, parameters, resource};
use crate::calls::HttpOutput;
use crate::expression::Template;
use crate::located::Field;

pub fn with(field: &Field, context: Context) -> Option<Outbound> {
    let [document, operation_id, parameters, authentication, output, redirect] =
        field.fields(["document", "operationId", "parameters", "authentication", "output", "redirect"])?;
    let document = document.required(|field| resource(field, context));
    let operation_id = operation_id.required(values::text_template);
    let parameters = parameters.or(Template::literal(json!({})), self::parameters);
    let authentication = authentication.optional(|field| self::authentication(field, context));
    let output = output.or(HttpOutput::Content, http::output);
    let redirect = redirect.or(false, Field::boolean);
    Some(Outbound::OpenApi(OpenApiOutbound {
        document: document?,
        operation_id: operation_id?,
        parameters: parameters?,
        authentication: authentication?,
        output: output?,
        redirect: redirect?,
    }))
}
