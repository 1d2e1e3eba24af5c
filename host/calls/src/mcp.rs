//! `call: mcp` over HTTP: the greeting, one request, the goodbye.
//!
//! Source: Model Context Protocol 2025-06-18, “Streamable HTTP”.

use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use workflow::calls::{McpCall, McpTransport, class_of_rpc};
use workflow::effect::EffectClass;

use crate::rpc::Peer;
use crate::session::{Failure, Session, communication, configuration};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

pub(crate) async fn call(session: &Session<'_>, call: &McpCall) -> Result<Value, Failure> {
    let McpTransport::Http { endpoint, headers } = &call.transport else {
        return Err(configuration("a server over stdio is started in a sandbox, and not called"));
    };
    let mut peer = Peer::new(session, endpoint, headers)?;
    let hello = json!({
        "protocolVersion": call.protocol_version,
        "capabilities": {},
        "clientInfo": { "name": call.client.name, "version": call.client.version },
    });
    let mut greeted = peer.ask(session, (1, "initialize", &hello), EffectClass::Idempotent, false).await?;
    let spoken = greeted.results.pop().unwrap_or_default();
    if spoken["protocolVersion"] != json!(call.protocol_version) {
        let detail = format!("the server speaks {}, and not {}", spoken["protocolVersion"], call.protocol_version);
        return Err(communication(detail));
    }
    let in_session = greeted.headers.remove(&SESSION);
    let has_session = in_session.is_some();
    in_session.map(|id| peer.headers.insert(SESSION, id));
    let version = HeaderValue::from_str(&call.protocol_version);
    peer.headers.insert(VERSION, version.map_err(|_| communication("the protocol's version is no header"))?);
    peer.tell(session, "notifications/initialized").await?;
    let question = (2, call.method.as_str(), &call.parameters);
    let answered = peer.ask(session, question, class_of_rpc(&call.method), false).await;
    if has_session {
        peer.leave(session).await;
    }
    Ok(answered?.results.pop().unwrap_or_default())
}
