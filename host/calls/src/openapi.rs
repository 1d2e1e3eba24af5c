//! `call: openapi`: an operation of an OpenAPI 3 or Swagger 2 document as an HTTP call.

use hyper::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use url::Url;
use workflow::calls::{CallEndpoint, HttpCall, OpenApiCall};

use crate::content::{FORM, JSON};
use crate::http;
use crate::session::{Failure, Session, configuration};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

pub(crate) async fn call(session: &Session<'_>, call: &OpenApiCall) -> Result<Value, Failure> {
    let (document, url) = session.document(&call.document).await?;
    let operation = Operation::find(&document, &call.operation_id)?;
    let http = operation.request(call, url.as_ref())?;
    http::call(session, &http).await
}

/// An operation and what is around it.
struct Operation<'d> {
    document: &'d Value,
    path: &'d str,
    method: &'d str,
    item: &'d Value,
    operation: &'d Value,
    id: &'d str,
}

/// Parts of a request as they come together.
#[derive(Default)]
struct Parts {
    path: Map<String, Value>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
    form: Map<String, Value>,
    body: Option<Value>,
}

impl<'d> Operation<'d> {
    fn find(document: &'d Value, id: &'d str) -> Result<Self, Failure> {
        let is_known = document["swagger"].as_str().is_some_and(|version| version.starts_with("2."))
            || document["openapi"].as_str().is_some_and(|version| version.starts_with("3."));
        if !is_known {
            return Err(configuration("the document is neither OpenAPI 3 nor Swagger 2"));
        }
        let items = document["paths"].as_object().into_iter().flatten();
        let all = items.flat_map(|(path, item)| {
            METHODS.into_iter().filter_map(move |method| Some((path, item, method, item.get(method)?)))
        });
        let mut known = Vec::new();
        for (path, item, method, operation) in all {
            match operation["operationId"].as_str() {
                Some(found) if found == id => return Ok(Self { document, path, method, item, operation, id }),
                Some(other) => known.push(other),
                None => {}
            }
        }
        known.truncate(20);
        Err(configuration(format!("the document has no operation `{id}`; it has {}", known.join(", "))))
    }

    fn resolve(&self, value: &'d Value) -> Result<&'d Value, Failure> {
        resolve(self.document, value)
    }

    /// Those of the path, unless the operation has one of the same name and place.
    fn parameters(&self) -> Result<Vec<&'d Value>, Failure> {
        let list = |value: &'d Value| value["parameters"].as_array().into_iter().flatten();
        let mut parameters: Vec<&Value> = Vec::new();
        for parameter in list(self.operation).chain(list(self.item)) {
            let parameter = self.resolve(parameter)?;
            let same = |other: &&Value| other["name"] == parameter["name"] && other["in"] == parameter["in"];
            if !parameters.iter().any(same) {
                parameters.push(parameter);
            }
        }
        Ok(parameters)
    }

    fn request(&self, call: &OpenApiCall, url: Option<&Url>) -> Result<HttpCall, Failure> {
        let mut given = call.parameters.clone();
        let mut parts = Parts::default();
        for parameter in self.parameters()? {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = given.remove(name).or_else(|| self.default_of(parameter));
            let required = parameter["required"].as_bool() == Some(true);
            match value {
                Some(value) if !value.is_null() => parts.add(name, parameter, value)?,
                Some(_) | None if required => {
                    return Err(configuration(format!("operation `{}` needs the parameter `{name}`", self.id)));
                }
                Some(_) | None => {}
            }
        }
        let has_body = self.operation.get("requestBody").map(|body| self.resolve(body)).transpose()?;
        if let Some(body) = has_body {
            match given.remove("body") {
                Some(value) => {
                    let types = body["content"].as_object();
                    let knows = |name: &str| types.is_some_and(|types| types.contains_key(name));
                    if knows(FORM) && !knows(JSON) {
                        parts.headers.push((CONTENT_TYPE.as_str().to_owned(), FORM.to_owned()));
                    }
                    parts.body = Some(value);
                }
                None if body["required"].as_bool() == Some(true) => {
                    return Err(configuration(format!("operation `{}` needs the parameter `body`", self.id)));
                }
                None => {}
            }
        }
        if let Some((unknown, _)) = given.iter().next() {
            return Err(configuration(format!("operation `{}` has no parameter `{unknown}`", self.id)));
        }
        if !parts.form.is_empty() {
            parts.headers.push((CONTENT_TYPE.as_str().to_owned(), FORM.to_owned()));
            parts.body = Some(Value::Object(std::mem::take(&mut parts.form)));
        }
        if !parts.cookies.is_empty() {
            parts.headers.push(("cookie".to_owned(), parts.cookies.join("; ")));
        }
        let base = self.base(url)?;
        let uri = format!("{}{}", base.trim_end_matches('/'), fill(self.path, &parts.path)?);
        Ok(HttpCall {
            method: self.method.to_ascii_uppercase(),
            endpoint: CallEndpoint { uri, authentication: call.authentication.clone() },
            headers: parts.headers,
            query: parts.query,
            body: parts.body,
            output: call.output,
            redirect: call.redirect,
        })
    }

    fn default_of(&self, parameter: &Value) -> Option<Value> {
        // A default is what the server assumes; only a required one must be sent.
        let required = parameter["required"].as_bool() == Some(true);
        let default = parameter.get("default").or_else(|| parameter["schema"].get("default"));
        default.filter(|_| required).cloned()
    }

