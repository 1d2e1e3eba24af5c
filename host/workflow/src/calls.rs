//! Outbound calls: what the host itself sends to another system (`call: http`
//! and kin), with every expression evaluated.
//!
//! A [`Call`] is part of the intent of an attempt, so it is in the history
//! before anything is sent. Credentials are in it by the name of a secret only,
//! unless the definition or its data held them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::asyncapi::{AsyncApiCall, Exchange};
use crate::command::Command;
use crate::effect::{EffectClass, Fault, OWN_ERRORS};
use crate::ids::SecretName;

/// One outbound call, whatever its protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub request: CallRequest,
    /// What the definition says about doing it twice; none: the method says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<EffectClass>,
    /// The task's timeout; 0: the host's own limit.
    pub time_limit_ms: u64,
}

impl Call {
    /// What may be done when its answer got lost, as far as the definition tells.
    pub fn class(&self) -> EffectClass {
        self.class.unwrap_or_else(|| match &self.request {
            CallRequest::Http(http) => class_of_method(&http.method),
            // Its method is in the document.
            CallRequest::OpenApi(_) => EffectClass::Reconcilable,
            CallRequest::A2a(a2a) => class_of_rpc(&a2a.method),
            CallRequest::Mcp(mcp) => class_of_rpc(&mcp.method),
            // The document may promise more; nobody has read it yet.
            CallRequest::Grpc(_) => EffectClass::Reconcilable,
            CallRequest::AsyncApi(asyncapi) => match &asyncapi.exchange {
                Exchange::Publish(_) => EffectClass::Reconcilable,
                // Messages come again until their record is on disk, or are nobody's.
                Exchange::Subscribe(_) => EffectClass::Pure,
            },
        })
    }
}

/// What an HTTP method promises about doing it twice.
pub fn class_of_method(method: &str) -> EffectClass {
    match method {
        "GET" | "HEAD" | "OPTIONS" => EffectClass::Pure,
        "PUT" | "DELETE" => EffectClass::Idempotent,
        _ => EffectClass::Reconcilable,
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "protocol", rename_all = "camelCase")]
pub enum CallRequest {
    Http(Box<HttpCall>),
    OpenApi(Box<OpenApiCall>),
    A2a(Box<A2aCall>),
    Mcp(Box<McpCall>),
    Grpc(Box<GrpcCall>),
    AsyncApi(Box<AsyncApiCall>),
}

impl CallRequest {
    /// As the definition names it: `http`.
    pub fn protocol(&self) -> &'static str {
        match self {
            CallRequest::Http(_) => "http",
            CallRequest::OpenApi(_) => "openapi",
            CallRequest::A2a(_) => "a2a",
            CallRequest::Mcp(_) => "mcp",
            CallRequest::Grpc(_) => "grpc",
            CallRequest::AsyncApi(_) => "asyncapi",
        }
    }
}

/// `call: http`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpCall {
    /// In capitals.
    pub method: String,
    pub endpoint: CallEndpoint,
    /// In the order of the definition; no value has line ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Appended to the query of the URI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// None: the request has no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    pub output: HttpOutput,
    /// Follows redirections, and takes any status below 400 for an answer.
    pub redirect: bool,
}

/// Where a call goes and as whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallEndpoint {
    /// Absolute.
    pub uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// What of an answer is the task's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HttpOutput {
    /// The body in base64.
    Raw,
    /// The body: parsed if it is JSON, text if it is text.
    Content,
    /// `{ request, statusCode, headers, content }`.
    Response,
}

/// How a call says who asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    pub scheme: AuthenticationScheme,
    pub properties: AuthenticationProperties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthenticationScheme {
    Basic,
    Bearer,
    Digest,
    Oauth2,
    Oidc,
}

impl AuthenticationScheme {
    pub const ALL: [AuthenticationScheme; 5] = [
        AuthenticationScheme::Basic,
        AuthenticationScheme::Bearer,
        AuthenticationScheme::Digest,
        AuthenticationScheme::Oauth2,
        AuthenticationScheme::Oidc,
    ];

    /// As the definition names it.
    pub fn name(self) -> &'static str {
        match self {
            AuthenticationScheme::Basic => "basic",
            AuthenticationScheme::Bearer => "bearer",
            AuthenticationScheme::Digest => "digest",
            AuthenticationScheme::Oauth2 => "oauth2",
            AuthenticationScheme::Oidc => "oidc",
        }
    }
}

/// The fields of a scheme, written out or in a secret of the host: the secret's
/// value is then a JSON object with the same fields, or the plain text of a
/// token, or `username:password`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticationProperties {
    Given(Value),
    /// `fields` as they are given, with `null` for each that is a secret of the
    /// host; `secrets` has these by their JSON pointers.
    Completed {
        fields: Value,
        secrets: BTreeMap<String, SecretName>,
    },
    Secret(SecretName),
}

/// `call: openapi`: an operation of a document that is fetched when it is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenApiCall {
    /// `http`, `https`, or `file` below the folder that the operator gave.
    pub document: CallEndpoint,
    pub operation_id: String,
    /// By the names that the document gives them; `body` is the request body.
    pub parameters: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    pub output: HttpOutput,
    pub redirect: bool,
}

/// `call: grpc`: a method of a service that a proto document describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcCall {
    /// As the document of an OpenAPI call.
    pub proto: CallEndpoint,
    /// With its package, or without it where that leaves no doubt.
    pub service: String,
    pub host: String,
    /// None: that of the scheme. The operator's approval says whether it is TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub method: String,
    /// The request in the JSON form of its message.
    pub arguments: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// `call: a2a`: one JSON-RPC request to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct A2aCall {
    pub method: String,
    pub agent: Agent,
    pub parameters: Value,
}

/// Where an agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Agent {
    /// A document that says so.
    Card(CallEndpoint),
    Server(CallEndpoint),
}

/// `call: mcp`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpCall {
    pub protocol_version: String,
    pub method: String,
    pub parameters: Value,
    #[serde(flatten)]
    pub transport: McpTransport,
    pub client: McpClient,
}

/// The protocol's version that this host speaks.
pub const MCP_VERSION: &str = "2025-06-18";

/// How a server of MCP is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum McpTransport {
    Http {
        endpoint: CallEndpoint,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
    },
    /// Its process, in a sandbox; there it is asked what the call says.
    Stdio { command: Box<Command> },
}

/// Who the server is told to be talking to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpClient {
    pub name: String,
    pub version: String,
}

impl McpClient {
    /// This program.
    pub fn own() -> Self {
        Self { name: "light-workflow".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// The error of a JSON-RPC answer.
pub fn rpc_error(code: i64, message: &str) -> Fault {
    Fault {
        kind: format!("{OWN_ERRORS}rpc-error"),
        status: 502,
        title: Some("The other side answered with an error".to_owned()),
        detail: Some(format!("{code}: {message}")),
        instance: None,
    }
}

/// What a method of MCP or A2A promises about doing it twice.
pub fn class_of_rpc(method: &str) -> EffectClass {
    match method {
        "tools/call" | "message/send" | "message/stream" | "tasks/pushNotificationConfig/set" => {
            EffectClass::Reconcilable
        }
        "tasks/cancel" | "tasks/pushNotificationConfig/delete" => EffectClass::Idempotent,
        _ => EffectClass::Pure,
    }
}
