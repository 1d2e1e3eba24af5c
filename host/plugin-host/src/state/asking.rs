//! The host functions that reach past the release: models, MCP tools, requests.

use serde_json::Value;
use workflow::{ArtifactUri, HttpOrigin, McpTool, ModelName};

use super::{Answer, CallSite, State};
use crate::bindings::{http, mcp, model, types};
use crate::host_calls::{HttpRequest, ModelQuestion};
use crate::interface::Interface;

/// More would be a way to carry data out, not a way to ask.
const HEADERS_MAX: usize = 32;
const URL_BYTES_MAX: usize = 4 << 10;

/// Those of the connection and of a person's session: never the plugin's to say.
const HOST_HEADERS: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl model::Host for State {
    async fn ask(&mut self, question: model::Question) -> Answer<model::Answer> {
        let site = self.begin().await?;
        let name = question.model.clone();
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::Model, &name, reason).await;
        }
        let was_allowed = match self.restored(site, Interface::Model, &name)? {
            Ok(was_allowed) => was_allowed,
            Err(denied) => return Ok(Err(denied)),
        };
        let grant = self.grants.model.clone();
        let model = ModelName::new(name.as_str()).ok();
        let granted =
            model.filter(|model| was_allowed || grant.as_ref().is_some_and(|grant| grant.models.contains(model)));
        let (Some(model), Some(grant)) = (granted, grant) else {
            let reason = "the model is not in `model.models` of the task's grants".to_owned();
            return self.deny(site, Interface::Model, &name, reason).await;
        };
        let mut evidence = Vec::with_capacity(question.evidence.len());
        for text in &question.evidence {
            match self.readable(site, text).await? {
                Ok(uri) => evidence.push(uri),
                Err(error) => return Ok(Err(error)),
            }
        }
        let answer_schema = match serde_json::from_str(&question.answer_schema) {
            Ok(schema @ (Value::Object(_) | Value::Bool(_))) => schema,
            Ok(_) => return Ok(Err(types::CallError::Invalid("the answer's schema is not a JSON schema".to_owned()))),
            Err(error) => {
                return Ok(Err(types::CallError::Invalid(format!("the answer's schema is not JSON: {error}"))));
            }
        };
        if self.used.questions >= grant.questions_max {
            let text =
                format!("this call asked {} questions, as many as `model.questions-max` grants", self.used.questions);
            return Ok(Err(types::CallError::Quota(text)));
        }
        let left = grant.answer_tokens_max.saturating_sub(self.used.answer_tokens);
        if u64::from(question.answer_tokens_max) > left {
            let text = format!(
                "an answer of {} tokens is asked for; `model.answer-tokens-max` leaves {left}",
                question.answer_tokens_max
            );
            return Ok(Err(types::CallError::Quota(text)));
        }
        self.used.questions += 1;
        let asked = ModelQuestion {
            model,
            prompt: question.prompt,
            evidence,
            answer_schema,
            answer_tokens_max: question.answer_tokens_max,
        };
        let answer = ask!(self, ask_model(site, asked))?;
        if let Ok(answer) = &answer {
            self.used.answer_tokens += u64::from(answer.answer_tokens);
        }
        Ok(answer.map(Into::into))
    }
}

impl mcp::Host for State {
    async fn call_tool(&mut self, server: String, tool: String, arguments: String) -> Answer<mcp::ToolAnswer> {
        let site = self.begin().await?;
        let subject = format!("{server}/{tool}");
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::Mcp, &subject, reason).await;
        }
        let was_allowed = match self.restored(site, Interface::Mcp, &subject)? {
            Ok(was_allowed) => was_allowed,
            Err(denied) => return Ok(Err(denied)),
        };
        let grant = self.grants.mcp.clone();
        let named = McpTool::new(subject.as_str()).ok().filter(|named| named.server() == server);
        let granted =
            named.filter(|named| was_allowed || grant.as_ref().is_some_and(|grant| grant.tools.contains(named)));
        let (Some(named), Some(grant)) = (granted, grant) else {
            let reason = "the tool is not in `mcp.tools` of the task's grants".to_owned();
            return self.deny(site, Interface::Mcp, &subject, reason).await;
        };
        if self.used.tool_calls >= grant.calls_max {
            let text = format!("this call used {} tools, as many as `mcp.calls-max` grants", self.used.tool_calls);
            return Ok(Err(types::CallError::Quota(text)));
        }
        let arguments: Value = match serde_json::from_str(&arguments) {
            Ok(Value::Object(arguments)) => Value::Object(arguments),
            Ok(_) => return Ok(Err(types::CallError::Invalid("the arguments are not a JSON object".to_owned()))),
            Err(error) => return Ok(Err(types::CallError::Invalid(format!("the arguments are not JSON: {error}")))),
        };
        self.used.tool_calls += 1;
        let answer = ask!(self, call_tool(site, &named, arguments))?;
        Ok(answer.map(Into::into))
    }
}