    /// The URL that paths begin with.
    fn base(&self, url: Option<&Url>) -> Result<String, Failure> {
        let nowhere = || configuration("the document does not say where its server is");
        if self.document.get("swagger").is_some() {
            let schemes = self.operation.get("schemes").or_else(|| self.document.get("schemes"));
            let names: Vec<&str> =
                schemes.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            let scheme = match (names.contains(&"https"), names.contains(&"http"), url) {
                (true, _, _) => "https",
                (false, true, _) => "http",
                (false, false, Some(url)) => url.scheme(),
                (false, false, None) => "https",
            };
            let own = url.map(|url| url[url::Position::BeforeHost..url::Position::AfterPort].to_owned());
            let host = self.document["host"].as_str().map(str::to_owned).or(own).ok_or_else(nowhere)?;
            return Ok(format!("{scheme}://{host}{}", self.document["basePath"].as_str().unwrap_or_default()));
        }
        let servers =
            [self.operation, self.item, self.document].into_iter().find_map(|around| around["servers"].get(0));
        let default = json!({ "url": "/" });
        let server = servers.unwrap_or(&default);
        let mut text = server["url"].as_str().unwrap_or("/").to_owned();
        for (name, variable) in server["variables"].as_object().into_iter().flatten() {
            text = text.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
        }
        match (Url::parse(&text), url) {
            (Ok(_), _) => Ok(text),
            (Err(_), Some(url)) => url.join(&text).map(String::from).map_err(|_| nowhere()),
            (Err(_), None) => Err(nowhere()),
        }
    }
}

impl Parts {
    fn add(&mut self, name: &str, parameter: &Value, value: Value) -> Result<(), Failure> {
        let wrong = || configuration(format!("parameter `{name}` cannot be sent as `{}`", parameter["in"]));
        match parameter["in"].as_str().unwrap_or_default() {
            "path" => drop(self.path.insert(name.to_owned(), joined(&value, ",").ok_or_else(wrong)?.into())),
            "query" => self.query.extend(query(name, parameter, &value).ok_or_else(wrong)?),
            "header" => self.headers.push((name.to_owned(), joined(&value, ",").ok_or_else(wrong)?)),
            "cookie" => self.cookies.push(format!("{name}={}", joined(&value, ",").ok_or_else(wrong)?)),
            "formData" => drop(self.form.insert(name.to_owned(), joined(&value, ",").ok_or_else(wrong)?.into())),
            "body" => self.body = Some(value),
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

/// Follows references within a document.
pub(crate) fn resolve<'d>(document: &'d Value, mut value: &'d Value) -> Result<&'d Value, Failure> {
    const REFERENCES_MAX: usize = 16;
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        value = target
            .ok_or_else(|| configuration(format!("the document refers to `{reference}`, which it does not hold")))?;
    }
    Err(configuration("the document's references go in a circle"))
}

/// `style` and `explode` of OpenAPI 3, or `collectionFormat` of Swagger 2.
fn query(name: &str, parameter: &Value, value: &Value) -> Option<Vec<(String, String)>> {
    let one = |text: String| vec![(name.to_owned(), text)];
    let format = parameter["collectionFormat"].as_str();
    let style = parameter["style"].as_str().unwrap_or("form");
    let explode = parameter["explode"].as_bool().unwrap_or(style == "form" || style == "deepObject");
    let is_swagger = parameter.get("schema").is_none() && parameter.get("content").is_none();
    Some(match value {
        Value::Array(items) if (is_swagger && format == Some("multi")) || (!is_swagger && explode) => {
            items.iter().map(|item| Some((name.to_owned(), joined(item, ",")?))).collect::<Option<_>>()?
        }
        Value::Array(_) => {
            let separator = match (is_swagger, format, style) {
                (true, Some("ssv"), _) | (false, _, "spaceDelimited") => " ",
                (true, Some("pipes"), _) | (false, _, "pipeDelimited") => "|",
                (true, Some("tsv"), _) => "\t",
                _ => ",",
            };
            one(joined(value, separator)?)
        }
        Value::Object(members) if explode => {
            let named = |key: &str| if style == "deepObject" { format!("{name}[{key}]") } else { key.to_owned() };
            members.iter().map(|(key, value)| Some((named(key), joined(value, ",")?))).collect::<Option<_>>()?
        }
        other => one(joined(other, ",")?),
    })
}

/// A scalar, a list of them, or `key,value,…` of a mapping.
fn joined(value: &Value, separator: &str) -> Option<String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(items) => Some(items.iter().map(scalar).collect::<Option<Vec<_>>>()?.join(separator)),
        Value::Object(members) => {
            let pairs = members.iter().map(|(key, value)| Some(format!("{key}{separator}{}", scalar(value)?)));
            Some(pairs.collect::<Option<Vec<_>>>()?.join(separator))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => scalar(value),
    }
}

/// The path with its parameters percent-encoded, so that none adds a segment.
fn fill(path: &str, parameters: &Map<String, Value>) -> Result<String, Failure> {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after
            .split_once('}')
            .ok_or_else(|| configuration(format!("the document's path `{path}` is no template")))?;
        let value = parameters.get(name).and_then(Value::as_str);
        let value = value.ok_or_else(|| configuration(format!("the path `{path}` needs the parameter `{name}`")))?;
        filled.push_str(before);
        filled.push_str(&percent_encoded(value));
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A text as one segment of a path.
pub(crate) fn percent_encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