impl http::Host for State {
    async fn fetch(&mut self, request: http::Request) -> Answer<http::Response> {
        let site = self.begin().await?;
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::Http, &request.url, reason).await;
        }
        let was_allowed = match self.restored(site, Interface::Http, &request.url)? {
            Ok(was_allowed) => was_allowed,
            Err(denied) => return Ok(Err(denied)),
        };
        let grant = self.grants.http.clone();
        let origin = HttpOrigin::of_url(&request.url).filter(|_| request.url.len() <= URL_BYTES_MAX);
        let Some(origin) = origin else {
            let text = "the URL is not an absolute one of `http` or `https` in plain ASCII, without user information or fragment";
            return Ok(Err(types::CallError::Invalid(text.to_owned())));
        };
        let Some(grant) = grant.filter(|grant| was_allowed || grant.origins.contains(&origin)) else {
            let reason = format!("`{origin}` is not in `http.origins` of the task's grants");
            return self.deny(site, Interface::Http, &request.url, reason).await;
        };
        if let Err(detail) = checked_headers(&request.headers) {
            return Ok(Err(types::CallError::Invalid(detail)));
        }
        if self.used.requests >= grant.requests_max {
            let text = format!("this call made {} requests, as many as `http.requests-max` grants", self.used.requests);
            return Ok(Err(types::CallError::Quota(text)));
        }
        let left = grant.bytes_max.saturating_sub(self.used.received_bytes);
        self.used.requests += 1;
        let asked = HttpRequest {
            method: request.method.into(),
            url: request.url,
            headers: request.headers,
            // Half of what may cross in one call: the rest is for headers.
            body_bytes_max: left.min(self.limits.host_call_bytes_max / 2),
        };
        let answer = ask!(self, fetch(site, asked))?;
        if let Ok(response) = &answer {
            self.used.received_bytes += response.body.len() as u64;
        }
        Ok(answer.map(Into::into))
    }
}

/// Names are tokens, values have no control characters: nothing can end a header early.
fn checked_headers(headers: &[(String, String)]) -> Result<(), String> {
    if headers.len() > HEADERS_MAX {
        return Err(format!("{} headers are too many; at most {HEADERS_MAX} are sent", headers.len()));
    }
    for (name, value) in headers {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!("`{}` is not the name of a header", name.escape_debug()));
        }
        if HOST_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("the header `{name}` is the host's to send"));
        }
        if !value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
            return Err(format!("the value of header `{name}` is not printable ASCII"));
        }
    }
    Ok(())
}

impl State {
    /// A reference that the grant covers, or the refusal for the plugin.
    pub(super) async fn readable(&mut self, site: CallSite, text: &str) -> Answer<ArtifactUri> {
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::ArtifactsRead, text, reason).await;
        }
        let was_allowed = match self.restored(site, Interface::ArtifactsRead, text)? {
            Ok(was_allowed) => was_allowed,
            Err(denied) => return Ok(Err(denied)),
        };
        let uri = match ArtifactUri::new(text) {
            Ok(uri) => uri,
            Err(error) => return Ok(Err(types::CallError::Invalid(error.to_string()))),
        };
        let grant = self.grants.artifacts_read.as_ref();
        if was_allowed || grant.is_some_and(|grant| grant.covers(&uri)) {
            return Ok(Ok(uri));
        }
        let reason = "no entry of `artifacts-read.names` of the task's grants covers it".to_owned();
        self.deny(site, Interface::ArtifactsRead, text, reason).await
    }
}

#[cfg(test)]
mod tests {
    use super::checked_headers;

    #[test]
    fn a_header_can_neither_end_early_nor_speak_for_the_host() {
        let check = |name: &str, value: &str| checked_headers(&[(name.to_owned(), value.to_owned())]);
        assert_eq!(check("accept", "application/json"), Ok(()));
        for (name, value, expected) in [
            ("a b", "x", "`a b` is not the name of a header"),
            ("", "x", "`` is not the name of a header"),
            ("x\r\nhost", "x", "`x\\r\\nhost` is not the name of a header"),
            ("x", "a\r\nhost: b", "the value of header `x` is not printable ASCII"),
            ("Host", "b", "the header `Host` is the host's to send"),
            ("Authorization", "b", "the header `Authorization` is the host's to send"),
        ] {
            assert_eq!(check(name, value), Err(expected.to_owned()));
        }
        let many = vec![("x".to_owned(), String::new()); 33];
        assert_eq!(checked_headers(&many), Err("33 headers are too many; at most 32 are sent".to_owned()));
    }
}
